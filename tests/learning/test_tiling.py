"""Tiles: exact for convolutions, also with pooling, and every pixel written once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from napari_ebsdml.errors import Cancelled, InputError
from napari_ebsdml.learning.tiling import tiled, tiles


def apply(net):
    def function(image):
        with torch.no_grad():
            return net(torch.from_numpy(image)[None])[0].numpy()

    return function


@pytest.mark.parametrize("shape", [(50, 61), (7, 90), (1, 1), (33, 32)])
@pytest.mark.parametrize("tile", [16, 23, 200])
def test_convolutions_are_exact(shape, tile):
    torch.manual_seed(0)
    # Zero padding of each layer: the edge of a tile must never show, the image's edge must.
    net = nn.Sequential(*[nn.Conv2d(2, 2, 3, padding=1, bias=False) for _ in range(4)]).eval()
    image = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    function = apply(net)
    np.testing.assert_allclose(tiled(function, image, tile, 4), function(image), atol=1e-5)


def test_pooling_needs_alignment():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1), nn.MaxPool2d(4), nn.Conv2d(3, 3, 3, padding=1),
        nn.Upsample(scale_factor=4),
    ).eval()  # fmt: skip
    image = np.random.default_rng(0).normal(size=(1, 64, 48)).astype(np.float32)
    function = apply(net)
    whole = function(image)
    np.testing.assert_allclose(tiled(function, image, 30, 9, align=4), whole, atol=1e-5)
    assert np.abs(tiled(function, image, 44, 8, align=4) - whole).max() < 1e-5


def test_too_small_a_halo_shows():
    net = nn.Sequential(*[nn.Conv2d(1, 1, 3, padding=1) for _ in range(4)])
    image = np.random.default_rng(0).normal(size=(1, 40, 40)).astype(np.float32)
    function = apply(net)
    assert np.abs(tiled(function, image, 16, 1) - function(image)).max() > 1e-3


def test_every_pixel_once():
    count = np.zeros((37, 53), int)
    for tile in tiles(count.shape, 16, 3):
        count[tile.write] += 1
        assert tile.keep[0].stop - tile.keep[0].start == tile.write[0].stop - tile.write[0].start
    assert (count == 1).all()


def test_errors_and_cancelling():
    image = np.zeros((1, 20, 20), np.float32)
    with pytest.raises(InputError, match="axes"):
        tiled(lambda x: x, image[0])
    with pytest.raises(InputError, match="turned a tile"):
        tiled(lambda x: x[:, 1:], image)
    with pytest.raises(InputError):
        list(tiles((5, 5), 0))
    done = []

    def stop(fraction):
        done.append(fraction)
        raise Cancelled("stop")

    with pytest.raises(Cancelled):
        tiled(lambda x: x, image, 10, 1, progress=stop)
    assert len(done) == 1
