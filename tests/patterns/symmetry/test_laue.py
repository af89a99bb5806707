"""Laue groups of simulated crystals, of noise, and of measured patterns."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

import napari_ebsdml as ebsdml
from napari_ebsdml.camera import Camera
from napari_ebsdml.errors import InputError, NoCameraError
from napari_ebsdml.patterns.symmetry.decision import Pool
from napari_ebsdml.patterns.symmetry.even import common_background
from napari_ebsdml.patterns.symmetry.groups import GROUPS
from napari_ebsdml.patterns.symmetry.laue import kept_of, laue_group
from napari_ebsdml.patterns.symmetry.operators import embeddings, place
from napari_ebsdml.patterns.symmetry.view import bounds_of, ceiling_of, flat_images, views_of
from tests.patterns.symmetry.crystals import CENTRE, NICKEL, TIN, TITANIUM, URANIUM, patterns


@pytest.mark.parametrize(
    ("crystal", "group", "system"),
    [
        (NICKEL, "m-3m", "cubic"), (TITANIUM, "6/mmm", "hexagonal"), (TIN, "4/mmm", "tetragonal"),
        (URANIUM, "mmm", "orthorhombic"),
    ],
)  # fmt: skip
def test_pooled_patterns_tell_group_and_axes(crystal, group, system):
    images, axes = patterns(crystal, 8)
    result = laue_group(images, CENTRE)
    assert result.best == group
    assert group in result.group
    assert result.system == system
    assert result.probability == pytest.approx(result.probabilities[group])
    assert sum(result.probabilities.values()) == pytest.approx(1)
    assert result.state[group] == "supported"
    assert result.camera.centre == pytest.approx(CENTRE)
    # The group's frame is the crystal's, but for a rotation that keeps the set of axes.
    operations, _ = GROUPS[group].operations
    right = 0
    for found, true in zip(result.frames, axes, strict=True):
        cosines = np.abs((found @ operations.T).T @ (true @ operations.T))
        right += np.rad2deg(np.arccos(np.clip(cosines.max(axis=1), 0, 1))).max() < 2.0
    assert right >= 6


def under_dust(images):
    """The same patterns as a camera counts them, their bands 6 % of a dusty background."""
    rng = np.random.default_rng(1)
    dust = 1 + 0.3 * gaussian_filter(rng.normal(size=(60, 60)), 1.2) / 0.23
    bands = (images - images.mean((1, 2), keepdims=True)) / images.std((1, 2), keepdims=True)
    return np.clip(dust, 0.2, None) * (1 + 0.06 * bands)


def test_raw_patterns_are_divided_by_what_they_have_in_common():
    images, _ = patterns(TITANIUM, 6)
    result = laue_group(under_dust(images), CENTRE)
    assert result.best == "6/mmm"
    assert "divided by it" in result.sentence
    noise = under_dust(np.random.default_rng(2).normal(size=(6, 60, 60)))
    assert laue_group(noise, CENTRE).best is None


def test_what_is_no_background_stays():
    images, _ = patterns(TITANIUM, 6)
    assert common_background(images) is None
    assert common_background(under_dust(images)) is not None
    # Four tell too little, and bands that all share are no background.
    assert common_background(under_dust(images)[:4]) is None
    noise = np.random.default_rng(1).normal(size=images.shape)
    assert common_background(images[:1] + 0.5 * noise) is None
    assert common_background(noise) is None
    assert common_background(np.zeros((6, 60, 60))) is None
    assert common_background(np.full((6, 60, 60), np.nan)) is None


def test_the_axes_are_told_of_each_pattern():
    images, _ = patterns(NICKEL, 3)
    result = laue_group(images, CENTRE)
    assert {axis.pattern for axis in result.axes} == {0, 1, 2}
    first = [axis for axis in result.axes if axis.pattern == 0]
    orders = sorted(axis.order for axis in first)
    assert orders == sorted([4] * 3 + [3] * 4 + [2] * 6)
    assert all(np.linalg.norm(axis.direction) == pytest.approx(1) for axis in first)
    assert all((axis.part > 0) == np.isfinite(axis.correlation) for axis in first)


def test_few_patterns_do_not_exclude_a_cube_that_they_do_not_contradict():
    chances = dict.fromkeys(GROUPS, 0.0) | {"4/mmm": 0.95, "m-3m": 0.05}
    for crystal, number, kept in (
        (NICKEL, 1, ["4/mmm", "m-3m"]), (NICKEL, 5, ["4/mmm"]), (TIN, 3, ["4/mmm"])
    ):  # fmt: skip
        images, _ = patterns(crystal, number, noise=0.2)
        flat, valid = flat_images(images)
        views = views_of(flat, valid, bounds_of(CENTRE, (60, 60), number))
        pool = Pool([place(view) for view in views])
        assert kept_of(chances, pool) == kept
    assert kept_of(dict.fromkeys(GROUPS, 0.0) | {"-1": 1.0}, pool) == []


class Ratios(Pool):
    """A pool that knows nothing but its coset ratios."""

    def __init__(self, **ratios):
        self.number, self.ratios = 10, ratios

    def coset_ratio(self, name, smaller):
        return self.ratios.get(smaller.replace("-", "_").replace("/", "_"), 1.0)


def test_a_subgroup_stays_where_the_further_operations_correlate_less():
    chances = dict.fromkeys(GROUPS, 0.0) | {"6/mmm": 0.99, "-3": 0.01}
    assert kept_of(chances, Ratios()) == ["6/mmm"]
    assert kept_of(chances, Ratios(_3=0.75)) == ["6/mmm", "-3"]
    # Of another lattice: its bands would lie elsewhere.
    assert kept_of(chances, Ratios(mmm=0.5)) == ["6/mmm"]


def test_one_pattern_without_noise():
    images, _ = patterns(NICKEL, 1, noise=0.1)
    for given in (images, images[0]):
        assert laue_group(given, CENTRE).system == "cubic"


def test_noise_has_no_symmetry():
    rng = np.random.default_rng(0)
    noise = rng.normal(100, 5, (6, 60, 60))
    for image in noise:
        result = laue_group(image, CENTRE)
        assert result.system is None
        assert result.group == frozenset()
        assert result.best is None
        assert "No symmetry is supported" in result.sentence
    assert laue_group(noise, CENTRE).system is None


@pytest.mark.long
@pytest.mark.parametrize("grain", [2.5, 4.0, 6.0])
def test_blobs_of_an_amorphous_material_have_no_symmetry(grain):
    rng = np.random.default_rng(0)
    blobs = gaussian_filter(rng.normal(0, 1, (20, 60, 60)), (0, grain, grain))
    blobs = 100 + 20 * blobs / blobs.std() + rng.normal(0, 0.5, blobs.shape)
    result = laue_group(blobs[:10], CENTRE)
    assert result.system is None
    assert "amorphous" in result.sentence
    # A single one may show a line by chance.
    alone = [laue_group(blob, CENTRE).system is None for blob in blobs]
    assert np.mean(alone) >= 0.8


@pytest.mark.parametrize("value", [0.0, 7.0, np.nan])
def test_patterns_without_contrast_tell_nothing(value):
    assert laue_group(np.full((2, 40, 40), value), CENTRE).system is None


@pytest.mark.parametrize("noise", [0.2, 1.0])
def test_true_operations_reach_the_ceiling_and_others_do_not(noise):
    images, _ = patterns(NICKEL, 6, noise=noise)
    flat, valid = flat_images(images)
    pool = Pool([place(view) for view in views_of(flat, valid, bounds_of(CENTRE, (60, 60), 6))])
    assert 0.75 < pool.agreement("m-3m") < 1.1
    assert pool.agreement("6/mmm") < 0.75 * pool.agreement("m-3m")
    # The ceiling falls with the noise, and is next to nothing for noise alone.
    clean = ceiling_of(flat_images(patterns(NICKEL, 1, noise=0.1)[0])[0][0], valid)
    rng = np.random.default_rng(0)
    assert ceiling_of(rng.normal(size=(60, 60)).astype(np.float32), valid) < 0.12
    assert pool.ceiling < clean < 1


def test_groups_lie_in_groups():
    for name in GROUPS:
        for smaller, turn in embeddings(name):
            for matrix in GROUPS[smaller].rotations:
                inside = np.abs(GROUPS[name].rotations - turn.T @ matrix @ turn)
                assert inside.max(axis=(1, 2)).min() < 1e-6


def test_nothing_known_but_the_pattern():
    images, _ = patterns(TITANIUM, 1, noise=0.2)
    result = laue_group(images[0])
    assert result.is_searched
    assert "6/mmm" in result.group
    assert "what the noise allows" in result.sentence


def test_hot_pixels_do_no_harm():
    images, _ = patterns(NICKEL, 8)
    rng = np.random.default_rng(1)
    images[:, rng.integers(0, 60, 20), rng.integers(0, 60, 20)] = 4000
    assert laue_group(images, CENTRE).best == "m-3m"


def test_many_pattern_centres_and_cameras():
    images, _ = patterns(NICKEL, 4)
    camera = Camera(shape=(60, 60), pc=CENTRE)
    want = laue_group(images, CENTRE).probabilities
    for detector in (camera, camera.detector(), np.tile(CENTRE, (4, 1))):
        got = laue_group(images, detector).probabilities
        assert got == pytest.approx(want, abs=1e-3)


def test_bad_input_is_one_clear_error():
    images, _ = patterns(NICKEL, 2)
    with pytest.raises(InputError, match="array of numbers"):
        laue_group("patterns", CENTRE)
    with pytest.raises(InputError, match="no pattern"):
        laue_group(np.zeros((0, 60, 60)), CENTRE)
    with pytest.raises(InputError, match="3 pattern centres for 2"):
        laue_group(images, np.tile(CENTRE, (3, 1)))
    with pytest.raises(InputError, match="detector must be"):
        laue_group(images, "bruker")
    with pytest.raises(InputError, match="positive distance"):
        laue_group(images, (0.5, 0.5, -1.0))
    with pytest.raises(NoCameraError):
        laue_group(images, Camera(shape=(60, 60)))
    with pytest.raises(InputError, match="mask"):
        laue_group(images, CENTRE, mask=np.ones((3, 3), bool))


def test_progress_and_cancel():
    images, _ = patterns(NICKEL, 2)
    told: list[float] = []
    laue_group(images, CENTRE, progress=told.append)
    assert told[-1] == pytest.approx(1)

    def stop(_part: float) -> None:
        raise ebsdml.Cancelled

    with pytest.raises(ebsdml.Cancelled):
        laue_group(images, CENTRE, progress=stop)


@pytest.mark.long
def test_measured_steel_is_cubic(shared):
    with h5py.File(shared / "patterns" / "dual_phase_steel_rows00-14.h5") as file:
        images = file["patterns"][()].reshape(-1, 60, 60)
        confidence = file["ang"][()].reshape(-1, 10)[:, 6]
    images = images[confidence > 0.3]
    rng = np.random.default_rng(0)
    for _ in range(5):
        chosen = rng.permutation(len(images))[:5]
        result = laue_group(images[chosen], (0.5017, 1 - 0.7189, 0.5342))
        assert "m-3m" in result.group
        assert result.system == "cubic"
