from __future__ import annotations

import numpy as np
import pytest

from napari_ebsdml._quaternions import to_matrix
from napari_ebsdml.errors import InputError
from napari_ebsdml.patterns.crystals.master import (
    fold_master,
    lambert_directions,
    sample,
    to_lambert,
)
from napari_ebsdml.patterns.frame import _kernels
from napari_ebsdml.patterns.frame.flatten import fill_gaps
from napari_ebsdml.patterns.frame.fold import fold_patterns, refine_geometry
from napari_ebsdml.patterns.frame.folded import Folded
from napari_ebsdml.patterns.frame.geometry import Geometry, to_kikuchipy
from napari_ebsdml.patterns.frame.masks import find_mask
from napari_ebsdml.patterns.frame.triangle import (
    FINE,
    n_nodes,
    node_directions,
    solid_angles,
    to_square,
)
from napari_ebsdml.patterns.simulated.synthetic import (
    CLEAN,
    Reality,
    folded_batch,
    random_quaternions,
    spoil,
)
from tests.patterns.band_crystals import BCC, CAMERA, FCC, bands, project


def test_nodes_are_sorted_unit_vectors_and_areas_are_right():
    nodes = node_directions(45)
    assert len(nodes) == n_nodes(45) == 1081
    np.testing.assert_allclose(np.linalg.norm(nodes, axis=1), 1)
    assert (np.diff(nodes, axis=1) >= -1e-12).all()
    # The mean of x^4 + y^4 + z^4 over the sphere is 3/5.
    mean = np.average((nodes**4).sum(axis=1), weights=solid_angles(45))
    assert mean == pytest.approx(0.6, abs=2e-3)


def test_projection_reads_the_master_at_the_folded_direction(library):
    # An independent path: numpy's sort, and the bands' formula instead of the table.
    q = random_quaternions(np.random.default_rng(0), 3)
    rays = CAMERA.directions()[0].reshape(-1, 3)
    for k in range(3):
        crystal = np.sort(np.abs(rays @ to_matrix(to_kikuchipy(q))[k].T), axis=1)
        exact = bands(3.6, FCC, crystal)
        table = np.stack([bands(3.6, FCC)])
        turns = np.ascontiguousarray(to_matrix(to_kikuchipy(q[k : k + 1])) @ CAMERA.to_sample)
        out = np.empty((1, 60, 60), np.float32)
        _kernels.project(table, np.zeros(1, int), turns, CAMERA.bounds, FINE, out)
        assert np.corrcoef(out.ravel(), exact)[0, 1] > 0.98


def test_folding_gives_the_master_pattern_back(library):
    q = random_quaternions(np.random.default_rng(1), 40)
    folded = fold_patterns(project(library, np.zeros(40, int), q), q, CAMERA)
    whole = folded.grouped(np.zeros(40, int), 1)
    truth = to_square(library.masters[0], FINE)[::8, ::8]
    found = to_square(whole.mean, 45)[0][::5, ::5]
    assert found.shape == truth.shape
    inside = np.s_[1:-1, 1:-1]
    assert np.corrcoef(found[inside].ravel(), truth[inside].ravel())[0, 1] > 0.8
    assert folded.agreement.min() > 0.8
    assert whole.agreement[0] > 0.95


@pytest.mark.parametrize("operation", range(6))
def test_equivalent_orientations_fold_alike(library, operation):
    from orix.quaternion.symmetry import O

    from napari_ebsdml._quaternions import multiply

    q = random_quaternions(np.random.default_rng(2), 2)
    patterns = project(library, [0, 12], q)
    other = multiply(O.data[4 * operation], q)
    one, two = (fold_patterns(patterns, turn, CAMERA) for turn in (q, other))
    np.testing.assert_allclose(one.mean, two.mean, atol=2e-3)
    np.testing.assert_allclose(one.count, two.count, atol=2e-2)


