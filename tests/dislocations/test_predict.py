"""Prediction of slip planes: units, bounds, gaps, symmetry, criteria; then the shipped model."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from napari_ebsdml.dislocations.article.divergence import divergence_free
from napari_ebsdml.dislocations.article.lines import simulate_maps, unit_density
from napari_ebsdml.dislocations.article.lines_presets import line_rules
from napari_ebsdml.dislocations.article.losses import mape
from napari_ebsdml.dislocations.article.model import SHIPPED, DislocationModel
from napari_ebsdml.dislocations.article.network import NOISE_REACH
from napari_ebsdml.dislocations.article.predict import predict_planes
from napari_ebsdml.errors import Cancelled, InputError
from napari_ebsdml.learning.model_file import ModelError, load_model, save_model

STEP, THICKNESS = 30 / 7, 3e-4
UNIT = unit_density(STEP, THICKNESS)
NAMES = ("mean", "median", "std", "interval", "n_lines", "in_range", "valid", "magnitude")


@pytest.fixture(scope="module")
def maps():
    return simulate_maps(4, "exact", seed=77)


def test_shapes_units_and_bound(maps, model_file):
    out = predict_planes(maps.gnd * UNIT, STEP, THICKNESS, model_file)
    assert out.mean.shape == (4, 21, 21)
    assert out.interval.shape == (4, 21, 21, 2)
    assert out.unit == UNIT
    size = np.hypot(maps.gnd[..., 0], maps.gnd[..., 1]) * UNIT
    np.testing.assert_allclose(out.magnitude, size, rtol=1e-5)
    for array in (out.mean, out.median, out.interval[..., 0], out.interval[..., 1]):
        assert (array >= size * (1 - 1e-5)).all()
    # Same numbers in other units: a tenth of the step at ten times the thickness.
    other = predict_planes(maps.gnd * UNIT, STEP / 10, THICKNESS * 10, model_file)
    np.testing.assert_allclose(other.mean, out.mean, rtol=1e-4)
    inside = np.zeros((21, 21), bool)
    inside[3:-3, 3:-3] = True
    assert (out.valid == inside).all()


def test_zero_gives_zero(model_file):
    for shape in ((1, 7, 7, 2), (2, 30, 21, 2), (1, 1, 1, 2)):
        out = predict_planes(np.zeros(shape), 0.1, 0.02, model_file)
        for name in ("mean", "median", "std", "interval", "n_lines"):
            assert not getattr(out, name).any(), name
        assert out.in_range.all()


def test_pixels_without_gnd_are_empty(maps, model_file):
    out = predict_planes(maps.gnd * UNIT, STEP, THICKNESS, model_file)
    empty = ~maps.gnd.any(axis=-1)
    assert empty.sum() > 20
    assert not out.mean[empty].any()
    assert not out.n_lines[empty].any()


def test_unknown_pixels(maps, model_file):
    gnd = maps.gnd[:1] * UNIT
    whole = predict_planes(gnd, STEP, THICKNESS, model_file)
    holed = gnd.copy()
    holed[0, 10, 12, 0] = np.nan
    out = predict_planes(holed, STEP, THICKNESS, model_file)
    assert np.isnan(out.mean[0, 10, 12])
    assert np.isnan(out.interval[0, 10, 12]).all()
    assert out.n_lines[0, 10, 12] == -1
    assert not out.in_range[0, 10, 12]
    assert not out.valid[0, 7:14, 9:16].any()
    assert out.valid.sum() == whole.valid.sum() - 49
    np.testing.assert_allclose(out.mean[out.valid], whole.mean[out.valid], rtol=1e-5)
    assert np.isfinite(out.mean).sum() == 440


def test_tiles_and_groups_do_not_show(maps, model_file, monkeypatch):
    from napari_ebsdml.dislocations.article import predict

    rules = line_rules("exact").replace(pixels=64, lines=(60, 60))
    gnd = simulate_maps(2, rules, seed=3).gnd * UNIT
    whole = predict_planes(gnd, STEP, THICKNESS, model_file, symmetric=False)
    monkeypatch.setattr(predict, "_TILE", 23)
    monkeypatch.setattr(predict, "_PIXELS_AT_ONCE", 1000)
    monkeypatch.setattr(predict, "_PIXELS_IN_GROUP", 5000)
    parts = predict_planes(gnd, STEP, THICKNESS, model_file, symmetric=False)
    for name in NAMES:
        np.testing.assert_allclose(
            getattr(whole, name), getattr(parts, name), rtol=1e-4, atol=1e-5 * UNIT, err_msg=name
        )


def test_turned_maps_give_turned_results(maps, model_file):
    gnd = maps.gnd[:2] * UNIT
    out = predict_planes(gnd, STEP, THICKNESS, model_file)
    turned = np.rot90(gnd, 1, (1, 2))
    turned = np.stack([turned[..., 1], -turned[..., 0]], axis=-1)
    again = predict_planes(turned, STEP, THICKNESS, model_file)
    back = np.rot90(again.mean, -1, (1, 2))
    np.testing.assert_allclose(back, out.mean, rtol=1e-3)


def test_progress_and_cancelling(maps, model_file, monkeypatch):
    from napari_ebsdml.dislocations.article import predict

    monkeypatch.setattr(predict, "_PIXELS_IN_GROUP", 441)
    monkeypatch.setattr(predict, "_TILE", 11)
    done = []
    gnd = maps.gnd * UNIT
    predict_planes(gnd, STEP, THICKNESS, model_file, symmetric=False, progress=done.append)
    assert done == sorted(done)
    assert done[-1] == 1.0
    # Within a plane too: a single large plane must be cancellable.
    assert len(set(done)) >= 4 * 4

    def stop(fraction):
        raise Cancelled("stop")

    with pytest.raises(Cancelled):
        predict_planes(gnd, STEP, THICKNESS, model_file, progress=stop)


def test_errors(maps, model_file, tmp_path):
    good = np.zeros((1, 9, 9, 2))
    for bad in (
        np.zeros((9, 9)),
        np.zeros((1, 9, 9, 3)),
        np.zeros((0, 9, 9, 2)),
        "x",
        [[1], [1, 2]],
    ):
        with pytest.raises(InputError, match="gnd must"):
            predict_planes(bad, 1, 0.02, model_file)
    for step in (0, -1, np.nan, (1, 2), (1, 1, 1)):
        with pytest.raises(InputError):
            predict_planes(good, step, 0.02, model_file)
    with pytest.raises(InputError, match="square pixels"):
        predict_planes(good, (1.0, 0.5), 0.02, model_file)
    with pytest.raises(InputError, match="plane_thickness"):
        predict_planes(good, 1, 0, model_file)
    with pytest.raises(InputError, match="level"):
        predict_planes(good, 1, 0.02, model_file, level=1)
    with pytest.raises(InputError, match="n_range"):
        predict_planes(good, 1, 0.02, model_file, n_range=(1, 99))
    for noise in (-1.0, np.inf, np.zeros((3, 2)), "loud"):
        with pytest.raises(InputError, match="noise"):
            predict_planes(good, 1, 0.02, model_file, noise=noise)
    with pytest.raises(InputError, match="No model 'nonsense'"):
        predict_planes(good, 1, 0.02, "nonsense")
    with pytest.raises(ModelError, match="no such file"):
        predict_planes(good, 1, 0.02, tmp_path / "none.safetensors")


def test_noise_is_told_to_the_network(maps, model_file):
    gnd, sigma = maps.gnd * UNIT, 0.05 * UNIT
    size = np.hypot(gnd[..., 0], gnd[..., 1])
    quiet = predict_planes(gnd, STEP, THICKNESS, model_file, symmetric=False)
    out = predict_planes(gnd, STEP, THICKNESS, model_file, symmetric=False, noise=sigma)
    assert not np.array_equal(out.mean, quiet.mean)
    np.testing.assert_allclose(out.magnitude, size, rtol=1e-5)
    # Noise may have made |GND| too large, by so much at most.
    bound = np.maximum(size - NOISE_REACH * sigma, 0)
    for array in (out.mean, out.median, out.interval[..., 0]):
        assert (array >= bound * (1 - 1e-5)).all()
    # An array per pixel does the same; where noise is not known, there is none.
    each = np.full(gnd.shape[1:3], sigma)
    same = predict_planes(gnd, STEP, THICKNESS, model_file, symmetric=False, noise=each)
    np.testing.assert_allclose(same.mean, out.mean, rtol=1e-5)
    each[:, :11] = np.nan
    part = predict_planes(gnd, STEP, THICKNESS, model_file, symmetric=False, noise=each)
    np.testing.assert_allclose(part.mean[:, :, :8], quiet.mean[:, :, :8], rtol=1e-5)
    np.testing.assert_allclose(part.mean[:, :, 14:], out.mean[:, :, 14:], rtol=1e-5)
    # In any of the 16 views: noise turns with the map.
    turned = predict_planes(gnd, STEP, THICKNESS, model_file, noise=each)
    assert np.isfinite(turned.mean).all()
    # No GND measured, but some may be there.
    nothing = predict_planes(np.zeros((1, 9, 9, 2)), STEP, THICKNESS, model_file, noise=sigma)
    assert not nothing.mean.any()
    assert not nothing.interval[..., 0].any()
    np.testing.assert_allclose(nothing.interval[..., 1], 1.6449 * sigma, rtol=1e-3)
    assert nothing.in_range.all()


def test_bad_models(model_file, tmp_path):
    weights, card = load_model(model_file)
    for changes, text in (
        ({"network": "UNet"}, "'UNet'"),
        ({"settings": {"radius": 3}}, "do not fit"),
        ({"settings": {"colour": 3}}, "unknown entry 'colour'"),
        ({"extra": {"temperature": -1}}, "'temperature'"),
        ({"extra": {"scale_prior": [0.5, 0.5]}}, "'scale_prior'"),
        ({"kind": "segmentation"}, "'segmentation' model"),
    ):
        save_model(tmp_path / "bad", weights, dataclasses.replace(card, **changes))
        with pytest.raises(ModelError, match=text):
            predict_planes(np.zeros((1, 9, 9, 2)), 1, 0.02, tmp_path / "bad.safetensors")


def test_a_transposed_field_is_noticed(maps, model_file):
    gnd = maps.gnd * UNIT
    with pytest.warns(UserWarning, match="exchange them"):
        predict_planes(gnd[..., ::-1], STEP, THICKNESS, model_file, symmetric=False)
    # Noise, or fields of which nothing is known, give no warning.
    noise = np.random.default_rng(0).standard_normal(gnd.shape) * UNIT
    predict_planes(noise, STEP, THICKNESS, model_file, symmetric=False)


def test_divergence_criteria():
    maps = simulate_maps(6, "exact", seed=8).gnd * 1e14
    rng = np.random.default_rng(0)
    # The same vectors in a random order: lines begin and end everywhere.
    broken = rng.permutation(maps.reshape(-1, 2)).reshape(maps.shape)
    free, not_free = divergence_free(maps, 1.0), divergence_free(broken, 1.0)
    assert not free[:, :3].any()
    inner = (slice(None), slice(3, -3), slice(3, -3))
    full = np.hypot(maps[..., 0], maps[..., 1])[inner] > 0
    assert free[inner][full].mean() > not_free[inner].mean()
    empty = np.zeros((1, 15, 15, 2))
    assert not divergence_free(empty, 1.0).any()
    assert divergence_free(empty, 1.0, criterion="paper").sum() == 81
    # A uniform field has no divergence; a field that grows along itself has.
    uniform = np.full((1, 15, 15, 2), 1e13)
    assert divergence_free(uniform, 1.0).sum() == 81
    assert divergence_free(uniform, 1.0, criterion="paper").sum() == 81
    ramp = np.zeros((1, 15, 15, 2))
    ramp[..., 0] = 1e11 * np.arange(15) + 1e11
    sums = 49 * 1e11
    for threshold, want in ((0.99 * sums, 0), (1.01 * sums, 81)):
        found = divergence_free(ramp, 1.0, criterion="paper", threshold=threshold)
        assert found[:, 4:-4, 4:-4].sum() == (49 if want else 0)
    hole = uniform.copy()
    hole[0, 7, 7] = np.nan
    assert not divergence_free(hole, 1.0)[0, 4:11, 4:11].any()
    for bad in ({"window": 4}, {"criterion": "x"}, {"threshold": -1}):
        with pytest.raises(InputError):
            divergence_free(uniform, 1.0, **bad)


# The shipped models.


@pytest.fixture(scope="module", params=sorted(SHIPPED))
def shipped(request):
    return DislocationModel.load(request.param)


@pytest.fixture(scope="module")
def fresh_maps():
    return simulate_maps(60, line_rules("paper").replace(lines=(5, 19)), seed=424_242)


def inner(shipped):
    r = shipped.network.radius
    return (slice(None), slice(r, -r), slice(r, -r))


def test_shipped_is_better_than_the_gnd_alone(shipped, fresh_maps):
    out = predict_planes(fresh_maps.gnd * UNIT, STEP, THICKNESS, shipped)
    at = inner(shipped)
    true, count = fresh_maps.total[at] * UNIT, fresh_maps.count[at]
    some = (count >= 1) & (true > 0.02 * UNIT)
    size = np.hypot(fresh_maps.gnd[..., 0], fresh_maps.gnd[..., 1])[at] * UNIT
    assert mape(out.median[at][some], true[some]) < 0.7 * mape(size[some], true[some])
    assert out.mean[at].mean() == pytest.approx(true.mean(), rel=0.04)
    assert (out.n_lines[at] == count)[some].mean() > 0.6
    low, high = np.moveaxis(out.interval[at], -1, 0)
    inside = (low <= true * 1.0001) & (true <= high * 1.0001)
    # A single line's density is known; where lines overlap it is not.
    assert 0.8 < inside[count > 1].mean() < 0.97
    assert out.in_range[at].mean() > 0.9


@pytest.mark.parametrize("factor", [0.25, 0.5, 2.0, 4.0])
def test_shipped_finds_a_wrong_scale(shipped, fresh_maps, factor):
    at = inner(shipped)
    gnd = fresh_maps.gnd[:30] * UNIT
    some = np.hypot(gnd[..., 0], gnd[..., 1])[at] > 0
    wrong = predict_planes(gnd * factor, STEP, THICKNESS, shipped, symmetric=False)
    assert wrong.in_range[at][some].mean() < 0.1
    thick = predict_planes(gnd, STEP, THICKNESS * factor, shipped, symmetric=False)
    assert thick.in_range[at][some].mean() < 0.1
    right = predict_planes(gnd, STEP, THICKNESS, shipped, symmetric=False)
    assert right.in_range[at][some].mean() > 0.9


@pytest.mark.parametrize("noise", [0.05, 0.1])
def test_known_noise(shipped, fresh_maps, noise):
    at = inner(shipped)
    random = np.random.default_rng(5).standard_normal(fresh_maps.gnd.shape)
    gnd = (fresh_maps.gnd + noise * random) * UNIT
    true = fresh_maps.total[at] * UNIT

    def ask(factor=1.0, told=True):
        return predict_planes(factor * gnd, STEP, THICKNESS, shipped, symmetric=False,
                              noise=factor * noise * UNIT if told else None)  # fmt: skip

    def cover(out):
        low, high = np.moveaxis(out.interval[at], -1, 0)
        return ((low <= true * 1.0001) & (true <= high * 1.0001)).mean()

    right = ask()
    assert cover(ask(told=False)) < 0.7
    assert 0.88 < cover(right) < 0.98
    # The average is unbiased, and the scale is judged as without noise.
    assert right.mean[at].mean() == pytest.approx(true.mean(), rel=0.06)
    assert right.in_range[at].mean() > 0.9
    for factor in (0.5, 2.0):
        wrong = ask(factor)
        some = wrong.mean[at] > 0
        assert wrong.in_range[at][some].mean() < 0.1


def test_shipped_card(shipped):
    card = shipped.card
    assert card.kind == "dislocation-density"
    assert {"recipe", "data"} <= set(card.training)
    assert card.metrics
    assert card.inputs["window"]["pixels"] == 2 * shipped.network.radius + 1
