"""Model files and cards: round trip, and every way in which one can be wrong."""

from __future__ import annotations

import dataclasses
import hashlib
import json

import pytest
import torch
from safetensors.torch import save as dump_tensors

from napari_ebsdml.errors import EbsdmlError
from napari_ebsdml.learning.checkpoint import (
    load_checkpoint,
    optimizer_tensors,
    restore_optimizer,
    save_checkpoint,
)
from napari_ebsdml.learning.model_card import ModelCard, model_paths, read_card
from napari_ebsdml.learning.model_file import (
    ModelError,
    build,
    load_model,
    put_weights,
    save_model,
)

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
        ({"classes": ["a", 4]}, "'classes' in the model card must be a list of names"),
        ({"step": [1]}, "'step' in the model card must be a list of 2 numbers"),
        ({"step": [1, 10**400]}, "'step' in the model card"),
        ({"card_version": 0}, "no card version 0"),
        ({"card_version": -1}, "no card version -1"),
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


def store(path, tensors, **changes):
    """Weights and a card whose hash fits them, as somebody would who means harm."""
    content = dump_tensors(tensors)
    path.write_bytes(content)
    edit(path, weights_sha256=hashlib.sha256(content).hexdigest(), **changes)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers(model, value):
    path, weights = model
    store(path, {**weights, "bias": torch.tensor([0.0, value])})
    with pytest.raises(ModelError, match="'bias' holds values that are no numbers"):
        load_model(path)


def test_weights_of_another_model(model, tmp_path):
    path, weights = model
    other = tmp_path / "other.safetensors"
    save_model(other, weights, dataclasses.replace(CARD, settings={"in_features": 3, "bias": True}))
    content = other.read_bytes()
    path.write_bytes(content)
    with pytest.raises(ModelError, match="SHA-256 differs"):
        load_model(path)
    edit(path, weights_sha256=hashlib.sha256(content).hexdigest())
    with pytest.raises(ModelError, match="written with another model card"):
        load_model(path)
    # Weights from before this was written are taken by their hash alone.
    store(path, weights)
    load_model(path)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"bias": torch.zeros(2, dtype=torch.int64)}, "holds torch.int64, not torch.float32"),
        ({"bias": torch.zeros(3)}, r"'bias' is \(3,\), not \(2,\)"),
        ({"other": torch.zeros(3)}, "it has no 'other'"),
    ],
)
def test_weights_that_do_not_fit(model, changes, text):
    path, weights = model
    with pytest.raises(ModelError, match=text):
        build(lambda: torch.nn.Linear(3, 2), {**weights, **changes}, path)
    assert torch.equal(build(lambda: torch.nn.Linear(3, 2), weights, path).bias, weights["bias"])


def test_sizes_of_a_card_take_no_memory(model):
    path, weights = model
    for size in (10**9, -1, 10**30):
        with pytest.raises(ModelError, match=r"do not fit the network|no such network"):
            build(lambda size=size: torch.nn.Linear(size, 2), weights, path)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"kind": NaN}',
        "[1, 2]",
        "",
        "\x00",
        "9" * 10_000,
        '"text"',
    ],
)
def test_odd_json(model, text):
    path, _ = model
    path.with_suffix(".json").write_text(text)
    with pytest.raises(ModelError, match="not a model card"):
        load_model(path)
