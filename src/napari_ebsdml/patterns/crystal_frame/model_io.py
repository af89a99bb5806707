"""Model files of the crystal frame."""

from __future__ import annotations

import dataclasses
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from napari_ebsdml.errors import ModelError
from napari_ebsdml.learning.model_card import ModelCard
from napari_ebsdml.learning.model_file import (
    join_members,
    load_model,
    member_weights,
    put_weights,
    save_model,
)
from napari_ebsdml.patterns.crystal_frame.known import WITNESSES, KnownScore
from napari_ebsdml.patterns.crystal_frame.model import CrystalModel
from napari_ebsdml.patterns.crystal_frame.network import FoldedNetwork
from napari_ebsdml.patterns.kinds import CRYSTAL_FRAME
from napari_ebsdml.patterns.search.templates import Templates


def load_crystal(path: str | Path) -> CrystalModel:
    """Read a model.

    Raises
    ------
    ModelError
        When the file is missing, damaged or of another kind.
    """
    weights, card = load_model(path, CRYSTAL_FRAME)
    try:
        classes = tuple((str(f), int(g)) for f, g in card.extra["classes"])
        members = int(card.settings["members"])
        sizes = {name: int(card.settings[name]) for name in ("components", "width")}
        table = card.extra["templates"]
        templates = Templates(
            tuple(table["names"]), tuple(table["families"]),
            np.array(table["space_groups"], np.int64),
            weights.pop("templates").float().numpy(),
        )  # fmt: skip
        known = _known_score(card.extra["known"], path)
        temperature = float(card.extra["temperature"])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: the model card lacks or garbles {error}.") from None
    networks = []
    for member in range(members):
        network = FoldedNetwork(len(classes), **sizes)
        put_weights(network, member_weights(weights, member), path)
        network.eval().requires_grad_(False)
        networks.append(network)
    return CrystalModel(
        classes=classes, card=card, networks=tuple(networks), temperature=temperature,
        templates=templates, known=known,
    )  # fmt: skip


def _known_score(table: dict[str, Any], path: str | Path) -> KnownScore:
    if tuple(table.get("witnesses", ())) != WITNESSES:
        raise ModelError(
            f"{path}: this model was made by another version of napari-ebsdml, which told unknown "
            "patterns by other signs. Train it again, or use SpaceGroupClassifier.load('default')."
        )
    lists = (tuple(float(x) for x in table[name]) for name in ("weights", "low", "high"))
    weights, low, high = lists
    return KnownScore(weights, float(table["threshold"]), low, high)


def save_crystal(path: str | Path, model: CrystalModel) -> CrystalModel:
    """Write a model in half precision; return it with the card as written.

    Raises
    ------
    ModelError
        When the files cannot be written.
    """
    half = [
        {
            name: tensor.half() if tensor.is_floating_point() else tensor
            for name, tensor in network.state_dict().items()
        }
        for network in model.networks
    ]
    weights = join_members(half) | {"templates": torch.from_numpy(model.templates.values).half()}
    first = model.networks[0]
    old = model.card
    card = ModelCard(
        kind=CRYSTAL_FRAME,
        network="FoldedNetwork",
        settings={
            "members": len(model.networks), "components": first.reduce.out_features,
            "width": first.body[0].out_features,
        },
        inputs={"folded": {"unit": "", "normalisation": "mean 0, mean square 1", "steps": 45}},
        classes=tuple(f"{family} {group}" for family, group in model.classes),
        training=old.training if old else {},
        metrics=old.metrics if old else {},
        extra={
            "classes": [list(pair) for pair in model.classes],
            "temperature": model.temperature,
            "known": {"witnesses": list(WITNESSES), **asdict(model.known)},
            "templates": {
                "names": list(model.templates.names), "families": list(model.templates.families),
                "space_groups": model.templates.space_groups.tolist(),
            },
        },
    )  # fmt: skip
    return dataclasses.replace(model, card=save_model(path, weights, card))
