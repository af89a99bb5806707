"""Where and how torch computes: device, threads, seeds."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from napari_ebsdml._parallel import available_cores
from napari_ebsdml.errors import InputError
from napari_ebsdml.learning.together import local_rank, size


def pick_device(name: str = "auto") -> torch.device:
    """Device by name; ``"auto"`` takes a GPU where there is one.

    Raises
    ------
    InputError
        When torch does not know the device or this machine has none of its kind.
    """
    if name == "auto":
        if torch.cuda.is_available():
            # Each process of torchrun has a GPU of its own.
            number = local_rank() % torch.cuda.device_count()
            return torch.device("cuda", number) if size() > 1 else torch.device("cuda")
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


class OwnRandom:
    """Torch's random numbers for one job: inside the block torch draws from it, outside as before.

    Torch's layers draw from generators of the process alone. They are put back when the block is
    left, so that whoever seeded them finds them as they were.

    Raises
    ------
    InputError
        When the seed is not in 0 .. 2^32 - 1.
    """

    def __init__(self, seed: int) -> None:
        _check_seed(seed)
        self._cpu = torch.Generator().manual_seed(seed).get_state()
        self._cuda: torch.Tensor | None = None
        self._seed = seed
        self._before: list[tuple[torch.Tensor, torch.Tensor | None]] = []

    def __enter__(self) -> OwnRandom:
        cuda = torch.cuda.is_available()
        before = torch.cuda.get_rng_state() if cuda else None
        self._before.append((torch.get_rng_state(), before))
        torch.set_rng_state(self._cpu)
        if cuda:
            if self._cuda is None:
                torch.cuda.manual_seed(self._seed)
            else:
                torch.cuda.set_rng_state(self._cuda)
        return self

    def __exit__(self, *_: object) -> None:
        cpu, cuda = self._before.pop()
        self._cpu = torch.get_rng_state()
        torch.set_rng_state(cpu)
        if cuda is not None:
            self._cuda = torch.cuda.get_rng_state()
            torch.cuda.set_rng_state(cuda)


def seed_all(seed: int) -> None:
    """Seed Python's, numpy's and torch's generators.

    Raises
    ------
    InputError
        When the seed is not in 0 .. 2^32 - 1.
    """
    _check_seed(seed)
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - libraries that still use the global generator
    torch.manual_seed(seed)


def _check_seed(seed: int) -> None:
    if not 0 <= seed < 2**32:
        raise InputError(f"The seed must lie in 0..{2**32 - 1}, not {seed}.")
