"""Model files of raw-pattern models."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from napari_ebsdml.errors import ModelError
from napari_ebsdml.learning.model_card import ModelCard
from napari_ebsdml.learning.model_file import (
    join_members,
    load_model,
    member_weights,
    put_weights,
    save_model,
)
from napari_ebsdml.patterns.kinds import RAW
from napari_ebsdml.patterns.raw.member import Member, build, settings_of
from napari_ebsdml.patterns.raw.model import RawModel
from napari_ebsdml.patterns.raw.prepare import LIMIT

LEVELS = 127 / LIMIT
"""Prepared patterns are stored in 8 bits, so many levels to one."""


def _packed(tensor: Tensor) -> Tensor:
    # Running variances may exceed what half precision holds; they take no room anyway.
    return tensor.half() if tensor.is_floating_point() and tensor.ndim > 1 else tensor


def save_raw(path: str | Path, model: RawModel) -> RawModel:
    """Write a model; return it with the card as written.

    Raises
    ------
    ModelError
        When the files cannot be written.
    """
    packed = [
        {name: _packed(tensor) for name, tensor in member.network.state_dict().items()}
        for member in model.members
    ]
    levels = np.rint(model.background * LEVELS).astype(np.int8)
    weights = join_members(packed) | {"background": torch.from_numpy(levels)}
    old = model.card
    card = ModelCard(
        kind=RAW,
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
    return dataclasses.replace(model, card=save_model(path, weights, card))


def load_raw(path: str | Path) -> RawModel:
    """Read a model.

    Raises
    ------
    ModelError
        When the file is missing, damaged or of another kind.
    """
    weights, card = load_model(path, RAW)
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
        put_weights(member.network, member_weights(weights, number), path)
        member.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        member.network.eval()
    return RawModel(
        classes=classes, card=card, members=tuple(members),
        background=background.astype(np.float32), unknown=unknown,
    )  # fmt: skip
