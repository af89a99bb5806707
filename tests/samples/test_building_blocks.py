"""Random fields, growth and the orientation relationship, against independent sums."""

from __future__ import annotations

import numpy as np
import pytest
from orix.quaternion import Orientation, Rotation
from orix.quaternion.symmetry import Oh
from orix.vector import Vector3d

from napari_ebsdml._quaternions import multiply, to_matrix
from napari_ebsdml.samples import _rotations
from napari_ebsdml.samples._fields import scattered_points, smooth_field
from napari_ebsdml.samples._growth import Nuclei, ellipsoids, first_to_reach, grow


def test_smooth_field_has_the_variance_and_length_it_promises():
    rng = np.random.default_rng(1)
    for step, length in ((0.1, 0.5), (0.1, 2.0), (0.5, 1.0)):
        field = smooth_field(rng, (500, 600), step, length)
        assert field.std() == pytest.approx(1.0, rel=0.12)
        lag = round(length / step)
        along = (field[:, lag:] * field[:, :-lag]).mean() / field.var()
        down = (field[lag:] * field[:-lag]).mean() / field.var()
        assert along == pytest.approx(np.exp(-1), abs=0.1)
        assert down == pytest.approx(np.exp(-1), abs=0.1)


def test_smooth_field_is_not_periodic_with_the_map():
    rng = np.random.default_rng(2)
    first, last = [], []
    for _ in range(200):
        field = smooth_field(rng, (24, 24), 0.1, 0.8)
        first.append(field[12, 0])
        last.append(field[12, -1])
    assert abs(np.corrcoef(first, last)[0, 1]) < 0.2


def test_scattered_points_keep_density_and_distance():
    rng = np.random.default_rng(3)
    points = scattered_points(rng, np.zeros(2), np.array([100.0, 50.0]), 2.0)
    assert len(points) == 1250
    assert (points >= 0).all()
    assert (points <= [100, 50]).all()
    d = np.linalg.norm(points[:, None] - points[None], axis=-1) + 1e9 * np.eye(len(points))
    # Of Poisson points 1 - exp(-0.36 pi) = 68 % have a neighbour closer than 0.6 spacings.
    assert (d.min(axis=1) < 1.2).mean() < 0.2


def test_growth_agrees_with_brute_force():
    rng = np.random.default_rng(4)
    n = 60
    normal = rng.normal(size=(n, 3))
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    metric = ellipsoids(normal, rng.uniform(0.1, 0.5, n), rng.uniform(0.5, 2.0, n))
    nuclei = Nuclei(
        rng.uniform([0, 0, -0.5], [6, 5, 0.5], (n, 3)),
        metric,
        rng.uniform(-1, 2, n),
        rng.integers(0, 3, n).astype(np.int32),
    )
    y, x = np.indices((50, 61)) * 0.1
    x = x + 0.3 * np.sin(3 * y)
    domain = rng.integers(-1, 4, (50, 61)).astype(np.int32)  # domain 3 has no nucleus
    owner, time = grow(x, y, domain, nuclei)

    points = np.stack([x, y, np.zeros_like(x)], axis=-1).reshape(-1, 3)
    d = points[:, None] - nuclei.position
    every = nuclei.delay + np.sqrt(np.einsum("pni,nij,pnj->pn", d, metric, d))
    every[domain.reshape(-1, 1) != nuclei.domain] = np.inf
    expected = np.where(np.isfinite(every.min(1)), every.argmin(1), -1)
    np.testing.assert_array_equal(owner.ravel(), expected)
    np.testing.assert_allclose(time.ravel(), every.min(1), rtol=1e-5, atol=1e-5)
    first = first_to_reach(points, domain.ravel(), nuclei)
    np.testing.assert_array_equal(first, expected)


