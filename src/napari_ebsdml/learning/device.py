"""Where and how torch computes: device, threads, seeds."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from napari_ebsdml._parallel import available_cores
from napari_ebsdml.errors import InputError


def pick_device(name: str = "auto") -> torch.device:
    """Device by name; ``"auto"`` takes a GPU where there is one.

    Raises
    ------
    InputError
        When torch does not know the device or this machine has none of its kind.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        if torch.backends.mps.is_available():
            return torch.device("mps")
        return torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"Device {name!r} cannot be used: {reason} Try 'auto' or 'cpu'.") from None
    return device


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 matrices faster than float32 ones."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    # Processors without these instructions emulate them, slower than float32.
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(getattr(torch.cpu, name, bool)()) for name in names)


@contextmanager
def threads(number: int | None) -> Iterator[None]:
    """Let torch use `number` threads inside the block.

    None leaves the number as it is, but for one above `available_cores`, which would only make
    threads wait for each other.

    Raises
    ------
    InputError
        When `number` is less than 1.
    """
    before = torch.get_num_threads()
    if number is not None and number < 1:
        raise InputError(f"The number of threads must be at least 1, not {number}.")
    torch.set_num_threads(number or min(before, available_cores()))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def seed_all(seed: int) -> None:
    """Seed Python's, numpy's and torch's generators.

    Raises
    ------
    InputError
        When the seed is not in 0 .. 2^32 - 1.
    """
    if not 0 <= seed < 2**32:
        raise InputError(f"The seed must lie in 0..{2**32 - 1}, not {seed}.")
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - libraries that still use the global generator
    torch.manual_seed(seed)