def test_background_gain_and_offset_do_not_matter(library):
    q = random_quaternions(np.random.default_rng(3), 4)
    clean = project(library, [0, 10, 20, 1], q)
    y = np.linspace(0, 1, 60)[:, None]
    one = fold_patterns(clean, q, CAMERA)
    two = fold_patterns(5000 + 300 * clean + 4000 * y, q, CAMERA)
    for k in range(4):
        assert np.corrcoef(one.mean[k], two.mean[k])[0, 1] > 0.95
    np.testing.assert_allclose(fold_patterns(7 + 3 * clean, q, CAMERA).mean, one.mean, atol=5e-3)


def test_wrong_orientation_and_wrong_tilt_lose_agreement_and_sharpness(library):
    rng = np.random.default_rng(4)
    q = random_quaternions(rng, 30)
    patterns = spoil(project(library, np.zeros(30, int), q), rng, CLEAN)
    right = fold_patterns(patterns, q, CAMERA)
    wrong = fold_patterns(patterns, random_quaternions(rng, 30), CAMERA)
    assert np.median(right.agreement) > 0.6
    assert np.median(wrong.agreement) < 0.25
    all_right, off = (
        f.grouped(np.zeros(30, int), 1).sharpness[0]
        for f in (right, fold_patterns(patterns, q, CAMERA.tilted(5)))
    )
    assert all_right > 1.4 * off


@pytest.mark.long
def test_refinement_finds_the_camera_again(library):
    rng = np.random.default_rng(5)
    q = random_quaternions(rng, 24)
    patterns = spoil(project(library, np.zeros(24, int), q), rng, CLEAN)
    _, found = refine_geometry(patterns, q, CAMERA.moved(0.02, -0.015, 0.01).tilted(-3))
    assert found["sharpness_after"] > 1.15 * found["sharpness_before"]
    # Tilt and the centre's height do nearly the same: their sum is what the bands tell.
    assert found["dx"] == pytest.approx(-0.02, abs=0.006)
    assert found["dz"] == pytest.approx(-0.01, abs=0.012)


def test_each_pattern_may_have_its_own_centre(library):
    rng = np.random.default_rng(6)
    pc = rng.uniform((0.4, 0.2, 0.5), (0.6, 0.4, 0.7), (5, 3))
    q = random_quaternions(rng, 5)
    many = Geometry.from_angles(pc, (60, 60))
    patterns = project(library, [0, 1, 2, 3, 4], q, many)
    together = fold_patterns(patterns, q, many)
    for k in range(5):
        alone = fold_patterns(patterns[[k]], q[[k]], Geometry.from_angles(pc[k], (60, 60)))
        np.testing.assert_allclose(together.mean[k], alone.mean[0], atol=1e-5)


def test_threads_and_chunks_do_not_change_the_result(library):
    q = random_quaternions(np.random.default_rng(7), 600)
    patterns = np.random.default_rng(8).integers(0, 255, (600, 24, 24), np.uint8)
    camera = Geometry.from_angles((0.5, 0.3, 0.5), (24, 24))
    one = fold_patterns(patterns, q, camera, threads=1)
    two = fold_patterns(patterns, q, camera, threads=3)
    np.testing.assert_array_equal(one.sums, two.sums)


def test_circular_masks_are_found_and_left_out():
    y, x = np.indices((60, 60))
    circle = (2 * y - 59) ** 2 + (2 * x - 59) ** 2 <= 60**2
    rng = np.random.default_rng(9)
    patterns = rng.integers(1, 255, (3, 60, 60), np.uint8) * circle
    found = find_mask(patterns.astype(np.uint8))
    assert (found == circle).mean() > 0.99
    assert find_mask(rng.integers(0, 255, (3, 60, 60), np.uint8)).all()
    assert find_mask(np.zeros((2, 60, 60), np.uint8)).all()


