from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from napari_ebsdml.dislocations import noise
from napari_ebsdml.dislocations import slip_systems as ss
from napari_ebsdml.dislocations.curvature import lattice_curvature
from napari_ebsdml.dislocations.denoise import Denoise, as_denoise, denoise_orientations
from napari_ebsdml.errors import InputError, MissingDataError
from tests.dislocations.fields import field, scrambled

ANY = Rotation.from_euler("ZXZ", (33, 47, 71), degrees=True)
FLAT = np.zeros((3, 2))
BENT = np.outer((0.3, -0.5, 0.8), (0.02, -0.01))  # about 1.3 deg/um


def angle(p, q):
    """Degrees between orientations, each (..., 4)."""
    a = Rotation.from_quat(np.reshape(p, (-1, 4)), scalar_first=True)
    b = Rotation.from_quat(np.reshape(q, (-1, 4)), scalar_first=True)
    return np.degrees((a * b.inv()).magnitude()).reshape(np.shape(p)[:-1])


@pytest.mark.parametrize("gradient", [FLAT, BENT])
@pytest.mark.parametrize("sigma", [0.05, 0.5])
def test_noise_is_measured_whatever_the_gradient(gradient, sigma):
    q = scrambled(field((120, 90), (1, 1), gradient, ANY, sigma))
    grains = np.ones((120, 90), int)
    assert noise.orientation_noise(q, grains) == pytest.approx(sigma, rel=0.04)


def test_noise_ignores_walls_and_needs_three_pixels():
    q = field((60, 60), (1, 1), FLAT, ANY, 0.1)
    for column in range(6, 60, 9):  # subgrain walls of 2 degrees
        turn = Rotation.from_euler("y", 2 * column, degrees=True)
        q[:, column:] = field((60, 60 - column), (1, 1), FLAT, turn * ANY, 0.1, seed=column)
    assert noise.orientation_noise(q, np.ones((60, 60), int)) == pytest.approx(0.1, rel=0.12)
    assert np.isnan(noise.orientation_noise(q[:2, :2], np.ones((2, 2), int)))
    assert "could not be measured" in noise.noise_sentence(np.nan, (1, 1), np.nan)


def test_noise_of_orientations_in_steps():
    """Most pixels exactly alike: the median difference is zero, the noise is not."""
    q = field((100, 100), (1, 1), FLAT, ANY)
    stray = np.random.default_rng(1).random((100, 100)) < 0.1
    q[stray] = field((100, 100), (1, 1), FLAT, ANY, 0.3)[stray]
    measured = noise.orientation_noise(q, np.ones((100, 100), int))
    # Trimming leaves out part of such long-tailed noise: the estimate is on the low side.
    assert 0.4 < measured / (0.3 * np.sqrt(0.1)) < 1.1
    equal = noise.orientation_noise(field((9, 9), (1, 1), FLAT, ANY), np.ones((9, 9), int))
    assert equal < 1e-6
    assert "same" in noise.noise_sentence(equal, (1, 1), 1.0)


def test_sentence():
    sentence = noise.noise_sentence(0.3, (1.0, 1.0), 2.13e13)
    assert sentence == "Orientation noise of 0.3 deg at 1 um hides anything below 2e+13 1/m^2."
    assert "0.2 x 0.173 um" in noise.noise_sentence(0.3, (0.2, 0.1732), 1e13)


def test_level_scales_with_the_burgers_vector():
    q = np.array([[1.0, 0, 0, 0]])
    small, large = (noise.noise_level(ss.for_lattice("fcc", a), q) for a in (2.0, 4.0))
    assert small.median == pytest.approx(2 * large.median)
    assert small.high > small.median > 1e15
    with pytest.raises(MissingDataError):
        noise.noise_level(ss.for_lattice("fcc", 4.0), np.zeros((2, 4)))


@pytest.mark.parametrize("radius", [1, 2, 3])
def test_uniform_bending_stays_exactly(radius):
    q = field((15, 17), (0.5, 0.25), BENT, ANY)
    grains = np.ones((15, 17), int)
    out = denoise_orientations(scrambled(q), grains, 0.1, radius)
    kappa = lattice_curvature(out, grains, (0.5, 0.25))
    np.testing.assert_allclose(kappa[..., :2] - BENT, 0, atol=1e-9)


