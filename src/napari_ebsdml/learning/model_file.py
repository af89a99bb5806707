"""Model files: weights as safetensors, and a JSON model card beside them.

`NAME.safetensors` and `NAME.json` belong together: the card holds the hash of the weights, so
that a mixed-up pair is found. Nothing is pickled, and both files are written atomically.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from importlib import metadata

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
    content = dump_tensors(tensors)
    try:
        version = metadata.version("napari-ebsdml")
    except metadata.PackageNotFoundError:
        from napari_ebsdml import __version__ as version
    card = dataclasses.replace(
        card,
        package_version=version,
        card_version=CARD_VERSION,
        weights_sha256=hashlib.sha256(content).hexdigest(),
    )
    try:
        text = json.dumps(dataclasses.asdict(card), indent=2, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise ModelError(f"{card_path}: the model card is not plain JSON ({error}).") from error
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
        return load_tensors(content), card
    except SafetensorError as error:
        raise ModelError(f"{weights_path}: no valid safetensors file ({error}).") from None


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


def put_weights(
    network: torch.nn.Module, weights: Mapping[str, Tensor], path: str | os.PathLike[str]
) -> None:
    """Put loaded weights into a network.

    Raises
    ------
    ModelError
        When names or shapes differ from the network's.
    """
    try:
        network.load_state_dict(dict(weights))
    except RuntimeError as error:
        lines = str(error).splitlines()
        reason = " ".join(line.strip() for line in lines[1:3]) or lines[0]
        raise ModelError(f"{path}: the weights do not fit the network: {reason}") from None
