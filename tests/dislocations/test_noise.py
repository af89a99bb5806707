"""Orientation noise apart from the lattice, against fields whose noise is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from napari_ebsdml.dislocations import slip_systems as ss
from napari_ebsdml.dislocations.gnd.grid import square_grid
from napari_ebsdml.dislocations.gnd.noise import (
    given_noise,
    measure_noise,
    orientation_noise,
)
from napari_ebsdml.dislocations.gnd.noise_floor import noise_level
from napari_ebsdml.dislocations.gnd.second_differences import second_differences
from napari_ebsdml.dislocations.gnd.structure_function import (
    error_correlation,
    fit_noise,
    mean_profile,
    mixture_quantiles,
)
from napari_ebsdml.errors import InputError, MissingDataError

from .fields import field, quaternion, random_field, scrambled

ANY = Rotation.from_euler("ZXZ", (33, 47, 71), degrees=True)
FLAT = np.zeros((3, 2))
BENT = np.outer((0.3, -0.5, 0.8), (0.02, -0.01))  # about 1.3 deg/um


def turned(turns):
    """Crystal -> specimen quaternions of rotation vectors (rows, columns, 3) in radians."""
    return quaternion(Rotation.from_rotvec(turns.reshape(-1, 3)) * ANY).reshape(*turns.shape[:2], 4)


def measured(q, grains=None):
    grains = np.ones(q.shape[:2], int) if grains is None else grains
    index = square_grid(q.shape[:2], (1, 1)).index
    return measure_noise(second_differences(q.reshape(-1, 4), grains.ravel(), index))


def errors(shape, sigma, seed, blur=0.0):
    wide = np.random.default_rng(seed).standard_normal((*shape, 3))
    if blur:
        wide = np.stack(
            [gaussian_filter(wide[..., k], blur, mode="wrap") for k in range(3)], axis=-1
        )
        wide /= wide.std()
    return np.radians(sigma) * wide


@pytest.mark.parametrize("gradient", [FLAT, BENT])
@pytest.mark.parametrize("sigma", [0.05, 0.5])
def test_noise_is_measured_whatever_the_gradient(gradient, sigma):
    q = scrambled(field((120, 90), (1, 1), gradient, ANY, sigma))
    noise = measured(q)
    assert noise.sigma == pytest.approx(sigma, rel=0.04)
    assert noise.rms == pytest.approx(sigma, rel=0.03)
    assert noise.interval[0] < sigma < noise.interval[1] < 1.1 * sigma
    assert noise.correlation < 0.05
    assert noise.origin == "measured"
    assert orientation_noise(q, np.ones((120, 90), int)) == noise.sigma


def lattice(exponent, sigma, seed=5, shape=(96, 96)):
    """Random rotations whose second differences look like noise of `sigma` degrees."""
    turns = random_field(shape, exponent, seed)
    second = turns[:, 2:] - 2 * turns[:, 1:-1] + turns[:, :-2]
    return turns * np.radians(sigma) / np.sqrt((second**2).mean() / 6)


@pytest.mark.parametrize("exponent", [1.0, 1.5, 2.0])
@pytest.mark.parametrize("sigma", [0.05, 0.1, 0.2])
def test_structure_of_the_lattice_is_no_noise(exponent, sigma):
    noise = measured(turned(lattice(exponent, 0.1) + errors((96, 96), sigma, 7)))
    naive = np.hypot(sigma, 0.1)
    assert abs(noise.rms - sigma) < 0.7 * (naive - sigma)
    low, high = noise.interval
    if sigma >= 0.1:  # lines closer than the step cannot be told from less noise than theirs
        assert low < sigma < high


def test_noise_free_maps_have_less_noise_than_second_differences_say():
    assert measured(turned(lattice(2.0, 0.1))).rms < 0.02
    assert measured(turned(lattice(1.0, 0.1))).rms < 0.075


@pytest.mark.parametrize("gradient", [FLAT, BENT])
def test_errors_that_go_together_are_recognised(gradient):
    shape = (100, 100)
    y, x = np.indices(shape)
    turns = x[..., None] * gradient[:, 0] + y[..., None] * gradient[:, 1]
    wrong = errors(shape, 0.2, 3, blur=0.5)
    noise = measured(turned(turns + wrong))
    truth = np.corrcoef(wrong[:, 1:].ravel(), wrong[:, :-1].ravel())[0, 1]
    assert 0.2 < truth < 0.3
    assert noise.correlation == pytest.approx(truth, abs=0.05)
    assert noise.rms == pytest.approx(0.2, rel=0.06)
    assert f"go together (correlation {noise.correlation:.1f})" in noise.sentence((1, 1), 1e13)
    assert error_correlation(0.0, 0.4) == 1
    assert error_correlation(1.0, 0.4) == pytest.approx(0.4)


def test_noise_ignores_walls_and_needs_three_pixels():
    q = field((60, 60), (1, 1), FLAT, ANY, 0.1)
    for column in range(6, 60, 9):  # subgrain walls of 2 degrees
        turn = Rotation.from_euler("y", 2 * column, degrees=True)
        q[:, column:] = field((60, 60 - column), (1, 1), FLAT, turn * ANY, 0.1, seed=column)
    assert orientation_noise(q, np.ones((60, 60), int)) == pytest.approx(0.1, rel=0.2)
    tiny = measured(q[:2, :2])
    assert np.isnan(tiny.sigma)
    assert "could not be measured" in tiny.sentence((1, 1), np.nan)


def test_small_grains_only_bound_the_noise():
    q = field((60, 60), (1, 1), FLAT, ANY, 0.1)
    grains = np.arange(3600).reshape(60, 60)
    grains = grains[::2, ::3].repeat(2, 0).repeat(3, 1) + 1  # 2 x 3 pixels: one distance
    noise = measured(q, grains)
    assert len(noise.fit.profile.lags) == 1
    assert noise.interval[0] < 0.06
    assert 0.097 < noise.interval[1] < 0.12


def test_noise_of_orientations_in_steps():
    """Most pixels exactly alike: the median difference is zero, the noise is not."""
    q = field((100, 100), (1, 1), FLAT, ANY)
    stray = np.random.default_rng(1).random((100, 100)) < 0.1
    q[stray] = field((100, 100), (1, 1), FLAT, ANY, 0.3)[stray]
    noise = measured(q)
    assert noise.origin == "steps"
    # Trimming leaves out part of such long-tailed noise: the estimate is on the low side.
    assert 0.4 < noise.sigma / (0.3 * np.sqrt(0.1)) < 1.1
    equal = measured(field((9, 9), (1, 1), FLAT, ANY))
    assert equal.sigma < 1e-6
    assert "same" in equal.sentence((1, 1), 1.0)


def test_copied_pixels_do_not_lower_the_noise():
    q = field((80, 80), (1, 1), FLAT, ANY, 0.1)
    copied = np.random.default_rng(3).random((80, 40)) < 0.4
    q[:, 1::2][copied] = q[:, ::2][copied]
    noise = measured(q)
    assert noise.identical == pytest.approx(copied.sum() / (2 * 80 * 79), rel=0.01)
    assert noise.rms == pytest.approx(0.1, rel=0.06)
    assert "10 % of the neighbouring pixels" in noise.sentence((1, 1), 1e13)


def test_sentence():
    grid = square_grid((3, 3), (1, 1))
    found = second_differences(np.ones((9, 4)) / 2, np.ones(9, int), grid.index)
    noise = given_noise(0.3, found)
    sentence = noise.sentence((1.0, 1.0), 2.13e13)
    assert sentence == (
        "Orientation noise of 0.3 deg at 1 um hides anything below 2e+13 1/m^2 in a single pixel."
    )
    assert "0.2 x 0.173 um" in noise.sentence((0.2, 0.1732), 1e13)
    for bad in (-1, np.nan, 40):
        with pytest.raises(InputError, match="orientation_noise"):
            given_noise(bad, found)


def test_large_maps_are_sampled(monkeypatch):
    q = field((90, 90), (1, 1), FLAT, ANY, 0.2)
    index = square_grid((90, 90), (1, 1)).index
    monkeypatch.setattr("napari_ebsdml.dislocations.gnd.second_differences.MOST", 2000)
    found = second_differences(q.reshape(-1, 4), np.ones(8100, int), index)
    assert 1000 < len(found.points) <= 2000
    assert measure_noise(found).rms == pytest.approx(0.2, rel=0.06)


def test_another_profile_can_take_over_the_shapes():
    """A grain's few differences, with the shapes that the whole map made likely."""
    turns = random_field((96, 96), 2.0, seed=5) * np.radians(0.2) + errors((96, 96), 0.1, 1)
    q = turned(turns)
    index = square_grid((96, 96), (1, 1)).index
    found = second_differences(q.reshape(-1, 4), np.ones(96 * 96, int), index)
    whole = fit_noise(mean_profile(found))
    part = mean_profile(found, found.tiles < 40)
    again = fit_noise(part, prior=whole.weights)
    assert np.sqrt(again.mean) == pytest.approx(np.sqrt(whole.mean), rel=0.15)
    assert again.error.mean() > whole.error.mean()
    assert fit_noise(mean_profile(found, found.tiles < 0)) is None


def test_quantiles_of_a_mixture():
    weights, means, spread = np.array([0.5, 0.5]), np.array([0.0, 10.0]), np.array([1.0, 2.0])
    low, middle, high = mixture_quantiles(weights, means, spread, (0.25, 0.5, 0.75))
    assert (low, high) == pytest.approx((0.0, 10.0), abs=0.02)
    assert 2 < middle < 5


def test_level_scales_with_the_burgers_vector():
    q = np.array([[1.0, 0, 0, 0]])
    small, large = (noise_level(ss.for_lattice("fcc", a), q) for a in (2.0, 4.0))
    assert small.median == pytest.approx(2 * large.median)
    assert small.high > small.median > 1e15
    with pytest.raises(MissingDataError):
        noise_level(ss.for_lattice("fcc", 4.0), np.zeros((2, 4)))
