"""A small trained network for tests of the prediction."""

from __future__ import annotations

import pytest
import torch

from napari_ebsdml.dislocations.article.network import LineNetwork
from napari_ebsdml.dislocations.article.train import Recipe, card_of
from napari_ebsdml.learning.model_file import save_model


@pytest.fixture(scope="session")
def model_file(tmp_path_factory):
    """Random network in a file: what holds for it holds for any."""
    torch.manual_seed(1)
    network = LineNetwork(3, 8).eval()
    path = tmp_path_factory.mktemp("model") / "random.safetensors"
    save_model(path, network.state_dict(), card_of(network, Recipe(width=8), {"mape": 1.0}))
    return path
