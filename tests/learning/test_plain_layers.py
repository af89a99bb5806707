"""Small networks as arrays: the same as torch's, and back from a file."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from napari_ebsdml.learning.plain_layers import (
    layers_of,
    networks_of,
    tensors_of,
    through,
    widths_of,
)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 7), nn.SiLU(), nn.Linear(7, 6), nn.SiLU(), nn.Linear(6, 2))


def test_arrays_answer_as_torch_does(network):
    inputs = 3 * np.random.default_rng(0).normal(size=(20, 5)).astype(np.float32)
    with torch.no_grad():
        wanted = network(torch.from_numpy(inputs)).numpy()
    layers = layers_of(network)
    np.testing.assert_allclose(through(layers, inputs), wanted, atol=1e-5)
    # They are copies: training on changes nothing.
    nn.init.zeros_(network[0].weight)
    np.testing.assert_allclose(through(layers, inputs), wanted, atol=1e-5)
    assert np.isfinite(through(layers, 1e6 * inputs)).all()


def test_networks_come_back_from_their_tensors(network):
    networks = (layers_of(network), layers_of(network))
    arrays = {name: value.numpy() for name, value in tensors_of(networks).items()}
    settings = {"networks": 2, "widths": widths_of(networks)}
    assert settings["widths"] == [7, 6, 2]
    for one, other in zip(networks, networks_of(arrays, settings), strict=True):
        for layer, same in zip(one, other, strict=True):
            np.testing.assert_array_equal(layer[0], same[0])
            np.testing.assert_array_equal(layer[1], same[1])
    del arrays["1.2.bias"]
    with pytest.raises(KeyError):
        networks_of(arrays, settings)
