"""Model files of raw-pattern models."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from napari_ebsdml.errors import ModelError
from napari_ebsdml.learning.model_card import Entries, ModelCard
from napari_ebsdml.learning.model_file import (
    build,
    join_members,
    load_model,
    member_weights,
    refuse_others,
    save_model,
)
from napari_ebsdml.patterns.kinds import RAW
from napari_ebsdml.patterns.raw.member import NETWORKS, Member, settings_of
from napari_ebsdml.patterns.raw.member import build as made
from napari_ebsdml.patterns.raw.model import RawModel
from napari_ebsdml.patterns.raw.prepare import LIMIT

LEVELS = 127 / LIMIT
"""Prepared patterns are stored in 8 bits, so many levels to one."""
_MOST_MEMBERS = 64


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
    extra = Entries(path, card.extra)
    classes = extra.pairs("classes", 1, 230)
    unknown = extra.number("unknown", 0.0, 1.0)
    background = weights.pop("background", None)
    if background is None or background.ndim != 3:
        raise ModelError(f"{path}: the model has no patterns of its background.")
    entries = Entries(path, card.settings).parts("members", _MOST_MEMBERS)
    refuse_others(weights, len(entries), path)
    members = tuple(
        _member(entry, member_weights(weights, number), len(classes), path)
        for number, entry in enumerate(entries)
    )
    return RawModel(
        classes=classes, card=card, members=members,
        background=(background.float().numpy() / LEVELS).astype(np.float32), unknown=unknown,
    )  # fmt: skip


def _member(
    entry: Entries, weights: Mapping[str, Tensor], classes: int, path: str | Path
) -> Member:
    name, has_other = entry.text("network"), entry.flag("has_other")
    if name not in NETWORKS:
        raise entry.error("network", " or ".join(map(repr, NETWORKS)))
    outputs = entry.whole("outputs", classes + has_other, classes + has_other)
    channels, size = entry.whole("channels", 1, 16), entry.whole("size", 16, 4096)
    typical = np.array(entry.numbers("typical"), dtype=np.float64)
    if np.any(np.diff(typical) < 0):
        raise entry.error("typical", "a list of ascending numbers")
    network = build(lambda: made(name, outputs, channels), weights, path)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    network.eval()
    return Member(network, name, size, entry.positive("temperature"), has_other, typical)
