"""Model files and cards: round trip, and every way in which one can be wrong."""

from __future__ import annotations

import json

import pytest
import torch

from napari_ebsdml.errors import EbsdmlError
from napari_ebsdml.learning.checkpoint import (
    load_checkpoint,
    optimizer_tensors,
    restore_optimizer,
    save_checkpoint,
)
from napari_ebsdml.learning.model_card import ModelCard, model_paths, read_card
from napari_ebsdml.learning.model_file import ModelError, load_model, put_weights, save_model

CARD = ModelCard(
    kind="test", network="Linear", settings={"in_features": 3}, classes=("a", "b"),
    step=(0.1, 2.0), training={"seed": 4}, metrics={"loss": 0.5},
)  # fmt: skip


@pytest.fixture
def model(tmp_path):
    weights = torch.nn.Linear(3, 2).state_dict()
    save_model(tmp_path / "net.safetensors", weights, CARD)
    return tmp_path / "net.safetensors", weights


def edit(path, **changes):
    card = path.with_suffix(".json")
    content = json.loads(card.read_text())
    content.update(changes)
    card.write_text(json.dumps({k: v for k, v in content.items() if v is not ...}))


def test_round_trip(model):
    path, weights = model
    for given in (path, path.with_suffix(".json"), path.with_suffix(""), str(path)):
        loaded, card = load_model(given, "test")
        assert all(torch.equal(weights[name], loaded[name]) for name in weights)
        assert (card.classes, card.step, card.training) == (CARD.classes, CARD.step, CARD.training)
    assert len(card.weights_sha256) == 64
    assert card.package_version
    assert sorted(file.name for file in path.parent.iterdir()) == ["net.json", "net.safetensors"]


def test_name_with_a_dot(tmp_path):
    assert [p.name for p in model_paths(tmp_path / "v1.2")] == ["v1.2.safetensors", "v1.2.json"]


def test_missing(tmp_path, model):
    with pytest.raises(ModelError, match=r"other\.json: no such file"):
        load_model(tmp_path / "other")
    model[0].unlink()
    with pytest.raises(ModelError, match=r"net\.safetensors: no such file"):
        load_model(model[0])


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"kind": "cat"}, "'cat' model, not a 'test' model"),
        ({"settings": ...}, "lacks 'settings'"),
        ({"classes": 3}, "'classes' is int"),
        ({"step": [1]}, "'step' must be two numbers"),
        ({"card_version": 99}, "newer than 1"),
        ({"weights_sha256": "0"}, "damaged or belong to another"),
    ],
)
def test_wrong_card(model, changes, text):
    edit(model[0], **changes)
    with pytest.raises(ModelError, match=text) as caught:
        load_model(model[0], "test")
    assert isinstance(caught.value, EbsdmlError)
    assert "net." in str(caught.value)


def test_corrupt(model):
    path, _ = model
    good = path.read_bytes()
    path.write_bytes(good[:-4])
    with pytest.raises(ModelError, match="SHA-256"):
        load_model(path)
    path.with_suffix(".json").write_bytes(b"\xff\xfe{")
    with pytest.raises(ModelError, match="no valid JSON"):
        read_card(path)
    path.with_suffix(".json").write_text("[1]")
    with pytest.raises(ModelError, match="no object"):
        read_card(path)


def test_weights_of_another_network(model):
    path, _ = model
    weights, _ = load_model(path)
    with pytest.raises(ModelError, match="do not fit"):
        put_weights(torch.nn.Linear(4, 2), weights, path)
    with pytest.raises(ModelError, match="do not fit"):
        put_weights(torch.nn.BatchNorm1d(2), weights, path)


def test_failed_write_leaves_the_old_model(model):
    path, weights = model
    before = path.read_bytes(), path.with_suffix(".json").read_bytes()
    with pytest.raises(ModelError, match="plain JSON"):
        save_model(path, {"x": torch.zeros(1)}, ModelCard("test", "X", {"bad": object()}))
    with pytest.raises(ModelError, match="plain JSON"):
        save_model(path, {"x": torch.zeros(1)}, ModelCard("test", "X", metrics={"x": float("nan")}))
    assert (path.read_bytes(), path.with_suffix(".json").read_bytes()) == before
    with pytest.raises(ModelError):
        save_model(path / "below" / "a_file", weights, CARD)


def test_checkpoint_restores_an_optimiser(tmp_path):
    def step(net, optimizer, n):
        for _ in range(n):
            optimizer.zero_grad()
            net(torch.ones(2, 3)).square().sum().backward()
            optimizer.step()

    torch.manual_seed(0)
    net = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.1)
    step(net, optimizer, 3)
    file = tmp_path / "c"
    parts = {"net": net.state_dict(), "opt": optimizer_tensors(optimizer)}
    save_checkpoint(file, parts, {"epoch": 3})
    step(net, optimizer, 3)
    other = torch.nn.Linear(3, 2)
    again = torch.optim.AdamW(other.parameters(), lr=0.1)
    loaded, info = load_checkpoint(file)
    assert info == {"epoch": 3}
    other.load_state_dict(loaded["net"])
    restore_optimizer(again, loaded["opt"])
    step(other, again, 3)
    assert torch.equal(net.weight, other.weight)
    with pytest.raises(ModelError, match="no such checkpoint"):
        load_checkpoint(tmp_path / "none")
