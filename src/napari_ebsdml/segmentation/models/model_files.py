"""Model files of segmentations: one card format for discriminants, trees, U-Nets and forests."""

from __future__ import annotations

import os
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from napari_ebsdml.errors import InputError, ModelError
from napari_ebsdml.learning.model_card import Entries, ModelCard
from napari_ebsdml.learning.model_file import build, load_model, save_model
from napari_ebsdml.segmentation.inputs.channels import channel_names
from napari_ebsdml.segmentation.inputs.domain import Ranges
from napari_ebsdml.segmentation.inputs.familiar import Familiar
from napari_ebsdml.segmentation.inputs.normalise import Normaliser
from napari_ebsdml.segmentation.labels.data import Classes
from napari_ebsdml.segmentation.models.boosted import BoostedTrees
from napari_ebsdml.segmentation.models.forest import Trees
from napari_ebsdml.segmentation.models.linear import Discriminant
from napari_ebsdml.segmentation.models.model import TrainedModel
from napari_ebsdml.segmentation.models.network import UNet
from napari_ebsdml.segmentation.settings import UNetSettings

if TYPE_CHECKING:
    from napari_ebsdml.segmentation.models.baselines import ForestSegmenter

KIND = "segmentation"
_LINEAR, _FOREST, _BOOSTED, _FAMILIAR = "linear.", "forest.", "boosted.", "familiar."
_BOOSTED_TABLES = {
    "feature": torch.int32, "threshold": torch.float32, "left": torch.int32, "right": torch.int32,
    "value": torch.float32, "roots": torch.int32, "outputs": torch.int32,
    "weight": torch.float32, "bias": torch.float32,
}  # fmt: skip
_TABLES = ("feature", "threshold", "left", "right", "chance", "roots")
_MOST_SCALE = 1000.0


def save_segmenter(model: TrainedModel, path: str | os.PathLike[str]) -> ModelCard:
    """Write a discriminant, with the U-Net where there is one."""
    network, linear = model.network, model.linear
    weights: dict[str, Tensor] = {}
    if isinstance(linear, BoostedTrees):
        weights = {
            _BOOSTED + name: torch.from_numpy(np.ascontiguousarray(getattr(linear, name)))
            for name in _BOOSTED_TABLES
        }
    elif linear is not None:
        weights = {
            _LINEAR + "weight": torch.from_numpy(linear.weight),
            _LINEAR + "bias": torch.from_numpy(linear.bias),
        }
    if network is not None:
        weights |= network.state_dict()
    if model.familiar is not None:
        weights |= {
            _FAMILIAR + name: torch.from_numpy(np.ascontiguousarray(table))
            for name, table in model.familiar.as_tables().items()
        }
    card = ModelCard(
        kind=KIND,
        network=_kind_of(model),
        settings=(
            network.settings.as_dict() if network is not None
            else {"scale": linear.scale} if isinstance(linear, BoostedTrees) else {}
        ),
        inputs=model.normaliser.as_inputs(),
        classes=model.classes.names,
        step=model.step,
        training=model.record,
        metrics=model.metrics,
        extra={
            "channels": list(model.channels), "values": list(model.classes.values),
            "colours": list(model.classes.colors), "temperature": model.temperature,
            "phases": list(model.phases),
            **({} if model.ranges is None else {"ranges": model.ranges.as_card()}),
        },
        about=dict(model.record.get("about", {})),
    )  # fmt: skip
    return save_model(path, weights, card)


def _kind_of(model: TrainedModel) -> str:
    if model.network is not None:
        return "UNet"
    return "Boosted" if isinstance(model.linear, BoostedTrees) else "Linear"


def load_segmenter(path: str | os.PathLike[str]) -> TrainedModel:
    """Read what `save_segmenter` wrote, in this version or an earlier one."""
    weights, card = load_model(path, KIND)
    if card.network == "Forest":
        raise ModelError(
            f"{path}: this is a random forest; load it with segmentation.read_model."
        )  # fmt: skip
    extra = Entries(path, card.extra)
    normaliser, classes, channels = _inputs(card, path)
    temperature, phases = extra.positive("temperature"), extra.names("phases")
    tables = {
        name.removeprefix(_FAMILIAR): weights.pop(name).numpy()
        for name in list(weights) if name.startswith(_FAMILIAR)
    }  # fmt: skip
    familiar = Familiar.of_tables(tables, normaliser, len(classes), path) if tables else None
    linear: Discriminant | BoostedTrees | None
    if card.network == "Boosted":
        linear = _boosted_of(weights, card, len(normaliser.planes), len(classes), path)
    else:
        linear = _linear_of(weights, len(normaliser.planes), len(classes), path)
    network = None
    if card.network == "UNet":
        try:
            settings = UNetSettings.of_card(Entries(path, card.settings))
        except InputError as error:
            raise ModelError(f"{path}: the model card is wrong: {error}") from None
        network = build(lambda: UNet(len(normaliser.planes), len(classes), settings), weights, path)
        network.eval()
    elif card.network not in ("Linear", "Boosted") or linear is None or weights:
        raise ModelError(f"{path}: {card.network!r} is no network that this package knows.")
    return TrainedModel(
        network=network, linear=linear, channels=channels, normaliser=normaliser,
        classes=classes, temperature=temperature, step=card.step or (0.0, float("inf")),
        phases=phases, record=card.training, metrics=card.metrics, ranges=Ranges.of_card(extra),
        familiar=familiar,
    )  # fmt: skip


