"""Trainings of several processes at once, as ``torchrun`` starts them.

Every process runs the same script. Each takes its share of every batch, gradients are averaged,
and only the first process writes files. Without torchrun nothing of this happens.
"""

from __future__ import annotations

import atexit
import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from napari_ebsdml.errors import EbsdmlError


def rank() -> int:
    """Number of this process among those of torchrun, from 0; 0 without."""
    return _number("RANK", 0)


def size() -> int:
    """How many processes torchrun has started; 1 without."""
    return _number("WORLD_SIZE", 1)


def local_rank() -> int:
    """Number of this process on its machine, from 0."""
    return _number("LOCAL_RANK", 0)


def _number(name: str, default: int) -> int:
    text = os.environ.get(name, "")
    return int(text) if text.isdecimal() else default


def join() -> bool:
    """Let this process work together with the others; whether there are any.

    Raises
    ------
    EbsdmlError
        When the others cannot be reached.
    """
    if size() == 1:
        return False
    distributed = torch.distributed
    if not distributed.is_available():
        raise EbsdmlError("This build of torch cannot train on several processes.")
    if not distributed.is_initialized():
        try:
            distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        except (RuntimeError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise EbsdmlError(
                f"The other processes of torchrun cannot be reached: {reason}"
            ) from None
        atexit.register(distributed.destroy_process_group)
    return True


def share(batch: Any) -> Any:
    """Part of a batch that this process takes: every n-th item of its tensors.

    Tensors of other lengths than the first one, and all other things, stay as they are; and so
    does a batch of fewer items than there are processes.
    """
    length = _length(batch)
    return batch if length < size() else _part(batch, length)


def _length(batch: Any) -> int:
    if isinstance(batch, Tensor):
        return len(batch) if batch.ndim else 0
    for one in _inside(batch):
        if found := _length(one):
            return found
    return 0


def _inside(batch: Any) -> list[Any]:
    if isinstance(batch, Mapping):
        return list(batch.values())
    if isinstance(batch, tuple | list):
        return list(batch)
    if dataclasses.is_dataclass(batch):
        return [getattr(batch, one.name) for one in dataclasses.fields(batch)]
    return []


def _part(batch: Any, length: int) -> Any:
    if isinstance(batch, Tensor):
        return batch[rank() :: size()] if batch.ndim and len(batch) == length else batch
    if isinstance(batch, Mapping):
        return {key: _part(one, length) for key, one in batch.items()}
    if isinstance(batch, tuple | list):
        parts = [_part(one, length) for one in batch]
        return type(batch)(*parts) if hasattr(batch, "_fields") else type(batch)(parts)
    if dataclasses.is_dataclass(batch) and not isinstance(batch, type):
        fields = [one.name for one in dataclasses.fields(batch) if one.init]
        return dataclasses.replace(
            batch, **{name: _part(getattr(batch, name), length) for name in fields}
        )
    return batch


def same_start(network: nn.Module) -> None:
    """Give every process the weights of the first one."""
    for tensor in network.state_dict().values():
        torch.distributed.broadcast(tensor, 0)


def average_gradients(network: nn.Module) -> None:
    """Replace gradients by their mean over all processes."""
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    if not gradients:
        return
    # One message for all of them.
    flat = torch.cat([one.reshape(-1) for one in gradients])
    torch.distributed.all_reduce(flat)
    flat /= size()
    start = 0
    for one in gradients:
        one.copy_(flat[start : start + one.numel()].view_as(one))
        start += one.numel()


def mean(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Mean of losses over all processes."""
    together = torch.stack([value.detach().float() for value in values.values()])
    torch.distributed.all_reduce(together)
    return dict(zip(values, together / size(), strict=True))


def agreed(value: Any) -> Any:
    """What the first process says, such as whether time is over."""
    if size() == 1:
        return value
    found = [value]
    torch.distributed.broadcast_object_list(found, 0)
    return found[0]
