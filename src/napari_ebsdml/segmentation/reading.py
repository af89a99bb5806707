"""Reads segmentation models of any kind."""

from __future__ import annotations

import os

from napari_ebsdml.learning.model_card import read_card
from napari_ebsdml.segmentation.models.baselines import ForestSegmenter
from napari_ebsdml.segmentation.models.model_files import KIND
from napari_ebsdml.segmentation.models.ready_names import ready_path
from napari_ebsdml.segmentation.segmenter import Segmenter


def read_model(path: str | os.PathLike[str]) -> Segmenter | ForestSegmenter:
    """Read a ready model, a discriminant, a U-Net or a forest.

    Parameters
    ----------
    path
        Name of a ready model, see `Segmenter.ready`, or a file.

    Raises
    ------
    InputError
        When a bare word is no ready model.
    ModelError
        When a file is missing or damaged, or is no segmentation model.
    """
    path = ready_path(path)
    kind = ForestSegmenter if read_card(path, KIND).network == "Forest" else Segmenter
    return kind.load(path)
