"""The line simulator against independent arithmetic and the article's Figure 3."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import BSpline

from napari_ebsdml.dislocations.article import _line_kernels as kernels
from napari_ebsdml.dislocations.article.lines import (
    draw_lines,
    simulate_crops,
    simulate_maps,
    stream_crops,
    unit_density,
)
from napari_ebsdml.dislocations.article.lines_presets import PRESETS, LineRules, line_rules
from napari_ebsdml.errors import InputError


def pieces(points: np.ndarray, size: int, parts: int = 400):
    """Net vector, arc length and presence per pixel by brute force: many tiny segments."""
    t = np.arange(parts) / parts
    fine = (points[:-1, None] + t[None, :, None] * np.diff(points, axis=0)[:, None]).reshape(-1, 2)
    fine = np.vstack([fine, points[-1]])
    step = np.diff(fine, axis=0)
    middle = (fine[:-1] + fine[1:]) / 2
    j, i = np.clip(middle.astype(int), 0, size - 1).T
    net, arc = np.zeros((size, size, 2)), np.zeros((size, size))
    np.add.at(net, (i, j), step)
    np.add.at(arc, (i, j), np.hypot(*step.T))
    return net, arc


@pytest.mark.parametrize("length", ["chord", "arc"])
def test_exact_clipping_against_brute_force(length):
    rules = LineRules(length=length, shortest=0.0, smoothing=20)
    maps = simulate_maps(2, rules, seed=5)
    for k in range(2):
        gnd, total, count = np.zeros((21, 21, 2)), np.zeros((21, 21)), np.zeros((21, 21), int)
        for line in draw_lines(rules, seed=5, index=k):
            net, arc = pieces(line, 21)
            gnd += net
            total += arc if length == "arc" else np.hypot(net[..., 0], net[..., 1])
            count += arc > 0
        np.testing.assert_allclose(maps.gnd[k], gnd, atol=2e-3 * count.max())
        np.testing.assert_allclose(maps.total[k], total, atol=2e-3 * count.max())
        # Brute force may miss a corner that is cut by less than its step.
        assert (maps.count[k] != count).mean() < 0.01


def test_invariants():
    for name in ("exact", "paper", "text"):
        maps = simulate_maps(8 if name != "text" else 2, name, seed=1)
        size = np.hypot(maps.gnd[..., 0], maps.gnd[..., 1])
        assert (maps.total >= size - 1e-4).all()
        assert (maps.total[maps.count == 0] == 0).all()
        assert (size[maps.count == 0] == 0).all()
        if name != "text":
            one = maps.count == 1
            np.testing.assert_allclose(maps.total[one], size[one], atol=1e-5)
            assert one.sum() > 100


def test_lines_do_not_end_inside():
    # Each line crosses every inner pixel edge as often forth as back, up to its ends at the rim:
    # the sum of a map's GND is the sum of the lines' end-to-end vectors.
    rules = LineRules(shortest=0.0)
    maps = simulate_maps(3, rules, seed=2)
    for k in range(3):
        lines = draw_lines(rules, seed=2, index=k)
        ends = sum(line[-1] - line[0] for line in lines)
        np.testing.assert_allclose(maps.gnd[k].sum(axis=(0, 1)), ends, atol=1e-3)
        for line in lines:
            for end in (line[0], line[-1]):
                assert min(*end, *(21 - end)) == pytest.approx(0, abs=1e-9)
        assert rules.lines[0] <= len(lines) <= rules.lines[1]


@pytest.mark.parametrize(("k", "degree"), [(5, 4), (9, 3), (20, 8), (4, 3)])
def test_spline_against_scipy(k, degree):
    rng = np.random.default_rng(k)
    points = rng.random((k, 2))
    knots = np.clip(np.arange(k + degree + 1) - degree, 0, k - degree)
    want = BSpline(knots, points, degree)(np.linspace(0, k - degree, 50))
    x, y = np.empty(50), np.empty(50)
    kernels._spline(points[:, 0].copy(), points[:, 1].copy(), k, degree, 50, x, y)
    np.testing.assert_allclose(np.stack([x, y], 1), want, atol=1e-12)


@pytest.mark.long
def test_figure_3():
    # Article: correlation of N and density 0.898; densities of 1e13 to 1e16 1/m^2 about 1e15.
    crops = simulate_crops(60_000, "paper", seed=1)
    assert np.corrcoef(crops.count, crops.total)[0, 1] == pytest.approx(0.898, abs=0.005)
    numbers = np.bincount(crops.count, minlength=6)[1:]
    assert np.ptp(numbers) < 0.03 * numbers.mean()
    density = crops.total * unit_density(30 / 7, 3e-4)
    assert 1e13 < density.min() < 1e14
    assert 3e15 < density.max() < 1e16
    assert 1e15 < density.mean() < 3e15
    # Exact cutting keeps the shortest pieces and must show a weaker correlation.
    exact = simulate_crops(20_000, "exact", seed=1)
    assert np.corrcoef(exact.count, exact.total)[0, 1] < 0.892


def test_crops_belong_to_their_labels():
    crops = simulate_crops(4000, "paper", seed=3)
    centre = np.hypot(*crops.gnd[:, 3, 3].T)
    one = crops.count == 1
    np.testing.assert_allclose(crops.total[one], centre[one], atol=1e-4)
    assert (crops.total >= centre - 1e-4).all()
    wrong = next(stream_crops("paper", 3, scrambled=True))
    right = next(stream_crops("paper", 3))
    np.testing.assert_array_equal(wrong.count, right.count)
    np.testing.assert_array_equal(np.sort(wrong.total), np.sort(right.total))
    size = np.hypot(*wrong.gnd[:, 3, 3].T)
    assert (wrong.total < size - 1e-4).mean() > 0.1


def test_maps_do_not_depend_on_how_they_are_asked_for():
    whole = simulate_maps(6, "exact", seed=9)
    part = simulate_maps(2, "exact", seed=9, first=3)
    np.testing.assert_array_equal(whole.gnd[3:5], part.gnd)
    np.testing.assert_array_equal(whole.count[3:5], part.count)
    other = simulate_maps(2, "exact", seed=10, first=3)
    assert (other.gnd != part.gnd).any()


def test_noise_empty_maps_and_pixels():
    rules = line_rules("exact").replace(lines=(0, 0))
    assert not simulate_maps(2, rules).gnd.any()
    noisy = simulate_maps(20, rules.replace(noise=0.1))
    assert noisy.gnd.std() == pytest.approx(0.1, rel=0.03)
    assert not noisy.total.any()
    # Finer pixels, same lines: fewer lines in each.
    fine, coarse = (simulate_maps(20, line_rules("exact").replace(pixels=p)) for p in (42, 21))
    assert fine.count.mean() < 0.65 * coarse.count.mean()
    rough, smooth = (simulate_maps(20, line_rules("exact").replace(smoothing=s)) for s in (40, 5))
    assert rough.total.mean() > 1.1 * smooth.total.mean()


def test_unit_density():
    assert unit_density(30 / 7, 3e-4) == pytest.approx(7.78e14, rel=1e-3)
    for bad in ((0, 1), (1, -1), (float("nan"), 1)):
        with pytest.raises(InputError, match="positive length"):
            unit_density(*bad)


def test_bad_rules():
    with pytest.raises(InputError, match="there are paper"):
        simulate_maps(1, "nonsense")
    for changes in (
        {"pixels": 1}, {"lattice": "x"}, {"walk_length": (9, 5)}, {"smoothing": 3},
        {"binning": "x"}, {"length": "x"}, {"lines": (3, 1)}, {"shortest": 2}, {"noise": -1},
        {"colour": 1},
    ):  # fmt: skip
        with pytest.raises(InputError):
            LineRules().replace(**changes)
    with pytest.raises(InputError):
        next(stream_crops("paper", side=8))
    with pytest.raises(InputError):
        simulate_maps(-1)
    with pytest.raises(InputError, match="hardly ever"):
        simulate_crops(5, LineRules(lines=(1, 1)), maps_per_batch=2)
    assert set(PRESETS) == {"paper", "code-31", "text", "exact"}
