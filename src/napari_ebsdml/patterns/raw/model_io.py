"""Model files of raw-pattern classifiers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_ebsdml.errors import ModelError
from napari_ebsdml.learning.model_file import ModelCard, load_model, put_weights, save_model
from napari_ebsdml.patterns.raw.answer import Classes
from napari_ebsdml.patterns.raw.member import Member, build, settings_of
from napari_ebsdml.patterns.raw.prepare import LIMIT

if TYPE_CHECKING:
    from napari_ebsdml.patterns.raw.classifier import RawClassifier

KIND = "space-groups-raw"
SHIPPED = {"raw": "space-groups-raw"}
LEVELS = 127 / LIMIT
"""Prepared patterns are stored in 8 bits, so many levels to one."""


def _packed(tensor: Tensor) -> Tensor:
    # Running variances may exceed what half precision holds; they take no room anyway.
    return tensor.half() if tensor.is_floating_point() and tensor.ndim > 1 else tensor


def save_raw(path: str | Path, model: RawClassifier) -> ModelCard:
    """Write a classifier; return the card as written."""
    weights = {
        f"{number}.{name}": _packed(tensor)
        for number, member in enumerate(model.members)
        for name, tensor in member.network.state_dict().items()
    }
    levels = np.rint(model.background * LEVELS).astype(np.int8)
    weights["background"] = torch.from_numpy(levels)
    old = model.card
    card = ModelCard(
        kind=KIND,
        network=", ".join(sorted({member.name for member in model.members})),
        settings={"members": [settings_of(member) for member in model.members]},
        inputs={
            "pattern": {
                "unit": "", "normalisation": "background removed, local standard deviation 1",
                "size": [member.size for member in model.members],
            }
        },
        classes=tuple(f"{family} {group}".strip() for family, group in model.classes),
        training=old.training if old else {},
        metrics=old.metrics if old else {},
        extra={"classes": [list(pair) for pair in model.classes], "unknown": model.unknown},
    )  # fmt: skip
    return save_model(path, weights, card)


def load_raw(
    path: str | Path,
) -> tuple[list[Member], Classes, NDArray[np.float32], float, ModelCard]:
    """Arguments of `RawClassifier` from a model file.

    Raises
    ------
    ModelError
        When the file is missing, damaged or of another kind.
    """
    weights, card = load_model(path, KIND)
    members = []
    try:
        classes = tuple((str(f), int(g)) for f, g in card.extra["classes"])
        unknown = float(card.extra["unknown"])
        background = weights.pop("background").float().numpy() / LEVELS
        for entry in card.settings["members"]:
            network = build(str(entry["network"]), int(entry["outputs"]), int(entry["channels"]))
            members.append(
                Member(
                    network, str(entry["network"]), int(entry["size"]),
                    float(entry["temperature"]), bool(entry["has_other"]),
                    np.array(entry["typical"], dtype=np.float64),
                )
            )  # fmt: skip
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: the model card lacks or garbles {error}.") from None
    for number, member in enumerate(members):
        mark = f"{number}."
        mine = {
            name.removeprefix(mark): tensor.float() if tensor.is_floating_point() else tensor
            for name, tensor in weights.items()
            if name.startswith(mark)
        }
        put_weights(member.network, mine, path)
        member.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        member.network.eval()
    return members, classes, background.astype(np.float32), unknown, card
