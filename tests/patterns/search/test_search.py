"""Orientations and pattern centres that are searched for."""

from __future__ import annotations

import dataclasses
from itertools import product

import dask.array as da
import numpy as np
import pytest
from orix.crystal_map import Phase, PhaseList
from orix.quaternion import Orientation, symmetry
from scipy.ndimage import gaussian_filter

from napari_ebsdml._quaternions import multiply
from napari_ebsdml.errors import Cancelled, InputError, MissingDataError
from napari_ebsdml.patterns import CrystalFrameClassifier, refine_orientations
from napari_ebsdml.patterns.answers.compare import UNKNOWN, answers_of
from napari_ebsdml.patterns.frame.geometry import Geometry, from_kikuchipy
from napari_ebsdml.patterns.search import camera
from napari_ebsdml.patterns.search.binned import Plan, flattened
from napari_ebsdml.patterns.search.maps import index_patterns, search_camera
from napari_ebsdml.patterns.search.orientations import (
    FIT,
    OrientationSearch,
    orientation_grid,
    tables,
)
from napari_ebsdml.patterns.simulated.synthetic import CLEAN, random_quaternions, small_turns, spoil
from napari_ebsdml.scan import Scan
from tests.patterns.band_crystals import CAMERA, project

QUICK = Plan(kinds=3, step=4, blur=2.2, coarse=300)
FEW = ((0.42, 0.53), (0.2, 0.3), (0.5, 0.6))
"""Pattern centres to start from, none of them that of `CAMERA`: (0.5, 0.25, 0.55)."""


def disorientation(one, two):
    """Degrees, as orix has it."""
    a, b = (Orientation(q.reshape(-1, 4), symmetry=symmetry.Oh) for q in (one, two))
    return np.rad2deg(a.angle_with(b))


@pytest.fixture(scope="module")
def model(model) -> CrystalFrameClassifier:
    """Quicker than the usual plan; three kinds of crystals need no more."""
    return CrystalFrameClassifier(dataclasses.replace(model.model, plan=QUICK))


@pytest.fixture(scope="module")
def search(model) -> OrientationSearch:
    return model.model.search


@pytest.fixture
def few(monkeypatch) -> None:
    """Few cameras to start from, and to end with."""
    monkeypatch.setattr(camera, "CENTRES", FEW)
    monkeypatch.setattr(camera, "_FINALISTS", 2)


@pytest.fixture(scope="module")
def stack(library):
    """Patterns of fcc, bcc and diamond crystals, their orientations and space groups."""
    rng = np.random.default_rng(1)
    which = np.tile((0, 10, 20, 5, 15, 25), 6)
    q = random_quaternions(rng, len(which))
    patterns = spoil(project(library, which, q), rng, CLEAN)
    return patterns, q, library.space_groups[which]


@pytest.fixture(scope="module")
def noise():
    rng = np.random.default_rng(2)
    images = gaussian_filter(rng.standard_normal((12, 60, 60), np.float32), (0, 1, 1))
    return spoil(images, rng, CLEAN)


def test_the_grid_leaves_no_orientation_far_from_it():
    grid = orientation_grid(8)
    assert len(grid) == pytest.approx(8 * np.pi**2 / np.deg2rad(8) ** 3 / 24, rel=0.02)
    same = grid @ grid.transpose(0, 2, 1)
    np.testing.assert_allclose(same, np.broadcast_to(np.eye(3), same.shape), atol=1e-12)
    some = Orientation(random_quaternions(np.random.default_rng(0), 300), symmetry=symmetry.O)
    nodes = Orientation.from_matrix(grid, symmetry=symmetry.O)
    nearest = np.rad2deg(some.angle_with_outer(nodes).min(axis=1))
    # Half the diagonal of a cube of 8 degrees is 6.9.
    assert nearest.max() < 7.5
    assert nearest.mean() < 4.5


