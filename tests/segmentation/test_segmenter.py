from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch

from napari_ebsdml.errors import InputError, MissingDataError
from napari_ebsdml.learning.model_file import ModelError
from napari_ebsdml.segmentation import (
    ModelWarning,
    Segmenter,
    UNetSettings,
    evaluate,
    with_property,
)
from napari_ebsdml.segmentation.inputs.crops import TrainingMap
from napari_ebsdml.segmentation.labels.folds import Folds
from napari_ebsdml.segmentation.learning import held_out, look
from napari_ebsdml.segmentation.models.linear import Discriminant
from napari_ebsdml.segmentation.models.network import UNet
from napari_ebsdml.segmentation.models.predict import predict_logits
from tests.segmentation.segmentation_data import stroke_labels


def test_learns_and_carries_over_to_another_map(model, other_steel):
    result = model.predict(other_steel.scan, n_threads=2)
    assert evaluate(result.labels, other_steel.truth).accuracy > 0.85
    assert result.labels.shape == other_steel.scan.shape
    assert result.probability.shape == (*other_steel.scan.shape, 2)
    np.testing.assert_allclose(result.probability.sum(-1), 1, atol=1e-5)
    np.testing.assert_allclose(result.uncertainty, 1 - result.probability.max(-1), atol=1e-6)
    wrong = result.labels != other_steel.truth
    assert result.uncertainty[wrong].mean() > 2 * result.uncertainty[~wrong].mean()
    assert set(np.unique(result.labels)) == {1, 2}
    assert result.classes.names == ("ferrite", "martensite")


def test_metrics_are_of_held_out_blocks(model):
    assert model.metrics["accuracy"] > 0.85
    assert 0 <= model.metrics["calibration_error"] < 0.2
    total = np.sum(model.metrics["confusion"])
    assert total == model.metrics["pixels"]
    assert len(model.record["curve"]) == 3
    assert model.record["data"][0]["shape"] == [96, 120]


@pytest.mark.long
def test_same_seed_same_model(steel, quick, model):
    again = Segmenter.train([(steel.scan, stroke_labels(steel.truth, 0.1))], ("BS", "KAM"), **quick)
    a, b = (m.predict(steel.scan).probability for m in (model, again))
    np.testing.assert_allclose(a, b, atol=2e-3)
    other = Segmenter.train(
        [(steel.scan, stroke_labels(steel.truth, 0.1))], ("BS", "KAM"), **quick | {"seed": 1}
    )
    assert np.abs(other.predict(steel.scan).probability - a).max() > 0.01


@pytest.mark.parametrize("labels", ["whole map", "strokes"])
def test_only_whole_labelled_maps_say_how_likely_classes_are(steel, quick, labels):
    truth = steel.truth if labels == "whole map" else stroke_labels(steel.truth, 0.1)
    training = Segmenter.training([(steel.scan, truth)], ("BS", "KAM"), **{**quick, "epochs": 1})
    for _ in training:
        pass
    # As if the training had ended with martensite too likely.
    training._run.network.shift(np.array([-2.0, 2.0], dtype=np.float32))
    model = training.segmenter
    surplus = (model.predict(steel.scan).labels == 2).mean() - (steel.truth == 2).mean()
    lower = model.record["offsets"][0] - model.record["offsets"][1]
    if labels == "whole map":
        assert abs(surplus) < 0.05
        assert lower > 2
        # The network of the training stays as it was.
        assert training._run.network.head.bias[1] > model.network.head.bias[1] + 1
    else:
        assert surplus > 0.1
        assert lower == 0


def test_shares_are_told_from_all_parts_of_large_maps(monkeypatch):
    # Classes lie in regions that are larger than a square.
    target = np.zeros((120, 240), dtype=np.int8)
    target[:, 80:] = 1
    target[:, 200:] = 2
    unit = np.zeros(target.shape, dtype=np.int32)
    folds = Folds([target], [target], [target], [unit], 0, 0)
    planes = np.zeros((1, *target.shape), dtype=np.float32)
    maps = [TrainingMap(planes, (target,), None)]
    network, device = UNet(1, 3, UNetSettings(depth=1, filters=2)), torch.device("cpu")
    every = look.labels_judged(network, maps, folds, device)
    assert len(every.target) == target.size
    monkeypatch.setattr(look, "_SIDE", 20)
    monkeypatch.setattr(look, "_LOOK", 7200)
    some = look.labels_judged(network, maps, folds, device)
    assert len(some.target) == pytest.approx(7200, rel=0.2)
    shares = np.bincount(some.target) / len(some.target)
    assert shares == pytest.approx([1 / 3, 1 / 2, 1 / 6], abs=1e-6)


