"""Model files of the crystal frame."""

from __future__ import annotations

import dataclasses
from dataclasses import asdict
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
from napari_ebsdml.patterns.crystal_frame.known import WITNESSES, KnownScore
from napari_ebsdml.patterns.crystal_frame.model import CrystalModel
from napari_ebsdml.patterns.crystal_frame.network import FoldedNetwork
from napari_ebsdml.patterns.frame.triangle import COARSE, n_nodes
from napari_ebsdml.patterns.kinds import CRYSTAL_FRAME
from napari_ebsdml.patterns.search.templates import Templates

_LARGEST, _MOST_MEMBERS = 1 << 16, 64
"""Sizes of networks that a model card may say."""


def load_crystal(path: str | Path) -> CrystalModel:
    """Read a model.

    Raises
    ------
    ModelError
        When the file is missing, damaged or of another kind.
    """
    weights, card = load_model(path, CRYSTAL_FRAME)
    settings, extra = Entries(path, card.settings), Entries(path, card.extra)
    classes = extra.pairs("classes", 1, 230)
    sizes = {name: settings.whole(name, 2, _LARGEST) for name in ("components", "width")}
    templates = _templates(extra.part("templates"), weights.pop("templates", None))
    known = _known_score(extra.part("known"))
    temperature = extra.positive("temperature")
    members = settings.whole("members", 1, _MOST_MEMBERS)
    refuse_others(weights, members, path)
    networks = []
    for member in range(members):
        mine = member_weights(weights, member)
        network = build(lambda: FoldedNetwork(len(classes), **sizes), mine, path)
        network.eval().requires_grad_(False)
        networks.append(network)
    return CrystalModel(
        classes=classes, card=card, networks=tuple(networks), temperature=temperature,
        templates=templates, known=known,
    )  # fmt: skip


def _templates(table: Entries, values: Tensor | None) -> Templates:
    names, families = table.names("names"), table.names("families")
    groups = table.wholes("space_groups", 0, 230)
    number = len(names)
    shape = (number, n_nodes(COARSE))
    if values is None or values.shape != shape or not len(families) == len(groups) == number:
        raise ModelError(f"{table.path}: names and weights of the templates differ in number.")
    return Templates(names, families, np.array(groups, np.int64), values.float().numpy())


def _known_score(table: Entries) -> KnownScore:
    if "witnesses" not in table.table or table.names("witnesses") != WITNESSES:
        raise ModelError(
            f"{table.path}: this model was made by another version of napari-ebsdml, which told "
            "unknown patterns by other signs. Train it again, or use "
            "SpaceGroupClassifier.load('default')."
        )
    n = len(WITNESSES)
    low, high = table.numbers("low"), table.numbers("high")
    if low or high:
        low, high = table.numbers("low", n), table.numbers("high", n)
        weights = table.numbers("weights", n + n * (n + 1) // 2 + 1)
    else:
        weights = table.numbers("weights")
    return KnownScore(weights, table.number("threshold"), low, high)


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