def test_tables_hold_the_templates(model):
    values = model.model.templates.values[:3]
    made = tables(values)
    # Node (i, j) of the triangle: v = 1 degree * i, u = 1 degree * j.
    i, j = 30, 12
    node = i * (i + 1) // 2 + j
    place = [np.tan(np.deg2rad(angle)) * (made.shape[1] - 1) for angle in (j, i)]
    low = [int(p) for p in place]
    near = made[:, low[0] : low[0] + 2, low[1] : low[1] + 2]
    weight = np.outer(*[(1 - (p - n), p - n) for p, n in zip(place, low, strict=True)])
    np.testing.assert_allclose((near * weight).sum(axis=(1, 2)), values[:, node], atol=0.15)
    np.testing.assert_allclose(made, made.transpose(0, 2, 1), atol=1e-5)


def test_orientations_are_found_without_the_phase(search, stack):
    patterns, q, _ = stack
    found, fit = search.find(patterns, CAMERA, np.ones((60, 60), bool))
    angle = disorientation(found, q)
    assert (angle < 0.5).mean() >= 0.95
    assert (fit[angle < 0.5] > FIT).all()
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1)


def test_each_pattern_has_its_own_centre(search, stack, library):
    _, q, _ = stack
    rng = np.random.default_rng(4)
    moved = rng.uniform(-0.02, 0.02, (len(q), 3))
    pc = np.array([0.5, 0.25, 0.55]) + moved
    own = Geometry.from_angles(pc, (60, 60), 70, 5)
    patterns = spoil(project(library, np.zeros(len(q), int), q, own), rng, CLEAN)
    found, _ = search.find(patterns, own, np.ones((60, 60), bool))
    assert (disorientation(found, q) < 0.5).mean() >= 0.95


def test_a_circular_mask_and_other_sides_do_not_matter(search, library):
    rng = np.random.default_rng(6)
    wide = Geometry.from_angles((0.5, 0.25, 0.55), (96, 128), 70, 5)
    q = random_quaternions(rng, 12)
    patterns = spoil(project(library, np.full(12, 10), q, wide), rng, CLEAN)
    y, x = np.indices((96, 128))
    mask = (y - 47.5) ** 2 + (x - 63.5) ** 2 < 48**2
    patterns[:, ~mask] = 0
    found, _ = search.find(patterns, wide, mask)
    assert (disorientation(found, q) < 0.7).mean() > 0.8
    sheet = flattened(patterns, mask, Plan())
    assert sheet.fine.shape[1] <= 3600
    assert len(sheet.coarse_places) == sheet.coarse.shape[1] <= 600


def test_answers_with_orientations_found_equal_those_with_given_ones(model, stack):
    patterns, q, truth = stack
    given = model.predict(patterns, q, CAMERA)
    found = model.predict(patterns, None, CAMERA)
    assert given.orientations is None
    assert found.geometry is None
    assert (found.space_group == truth).mean() >= 0.9
    assert (found.space_group == given.space_group).mean() >= 0.9
    assert (disorientation(found.orientations, q) < 0.5).mean() >= 0.95
    assert found.is_known.mean() > 0.8
    one = model.predict(patterns[3], None, CAMERA)
    assert one.shape == one.fit.shape == ()
    assert int(one.space_group) == truth[3]
    assert one.orientations.shape == (4,)


def test_noise_and_hexagonal_crystals_stay_unknown(model, noise):
    result = model.predict(noise, None, CAMERA)
    assert not result.is_known.any()
    assert (result.fit < FIT).all()
    # Bands of a hexagonal lattice: of c / a 1.6, with no cubic axis in common.
    rng = np.random.default_rng(8)
    directions = CAMERA.directions()[0].reshape(-1, 3)
    indices = product((-1, 0, 1), (-1, 0, 1), (0, 1, 2))
    planes = [hkl for hkl in indices if hkl > (0, 0, 0)]
    normals = np.array([(h, (h + 2 * k) / np.sqrt(3), m / 1.6) for h, k, m in planes])
    size = np.linalg.norm(normals, axis=1)
    images = []
    for q in random_quaternions(rng, 12):
        w, v = q[0], q[1:]
        turned = directions + 2 * np.cross(v, np.cross(v, directions) + w * directions)
        away = np.abs(turned @ (normals / size[:, None]).T)
        images.append((1 / (1 + np.exp((away - 0.0134 * size) / 0.006))).sum(axis=1))
    patterns = spoil(np.reshape(images, (12, 60, 60)).astype(np.float32), rng, CLEAN)
    assert model.predict(patterns, None, CAMERA).is_known.mean() < 0.1


