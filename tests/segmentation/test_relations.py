from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from orix.quaternion import Orientation, Rotation
from orix.quaternion.symmetry import Oh

from napari_ebsdml.maps import disorientation_angle
from napari_ebsdml.segmentation.inputs.channels import compute_channels
from napari_ebsdml.segmentation.inputs.relations import (
    TOLERANCE,
    boundary_relations,
    kurdjumov_sachs,
    neighbours,
)

TWIN = np.array([np.cos(np.pi / 6), *(np.sin(np.pi / 6) / np.sqrt(3),) * 3])


def product(p, q):
    return (Rotation(p) * Rotation(q)).data[0]


def striped(steel, quaternions, width=8):
    """A map of upright stripes, one orientation each."""
    scan = steel.scan.crop(slice(0, 10), slice(0, width * len(quaternions)))
    columns = np.repeat(np.asarray(quaternions), width, axis=0)
    return dataclasses.replace(
        scan,
        quaternions=np.broadcast_to(columns, (*scan.shape, 4)).copy(),
        phase_id=np.full(scan.shape, 1, np.int32),
    )


def stripes(shape, width=8):
    return np.broadcast_to(1 + np.arange(shape[1]) // width, shape).astype(np.int32)


def test_kurdjumov_sachs_keeps_plane_and_direction():
    q = Rotation(kurdjumov_sachs())
    assert np.degrees(q.angle[0]) == pytest.approx(42.85, abs=0.01)
    from orix.vector import Vector3d

    for austenite, ferrite in (((1, 1, 1), (0, 1, 1)), ((-1, 0, 1), (-1, -1, 1))):
        turned = (q * Vector3d(austenite)).unit.data[0]
        np.testing.assert_allclose(turned, np.array(ferrite) / np.linalg.norm(ferrite), atol=1e-12)


def test_variants_meet_at_the_published_angles():
    # S. Morito et al., Acta Mater. 51 (2003) 1789, table 2.
    published = {10.53, 14.88, 20.61, 21.06, 47.11, 49.47, 50.51, 51.73, 57.21, 60.00}
    from napari_ebsdml.maps.symmetry import laue_operators

    ks = kurdjumov_sachs()
    variants = [product(ks, s) for s in laue_operators("m-3m")]
    angles = {round(float(disorientation_angle(variants[0], v, "m-3m")), 2) for v in variants[1:]}
    for angle in angles:
        assert min(abs(angle - p) for p in published) < 0.02
    assert len(published) == len({min(published, key=lambda p: abs(p - a)) for a in angles})


def test_kinds_of_boundary_against_orix(steel):
    """Each kind by brute force over all symmetric equivalents, for pairs near the limits."""
    rng = np.random.default_rng(0)
    from napari_ebsdml.maps.symmetry import laue_operators

    operators = laue_operators("m-3m")
    ks = kurdjumov_sachs()
    ideal = {
        1: [TWIN],
        2: [product(product(ks, s), ks * [1, -1, -1, -1]) for s in operators[1:]],
        3: [ks],
    }
    seen = np.zeros(4)
    for n in range(60):
        first = rng.normal(size=4)
        first /= np.linalg.norm(first)
        kind = n % 3 + 1
        exact = ideal[kind][rng.integers(len(ideal[kind]))]
        axis = rng.normal(size=3)
        half = np.radians(rng.uniform(0, 2 * TOLERANCE)) / 2
        off = np.array([np.cos(half), *(np.sin(half) * axis / np.linalg.norm(axis))])
        second = product(product(product(operators[rng.integers(24)], off), exact), first)
        if n % 2:
            first, second = second, first
        scan = striped(steel, [first, second])
        got = boundary_relations(scan, stripes(scan.shape))[:4, 1]
        m = product(second, first * [1, -1, -1, -1])
        want = np.zeros(4)
        a, b = Orientation(first, symmetry=Oh), Orientation(second, symmetry=Oh)
        want[0] = a.angle_with(b, degrees=True)[0] < 10
        for k, references in ideal.items():
            nearest = min(
                2 * np.degrees(np.arccos(min(1.0, np.abs(
                    (Rotation(operators).outer(Rotation(x)).outer(Rotation(operators))).data
                    @ r).max())))
                for r in references for x in (m, m * [1, -1, -1, -1])
            )  # fmt: skip
            want[k] = nearest <= TOLERANCE and not want[0]
            assert abs(nearest - TOLERANCE) > 1e-6
        np.testing.assert_array_equal(got, want)
        seen += want
    assert (seen[1:] > 3).all()


def test_parts_add_up_over_the_boundary(steel):
    # Twin on the left, 5 degrees on the right: half of the boundary each.
    middle = np.array([0.9, 0.3, -0.2, 0.1])
    middle /= np.linalg.norm(middle)
    turn = np.array([np.cos(np.radians(2.5)), 0, 0, np.sin(np.radians(2.5))])
    scan = striped(steel, [product(TWIN, middle), middle, product(turn, middle)])
    grains = stripes(scan.shape)
    got = boundary_relations(scan, grains)
    np.testing.assert_allclose(got[:2, 1:4], [[0, 0.5, 1], [1, 0.5, 0]], atol=1e-6)
    np.testing.assert_allclose(got[4, 1:4], np.log10([2, 3, 2]), atol=1e-6)
    # A seam that is not indexed, and stray pixels in it, change nothing.
    hole = grains.copy()
    hole[:, 7:9] = 0
    hole[3, 7] = 4
    q = scan.quaternions.copy()
    q[:, 7:9] = 0
    q[3, 7] = (1, 0, 0, 0)
    phase = np.where(q.any(-1), 1, -1).astype(np.int32)
    again = boundary_relations(dataclasses.replace(scan, quaternions=q, phase_id=phase), hole)
    np.testing.assert_allclose(again[:, 1:4], got[:, 1:4], atol=1e-6)


def test_neighbours_counts_pairs_of_pixels():
    first, second, length = neighbours(np.array([[1, 1, 2], [3, 3, 2]], np.int32))
    pairs = {(int(a), int(b)): n for a, b, n in zip(first, second, length, strict=True)}
    assert pairs == {(1, 2): 1, (1, 3): 2, (2, 3): 1}


def test_channels_hold_the_relations_of_each_grain(steel):
    stack = compute_channels(steel.scan, ("Relations", "Twins"))
    names = [p.name for p in stack.planes]
    want = boundary_relations(steel.scan, stack.grains)
    for number in range(5):
        np.testing.assert_allclose(stack.values[number], want[number][stack.grains], atol=1e-6)
    np.testing.assert_array_equal(
        stack.values[names.index("part twin boundary", 2)], stack.values[1]
    )
