from __future__ import annotations

import numpy as np
import pytest

from napari_ebsdml.errors import InputError
from napari_ebsdml.maps import (
    BRANDON_SIGMA3,
    BoundaryKind,
    boundary_map,
    boundary_segments,
)


def _pair(times, make, first, between, group="m-3m"):
    """Two pixels; `between` turns the crystal axes of the first into those of the second."""
    return make(np.stack((first, times(between, first)))[None], (group,))


@pytest.mark.parametrize(
    ("degrees", "kind"),
    [
        (1.0, "NONE"),
        (2.5, "LOW_ANGLE"),
        (14.9, "LOW_ANGLE"),
        (15.1, "HIGH_ANGLE"),
        (40.0, "HIGH_ANGLE"),
    ],
)
def test_angles(degrees, kind, turn, times, make, rng, random_quaternions, scramble):
    first = random_quaternions(rng)
    scan = _pair(times, make, first, turn((1, 1, 0), degrees))
    assert boundary_map(scan)[0, 0] == BoundaryKind[kind]
    mixed = make(scramble(rng, scan.quaternions, "m-3m"))
    assert boundary_map(mixed)[0, 0] == BoundaryKind[kind]


@pytest.mark.parametrize("group", ["m-3m", "m-3"])
@pytest.mark.parametrize("off", [0.0, 5.0, 8.5, 8.8, 20.0])
def test_sigma3_by_brandon(group, off, turn, times, make, rng, random_quaternions, scramble):
    assert pytest.approx(8.660, abs=1e-3) == BRANDON_SIGMA3
    twin = turn((1, 1, 1), 60.0)
    for axis in ((1, 1, 1), (1, -1, 0), (1, 1, -2), (3, 1, 0)):
        between = times(turn(axis, -off), twin)
        scan = _pair(times, make, random_quaternions(rng), between, group)
        mixed = make(scramble(rng, scan.quaternions, group), (group,))
        kind = boundary_map(mixed)[0, 0]
        # Deviations are measured along each axis: none of these is reduced by symmetry.
        expected = BoundaryKind.SIGMA3 if off < BRANDON_SIGMA3 else BoundaryKind.HIGH_ANGLE
        assert kind == expected
        assert boundary_map(mixed, sigma3=False)[0, 0] == BoundaryKind.HIGH_ANGLE


def test_twins_are_for_cubic_phases_only(turn, times, make, rng, random_quaternions):
    first = random_quaternions(rng)
    for group in ("6/mmm", "4/mmm", "-3m"):
        scan = _pair(times, make, first, turn((1, 1, 1), 60.0), group)
        assert boundary_map(scan)[0, 0] == BoundaryKind.HIGH_ANGLE


def test_coherent_twin_by_reflection(times, make, rng, random_quaternions):
    # Half a turn about <111> is the same twin.
    half_turn = np.array((0, 1, 1, 1)) / np.sqrt(3)
    scan = _pair(times, make, random_quaternions(rng), half_turn)
    assert boundary_map(scan)[0, 0] == BoundaryKind.SIGMA3


def test_phase_boundary_and_not_indexed(turn, make):
    ids = np.array([[0, 1, -1, 0], [0, 0, 0, 0]])
    q = np.tile(turn((0, 0, 1), 0.0), (2, 4, 1))
    q[1, 3] = turn((0, 0, 1), 30.0)
    scan = make(q, ("m-3m", "m-3m"), ids, step=(2.0, 0.5))
    np.testing.assert_array_equal(boundary_map(scan), [[4, 4, 0, 2], [0, 0, 2, 0]])
    segments = boundary_segments(scan)
    assert segments.length(BoundaryKind.PHASE) == pytest.approx(2.0 + 0.5)
    assert segments.length(BoundaryKind.HIGH_ANGLE) == pytest.approx(2.0 + 0.5)
    lines = {tuple(line.ravel()): k for line, k in zip(segments.lines, segments.kind, strict=True)}
    # Right of the first pixel, and below the second one.
    assert lines[(-1.0, 0.25, 1.0, 0.25)] == BoundaryKind.PHASE
    assert lines[(1.0, 0.25, 1.0, 0.75)] == BoundaryKind.PHASE
    high = segments.angle[segments.kind == BoundaryKind.HIGH_ANGLE]
    np.testing.assert_allclose(high, 30, atol=1e-9)
    assert np.isnan(segments.angle[segments.kind == BoundaryKind.PHASE]).all()


def test_single_pixel_and_nothing_indexed(make):
    assert boundary_map(make(np.ones((1, 1, 4)) / 2)).tolist() == [[0]]
    empty = make(np.zeros((2, 2, 4)), phase_id=np.full((2, 2), -1))
    assert not boundary_map(empty).any()
    assert boundary_segments(empty).lines.shape == (0, 2, 2)


def test_bad_limits(make):
    scan = make(np.ones((1, 1, 4)) / 2)
    for low, high in ((0, 15), (20, 15)):
        with pytest.raises(InputError, match="low must be above 0"):
            boundary_map(scan, low, high)
    with pytest.raises(InputError, match="high must be an angle"):
        boundary_map(scan, 2, 200)


def test_real_nickel_has_twins(shared):
    import napari_ebsdml

    scan = napari_ebsdml.read(shared / "maps" / "ni_superalloy.cpr")
    segments = boundary_segments(scan)
    twins = segments.length(BoundaryKind.SIGMA3)
    assert twins > 0.25 * segments.length(BoundaryKind.HIGH_ANGLE)
    angles = segments.angle[segments.kind == BoundaryKind.SIGMA3]
    assert np.median(np.abs(angles - 60)) < 1