def test_what_is_held_out_of_a_large_map_stands_for_all_of_it(monkeypatch):
    # Small grains on the left third, blocks elsewhere: grain by grain the left would judge alone.
    rng = np.random.default_rng(0)
    target = np.ones((240, 480), dtype=np.int8)
    target[:, :160] = 0
    i, j = np.indices(target.shape)
    unit = np.where(target == 0, i // 3 * 60 + j // 3, 10_000 + i // 10 * 50 + j // 10)
    fold = rng.integers(5, size=unit.max() + 1)[unit].astype(np.int8)
    folds = Folds([target], [target], [fold], [unit.astype(np.int32)], 5, 0)
    planes = rng.normal(size=(2, *target.shape)).astype(np.float32)
    network = UNet(2, 2, UNetSettings(depth=1, filters=2)).eval()
    linear = Discriminant.fit(planes[:, ::9, ::9].reshape(2, -1).T, target[::9, ::9].ravel(), 2)
    maps, device = [TrainingMap(planes, (target,), None)], torch.device("cpu")
    monkeypatch.setattr(held_out, "_MOST_PIXELS", 40_000)
    monkeypatch.setattr(held_out, "_SQUARE", 40)
    found = held_out.HeldOut(maps, folds, network, [linear] * 5, device)
    assert set(found.fold) == {0}
    assert np.bincount(found.target)[1] / len(found.target) == pytest.approx(2 / 3, abs=0.1)
    assert len(found.target) > 2000
    assert sum(image[0].size for _, image, _ in found.windows) < 60_000
    # What a window says is what the whole map says.
    judged = found.judge(network)
    every = predict_logits(network, planes, device)
    rows = np.concatenate([on_the_map(planes, image, here) for _, image, here in found.windows])
    np.testing.assert_allclose(judged.logits, every[:, rows[:, 0], rows[:, 1]].T, atol=1e-5)


def on_the_map(planes, image, here):
    """Rows and columns, on the whole map, of the pixels of a window that judge."""
    corner = np.argwhere(planes[0] == image[0, 0, 0])[0]
    return np.argwhere(here) + corner


def test_save_and_load(model, other_steel, tmp_path):
    card = model.save(tmp_path / "dp.safetensors")
    content = json.loads((tmp_path / "dp.json").read_text())
    assert content["classes"] == ["ferrite", "martensite"]
    assert list(content["inputs"]) == ["BS", "KAM", "indexed"]
    assert content["inputs"]["KAM"]["unit"] == "degree"
    assert content["step"] == [0.1, 0.2]
    assert len(content["training"]["data_sha256"]) == 64
    assert card.package_version
    loaded = Segmenter.load(tmp_path / "dp")
    want, got = model.predict(other_steel.scan), loaded.predict(other_steel.scan)
    np.testing.assert_array_equal(got.probability, want.probability)
    assert got.classes == want.classes
    content["extra"].pop("temperature")
    (tmp_path / "dp.json").write_text(json.dumps(content))
    with pytest.raises(ModelError, match="temperature"):
        Segmenter.load(tmp_path / "dp")


def test_a_prediction_leaves_the_network_alone(model, other_steel, tmp_path):
    model.save(tmp_path / "dp")
    loaded = Segmenter.load(tmp_path / "dp")
    loaded.network.train()
    before = {name: (t.data_ptr(), t.stride()) for name, t in loaded.network.state_dict().items()}
    loaded.predict(other_steel.scan, device="cpu")
    after = {name: (t.data_ptr(), t.stride()) for name, t in loaded.network.state_dict().items()}
    assert after == before
    assert loaded.network.training


def test_a_scan_that_does_not_fit(model, other_steel):
    scan = other_steel.scan
    bare = dataclasses.replace(scan, prop={"BC": scan.get("BC")})
    with pytest.raises(ModelError, match=r"BS, KAM.*no property 'BS'"):
        model.predict(bare)
    with pytest.warns(ModelWarning, match="step is 0.5 um"):
        result = model.predict(dataclasses.replace(scan, step=(0.5, 0.5)))
    assert len(result.warnings) == 1
    from orix.crystal_map import Phase, PhaseList

    magnesium = PhaseList(ids=[1], phases=[Phase("Mg", point_group="6/mmm")])
    with pytest.warns(ModelWarning, match="6/mmm"):
        model.predict(dataclasses.replace(scan, phases=magnesium))


def test_events_previews_and_cancel(steel, quick):
    labels = stroke_labels(steel.truth, 0.1)
    training = Segmenter.training(
        [(steel.scan, labels)], ("BS",), preview=steel.scan, preview_every=2,
        **quick | {"epochs": 50},
    )  # fmt: skip
    kinds, fractions = [], []
    for event in training:
        kinds.append(event.kind)
        fractions.append(event.fraction)
        if event.kind == "epoch":
            assert event.losses["loss"] > 0
            assert 0 < event.metrics["accuracy"] <= 1
            assert (event.preview is not None) == (event.epoch in (1, 2))
        if event.epoch == 2 and event.kind == "epoch":
            assert training.segmenter is None
            assert event.preview.labels.shape == steel.scan.shape
            training.close()
            break
    assert kinds[0] == "start"
    assert "step" in kinds
    assert fractions == sorted(fractions)
    assert training.segmenter is not None
    result = training.segmenter.predict(steel.scan)
    assert evaluate(result.labels, steel.truth).accuracy > 0.6
    assert [e.kind for e in training.events] == ["start", "epoch", "epoch"]


def test_the_old_spelling_of_colors_is_taken_with_a_word(steel, quick):
    with pytest.warns(DeprecationWarning, match="colors"):
        training = Segmenter.training(
            [(steel.scan, steel.truth)], ("BS",), colours=("#111111", "#eeeeee"), **quick
        )
    for event in training:
        if event.kind == "epoch":
            training.close()
            break
    assert training.segmenter.classes.colors == ("#111111", "#eeeeee")


def test_closed_before_the_first_epoch_gives_no_model(steel, quick):
    training = Segmenter.training([(steel.scan, steel.truth)], ("BS",), **quick)
    next(training)
    training.close()
    assert training.segmenter is None


def test_time_limit(steel, quick):
    training = Segmenter.training(
        [(steel.scan, steel.truth)], ("BS",), **quick | {"epochs": 500, "seconds": 0.01}
    )
    events = list(training)
    assert events[-1].kind == "end"
    assert events[-1].reason == "time"
    assert training.segmenter is not None


@pytest.mark.long
def test_train_more_learns_what_is_new(model, other_steel):
    # The new map is measured at another camera setting, so the old model fails on it.
    scan = with_property(other_steel.scan, "BS", 255.0 - other_steel.scan.get("BS"))
    scan = with_property(scan, "KAM", np.zeros(scan.shape))
    labels = stroke_labels(other_steel.truth, 0.2)
    before = evaluate(model.predict(scan).labels, other_steel.truth).accuracy
    more = model.train_more(
        [(scan, labels)], epochs=5, steps=8, batch=4, crop=48, learning_rate=4e-3, n_threads=2
    )
    after = evaluate(more.predict(scan).labels, other_steel.truth).accuracy
    assert after > before + 0.1
    assert more.record["before"]["data_sha256"] == model.record["data_sha256"]
    assert evaluate(model.predict(scan).labels, other_steel.truth).accuracy == before
    with pytest.raises(InputError, match="none of the classes"):
        model.train_more([(scan, labels * 5)])


def test_three_classes_and_two_maps_of_different_size(steel, other_steel, quick):
    def three(sample):
        labels = sample.truth.astype(np.uint16) * 10
        labels[:, :30] = 500
        return labels

    bright = [
        with_property(
            s.scan, "BS", np.where(np.arange(s.scan.shape[1]) < 30, 400, s.scan.get("BS"))
        )
        for s in (steel, other_steel)
    ]
    model = Segmenter.train(
        [(bright[0], three(steel)), (bright[1], three(other_steel))], ("BS",), **quick
    )
    result = model.predict(bright[1])
    assert model.classes.values == (10, 20, 500)
    assert evaluate(result.labels, three(other_steel)).accuracy > 0.85
    assert result.labels.max() == 500


def test_not_indexed_turns_and_vote(model, other_steel):
    scan = other_steel.scan
    left = model.predict(scan, not_indexed="leave_out")
    assert not left.labels[~scan.is_indexed].any()
    assert np.isnan(left.uncertainty[~scan.is_indexed]).all()
    assert (left.labels[scan.is_indexed] > 0).all()
    voted = model.predict(scan, grain_vote=True)
    from napari_ebsdml.maps import segment_grains

    grains = segment_grains(scan, 3.0)
    for grain in np.unique(grains[grains > 0])[:40]:
        assert len(np.unique(voted.labels[grains == grain])) == 1
    turned = model.predict(scan, turns=8)
    plain = model.predict(scan)
    assert np.mean(turned.labels == plain.labels) > 0.9
    np.testing.assert_allclose(turned.probability.sum(-1), 1, atol=1e-5)
    with pytest.raises(InputError, match="not_indexed"):
        model.predict(scan, not_indexed="drop")


def test_progress_can_cancel(model, other_steel):
    class StopError(Exception):
        pass

    def stop(part):
        if part > 0.3:
            raise StopError

    with pytest.raises(StopError):
        model.predict(other_steel.scan, progress=stop)


def test_bad_training_data(steel):
    scan, truth = steel.scan, steel.truth
    for items, message in (
        ([], "at least one pair"),
        ([(scan, truth[1:])], "shape"),
        ([(scan, truth.astype(float))], "whole numbers"),
        ([(scan, np.zeros_like(truth))], "no class"),
        ([(scan, np.ones_like(truth))], "two classes"),
        ([scan], "pairs"),
    ):
        with pytest.raises(InputError, match=message):
            Segmenter.train(items, ("BS",))
    with pytest.raises(InputError, match="Unknown training setting"):
        Segmenter.train([(scan, truth)], ("BS",), epoch=3)
    with pytest.raises(MissingDataError, match="IQ"):
        Segmenter.train([(scan, truth)], ("IQ",))
