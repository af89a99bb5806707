"""The edge of a round screen, in one pattern."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_ebsdml.patterns.frame.masks import find_mask
from napari_ebsdml.patterns.frame.round_screen import inside_circle
from napari_ebsdml.patterns.simulated.screen import Screen, expose
from napari_ebsdml.patterns.simulated.synthetic import random_quaternions
from tests.patterns.band_crystals import project


@pytest.fixture(scope="module")
def clean(library) -> np.ndarray:
    """Five patterns under a moderate background, as float."""
    rng = np.random.default_rng(4)
    images = project(library, rng.integers(0, 30, 5), random_quaternions(rng, 5))
    screen = Screen(background_width=(1.3, 1.6), background_offset=0.1, vignetting=(0.0, 0.1))
    return expose(images, rng, (0.4, 0.6), 0.5, screen, same=True).astype(np.float32)


def distance(shape: tuple[int, int], row: float, column: float) -> np.ndarray:
    y, x = np.indices(shape)
    return np.hypot(y - row, x - column)


def test_a_full_screen_has_no_edge(clean):
    for image in clean:
        assert inside_circle(image) is None
    assert find_mask(clean).all()


@pytest.mark.parametrize("level", [0.0, 0.4])
@pytest.mark.parametrize("zoom", [1, 3])
def test_corners_with_noise_are_left_out(clean, level, zoom):
    rng = np.random.default_rng(0)
    image = ndimage.zoom(clean[0], zoom, order=1)
    away = distance(image.shape, 30.5 * zoom, 28.0 * zoom) / zoom
    noise = rng.normal(level * np.median(image), 2, image.shape)
    image = np.where(away <= 29, image, noise).astype(np.float32)
    mask = find_mask(image[None])
    assert not mask[away > 29.5].any()
    assert mask[away < 26].mean() > 0.99


def test_a_rim_is_left_out_too(clean):
    away = distance((60, 60), 29.5, 29.5)
    image = np.where(away <= 27, clean[0], 0.9 * np.median(clean[0]))
    image[(away > 27) & (away <= 29)] = 1
    mask = inside_circle(image)
    assert not mask[away > 27].any()
    assert mask[away < 24].all()


@pytest.mark.parametrize("part", [np.s_[:12], np.s_[:, :20], np.s_[40:], np.s_[:, 50:]])
@pytest.mark.parametrize("factor", [0.1, 0.5])
def test_a_shadow_is_no_round_edge(clean, part, factor):
    image = np.median(clean, axis=0)
    image[part] *= factor
    assert inside_circle(image) is None


def test_odd_pictures_have_no_edge():
    rng = np.random.default_rng(1)
    assert inside_circle(np.zeros((60, 60))) is None
    assert inside_circle(np.ones((8, 8))) is None
    assert inside_circle(rng.normal(size=(60, 90))) is None
    assert inside_circle(rng.poisson(50, (60, 60)).astype(float)) is None
