"""Gradients on the points of hexagonal grids."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from diffpy.structure import Lattice, Structure
from orix.crystal_map import Phase, PhaseList
from scipy.spatial.transform import Rotation

import napari_ebsdml as ebsdml
from napari_ebsdml.dislocations.gnd.curvature import lattice_curvature
from napari_ebsdml.dislocations.gnd.density import gnd_density
from napari_ebsdml.dislocations.gnd.grid import Grid, square_grid
from napari_ebsdml.dislocations.gnd.grid_curvature import grid_curvature
from napari_ebsdml.dislocations.gnd.hexagonal import hexagonal_grid
from napari_ebsdml.io._grid import grid_from_coordinates
from napari_ebsdml.maps.symmetry import laue_operators
from napari_ebsdml.scan import HexagonalPoints, Scan, Source

from .fields import quaternion, scrambled

ANY = Rotation.from_euler("ZXZ", (33, 47, 71), degrees=True)
CONJUGATE = np.array([1, -1, -1, -1])
BENT = np.outer((0.3, -0.5, 0.8), (0.02, -0.01))
OPERATORS = laue_operators("m-3m")


def hexagonal_scan(turns_at, rows=24, columns=20, step=0.2, sigma=0.0, seed=0):
    """Scan of a copper crystal whose rotation vectors are a function of x, y in um."""
    dy = step * np.sqrt(0.75)
    n = np.arange(rows)
    x = np.concatenate([step * (np.arange(columns - r % 2) + 0.5 * (r % 2)) for r in n])
    y = np.concatenate([np.full(columns - r % 2, dy * r) for r in n])
    turns = turns_at(x, y)
    noise = np.random.default_rng(seed).standard_normal(turns.shape) * np.radians(sigma)
    q = quaternion(Rotation.from_rotvec(noise) * Rotation.from_rotvec(turns) * ANY)
    q = scrambled(q[None], "O")[0] * CONJUGATE
    grid = grid_from_coordinates(Path("hex.ang"), x, y)
    points = HexagonalPoints(
        x, y, grid.hexagonal_step, grid.point_of_pixel, q, np.zeros(len(x), np.int32), {}
    )
    copper = Phase(
        "copper", space_group=225, structure=Structure(lattice=Lattice(3.6, 3.6, 3.6, 90, 90, 90))
    )
    shown = grid.point_of_pixel
    return Scan(
        quaternions=np.where((shown >= 0)[..., None], q[shown], 0),
        phase_id=np.where(shown >= 0, 0, -1),
        phases=PhaseList({0: copper}),
        step=grid.step,
        source=Source(hexagonal=points),
    )


def bent(gradient):
    return lambda x, y: x[:, None] * gradient[:, 0] + y[:, None] * gradient[:, 1]


@pytest.mark.parametrize("denoise", [None, True])
@pytest.mark.parametrize("direction", [(1, 0), (0, 1), (0.6, -0.8)])
def test_uniform_bending_is_exact(direction, denoise):
    gradient = np.outer((0.3, -0.5, 0.8), np.array(direction) * 0.02)
    scan = hexagonal_scan(bent(gradient))
    gnd = gnd_density(scan, denoise=denoise)
    known = np.isfinite(gnd.total)
    assert known.mean() > 0.98
    np.testing.assert_allclose(gnd.curvature[known][:, :, :2] - gradient, 0, atol=3e-8)
    assert gnd.notes == tuple(loss.sentence for loss in gnd.denoising.values())
    one = gnd_density(scan, stencil="one-sided")
    known = np.isfinite(one.total)
    np.testing.assert_allclose(one.curvature[known][:, :, :2] - gradient, 0, atol=3e-8)


def test_square_pixels_would_be_wrong():
    """What the six neighbours mend: a bend along y, seen on the pixels, is off and uneven."""
    gradient = np.outer((0.3, -0.5, 0.8), (0.0, 0.02))
    scan = hexagonal_scan(bent(gradient))
    pixels = gnd_density(
        dataclasses.replace(scan, source=dataclasses.replace(scan.source, hexagonal=None))
    )
    spread = [
        np.nanstd(gnd.curvature[..., 2, 1]) / np.nanmean(gnd.curvature[..., 2, 1])
        for gnd in (pixels, gnd_density(scan))
    ]
    assert spread[0] > 0.05
    assert spread[1] < 1e-6


@pytest.mark.parametrize(("denoise", "tolerance"), [(None, 0.1), (True, 0.12)])
def test_pure_noise_gives_the_predicted_floor(denoise, tolerance):
    scan = hexagonal_scan(bent(np.zeros((3, 2))), 90, 80, sigma=0.2)
    gnd = gnd_density(scan, denoise=denoise)
    assert gnd.orientation_noise[0] == pytest.approx(0.2, rel=0.04)
    ratio = np.nanmedian(gnd.total / gnd.noise_floor)
    assert ratio == pytest.approx(1, rel=tolerance)
    assert np.nanmean(gnd.above_noise) == pytest.approx(0.05, abs=0.03)


def test_nothing_is_taken_across_boundaries():
    gradient = BENT / 4

    def two_grains(x, y):
        turns = x[:, None] * gradient[:, 0] + y[:, None] * gradient[:, 1]
        return np.where((x > 2.05)[:, None], turns + np.radians([8.0, 0, 0]), turns)

    scan = hexagonal_scan(two_grains)
    gnd = gnd_density(scan)
    assert gnd.grains.max() == 2
    known = np.isfinite(gnd.total)
    assert known.mean() > 0.97
    # The second grain's own axes are turned by 8 degrees: its gradient is, too.
    off = np.linalg.norm(gnd.curvature[known][:, :, :2] - gradient, axis=(1, 2))
    assert off.max() < 0.2 * np.linalg.norm(gradient)


def test_pixels_that_no_longer_count_and_other_orientations():
    scan = hexagonal_scan(bent(BENT))
    where = np.zeros(scan.shape, dtype=bool)
    where[5:8, 5:8] = True
    gnd = gnd_density(scan.without(where))
    assert np.isnan(gnd.total[where]).all()
    known = np.isfinite(gnd.total)
    np.testing.assert_allclose(gnd.curvature[known][:, :, :2] - BENT, 0, atol=3e-8)
    other = quaternion(Rotation.from_quat(scan.quaternions.reshape(-1, 4), scalar_first=True) *
                       Rotation.from_euler("x", 1, degrees=True))  # fmt: skip
    changed = dataclasses.replace(scan, quaternions=other.reshape(scan.quaternions.shape))
    (note,) = gnd_density(changed).notes
    assert "no longer those of the hexagonal points" in note
    assert hexagonal_grid(scan.crop(slice(0, 9))) == (None, "")


def test_columns_may_be_staggered():
    """The same grid on its side."""
    size, step = (40, 41), 0.3
    index = np.full(size, -1)
    r, c = np.nonzero((np.indices(size).sum(0) % 2) == 0)
    index[r, c] = np.arange(len(r))
    x, y = c * step * np.sqrt(0.75), r * step / 2
    turns = x[:, None] * BENT[:, 0] + y[:, None] * BENT[:, 1]
    q = quaternion(Rotation.from_rotvec(turns) * ANY)
    grid = Grid(index, (step / 2, step * np.sqrt(0.75)), "columns")
    for reach in (1, 2):
        kappa, gain = grid_curvature(
            grid, q, np.ones(len(q), np.int64), "full", OPERATORS, reach=reach
        )
        np.testing.assert_allclose(kappa[..., :2] - BENT, np.zeros((len(q), 3, 2)), atol=3e-8)
        assert np.nanmin(gain) == pytest.approx(1 / (np.sqrt(3) * step * reach))
    assert grid.step == pytest.approx(step)
    far = np.hypot(*(grid.window(2) * np.array(grid.cell)).T)
    assert len(far) == 19
    assert far.max() == pytest.approx(2 * step)


def test_reach_is_the_map_with_a_larger_step():
    random = np.random.default_rng(4)
    turns = random.standard_normal((12, 14, 3)) * 0.01
    q = quaternion(Rotation.from_rotvec(turns.reshape(-1, 3)) * ANY).reshape(12, 14, 4)
    grains = np.ones((12, 14), np.int64)
    grains[:, 9:] = 2
    grid = square_grid((12, 14), (0.5, 0.25))
    for stencil in ("full", "one-sided"):
        kappa, _ = grid_curvature(
            grid, q.reshape(-1, 4), grains.ravel(), stencil, OPERATORS, reach=2
        )
        sub = lattice_curvature(q[1::2, ::2], grains[1::2, ::2], (1.0, 0.5), stencil)
        np.testing.assert_allclose(
            kappa.reshape(12, 14, 3, 3)[1::2, ::2], sub, rtol=1e-12, atol=1e-15
        )


def test_a_measured_map_has_no_row_stripes(shared):
    """Rows of pixels leave out every 7th row of points or so (period 6.46): it must not show."""
    scan = ebsdml.read(shared / "maps" / "cu_hexgrid.ang")

    def stripes(gnd):
        known = np.isfinite(gnd.total)
        some = known.mean(axis=1) > 0.5
        logs = np.where(known, np.log10(np.maximum(gnd.total, 1e12)), 0)
        rows = np.interp(
            np.arange(len(some)), np.flatnonzero(some), (logs.sum(1) / known.sum(1).clip(1))[some]
        )
        power = np.abs(np.fft.rfft((rows - rows.mean()) * np.hanning(rows.size))) ** 2
        period = rows.size / np.maximum(np.arange(power.size), 1e-9)
        return power[(period > 6.2) & (period < 6.8)].max() / power[period < 20].mean()

    pixels = dataclasses.replace(scan, source=dataclasses.replace(scan.source, hexagonal=None))
    assert stripes(gnd_density(pixels, keep_per_system=False)) > 6
    assert stripes(gnd_density(scan, keep_per_system=False)) < 3