def save_forest(model: ForestSegmenter, path: str | os.PathLike[str]) -> ModelCard:
    """Write a forest."""
    trees = model.forest
    card = ModelCard(
        kind=KIND, network="Forest",
        settings={"scales": list(model.scales), "features": trees.features},
        inputs=model.normaliser.as_inputs(), classes=model.classes.names, training=model.record,
        extra={
            "channels": list(model.channels), "values": list(model.classes.values),
            "colours": list(model.classes.colors),
        },
    )  # fmt: skip
    weights = {_FOREST + name: torch.from_numpy(getattr(trees, name)) for name in _TABLES}
    return save_model(path, weights, card)


def load_forest(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Fields of the `ForestSegmenter` that `save_forest` wrote."""
    weights, card = load_model(path, KIND)
    if card.network != "Forest":
        raise ModelError(f"{path}: this is no random forest; load it with Segmenter.load.")
    normaliser, classes, channels = _inputs(card, path)
    settings = Entries(path, card.settings)
    low, high = settings.numbers("scales", 2, 0.0, _MOST_SCALE)
    features = settings.whole("features", 1, 1 << 20)
    if set(weights) != {_FOREST + name for name in _TABLES}:
        raise ModelError(f"{path}: the tables of the forest are incomplete.")
    kinds = {"threshold": torch.float64, "chance": torch.float32}
    for name in _TABLES:
        table = weights[_FOREST + name]
        want = kinds.get(name, torch.int32)
        if table.dtype != want or table.ndim != (2 if name == "chance" else 1):
            raise ModelError(f"{path}: the table {name!r} of the forest is no such table.")
    tables = {name: weights[_FOREST + name].numpy() for name in _TABLES}
    trees = Trees(**tables, features=features)
    if trees.chance.shape[1] != len(classes):
        raise ModelError(f"{path}: the forest knows other classes than its card.")
    try:
        trees.check()
    except InputError as error:
        raise ModelError(f"{path}: {error}.") from None
    return {
        "forest": trees,
        "channels": channels,
        "normaliser": normaliser,
        "classes": classes,
        "scales": (low, high),
        "record": card.training,
    }


def _inputs(
    card: ModelCard, path: str | os.PathLike[str]
) -> tuple[Normaliser, Classes, tuple[str, ...]]:
    """What all kinds of models have in common."""
    extra = Entries(path, card.extra)
    normaliser = Normaliser.from_inputs(Entries(path, card.inputs))
    classes = Classes(extra.wholes("values", 1, 1 << 31), card.classes, extra.names("colours"))
    if not 2 <= len(classes.values) == len(classes.names) == len(classes.colors):
        raise ModelError(f"{path}: classes, values and colours differ in number.")
    if any(a >= b for a, b in pairwise(classes.values)):
        raise extra.error("values", "ascending numbers")
    try:
        channels = channel_names(extra.names("channels"))
    except InputError as error:
        raise ModelError(f"{path}: the model card is wrong: {error}") from None
    return normaliser, classes, channels


def _linear_of(
    weights: dict[str, Tensor], planes: int, classes: int, path: str | os.PathLike[str]
) -> Discriminant | None:
    """Take the discriminant out of loaded weights; None where there is none."""
    weight, bias = (weights.pop(_LINEAR + name, None) for name in ("weight", "bias"))
    if weight is None and bias is None:
        return None
    if (
        weight is None or bias is None or tuple(weight.shape) != (classes, planes)
        or tuple(bias.shape) != (classes,)
    ):  # fmt: skip
        raise ModelError(f"{path}: the weights of the linear discriminant do not fit its inputs.")
    return Discriminant(weight.float().numpy(), bias.float().numpy())


def _boosted_of(
    weights: dict[str, Tensor], card: ModelCard, planes: int, classes: int,
    path: str | os.PathLike[str],
) -> BoostedTrees:  # fmt: skip
    """Take boosted trees out of loaded weights."""
    tables: dict[str, Any] = {}
    for name, kind in _BOOSTED_TABLES.items():
        table = weights.pop(_BOOSTED + name, None)
        if table is None or table.dtype != kind or table.ndim != (2 if name == "weight" else 1):
            raise ModelError(f"{path}: the table {name!r} of the boosted trees is no such table.")
        tables[name] = table.numpy()
    scale = Entries(path, card.settings).positive("scale")
    trees = BoostedTrees(**tables, scale=scale)
    if trees.weight.shape != (classes, planes) or trees.bias.shape != (classes,):
        raise ModelError(f"{path}: the boosted trees do not fit their inputs.")
    try:
        trees.check()
    except InputError as error:
        raise ModelError(f"{path}: {error}.") from None
    return trees