@pytest.mark.parametrize("number", [12, 1])
def test_the_pattern_centre_is_found(model, stack, few, number):
    patterns, q, truth = stack
    result = model.predict(patterns[:number], progress=(done := []).append)
    assert result.geometry is not None
    np.testing.assert_allclose(result.geometry.bounds, CAMERA.bounds, atol=0.03)
    assert (result.space_group == truth[:number]).mean() >= 0.9
    assert done == sorted(done)
    assert done[-1] == 1
    # The tilt is not known, so that orientations differ by 5 degrees, the same for all.
    angle = disorientation(result.orientations, q[:number])
    np.testing.assert_allclose(angle, 5, atol=1.0)
    same = model.predict(patterns[:number], result.orientations, result.geometry)
    np.testing.assert_array_equal(same.space_group, result.space_group)


def test_where_no_camera_fits_all_are_unknown_and_it_is_said_why(model, noise, few):
    # Noise of single pixels holds no bands that a search could begin with.
    grain = np.random.default_rng(0).integers(0, 255, (5, 60, 60), dtype=np.uint8)
    assert search_camera(model.model.search, grain) is None
    for patterns, why in ((noise, "fit no camera"), (grain, "No pattern shows bands")):
        result = model.predict(patterns)
        assert why in result.reason
        assert result.asked.all()
        assert not result.is_known.any()
        assert not result.space_group.any()
        assert result.orientations is None
        assert result.geometry is None
        rows = {row["space_group"]: row["number"] for row in result.tally}
        assert rows["unknown"] == len(patterns)
        assert rows["not indexed"] == 0
        answers = answers_of(result)
        assert {answers.kinds[k] for k in answers.number} == {(UNKNOWN,)}
    assert model.predict(noise, None, CAMERA).reason == ""


def test_maps_without_orientations_are_answered(model, library, few):
    rng = np.random.default_rng(3)
    two = random_quaternions(rng, 2)
    which = np.tile((10, 10, 10, 0, 0, 0), (4, 1))
    q = np.where((which == 10)[..., None], two[0], two[1])
    patterns = spoil(project(library, which.ravel(), q.reshape(-1, 4)), rng, CLEAN)
    patterns = patterns.reshape(4, 6, 60, 60)
    patterns[2, 1] = spoil(rng.standard_normal((1, 60, 60), np.float32), rng, CLEAN)[0]
    truth = np.where(which == 10, 229, 225)
    scan = Scan(
        quaternions=np.zeros((4, 6, 4)), phase_id=np.full((4, 6), -1), step=(0.1, 0.1),
        phases=PhaseList(Phase("metal", space_group=225)),
        patterns=da.from_array(patterns, chunks=(2, 6, 60, 60)),
    )  # fmt: skip
    good = np.ones((4, 6), bool)
    good[2, 1] = False
    pixel = model.predict_scan(scan, detector=CAMERA)
    assert (pixel.space_group == truth)[good].mean() > 0.9
    assert not pixel.is_known[2, 1]
    grain = model.predict_scan(scan, by="grain", detector=CAMERA)
    np.testing.assert_array_equal(grain.space_group[good], truth[good])
    assert grain.space_group[2, 1] == 0
    assert not grain.orientations[2, 1].any()
    assert len(np.unique(grain.labels[good])) == 2
    assert (disorientation(grain.orientations[good], q[good]) < 0.5).all()
    whole = model.predict_scan(scan, by="map")
    assert len(np.unique(whole.space_group[good])) == 1
    np.testing.assert_allclose(whole.geometry.bounds, CAMERA.bounds, atol=0.03)
    none = dataclasses.replace(scan, patterns=da.zeros((4, 6, 60, 60), dtype=np.uint8))
    for by in ("pixel", "grain", "map"):
        blank = model.predict_scan(none, by=by)
        assert blank.reason
        assert blank.asked.all()
        assert not blank.is_known.any()


def test_lazy_patterns_are_indexed_in_pieces_and_cancelled(model, stack):
    patterns, _, _ = stack
    tiled = np.tile(patterns[:30], (10, 1, 1)).reshape(30, 10, 60, 60)
    lazy = da.from_array(tiled, chunks=(10, 10, 60, 60))
    told = []

    def stop(part):
        told.append(part)
        if part > 0.3:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        model.predict(lazy, None, CAMERA, progress=stop)
    assert told[-1] < 0.5
    one, _ = index_patterns(model.model.search, lazy[:3], CAMERA)
    two, _ = index_patterns(model.model.search, tiled[:3], CAMERA)
    np.testing.assert_allclose(one, two)


