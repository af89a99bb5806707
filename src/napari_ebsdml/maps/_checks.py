"""Checks of arguments that several maps take."""

from __future__ import annotations

import numpy as np

from napari_ebsdml.errors import InputError


def check_angle(name: str, degrees: float, highest: float = 180.0) -> float:
    """Return `degrees` as a float between 0 and `highest`, or raise `InputError`."""
    try:
        value = float(degrees)
    except (TypeError, ValueError):
        value = np.nan
    if not 0 <= value <= highest:
        raise InputError(f"{name} must be an angle of 0 to {highest:g} degrees, not {degrees!r}.")
    return value


def check_count(name: str, value: int, lowest: int) -> int:
    """Return `value` as an int that is at least `lowest`, or raise `InputError`."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or value < lowest:
        raise InputError(f"{name} must be a whole number of at least {lowest}, not {value!r}.")
    return int(value)
