from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from napari_ebsdml.dislocations.gnd.curvature import lattice_curvature
from napari_ebsdml.dislocations.gnd.denoise import as_denoise, denoise_orientations
from napari_ebsdml.dislocations.gnd.density import gnd_density
from napari_ebsdml.dislocations.gnd.grid import square_grid
from napari_ebsdml.dislocations.gnd.noise import measure_noise
from napari_ebsdml.dislocations.gnd.noise_floor import remaining_noise
from napari_ebsdml.dislocations.gnd.second_differences import second_differences
from napari_ebsdml.dislocations.settings import Denoise
from napari_ebsdml.errors import InputError
from tests.dislocations.fields import field, random_field, scrambled
from tests.dislocations.test_gnd import scan_of
from tests.dislocations.test_hexagonal import bent, hexagonal_scan
from tests.dislocations.test_noise import turned

ANY = Rotation.from_euler("ZXZ", (33, 47, 71), degrees=True)
FLAT = np.zeros((3, 2))
BENT = np.outer((0.3, -0.5, 0.8), (0.02, -0.01))  # about 1.3 deg/um


def angle(p, q):
    """Degrees between orientations, each (..., 4)."""
    a = Rotation.from_quat(np.reshape(p, (-1, 4)), scalar_first=True)
    b = Rotation.from_quat(np.reshape(q, (-1, 4)), scalar_first=True)
    return np.degrees((a * b.inv()).magnitude()).reshape(np.shape(p)[:-1])


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
    grid = square_grid((60, 60), (1, 1))
    measured = measure_noise(second_differences(noisy.reshape(-1, 4), grains.ravel(), grid.index))
    share = remaining_noise(Denoise(), "full", measured, grid, grains.ravel()).reshape(60, 60)
    inner = np.s_[6:-6, 6:-6]
    assert after[inner].std() / before[inner].std() == pytest.approx(share[30, 30], rel=0.1)
    assert share[0, 30] > 1.1 * share[30, 30]  # less to average at the edge


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


@pytest.mark.parametrize(("exponent", "sigma"), [(1.5, 0.1), (1.8, 0.3)])
def test_what_denoising_takes_is_told(exponent, sigma):
    """A known signal added and recovered, against what happens to the lattice's own curvature."""
    turns = np.radians(0.6) * random_field((72, 72), exponent, 4)
    noise = np.radians(sigma) * np.random.default_rng(5).standard_normal(turns.shape)
    clean, noisy = (gnd_density(scan_of(turned(t))) for t in (turns, turns + noise))
    smooth = gnd_density(noisy.scan, denoise=True)
    true = clean.curvature[..., :2]
    left = (smooth.curvature[..., :2] * true).sum() / (true**2).sum()
    loss = smooth.denoising[0]
    assert left < 0.97
    assert loss.signal == pytest.approx(left, abs=0.12)
    assert 0.1 < loss.noise < 0.5
    assert noisy.denoising == {}
    assert loss.sentence in smooth.notes


def test_what_denoising_takes_on_hexagonal_points():
    scan = hexagonal_scan(bent(BENT / 10), sigma=0.2)
    loss = gnd_density(scan, denoise=True).denoising[0]
    assert 0.1 < loss.signal < 1.1
