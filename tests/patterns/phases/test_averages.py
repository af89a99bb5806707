"""Which patterns of a noisy map the pattern centre and the symmetry are told from."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from orix.crystal_map import PhaseList

import napari_ebsdml as ebsdml
from napari_ebsdml.camera import Camera
from napari_ebsdml.patterns.phases import find as phases
from napari_ebsdml.patterns.phases.averages import Averages
from napari_ebsdml.patterns.phases.clusters import Cluster, _Placed, _settled
from napari_ebsdml.patterns.symmetry.sphere import MeasuredSphere
from napari_ebsdml.patterns.symmetry.view import flat_images, views_of
from tests.patterns.symmetry.crystals import NICKEL, TRIGONAL
from tests.patterns.symmetry.crystals import patterns as crystal_patterns

ROWS, COLUMNS, WIDE = 4, 12, 3


def grains(noise):
    """Four grains side by side, (rows, columns, 60, 60), of 12 patterns each, with clean ones."""
    clean, axes = crystal_patterns(NICKEL, COLUMNS // WIDE, noise=0.0, seed=2)
    clean = clean[np.arange(COLUMNS) // WIDE]
    shape = (ROWS, *clean.shape)
    noisy = clean + noise * np.random.default_rng(1).normal(size=shape)
    return noisy.astype(np.float32), clean, axes


def averages_of(patterns, places=None):
    stack = patterns.reshape(-1, 60, 60)
    mask = np.ones((60, 60), bool)
    places = np.arange(len(stack)) if places is None else places
    images, valid = flat_images(stack[places], mask)
    return Averages(patterns, places, images, valid, mask)


@pytest.mark.parametrize("as_line", [False, True])
def test_like_neighbours_are_averaged_and_no_others(as_line):
    noisy, clean, _ = grains(1.2)
    if as_line:
        noisy = noisy[:1]
    averages = averages_of(noisy)
    true, _ = flat_images(clean.astype(np.float32))
    single, _ = flat_images(noisy[0])
    for k in (1, 4, 10):
        mean = averages.of([k])[0]
        before = np.corrcoef(single[k].ravel(), true[k].ravel())[0, 1]
        after = np.corrcoef(mean.ravel(), true[k].ravel())[0, 1]
        # Three patterns of a line, or up to nine of a map, but none of the next grain.
        assert after > before + (0.1 if as_line else 0.2)
        other = np.corrcoef(mean.ravel(), true[(k + WIDE) % COLUMNS].ravel())[0, 1]
        assert other < 0.4


def test_a_grain_counts_once():
    noisy, _, _ = grains(0.7)
    averages = averages_of(noisy)
    kept = averages.distinct(averages.order, 10)
    assert sorted(kept % COLUMNS // WIDE) == [0, 1, 2, 3]
    assert len(averages.distinct(averages.order, 2)) == 2


def test_noise_alone_is_left_as_it_is():
    noise = np.random.default_rng(0).normal(100, 5, (2, 3, 60, 60)).astype(np.float32)
    averages = averages_of(noise)
    assert len(averages.distinct(averages.order, 10)) == 6
    flat, _ = flat_images(noise[0])
    np.testing.assert_allclose(averages.of([0])[0], flat[0], atol=1e-5)


def test_the_camera_is_searched_with_averages_of_distinct_grains(monkeypatch):
    noisy, clean, _ = grains(1.2)
    given = []

    def search(images, *_):
        given.append(images)
        return SimpleNamespace(centre=(0.5, 0.3, 0.6))

    monkeypatch.setattr(phases, "search_camera", search)
    scan = ebsdml.Scan(
        quaternions=np.zeros((ROWS, COLUMNS, 4)), phase_id=np.full((ROWS, COLUMNS), -1),
        phases=PhaseList(), step=(1.0, 1.0), camera=Camera(shape=(60, 60), pc=None),
    )  # fmt: skip
    camera, searched = phases._camera(scan, None, averages_of(noisy), (60, 60), None)
    assert searched
    assert camera.centre == pytest.approx((0.5, 0.3, 0.6))
    true, _ = flat_images(clean[::WIDE].astype(np.float32))
    found = np.corrcoef(given[0].reshape(len(given[0]), -1), true.reshape(4, -1))[:4, 4:]
    assert len(given[0]) == 4
    assert sorted(found.argmax(axis=1)) == [0, 1, 2, 3]
    assert (found.max(axis=1) > 0.85).all()


def test_a_cluster_has_the_sphere_of_the_group_that_its_patterns_tell():
    images, axes = crystal_patterns(NICKEL, 4, noise=0.3, seed=3)
    averages = averages_of(images.astype(np.float32).reshape(4, 1, 60, 60))
    bounds = Camera(shape=(60, 60), pc=(0.5, 0.3, 0.55)).detector().gnomonic_bounds
    views = views_of(averages.of(range(4)), averages.valid, np.reshape(bounds, (-1, 4))[:1])
    wrong = MeasuredSphere.merged(views, axes, "mmm")
    cluster = Cluster(wrong, (), np.arange(4), np.arange(0), 0.5)
    settled = _settled(views, cluster, _Placed(views, averages, False))
    assert settled.sphere.group == "m-3m"
    assert settled.typical > 0.6
    assert len(settled.placed) == len(settled.best) == 4


def test_a_cluster_is_told_by_what_its_patterns_show_together():
    # Judged one by one they pass for 6/m: its twofold axis is pseudo-symmetry here.
    images, axes = crystal_patterns(TRIGONAL, 8, noise=0.5, seed=2)
    averages = averages_of(images.astype(np.float32).reshape(8, 1, 60, 60))
    bounds = Camera(shape=(60, 60), pc=(0.5, 0.3, 0.55)).detector().gnomonic_bounds
    views = views_of(averages.of(range(8)), averages.valid, np.reshape(bounds, (-1, 4))[:1])
    placed = _Placed(views, averages, False)
    first = MeasuredSphere.merged(views, axes, "-3m")
    settled = _settled(views, Cluster(first, (), np.arange(8), np.arange(0), 0.5), placed)
    assert settled.joint is not None
    assert settled.sphere.group == "-3"
    assert placed.told(settled.best)[0] == "6/m"
    assert settled.typical > 0.6
