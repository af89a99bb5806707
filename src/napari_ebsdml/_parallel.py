"""Run a kernel over bands of rows, on all cores, with progress and cancelling."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeAlias

Progress: TypeAlias = Callable[[float], None] | None
"""Called with the fraction done; may raise (`errors.Cancelled`) to stop the work."""

_BAND_PIXELS = 1 << 17


def over_rows(
    work: Callable[[int, int], object],
    shape: tuple[int, int],
    progress: Progress = None,
    span: tuple[float, float] = (0.0, 1.0),
) -> None:
    """Call ``work(first_row, end_row)`` for bands that cover the map.

    Parameters
    ----------
    work
        A function around a compiled kernel that releases the interpreter lock. Bands run at
        the same time, so it must write to the rows of its own band only.
    shape
        Rows and columns of the map.
    progress
        Called after each band.
    span
        What `progress` is told at the start and at the end.

    Notes
    -----
    Threads of our own, not numba's: numba's portable threading layer ends the process when two
    threads start parallel kernels at once, which background workers of a viewer do.
    """
    rows, columns = shape
    height = max(1, _BAND_PIXELS // columns)
    bands = [(first, min(first + height, rows)) for first in range(0, rows, height)]
    low, high = span
    if len(bands) == 1:
        work(*bands[0])
        if progress is not None:
            progress(high)
        return
    n_threads = min(len(bands), available_cores())
    waiting: deque[Future[object]] = deque()
    with ThreadPoolExecutor(n_threads, thread_name_prefix="ebsdml-rows") as pool:
        try:
            waiting.extend(pool.submit(work, *band) for band in bands)
            for done in range(len(bands)):
                waiting.popleft().result()
                if progress is not None:
                    progress(low + (high - low) * (done + 1) / len(bands))
        except BaseException:
            for future in waiting:
                future.cancel()
            raise


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return max(1, os.cpu_count() or 1)
