"""kikuchipy's functions for single patterns, imported late and once.

The import costs seconds, and minutes the very first time, when numba compiles: so `load` is for
worker threads only, and `is_loaded` tells the GUI whether to ask the user for patience.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_lock = threading.Lock()
_loaded: Kikuchipy | None = None


@dataclass(frozen=True)
class Kikuchipy:
    """Background corrections of kikuchipy for one pattern.

    Attributes
    ----------
    static
        ``(pattern, background, dtype, low, high, scale_background) -> pattern``: subtracts a
        static background and stretches the result to low .. high.
    dynamic
        ``(pattern, **options) -> pattern``: `kikuchipy.pattern.remove_dynamic_background`.
    """

    static: Callable[..., NDArray[Any]]
    dynamic: Callable[..., NDArray[Any]]


def is_loaded() -> bool:
    """Whether `load` returns at once."""
    return _loaded is not None


def load() -> Kikuchipy:
    """Import kikuchipy and compile what it needs; not for the GUI thread."""
    global _loaded
    if _loaded is None:
        with _lock:
            if _loaded is None:
                _loaded = _import()
    return _loaded


def _import() -> Kikuchipy:
    # The signal class has the static correction as a public method, but setting up a signal for
    # one pattern takes longer than the correction.
    from kikuchipy.pattern import remove_dynamic_background
    from kikuchipy.pattern._pattern import _remove_static_background_subtract

    found = Kikuchipy(_remove_static_background_subtract, remove_dynamic_background)
    # numba compiles at the first call.
    image = np.arange(256, dtype=np.float32).reshape(16, 16)
    found.static(image, image[::-1].copy(), np.float32, -1.0, 1.0, False)
    found.dynamic(image, dtype_out="float32")
    return found
