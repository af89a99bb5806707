"""Checkpoints of a training: safetensors for tensors, JSON for the rest, no pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as dump_tensors

from napari_ebsdml._atomic import write_atomic
from napari_ebsdml.errors import ModelError


def save_checkpoint(path: Path, parts: Mapping[str, Mapping[str, Any]], info: Any) -> None:
    """Write named groups of tensors and plain JSON `info` to one file, atomically.

    Parameters
    ----------
    path
        File to write; one file, so that tensors and info cannot disagree.
    parts
        Group name -> name -> tensor, for example model, best and optimiser.
    info
        Whatever JSON can hold: epoch, best metric, recipe.
    """
    tensors = {
        f"{group}/{name}": tensor.detach().cpu().contiguous().clone()
        for group, members in parts.items()
        for name, tensor in members.items()
    }
    write_atomic(path, dump_tensors(tensors, metadata={"info": json.dumps(info)}))


def load_checkpoint(path: Path) -> tuple[dict[str, dict[str, torch.Tensor]], Any]:
    """Read what `save_checkpoint` wrote.

    Raises
    ------
    ModelError
        When the file is missing or damaged.
    """
    parts: dict[str, dict[str, torch.Tensor]] = {}
    try:
        with safe_open(path, "pt") as file:
            info = json.loads(file.metadata()["info"])
            for key in file.keys():  # noqa: SIM118 - not a dict
                group, name = key.split("/", 1)
                parts.setdefault(group, {})[name] = file.get_tensor(key)
    except FileNotFoundError:
        raise ModelError(f"{path}: no such checkpoint.") from None
    except (
        SafetensorError, OSError, ValueError, KeyError, TypeError, RecursionError
    ) as error:  # fmt: skip
        raise ModelError(
            f"{path}: damaged checkpoint ({error}). Delete it to start anew."
        ) from None
    return parts, info


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """State of an optimiser as named tensors (``"12.exp_avg"``)."""
    state = optimizer.state_dict()["state"]
    return {
        f"{index}.{name}": torch.as_tensor(value)
        for index, values in state.items()
        for name, value in values.items()
        if value is not None
    }


def restore_optimizer(
    optimizer: torch.optim.Optimizer, tensors: Mapping[str, torch.Tensor]
) -> None:
    """Put the tensors of `optimizer_tensors` back."""
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, tensor in tensors.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = tensor
    whole = optimizer.state_dict()
    whole["state"] = state
    optimizer.load_state_dict(whole)
