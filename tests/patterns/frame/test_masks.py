"""What is seen of a screen: corners, blank and shadowed regions, faulty pixels."""

from __future__ import annotations

import numpy as np
import pytest

from napari_ebsdml.patterns.frame.flatten import flattener
from napari_ebsdml.patterns.frame.masks import find_mask, find_screen
from napari_ebsdml.patterns.simulated.screen import Screen, circle, expose
from napari_ebsdml.patterns.simulated.synthetic import random_quaternions
from tests.patterns.band_crystals import project

PLAIN = Screen(dust=(0, 0), saturation=(0.0, 0.0))


@pytest.fixture(scope="module")
def clean(library) -> np.ndarray:
    """Twenty patterns of several crystals behind one screen, as float."""
    rng = np.random.default_rng(3)
    images = project(library, rng.integers(0, 30, 20), random_quaternions(rng, 20))
    return expose(images, rng, (0.5, 0.5), 0.5, PLAIN, same=True).astype(np.float32)


def test_clean_screens_lose_nothing(clean):
    for patterns in (clean, clean[:1], np.repeat(clean[:1], 20, axis=0)):
        screen = find_screen(patterns)
        assert screen.valid.all()
        assert screen.warnings == ()


@pytest.mark.parametrize("value", [20 * 255, 600, 0])
def test_faulty_pixels_are_left_out_and_counted(clean, value):
    at = np.random.default_rng(0).choice(3600, 20, replace=False)
    patterns = clean.reshape(20, -1).copy()
    patterns[:, at] = value
    screen = find_screen(patterns.reshape(clean.shape))
    np.testing.assert_array_equal(np.flatnonzero(~screen.valid), np.sort(at))
    assert screen.warnings == ("20 pixels are hot or dead in all patterns and left out.",)
    single = find_screen(patterns[:1].reshape(1, 60, 60))
    assert not single.valid.ravel()[at].any()
    assert single.valid.mean() > 0.98


@pytest.mark.parametrize("where", [np.s_[:, 30:], np.s_[:, :, :30], np.s_[:, :12]])
def test_blank_parts_are_left_out(clean, where):
    patterns = clean.copy()
    patterns[where] = 0
    dark = np.zeros((60, 60), bool)
    dark[where[1:]] = True
    for some in (patterns, patterns[:1]):
        screen = find_screen(some)
        assert not screen.valid[dark].any()
        assert screen.valid[~dark].mean() > 0.9
        assert "of the screen is blank or in shadow" in screen.warnings[0]


@pytest.mark.parametrize("factor", [0.3, 0.6])
def test_shadows_are_told_by_their_edge(clean, factor):
    patterns = clean.copy()
    patterns[:, :12] *= factor
    screen = find_screen(patterns)
    assert not screen.valid[:11].any()
    assert screen.valid[18:].all()
    # One pattern's own bands are as steep, so that it tells no shadow.
    assert find_screen(patterns[:1]).valid.all()


def test_a_round_screen_is_no_shadow(clean):
    inside = circle((60, 60))
    for corners in (0, 37):
        screen = find_screen(np.where(inside, np.maximum(clean, 1), corners))
        assert (screen.valid == inside).mean() > 0.97
        assert screen.warnings == ()


def test_nothing_is_masked_where_hardly_anything_is_seen():
    assert find_mask(np.zeros((3, 40, 40))).all()
    assert find_mask(np.full((9, 40, 40), 7, np.uint8)).all()
    assert find_mask(np.zeros((0, 40, 40))).all()
    lone = np.zeros((9, 40, 40))
    lone[:, 20, 20] = 1
    assert find_mask(lone).sum() >= 0.9 * lone[0].size


def test_spikes_of_single_patterns_do_not_bend_the_background(clean):
    valid = np.ones((60, 60), bool)
    rng = np.random.default_rng(1)
    struck = clean.reshape(20, -1).copy()
    at = np.stack([rng.choice(3600, 5, replace=False) for _ in struck])
    np.put_along_axis(struck, at, 20 * 255.0, axis=1)
    flat = flattener(valid)(clean.copy()).reshape(20, -1)
    mended = flattener(valid)(struck.reshape(clean.shape)).reshape(20, -1)
    away = np.ones(flat.shape, bool)
    np.put_along_axis(away, at, False, axis=1)
    alike = [np.corrcoef(a[k], b[k])[0, 1] for a, b, k in zip(flat, mended, away, strict=True)]
    assert min(alike) > 0.98
