"""Training on simulated lines: data, resume, calibration."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from napari_ebsdml.dislocations.article import train as training
from napari_ebsdml.dislocations.article.calibrate import calibrate
from napari_ebsdml.dislocations.article.lines import simulate_maps
from napari_ebsdml.dislocations.article.model import DislocationModel
from napari_ebsdml.dislocations.article.network import LineNetwork
from napari_ebsdml.dislocations.article.predict import predict_planes
from napari_ebsdml.dislocations.article.train import Recipe, crop_test, judge, train_lines
from napari_ebsdml.dislocations.article.training_data import (
    map_batches,
    paper_weight,
    uniform_table,
)
from napari_ebsdml.errors import InputError
from napari_ebsdml.learning.model_card import read_card
from napari_ebsdml.learning.model_file import load_model

TINY = Recipe(data="paper", width=16, epochs=2, steps=120, learning_rate=1e-2, wrong_scale=0.1)


@pytest.fixture(autouse=True)
def small_calibration(monkeypatch):
    """A tenth of the maps: the fit takes longer than these trainings."""
    monkeypatch.setattr(training, "calibrate", partial(calibrate, batches=16, samples=4000))


def same(a, b):
    return all(
        torch.equal(x, y)
        for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    )


@pytest.mark.long
def test_training_beats_the_gnd_alone(tmp_path):
    output = tmp_path / "net.safetensors"
    events = list(train_lines(TINY, output, validation=2000))
    assert [event.epoch for event in events if event.kind == "epoch"] == [1, 2]
    model = DislocationModel.load(output)
    test = crop_test(2000)
    found = judge(model.network, test)
    size = test.gnd[:, :, 5, 5].norm(dim=1).numpy()
    assert found["mape"] < 0.95 * np.mean(1 - size / test.total)
    assert found["accuracy"] > 0.3
    assert found["bias"] == pytest.approx(1, abs=0.15)
    # The file holds the same network: fused and plain give the same figures.
    assert found["mape"] == pytest.approx(model.card.metrics["validation mape"], rel=1e-3)
    card = read_card(output)
    assert card.training["recipe"]["seed"] == 0
    assert 0.3 < card.extra["temperature"] < 3
    assert card.metrics["held-out cover90"] == pytest.approx(0.9, abs=0.02)
    maps = simulate_maps(1, "exact", seed=3)
    assert predict_planes(maps.gnd, 1, 1e12, output, symmetric=False).mean.shape == (1, 21, 21)


@pytest.mark.long
def test_resumed_training_is_the_same(tmp_path):
    recipe = Recipe(data="varied", width=8, epochs=2, steps=4, batch=16)
    whole = tmp_path / "whole.safetensors"
    list(train_lines(recipe, whole, validation=500))
    parts = tmp_path / "parts.safetensors"
    events = train_lines(recipe, parts, validation=500)
    for event in events:
        if event.kind == "epoch":
            break
    assert events.network is None
    events.close()
    assert [event.kind for event in events.events] == ["epoch"]
    weights, _ = load_model(parts)
    assert all(torch.equal(t, weights[n]) for n, t in events.network.state_dict().items())
    assert read_card(parts).metrics
    list(train_lines(recipe, parts, validation=500))
    a, b = DislocationModel.load(whole), DislocationModel.load(parts)
    assert same(a.network, b.network)


def test_batches_too_small_for_noise_are_refused():
    with pytest.raises(InputError, match="batch"):
        train_lines(Recipe(batch=2))


def test_a_training_cancelled_at_once_leaves_the_old_model(tmp_path):
    output = tmp_path / "net.safetensors"
    recipe = Recipe(data="paper", width=8, epochs=1, steps=30)
    list(train_lines(Recipe(data="paper", width=8, epochs=1, steps=2), output, validation=300))
    before = output.read_bytes(), read_card(output)
    events = train_lines(recipe, output, validation=300, resume=False)
    assert next(events).kind == "step"
    events.close()
    assert events.network is None
    assert (output.read_bytes(), read_card(output)) == before


def test_batches_depend_on_their_number_alone():
    def batch(epoch, step, **changes):
        return list(map_batches(epoch, 3, seed=4, batch=16, **changes))[step]

    for data in ("paper", "varied"):
        a, b = batch(1, 2, data=data), batch(1, 2, data=data)
        assert torch.equal(a.gnd, b.gnd)
        assert a.gnd.shape == (16, 2, 21, 21)
        assert not torch.equal(a.gnd, batch(2, 2, data=data).gnd)
        assert not torch.equal(a.gnd, batch(1, 1, data=data).gnd)
    with pytest.raises(InputError, match="'x'"):
        batch(0, 0, data="x")


def test_wrong_scale_is_labelled():
    right = next(map_batches(0, 1, 4, "paper", batch=64, wrong_scale=0.0))
    wrong = next(map_batches(0, 1, 4, "paper", batch=64, wrong_scale=1.0))
    size = wrong.gnd.norm(dim=1).sum(dim=(1, 2)) / right.gnd.norm(dim=1).sum(dim=(1, 2))
    assert (right.scale == 1).all()
    assert set(wrong.scale.tolist()) == {0, 2}
    assert (size[wrong.scale == 0] < 0.72).all()
    assert (size[wrong.scale == 2] > 1.39).all()
    assert torch.equal(right.total, wrong.total)


def test_noise_is_made_and_told():
    quiet = next(map_batches(0, 1, 4, "paper", batch=64, wrong_scale=0.0))
    noisy = next(map_batches(0, 1, 4, "paper", batch=64, wrong_scale=0.0, noisy=1.0))
    assert not quiet.noise.any()
    assert quiet.noise.shape == (64, 1, 1)
    made = (noisy.gnd - quiet.gnd).std(dim=(1, 2, 3))
    assert made.min() > 0.008
    assert made.max() < 0.27
    told = noisy.noise[:, 0, 0] > 0
    assert 0.25 < told.float().mean() < 0.75
    ratio = torch.log(noisy.noise[told, 0, 0] / made[told])
    assert abs(ratio.mean()) < 0.15
    assert 0.1 < ratio.std() < 0.3
    assert torch.equal(noisy.total, quiet.total)


def test_an_epoch_shows_each_map_in_several_ways():
    batches = list(map_batches(0, 16, 4, "paper", batch=16, wrong_scale=0.0, repeats=4))
    seen = {}
    for batch in batches:
        for total, gnd in zip(batch.total, batch.gnd, strict=True):
            key = round(float(total.double().flatten().sort().values.sum()), 5)
            seen.setdefault(key, []).append(gnd)
            # The bound holds in every one of them: field and labels turn together.
            assert (total + 1e-4 >= gnd.norm(dim=0)).all()
    assert len(seen) == 64
    assert all(len(shown) == 4 for shown in seen.values())
    assert any(not torch.equal(shown[0], shown[1]) for shown in seen.values())
    with pytest.raises(InputError, match="repeats"):
        next(map_batches(0, 1, 4, repeats=0))


def test_weights_balance_the_numbers():
    maps = simulate_maps(300, "paper", seed=6)
    weight = paper_weight(maps.count, 3)
    inner = (slice(None), slice(3, -3), slice(3, -3))
    mass = np.bincount(maps.count[inner].ravel(), weight[inner].ravel(), minlength=8)
    assert mass[0] == 0
    np.testing.assert_allclose(mass[1:6], mass[1], rtol=1e-3)
    assert not mass[6:].any()
    table = uniform_table(9)
    assert max(table) == 4
    assert table[0] < table[1] < table[2] < table[3]


def test_calibration_mends_a_wrong_spread():
    torch.manual_seed(0)
    network = LineNetwork(3, 8).eval()
    before = calibrate(network, "paper", 0, batches=8, samples=2000)
    assert before.cover_after == pytest.approx(0.9, abs=0.03)
    assert before.largest_gnd > 1
