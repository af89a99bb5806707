"""Model files of the space-group classifier."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_ebsdml.errors import ModelError
from napari_ebsdml.learning.model_file import (
    ModelCard,
    load_model,
    put_weights,
    save_model,
)
from napari_ebsdml.patterns.crystal_frame.known import WITNESSES, KnownScore
from napari_ebsdml.patterns.crystal_frame.network import FoldedNetwork
from napari_ebsdml.patterns.search.templates import Templates

if TYPE_CHECKING:
    from napari_ebsdml.patterns.classifier import SpaceGroupClassifier

KIND = "space-groups"

Parts = tuple[
    list[FoldedNetwork], tuple[tuple[str, int], ...], float, Templates, KnownScore, ModelCard
]


def load_parts(path: str | Path) -> Parts:
    """Arguments of `SpaceGroupClassifier` from a model file."""
    weights, card = load_model(path, KIND)
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
        mark = f"{member}."
        mine = {
            name.removeprefix(mark): tensor.float() if tensor.is_floating_point() else tensor
            for name, tensor in weights.items()
            if name.startswith(mark)
        }
        put_weights(network, mine, path)
        network.eval().requires_grad_(False)
        networks.append(network)
    return networks, classes, temperature, templates, known, card


def _known_score(table: dict[str, Any], path: str | Path) -> KnownScore:
    if tuple(table.get("witnesses", ())) != WITNESSES:
        raise ModelError(
            f"{path}: this model was made by another version of napari-ebsdml, which told unknown "
            "patterns by other signs. Train it again, or use SpaceGroupClassifier.load('default')."
        )
    lists = (tuple(float(x) for x in table[name]) for name in ("weights", "low", "high"))
    weights, low, high = lists
    return KnownScore(weights, float(table["threshold"]), low, high)


def save_parts(path: str | Path, model: SpaceGroupClassifier) -> ModelCard:
    """Write a classifier in half precision; return the card as written."""
    weights = {
        f"{member}.{name}": tensor.half() if tensor.is_floating_point() else tensor
        for member, network in enumerate(model.networks)
        for name, tensor in network.state_dict().items()
    }
    weights["templates"] = torch.from_numpy(model.templates.values).half()
    first = model.networks[0]
    old = model.card
    card = ModelCard(
        kind=KIND,
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
    return save_model(path, weights, card)