def test_noise_goes_and_gradient_stays():
    sigma = 0.3
    truth = field((60, 60), (1, 1), BENT, ANY)
    noisy = scrambled(field((60, 60), (1, 1), BENT, ANY, sigma))
    grains = np.ones((60, 60), int)
    out = denoise_orientations(noisy, grains, sigma)
    group = Rotation.create_group("O")
    error = np.min(
        [
            angle(
                (Rotation.from_quat(out.reshape(-1, 4), scalar_first=True) * s)
                .as_quat(scalar_first=True)
                .reshape(out.shape),
                truth,
            )
            for s in group
        ],
        axis=0,
    )
    assert np.sqrt(np.mean(error**2)) < 0.35 * sigma * np.sqrt(3)
    before = lattice_curvature(noisy, grains, (1, 1))[..., :2] - BENT
    after = lattice_curvature(out, grains, (1, 1))[..., :2] - BENT
    assert after.std() < 0.4 * before.std()
    # No gradient invented or erased: the mean over the map is right to its statistical error.
    np.testing.assert_allclose(after.mean((0, 1)), 0, atol=3e-4)
    share = noise.remaining_noise(Denoise(), "full", sigma, grains)
    inner = np.s_[6:-6, 6:-6]
    assert after[inner].std() / before[inner].std() == pytest.approx(share[30, 30], rel=0.1)
    assert share[0, 30] > 1.2 * share[30, 30]  # less to average at the edge


def test_subgrain_walls_stay_sharp():
    sigma = 0.1
    q = field((30, 30), (1, 1), FLAT, ANY, sigma)
    other = Rotation.from_euler("xy", (1.0, 0.6), degrees=True) * ANY
    q[:, 15:] = field((30, 15), (1, 1), FLAT, other, sigma, seed=1)
    out = denoise_orientations(q, np.ones((30, 30), int), sigma)
    truth = field((30, 30), (1, 1), FLAT, ANY)
    truth[:, 15:] = field((30, 15), (1, 1), FLAT, other)
    error = angle(out, truth)
    assert np.median(error[:, 13:17]) < 0.12
    assert np.quantile(error[:, 13:17], 0.95) < 0.3
    step = angle(out[:, 14], out[:, 15])
    assert np.median(step) == pytest.approx(angle(truth[:1, 0], truth[:1, 29])[0], rel=0.1)


def test_wrong_pixels_are_mended_and_gaps_respected():
    q = field((12, 12), (1, 1), BENT, ANY)
    spoiled = q.copy()
    stray = Rotation.from_euler("x", 2, degrees=True) * ANY
    spoiled[5, 5] = field((1, 1), (1, 1), FLAT, stray)[0, 0]
    spoiled[8, 3] = 0
    spoiled[0, 7] = np.nan
    grains = np.ones((12, 12), int)
    grains[:, 9:] = 2
    spoiled[:, 9:] = field((12, 3), (1, 1), FLAT, Rotation.random(rng=3))
    out = denoise_orientations(spoiled, grains, 0.05)
    assert angle(out[5, 5][None], q[5, 5][None])[0] < 1e-3
    assert not out[8, 3].any()
    assert np.isnan(out[0, 7]).all()
    np.testing.assert_allclose(angle(out[:, 9:], spoiled[:, 9:]), 0, atol=1e-6)


def test_tiny_grains_stay_as_they_are():
    q = field((8, 8), (1, 1), FLAT, ANY, 1.0)
    grains = np.zeros((8, 8), int)
    grains[0, :] = 1  # a line: no plane fits
    grains[4, 4] = 2
    np.testing.assert_array_equal(denoise_orientations(q, grains, 1.0), q)


def test_settings():
    assert as_denoise(None) is None
    assert as_denoise(False) is None
    assert as_denoise(True) == as_denoise("plane") == Denoise()
    for bad in ("median", 3):
        with pytest.raises(InputError, match="denoise"):
            as_denoise(bad)
    for arguments in ({"radius": 0}, {"radius": 2.5}, {"passes": 0}, {"sigma": -1.0}):
        with pytest.raises(InputError, match="denoise"):
            Denoise(**arguments)
    with pytest.raises(InputError, match="shape"):
        denoise_orientations(np.ones((3, 4, 4)), np.ones((3, 3), int), 0.1)
