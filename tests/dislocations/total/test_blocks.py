"""Mean orientations of squares of pixels, and the densities that they tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import napari_ebsdml as ebsdml
from napari_ebsdml.batching.large import LargeMap
from napari_ebsdml.batching.large import total_dislocation_density as of_large
from napari_ebsdml.dislocations.structures.generate import Structure
from napari_ebsdml.dislocations.total.blocks import block_means
from napari_ebsdml.errors import InputError
from napari_ebsdml.maps.symmetry import laue_operators
from tests.dislocations.total.conftest import density_of, scan_of


def test_means_of_variants_are_means_of_turns() -> None:
    random = np.random.default_rng(0)
    operators = laue_operators("m-3m")
    start = Rotation.random(rng=random)
    turns = random.normal(0, 0.01, (7, 6, 3))
    variants = operators[random.integers(len(operators), size=(7, 6))]
    q = Rotation.from_rotvec(turns.reshape(-1, 3)) * start
    q = q * Rotation.from_quat(variants.reshape(-1, 4), scalar_first=True)
    q = q.as_quat(scalar_first=True).reshape(7, 6, 4)
    q[::2, ::3] *= -1
    labels = np.full((7, 6), 5)
    labels[0, 0] = 0  # eight of nine pixels are enough
    labels[3:6, :2] = 9
    labels[6, 0] = 9
    found = block_means(q, labels, operators, 3)
    assert found.labels.tolist() == [[5, 5], [9, 5], [0, 0]]
    assert found.members[:2].tolist() == [[8, 9], [6, 9]]
    one = Rotation.from_quat(found.turns[0, 0], scalar_first=True)
    variant = Rotation.from_quat(operators, scalar_first=True)
    # The specimen's turn: the crystal's variant is free.
    candidates = (one * variant * start.inv()).as_rotvec()
    turn = candidates[np.linalg.norm(candidates, axis=1).argmin()]
    expected = turns[:3, :3].reshape(-1, 3)[1:].mean(axis=0)
    assert np.abs(turn - expected).max() < 2e-5
    # 8, 9, 6 and 9 members; neighbours that go together leave more noise.
    assert found.noise() == pytest.approx(np.sqrt((1 / 8 + 1 / 9 + 1 / 6 + 1 / 9) / 4))
    assert found.noise(0.3) > 1.3 * found.noise()


def test_what_pixels_hide_their_means_tell(loops: Structure) -> None:
    true = density_of(loops)
    # rho (b / sigma)^2 is about 8.
    burgers = 3.524e-10 / np.sqrt(2)
    noise = float(np.degrees(burgers * np.sqrt(true / 8)))
    scan = scan_of(loops, noise)
    pixels = ebsdml.total_dislocation_density(scan, noise, average_over=1)
    assert not pixels.average().measurable
    assert pixels.averaged == {0: 1}
    means = ebsdml.total_dislocation_density(scan, noise)
    side = means.averaged[0]
    whole = means.average()
    assert side > 1
    assert whole.measurable
    assert whole.interval[0] < true < whole.interval[1]
    assert whole.density == pytest.approx(true, rel=0.6)
    assert means.limit == pytest.approx(pixels.limit / side**2, rel=0.01)
    assert means.orientation_noise == pixels.orientation_noise
    assert f"averaged over {side} x {side} pixels" in whole.sentence
    assert means.segments.shape == scan.shape
    assert whole.pixels == pytest.approx((means.segments >= 0).sum(), rel=0.2)


def test_a_clear_map_is_not_averaged_far(loops: Structure) -> None:
    rho = ebsdml.total_dislocation_density(scan_of(loops, 0.005), 0.005)
    assert rho.averaged[0] <= 2


def test_windows_of_means_stay_within_their_grains(loops: Structure) -> None:
    scan = scan_of(loops, 0.01)
    grains = np.ones(scan.shape, dtype=np.int64)
    grains[:, 33:] = 2  # not at the edge of a square
    rho = ebsdml.total_dislocation_density(scan, 0.01, grains=grains, average_over=2)
    seen = rho.segments >= 0
    assert (rho.windows.grain[rho.segments[seen]] == grains[seen]).all()
    assert not seen[:, 32].any()  # in squares of the other grain, or of none


@pytest.mark.parametrize("side", [0, 17, 2.5, float("nan"), "two", [2]])
def test_sides_out_of_range_are_refused(loops: Structure, side: Any) -> None:
    with pytest.raises(InputError, match="average_over must be"):
        ebsdml.total_dislocation_density(scan_of(loops, 0.01), average_over=side)


@pytest.mark.parametrize("side", [None, 3])
def test_a_large_map_tells_the_same(tmp_path: Path, loops: Structure, side: int | None) -> None:
    scan = scan_of(loops, 0.036)
    scan.phase_id[np.random.default_rng(3).random(scan.shape) < 0.1] = -1
    whole = ebsdml.total_dislocation_density(scan, average_over=side)
    large = LargeMap.of(scan, tmp_path / "map", pixels=1300)
    # Bands of 20 rows: squares of three pixels make bands of their own.
    found = of_large(large, average_over=side, surface=False)
    assert found.averaged == whole.averaged
    assert found.averaged[0] > 1
    assert found.orientation_noise == pytest.approx(whole.orientation_noise)
    assert found.average().interval == pytest.approx(whole.average().interval)
    np.testing.assert_array_equal(found.segments >= 0, whole.segments >= 0)
    np.testing.assert_allclose(found.interval, whole.interval, rtol=1e-6)
    assert not list(large.folder.glob("means-*"))