def test_what_is_wrong_is_said(model, stack):
    patterns, _, _ = stack
    with pytest.raises(InputError, match="rows, columns"):
        model.predict(np.zeros(3), None, CAMERA)
    with pytest.raises(InputError, match="too small"):
        model.predict(np.zeros((2, 8, 8)), None, CAMERA)
    two = Geometry.from_angles(np.full((2, 3), 0.5), (60, 60))
    with pytest.raises(InputError, match="pattern centres"):
        model.predict(patterns[:3], None, two)


def test_nickel_needs_no_orientation():
    import kikuchipy

    from napari_ebsdml.patterns.classifier import SpaceGroupClassifier

    signal = kikuchipy.data.nickel_ebsd_small()
    given = from_kikuchipy(signal.xmap.rotations.data).reshape(3, 3, 4)
    result = SpaceGroupClassifier.load("default").predict(signal.data, None, signal.detector)
    assert (result.family == "fcc").all()
    assert disorientation(result.orientations, given).max() < 2


def test_given_orientations_are_refined(model, stack):
    patterns, q, _ = stack
    true = q.reshape(4, 9, 4)
    scan = Scan(
        quaternions=true, phase_id=np.zeros((4, 9), int), step=(0.1, 0.1),
        phases=PhaseList(Phase("metal", space_group=225)),
        patterns=da.from_array(patterns.reshape(4, 9, 60, 60), chunks=(2, 9, 60, 60)),
    )  # fmt: skip
    rng = np.random.default_rng(3)
    off = multiply(small_turns(rng, true[..., 0].size, 1.2), true.reshape(-1, 4))
    wrong = dataclasses.replace(scan, quaternions=off.reshape(true.shape))
    refined, fit = refine_orientations(wrong, model, CAMERA)
    before, after = (disorientation(s.quaternions, true) for s in (wrong, refined))
    assert np.median(before) > 1.2
    assert np.quantile(after, 0.9) < 0.5
    assert fit.shape == scan.shape
    assert (fit >= FIT).mean() > 0.9
    # Not another of the symmetrically equal ones: maps of misorientations stay as they are.
    assert (np.abs((refined.quaternions * true).sum(-1)) > 0.99).all()

    def stop(part: float) -> None:
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        refine_orientations(wrong, model, CAMERA, stop)
    with pytest.raises(MissingDataError, match="detector"):
        refine_orientations(dataclasses.replace(wrong, camera=None), model)


def test_blank_patterns_do_not_tell_the_camera(stack):
    patterns = stack[0][:4].copy()
    patterns[1] = 0
    patterns[2] = 255
    ceiling = flattened(patterns, np.ones((60, 60), bool), QUICK).ceiling
    assert (ceiling[[1, 2]] < 0.35).all()
    assert (ceiling[[0, 3]] > 0.7).all()


def test_wrong_masks_are_refused_before_anything_is_searched(model, stack):
    patterns = stack[0][:2]
    with pytest.raises(InputError, match="mask has shape"):
        model.predict(patterns, mask=np.ones((30, 30), bool))
    with pytest.raises(InputError, match="no pixel"):
        model.predict(patterns, None, CAMERA, mask=np.zeros((60, 60), bool))


def test_unknown_orientations_are_left_alone_by_the_refinement(model, stack):
    patterns, q, _ = stack
    some = q[:4].reshape(2, 2, 4).copy()
    some[0, 0] = np.nan
    some[1, 1] = 0
    scan = Scan(
        quaternions=some, phase_id=np.zeros((2, 2), int), step=(0.1, 0.1),
        phases=PhaseList(Phase("metal", space_group=225)),
        patterns=da.from_array(patterns[:4].reshape(2, 2, 60, 60)),
    )  # fmt: skip
    refined, fit = refine_orientations(scan, model, CAMERA)
    assert fit[0, 0] == fit[1, 1] == 0
    assert (fit[[0, 1], [1, 0]] > FIT).all()
    assert np.isnan(refined.quaternions[0, 0]).all()
