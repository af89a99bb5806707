"""Checks of the arguments of the sample makers."""

from __future__ import annotations

import numpy as np

from napari_ebsdml.errors import InputError


def checked_shape(shape: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of a map as whole numbers of at least 2."""
    try:
        rows, columns = (int(n) for n in shape)
        whole = all(n == int(n) for n in shape)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"shape must be (rows, columns), not {shape!r}.") from None
    if not whole or rows < 2 or columns < 2:
        raise InputError(f"shape must be two whole numbers of at least 2, not {shape!r}.")
    return rows, columns


def in_range(name: str, value: float, low: float, high: float) -> float:
    """A number from `low` to `high`."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise InputError(f"{name} must be a number, not {value!r}.") from None
    if not low <= number <= high:
        raise InputError(f"{name} must lie between {low:g} and {high:g}, not {value!r}.")
    return number


def checked_seed(seed: int) -> int:
    """Seed of a random number generator: a whole number, not negative."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise InputError(f"seed must be a non-negative integer, not {seed!r}.")
    return int(seed)
