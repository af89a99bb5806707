from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from napari_ebsdml.dislocations.gnd.curvature import lattice_curvature
from napari_ebsdml.errors import Cancelled, InputError
from napari_ebsdml.maps.symmetry import LAUE_CLASSES, laue_operators
from tests.dislocations.fields import field, quaternion

ANY = Rotation.from_euler("ZXZ", (33, 47, 71), degrees=True)


@pytest.mark.parametrize(("stencil", "key"), [("full", "full"), ("one-sided", "oneSided")])
def test_reference(shared, stencil, key):
    data = np.load(shared / "reference" / "dc06_gnd_reference.npz")
    kappa = lattice_curvature(data["q_raw"], data["grainId"], (1, 1), stencil)
    expected = data[f"kappa_raw_{key}"]
    np.testing.assert_array_equal(np.isnan(kappa), np.isnan(expected))
    # 1e-12 is what double precision makes of two equal orientations.
    np.testing.assert_allclose(kappa, expected, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("stencil", ["full", "central", "one-sided", "forward", "onesided"])
@pytest.mark.parametrize("axis", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0.3, -0.5, 0.8)])
def test_uniform_curvature_is_exact(stencil, axis):
    gradient = np.outer(axis, (0.004, -0.007))
    q = field((7, 9), (0.5, 0.25), gradient, ANY)
    kappa = lattice_curvature(q, np.ones((7, 9), int), (0.5, 0.25), stencil)
    np.testing.assert_allclose(kappa[..., :2], np.broadcast_to(gradient, (7, 9, 3, 2)), atol=1e-12)
    assert np.isnan(kappa[..., 2]).all()


@pytest.mark.parametrize("group", LAUE_CLASSES)
def test_symmetry_variants_do_not_matter(group):
    gradient = np.outer((0.3, -0.5, 0.8), (0.01, 0.02))
    q = field((6, 6), (1, 1), gradient, ANY)
    random = np.random.default_rng(3)
    operators = Rotation.from_quat(laue_operators(group), scalar_first=True)
    pick = operators[random.integers(len(operators), size=36)]
    scrambled = (Rotation.from_quat(q.reshape(-1, 4), scalar_first=True) * pick).as_quat(
        scalar_first=True
    )
    scrambled *= random.choice([-1, 1], size=(36, 1))
    grains = np.ones((6, 6), int)
    kappa = lattice_curvature(scrambled.reshape(6, 6, 4), grains, (1, 1), "full", group)
    np.testing.assert_allclose(kappa[..., :2], np.broadcast_to(gradient, (6, 6, 3, 2)), atol=1e-12)


def test_without_symmetry_the_variants_would_matter():
    q = field((3, 3), (1, 1), np.zeros((3, 2)), ANY)
    q[1, 2] = quaternion(ANY * Rotation.from_euler("z", 90, degrees=True))
    grains = np.ones((3, 3), int)
    assert np.nanmax(np.abs(lattice_curvature(q, grains, (1, 1), point_group="m-3m"))) < 1e-12
    assert np.nanmax(np.abs(lattice_curvature(q, grains, (1, 1), point_group="-1"))) > 0.1


def test_nothing_is_taken_across_boundaries_or_gaps():
    gradient = np.outer((1, 0, 0), (0.01, 0.0))
    q = field((6, 8), (1, 1), gradient, ANY)
    q[:, 4:] = field((6, 4), (1, 1), gradient, Rotation.from_euler("x", 20, degrees=True) * ANY)
    grains = np.ones((6, 8), int)
    grains[:, 4:] = 2
    grains[2, 1] = 0
    q[4, 6] = 0
    q[3, 2] = np.nan
    for stencil in ("full", "one-sided"):
        kappa = lattice_curvature(q, grains, (1, 1), stencil)
        known = np.isfinite(kappa[..., 0, 0])
        assert not known[2, 1]
        assert not known[4, 6]
        assert not known[3, 2]
        # One-sided: a boundary costs the column left of it, a gap itself and the pixels whose
        # right or lower neighbour it is; at (4, 6) also those at the edge that look back.
        assert known.sum() == (45 if stencil == "full" else 48 - 6 - 3 - 3 - 5)
        np.testing.assert_allclose(kappa[known][:, :, :2] - gradient, 0, atol=1e-12)


def test_a_line_of_pixels_has_no_curvature():
    kappa = lattice_curvature(np.tile([1.0, 0, 0, 0], (1, 5, 1)), np.ones((1, 5), int), (1, 1))
    assert np.isnan(kappa).all()


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"quaternions": np.ones((3, 3, 3))}, "quaternions"),
        ({"grain_ids": np.ones((3, 4), int)}, "grain_ids"),
        ({"grain_ids": np.ones((3, 3))}, "grain_ids"),
        ({"step": (1, 0)}, "step"),
        ({"step": 1}, "step"),
        ({"stencil": "sobel"}, "stencil"),
        ({"point_group": "nonsense"}, "symmetry"),
    ],
)
def test_bad_input(change, word):
    arguments = {
        "quaternions": np.tile([1.0, 0, 0, 0], (3, 3, 1)),
        "grain_ids": np.ones((3, 3), int),
        "step": (1, 1),
    }
    with pytest.raises(InputError, match=word):
        lattice_curvature(**(arguments | change))


def test_progress_covers_the_map_and_cancels():
    # More rows than one band of the kernel takes.
    shape = (3000, 100)
    q = field(shape, (1, 1), np.zeros((3, 2)), ANY)
    grains = np.ones(shape, int)
    done = []
    lattice_curvature(q, grains, (1, 1), progress=done.append)
    assert len(done) > 1
    assert done == sorted(done)
    assert done[-1] == 1

    def stop(fraction):
        raise Cancelled("stop")

    with pytest.raises(Cancelled):
        lattice_curvature(q, grains, (1, 1), progress=stop)
