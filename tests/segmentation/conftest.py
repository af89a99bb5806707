from __future__ import annotations

import pytest
import torch

from napari_ebsdml.samples import dual_phase_steel
from napari_ebsdml.segmentation import Segmenter
from tests.segmentation.segmentation_data import stroke_labels


@pytest.fixture(autouse=True)
def _two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(min(2, before))
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def steel():
    return dual_phase_steel((96, 120), 0.5, seed=3)


@pytest.fixture(scope="session")
def other_steel():
    return dual_phase_steel((96, 96), 0.5, seed=4)


@pytest.fixture(scope="session")
def quick():
    return {
        "epochs": 3,
        "steps": 8,
        "batch": 4,
        "crop": 48,
        "n_threads": 2,
        "device": "cpu",
        "keep": "network",
    }


@pytest.fixture(scope="session")
def model(steel, quick):
    return Segmenter.train(
        [(steel.scan, stroke_labels(steel.truth, 0.1))], ("BS", "KAM"),
        classes={1: "ferrite", 2: "martensite"}, **quick,
    )  # fmt: skip