def test_flat_patterns_stay_finite():
    q = random_quaternions(np.random.default_rng(0), 2)
    patterns = np.full((2, 60, 60), 7.0)
    patterns[1, 5, 5] = np.nan
    folded = fold_patterns(patterns, q, CAMERA)
    assert np.isfinite(folded.mean).all()
    assert np.isfinite(folded.agreement).all()
    assert np.isfinite(folded.sharpness).all()


def test_shapes_that_do_not_fit_are_refused():
    q = np.tile((1.0, 0, 0, 0), (3, 1))
    patterns = np.zeros((3, 60, 60))
    with pytest.raises(InputError, match="quaternions"):
        fold_patterns(patterns, q[:2], CAMERA)
    with pytest.raises(InputError, match="the geometry"):
        fold_patterns(patterns[:, :50], q, CAMERA)
    with pytest.raises(InputError, match="mask"):
        fold_patterns(patterns, q, CAMERA, np.ones((5, 5), bool))
    with pytest.raises(InputError, match="numbers"):
        fold_patterns(patterns.astype(str), q, CAMERA)


def test_square_lambert_goes_there_and_back():
    grid = lambert_directions(20)
    np.testing.assert_allclose(np.linalg.norm(grid, axis=-1), 1, atol=1e-12)
    x, y = to_lambert(grid)
    axis = np.linspace(-1, 1, 41)
    np.testing.assert_allclose(x, np.broadcast_to(axis, (41, 41)), atol=1e-7)
    np.testing.assert_allclose(y, np.broadcast_to(axis[:, None], (41, 41)), atol=1e-7)


def test_a_master_pattern_sampled_equals_kikuchipys():
    import kikuchipy

    signal = kikuchipy.data.nickel_ebsd_master_pattern_small(
        projection="lambert", hemisphere="both"
    )
    master = signal.data.astype(np.float32)
    assert master.ndim == 3
    q = random_quaternions(np.random.default_rng(3), 1)
    from kikuchipy.detectors import EBSDDetector
    from orix.quaternion import Rotation

    camera = EBSDDetector(shape=(40, 40), pc=(0.45, 0.3, 0.55), sample_tilt=70, tilt=4)
    theirs = signal.get_patterns(
        Rotation(to_kikuchipy(q)), camera, energy=20, dtype_out="float32", compute=True
    ).data.squeeze()
    rays = Geometry.of(camera).directions()[0] @ to_matrix(to_kikuchipy(q))[0].T
    ours = sample(master, rays)
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.999


def test_folding_a_cubic_master_pattern_keeps_it():
    directions = lambert_directions(150)
    north = bands(2.87, BCC, directions)
    folded = fold_master(np.stack([north, north]), FINE)
    assert np.corrcoef(folded, bands(2.87, BCC))[0, 1] > 0.99
    with pytest.raises(InputError, match=r"\(2, n, n\)"):
        fold_master(north, FINE)
    with pytest.raises(InputError, match="no contrast"):
        fold_master(np.zeros((2, 5, 5)), FINE)


def test_simulated_batches_repeat_with_their_seed(library):
    which = np.arange(6)
    one, two, three = (folded_batch(library.masters, which, seed, Reality()) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.sums, two.sums)
    assert not np.array_equal(one.sums, three.sums)
    assert isinstance(one, Folded)


def test_pixels_that_are_no_number_are_masked_or_filled():
    rng = np.random.default_rng(0)
    patterns = rng.normal(100, 5, (5, 40, 40)).astype(np.float32)
    y, x = np.indices((40, 40)) - 19.5
    round_screen = y**2 + x**2 < 19**2
    patterns[:, ~round_screen] = np.nan
    np.testing.assert_array_equal(find_mask(patterns), round_screen)
    gap = rng.normal(100, 5, (2, 40, 40)).astype(np.float32)
    gap[0, 3, 4] = np.nan
    assert find_mask(gap).all()
    fill_gaps(gap)
    assert abs(gap[0, 3, 4] - 100) < 1
