from __future__ import annotations

import numpy as np
import pytest
from orix.quaternion import Orientation
from orix.quaternion.symmetry import D6h, Oh

from napari_ebsdml.errors import Cancelled, InputError
from napari_ebsdml.maps import kam, misorientation_map


def _gradient(turn, rows, columns, per_pixel):
    """Lattice turned about x by `per_pixel` degrees from column to column."""
    return np.tile(turn((1, 0, 0), per_pixel * np.arange(columns)), (rows, 1, 1))


def test_linear_gradient(turn, make):
    values = kam(make(_gradient(turn, 5, 9, 0.1)))
    # Inside, 6 of the 8 neighbours are one step away; at the left rim 3 of 5; in corners 2 of 3.
    np.testing.assert_allclose(values[1:-1, 1:-1], 0.1 * 6 / 8, rtol=1e-9)
    np.testing.assert_allclose(values[1:-1, 0], 0.1 * 3 / 5, rtol=1e-9)
    np.testing.assert_allclose(values[0, 0], 0.1 * 2 / 3, rtol=1e-9)


def test_second_order_square(turn, make):
    values = kam(make(_gradient(turn, 9, 9, 0.1)), order=2)
    # 24 neighbours: 10 at one step, 10 at two, 4 at none.
    np.testing.assert_allclose(values[4, 4], (10 * 0.1 + 10 * 0.2) / 24, rtol=1e-9)


def test_threshold_leaves_out_single_pixels(turn, make):
    q = np.tile(turn((0, 0, 1), 0.0), (3, 3, 1))
    q[1, 2] = turn((0, 0, 1), 2.0)
    q[2, 1] = turn((0, 0, 1), 20.0)
    assert kam(make(q))[1, 1] == pytest.approx(2.0 / 7)
    assert kam(make(q), threshold=1.0)[1, 1] == 0
    assert kam(make(q), threshold=2.0)[1, 1] == pytest.approx(2.0 / 7)
    assert kam(make(q), threshold=30.0)[1, 1] == pytest.approx(22.0 / 8)
    # Alone with its disorientation: nothing is left of the square.
    assert kam(make(q))[2, 1] == 0


def test_other_phase_and_not_indexed_are_left_out(turn, make):
    q = np.tile(turn((0, 0, 1), 0.0), (3, 3, 1))
    q[0, 0], q[2, 2], q[1, 2] = (turn((0, 0, 1), a) for a in (1.0, 1.0, 2.0))
    ids = np.zeros((3, 3), dtype=int)
    ids[0, 0], ids[2, 2] = 1, -1
    values = kam(make(q, ("m-3m", "m-3m"), ids))
    assert values[1, 1] == pytest.approx(2.0 / 6)
    assert values[0, 0] == 0
    assert values[2, 2] == 0


@pytest.mark.parametrize(("name", "group"), [("m-3m", Oh), ("6/mmm", D6h)])
def test_agrees_with_orix_pair_by_pair(
    name, group, rng, turn, times, random_quaternions, make, scramble
):
    base = random_quaternions(rng, 1, 1)
    q = times(base, turn((1, 1, 0), rng.uniform(0, 4, size=(6, 7))))
    q = scramble(rng, q, name)
    scan = make(q, (name,))
    values = kam(scan)
    expected = np.zeros((6, 7))
    for i in range(6):
        for j in range(7):
            near = [
                q[k, m]
                for k in range(max(0, i - 1), min(6, i + 2))
                for m in range(max(0, j - 1), min(7, j + 2))
                if (k, m) != (i, j)
            ]
            angles = Orientation(q[i, j], symmetry=group).angle_with(
                Orientation(np.array(near), symmetry=group), degrees=True
            )
            kept = angles[angles <= 3]
            expected[i, j] = kept.mean() if kept.size else 0
    np.testing.assert_allclose(values, expected, atol=1e-5)
    pairs = misorientation_map(scan)
    right = Orientation(q[:, :-1], symmetry=group).angle_with(
        Orientation(q[:, 1:], symmetry=group), degrees=True
    )
    down = Orientation(q[:-1], symmetry=group).angle_with(
        Orientation(q[1:], symmetry=group), degrees=True
    )
    np.testing.assert_allclose(pairs[0, :, :-1], right, atol=1e-5)
    np.testing.assert_allclose(pairs[1, :-1], down, atol=1e-5)
    assert np.isnan(pairs[0, :, -1]).all()
    assert np.isnan(pairs[1, -1]).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1)])
def test_thin_maps(shape, turn, make):
    q = turn((0, 1, 0), 0.5 * np.arange(shape[0] * shape[1])).reshape(*shape, 4)
    values = kam(make(q))
    assert values.shape == shape
    expected = 0.0 if shape == (1, 1) else 0.5
    np.testing.assert_allclose(values, expected, rtol=1e-9)


def test_nothing_indexed(make):
    scan = make(np.zeros((3, 4, 4)), phase_id=np.full((3, 4), -1))
    np.testing.assert_array_equal(kam(scan), np.zeros((3, 4)))
    assert np.isnan(misorientation_map(scan)).all()


def test_bands_join_without_seams(make, rng, turn, times):
    # Large enough for several bands of rows; the same map in small pieces must agree.
    q = times(turn((1, 2, 0), rng.uniform(0, 2, size=(700, 400))), turn((0, 0, 1), 10.0))
    scan = make(q)
    values = kam(scan)
    piece = kam(scan.crop(slice(300, 400), slice(100, 200)))
    np.testing.assert_array_equal(values[301:399, 101:199], piece[1:-1, 1:-1])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"order": 0}, "order must be a whole number"),
        ({"order": 1.5}, "order must be a whole number"),
        ({"threshold": -1}, "threshold must be an angle"),
        ({"threshold": np.nan}, "threshold must be an angle"),
        ({"threshold": "3 deg"}, "threshold must be an angle"),
    ],
)
def test_bad_arguments(settings, message, turn, make):
    with pytest.raises(InputError, match=message):
        kam(make(_gradient(turn, 2, 2, 0.1)), **settings)


def test_cancel_stops_early(make, rng, random_quaternions):
    scan = make(random_quaternions(rng, 1500, 400))
    calls = []

    def stop(fraction: float) -> None:
        calls.append(fraction)
        raise Cancelled

    with pytest.raises(Cancelled):
        kam(scan, progress=stop)
    assert len(calls) == 1
    assert calls[0] < 1
