"""Model files: weights as safetensors, and a JSON model card beside them.

`NAME.safetensors` and `NAME.json` belong together: the card holds the hash of the weights, so
that a mixed-up pair is found. Nothing is pickled, and both files are written atomically.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from typing import TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as dump_tensors
from torch import Tensor

from napari_ebsdml._atomic import write_atomic
from napari_ebsdml.errors import ModelError
from napari_ebsdml.learning.model_card import (
    CARD_VERSION,
    ModelCard,
    model_paths,
    read_card,
    read_file,
)
from napari_ebsdml.learning.together import rank

Network = TypeVar("Network", bound=torch.nn.Module)

_MEANING = "napari_ebsdml_card"


def save_model(
    path: str | os.PathLike[str], weights: Mapping[str, Tensor], card: ModelCard
) -> ModelCard:
    """Write weights and card; return the card as written.

    Raises
    ------
    ModelError
        When the files cannot be written or the card holds what JSON cannot.
    """
    weights_path, card_path = model_paths(path)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    try:
        version = metadata.version("napari-ebsdml")
    except metadata.PackageNotFoundError:
        from napari_ebsdml import __version__ as version
    try:
        content = dump_tensors(tensors, metadata={_MEANING: meaning_of(card)})
        card = dataclasses.replace(
            card,
            package_version=version,
            card_version=CARD_VERSION,
            weights_sha256=hashlib.sha256(content).hexdigest(),
        )
        text = json.dumps(dataclasses.asdict(card), indent=2, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise ModelError(f"{card_path}: the model card is not plain JSON ({error}).") from error
    if rank() > 0:  # of several processes that train together, the first one writes
        return card
    try:
        write_atomic(weights_path, content)
        write_atomic(card_path, text.encode())
    except OSError as error:
        raise ModelError(f"{error.filename or weights_path}: {error.strerror}.") from error
    return card


def load_model(
    path: str | os.PathLike[str], kind: str | None = None
) -> tuple[dict[str, Tensor], ModelCard]:
    """Read weights and card of a model.

    Raises
    ------
    ModelError
        When a file is missing or damaged, the two do not belong together, or `kind` differs.
    """
    card = read_card(path, kind)
    weights_path = model_paths(path)[0]
    content = read_file(weights_path)
    if hashlib.sha256(content).hexdigest() != card.weights_sha256:
        raise ModelError(
            f"{weights_path}: the weights are damaged or belong to another model card "
            "(the SHA-256 differs)."
        )
    try:
        weights = load_tensors(content)
    except SafetensorError as error:
        raise ModelError(f"{weights_path}: no valid safetensors file ({error}).") from None
    made_with = _metadata(content).get(_MEANING)
    if made_with is not None and made_with != meaning_of(card):
        raise ModelError(
            f"{weights_path}: these weights were written with another model card, whose network, "
            "inputs or classes differ."
        )
    for name, tensor in weights.items():
        if not torch.isfinite(tensor.float()).all():
            raise ModelError(f"{weights_path}: {name!r} holds values that are no numbers.")
    return weights, card


def meaning_of(card: ModelCard) -> str:
    """Digest of what tells how weights are to be read; it stands in the weights' file."""
    said = [card.kind, card.network, card.settings, card.inputs, len(card.classes)]
    return hashlib.sha256(json.dumps(said, sort_keys=True, allow_nan=False).encode()).hexdigest()


def _metadata(content: bytes) -> Mapping[str, str]:
    """What a safetensors file, which was read before, says besides its tensors."""
    size = int.from_bytes(content[:8], "little")
    found = json.loads(content[8 : 8 + size]).get("__metadata__")
    return found if isinstance(found, dict) else {}


def join_members(members: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Weights of all networks of an ensemble under one roof: ``0.NAME``, ``1.NAME`` ..."""
    return {
        f"{number}.{name}": tensor
        for number, member in enumerate(members)
        for name, tensor in member.items()
    }


def member_weights(weights: Mapping[str, Tensor], number: int) -> dict[str, Tensor]:
    """Weights of one network of those that `join_members` joined, in single precision."""
    mark = f"{number}."
    return {
        name.removeprefix(mark): tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in weights.items()
        if name.startswith(mark)
    }


def refuse_others(weights: Mapping[str, Tensor], number: int, path: str | os.PathLike[str]) -> None:
    """Raise an error when there are weights besides those of so many networks of an ensemble.

    Raises
    ------
    ModelError
        With the name of one of them.
    """
    known = set(map(str, range(number)))
    other = next((name for name in weights if name.partition(".")[0] not in known), None)
    if other is not None:
        raise ModelError(f"{path}: the card speaks of {number} networks; {other!r} is of none.")


def build(
    make: Callable[[], Network], weights: Mapping[str, Tensor], path: str | os.PathLike[str]
) -> Network:
    """Make a network with weights in it.

    It is first planned without memory, so that sizes that a damaged card says cost none.

    Parameters
    ----------
    make
        Makes the network.
    weights
        As loaded.
    path
        For messages.

    Raises
    ------
    ModelError
        When there is no such network, or names, shapes or kinds of numbers differ from its own.
    """
    try:
        with torch.device("meta"):
            plan = make().state_dict()
    except (ValueError, TypeError, RuntimeError, OverflowError) as error:
        raise ModelError(f"{path}: no such network can be made ({error}).") from None
    if {name: tensor.shape for name, tensor in weights.items()} != {
        name: tensor.shape for name, tensor in plan.items()
    }:
        reason = _difference(weights, plan)
        raise ModelError(f"{path}: the weights do not fit the network: {reason}")
    network = make()
    put_weights(network, weights, path)
    return network


def _difference(weights: Mapping[str, Tensor], plan: Mapping[str, Tensor]) -> str:
    """The first thing in which weights differ from what a network needs."""
    for name, tensor in plan.items():
        if name not in weights:
            return f"they lack {name!r}."
        if weights[name].shape != tensor.shape:
            return f"{name!r} is {tuple(weights[name].shape)}, not {tuple(tensor.shape)}."
    return f"it has no {next(name for name in weights if name not in plan)!r}."


def put_weights(
    network: torch.nn.Module, weights: Mapping[str, Tensor], path: str | os.PathLike[str]
) -> None:
    """Put loaded weights into a network.

    Raises
    ------
    ModelError
        When names, shapes or kinds of numbers differ from the network's.
    """
    for name, own in network.state_dict().items():
        if name in weights and weights[name].is_floating_point() != own.is_floating_point():
            raise ModelError(f"{path}: {name!r} holds {weights[name].dtype}, not {own.dtype}.")
    try:
        network.load_state_dict(dict(weights))
    except RuntimeError as error:
        lines = str(error).splitlines()
        reason = " ".join(line.strip() for line in lines[1:3]) or lines[0]
        raise ModelError(f"{path}: the weights do not fit the network: {reason}") from None
