"""A model's hash, by which a result tells what made it."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path
from typing import Any

from napari_ebsdml.errors import ModelError


def model_digest(model: Any) -> str:
    """SHA-256 of a model's weights: of a file as its card has it, of one in memory of its pickle.

    Parameters
    ----------
    model
        A model file, or a model.

    Returns
    -------
    str
        "" where it cannot be told.
    """
    if isinstance(model, str | Path):
        from napari_ebsdml.learning.model_card import read_card

        try:
            return read_card(model).weights_sha256
        except ModelError:
            return ""
    try:
        return hashlib.sha256(pickle.dumps(model)).hexdigest()
    except Exception:  # a model may hold anything
        return ""