def test_growth_without_nuclei_leaves_all_pixels_empty():
    nothing = Nuclei(
        np.zeros((0, 3)), np.zeros((0, 3, 3)), np.zeros(0), np.zeros(0, dtype=np.int32)
    )
    owner, time = grow(
        np.zeros((4, 5)), np.zeros((4, 5)), np.zeros((4, 5), dtype=np.int32), nothing
    )
    assert (owner == -1).all()
    assert np.isinf(time).all()


def test_ellipsoid_reaches_its_half_axes_at_unit_time():
    normal = np.array([[0.0, 0.6, 0.8]])
    metric = ellipsoids(normal, np.array([0.5]), np.array([3.0]))[0]
    thin, wide = 0.5 * normal[0], 3.0 * np.array([0.0, 0.8, -0.6])
    assert thin @ metric @ thin == pytest.approx(1)
    assert wide @ metric @ wide == pytest.approx(1)


# Misorientation of V1 to V2..V24, S. Morito et al., Acta Mater. 51 (2003) 1789, table 2.
MORITO = [60.0, 60.0, 10.53, 60.0, 49.47, 49.47, 10.53, 50.51, 50.51, 14.88, 57.21, 14.88]
MORITO += [50.51, 57.21, 20.61, 51.73, 47.11, 50.51, 57.21, 20.61, 47.11, 57.21, 21.06]


def test_ks_variants_have_the_published_misorientations():
    bcc = Orientation(_rotations.KS_VARIANTS, symmetry=Oh)
    angles = np.rad2deg([bcc[0].angle_with(bcc[k]).item() for k in range(1, 24)])
    np.testing.assert_allclose(angles, MORITO, atol=0.02)


def test_ks_variants_keep_planes_and_directions_parallel():
    for k, q in enumerate(_rotations.KS_VARIANTS):
        plane = Rotation(q) * Vector3d(_rotations.PACKET_PLANES[k // 6])
        ideal = Vector3d([0, 1, 1]).unit
        assert plane.dot(ideal).item() == pytest.approx(1, abs=1e-9)
        # Some <110> of austenite in that plane lies along a <111> of bcc.
        candidates = Vector3d([[1, 1, 0], [1, -1, 0], [1, 0, 1], [1, 0, -1], [0, 1, 1], [0, 1, -1]])
        turned = np.abs((Rotation(q) * candidates.unit).data)
        flat = np.abs(candidates.unit.data @ _rotations.PACKET_PLANES[k // 6]) < 1e-9
        assert np.isclose(turned[flat], 3**-0.5, atol=1e-9).all(axis=1).any()


def test_rotations_agree_with_orix():
    rng = np.random.default_rng(5)
    a, b = _rotations.uniform(rng, 50), _rotations.uniform(rng, 50)
    np.testing.assert_allclose(multiply(a, b), (Rotation(a) * Rotation(b)).data, atol=1e-12)
    np.testing.assert_allclose(to_matrix(a), Rotation(a).to_matrix(), atol=1e-12)
    back = _rotations.from_matrix(to_matrix(a))
    np.testing.assert_allclose(np.abs((back * a).sum(-1)), 1, atol=1e-12)
    v = rng.normal(size=(50, 3))
    ours = _rotations.from_rotation_vector(v)
    theirs = Rotation.from_axes_angles(v, np.linalg.norm(v, axis=1)).data
    np.testing.assert_allclose(np.abs((ours * theirs).sum(-1)), 1, atol=1e-12)


def test_reduction_gives_the_equivalent_of_smallest_angle():
    rng = np.random.default_rng(6)
    q = _rotations.uniform(rng, 300)
    reduced = q.copy()
    _rotations.reduce_cubic(reduced, _rotations.CUBIC)
    disorientation = Orientation(q, symmetry=Oh).angle_with(Orientation(reduced, symmetry=Oh))
    assert np.rad2deg(disorientation).max() < 1e-3  # the same orientation ...
    # ... and no operation brings it closer to the identity.
    every = np.abs((Rotation(_rotations.CUBIC).outer(Rotation(q))).data[..., 0]).max(axis=0)
    np.testing.assert_allclose(reduced[:, 0], every, atol=1e-9)
