"""Memory that closed maps leave behind goes back to the system."""

from __future__ import annotations

import ctypes
import sys
import threading
from functools import cache
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer

if TYPE_CHECKING:
    from napari.components import ViewerModel

_LATER_MS = 3000
"""napari lets go of a layer only when it has drawn without it."""


def return_when_maps_close(viewer: ViewerModel, window: Any) -> QTimer:
    """From now on, give free memory back some seconds after layers are removed.

    The C library keeps small pieces that are freed: after nine maps of 200 x 200 pixels the process
    held 945 MB, and 707 MB with this (benchmarks/gui_memory.py).
    """
    timer = QTimer(window)
    timer.setSingleShot(True)
    timer.setInterval(_LATER_MS)
    # In a thread, as the library goes through all that it holds; Python's lock is free meanwhile.
    timer.timeout.connect(lambda: threading.Thread(target=return_free_memory, daemon=True).start())
    viewer.layers.events.removed.connect(lambda _event: timer.start())
    return timer


def return_free_memory() -> bool:
    """Give free memory back to the system; whether there was any (glibc alone tells)."""
    trim = _trim()
    return trim is not None and bool(trim(0))


@cache
def _trim() -> Any:
    if not sys.platform.startswith("linux"):
        return None
    try:
        return ctypes.CDLL("libc.so.6").malloc_trim
    except (OSError, AttributeError):
        return None
