"""Loaded by the worker processes that a batch starts on its own machine."""

from __future__ import annotations

import signal
from typing import Any

from napari_ebsdml._orix import prepare_orix


def dask_setup(worker: Any) -> None:
    """Leave Ctrl-C, which a terminal sends to all processes, to the one that ends the others.

    And load orix as this package does: maps that are sent name its classes.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    prepare_orix()
