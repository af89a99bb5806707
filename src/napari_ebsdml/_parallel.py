"""Run a kernel over bands of rows, on all cores, with progress and cancelling."""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias, TypeVar

Report: TypeAlias = Callable[[float], None]
"""Told the fraction done, 0..1; may raise (`errors.Cancelled`) to stop the work."""

Progress: TypeAlias = Report | None
"""The argument `progress` of everything that takes its time; None tells nobody."""

_BAND_PIXELS = 1 << 17


_Any = TypeVar("_Any", Report, Progress)


def part_of(progress: _Any, start: float, stop: float = 1.0) -> _Any:
    """Progress of one part of the work, which lasts from `start` to `stop` of the whole.

    >>> told = []
    >>> second_half = part_of(told.append, 0.5)
    >>> second_half(0.5)
    >>> told
    [0.75]
    """
    if progress is None:
        return progress

    def report(fraction: float) -> None:
        progress(start + (stop - start) * fraction)

    return report


def nth_of(progress: _Any, number: int, total: int) -> _Any:
    """Progress of part `number`, from 0, of `total` parts of the same length."""
    return part_of(progress, number / total, (number + 1) / total)


def over_rows(
    work: Callable[[int, int], object], shape: tuple[int, int], progress: Progress = None
) -> None:
    """Call ``work(first_row, end_row)`` for bands that cover the map.

    Parameters
    ----------
    work
        A function around a compiled kernel that releases the interpreter lock. Bands run at
        the same time, so it must write to the rows of its own band only. Not called for a map
        without pixels.
    shape
        Rows and columns of the map.
    progress
        Called after each band.

    Notes
    -----
    Threads of our own, not numba's: numba's portable threading layer ends the process when two
    threads start parallel kernels at once, which background workers of a viewer do.
    """
    rows, columns = shape
    height = max(1, _BAND_PIXELS // max(columns, 1))
    bands = [
        (first, min(first + height, rows)) for first in range(0, rows if columns else 0, height)
    ]
    if len(bands) <= 1:
        for band in bands:
            work(*band)
        if progress is not None:
            progress(1.0)
        return
    n_threads = min(len(bands), available_cores())
    waiting: deque[Future[object]] = deque()
    with ThreadPoolExecutor(n_threads, thread_name_prefix="ebsdml-rows") as pool:
        try:
            waiting.extend(pool.submit(work, *band) for band in bands)
            for done in range(len(bands)):
                waiting.popleft().result()
                if progress is not None:
                    progress((done + 1) / len(bands))
        except BaseException:
            for future in waiting:
                future.cancel()
            raise


def available_cores() -> int:
    """Cores to compute with: at least 1, and no more than any of these allows.

    The cores of the machine; those that the process is bound to (affinity, as of ``taskset`` or
    a job of Slurm); its processor time under Linux' control groups (``docker run --cpus``,
    limits of Kubernetes), rounded up; and the environment variables ``OMP_NUM_THREADS`` and
    ``NUMBA_NUM_THREADS``.
    """
    limits = [os.cpu_count() or 1]
    if hasattr(os, "sched_getaffinity"):
        limits.append(len(os.sched_getaffinity(0)))
    limits += [n for name in _VARIABLES if (n := _number(os.environ.get(name, ""))) is not None]
    quota = cgroup_cores()
    if quota is not None:
        limits.append(math.ceil(quota))
    return max(1, min(limits))


_VARIABLES = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")


def _number(text: str) -> int | None:
    # OpenMP takes a list, one number for each level of nested teams.
    first = text.partition(",")[0].strip()
    return int(first) if first.isdecimal() and int(first) > 0 else None


def cgroup_cores(root: Path = Path("/")) -> float | None:
    """Cores' worth of time that Linux' control groups (v1 and v2) leave this process.

    None when there is no limit, or no such system. A group is limited by those that hold it,
    too. `root` is where ``proc`` and ``sys`` lie.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return None
    mounted = root / "sys/fs/cgroup"
    found = []
    for line in lines:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if not controllers:
            top, read = mounted, _quota_v2
        elif "cpu" in controllers.split(","):
            top, read = mounted / controllers, _quota_v1
            if not top.is_dir():
                top = mounted / "cpu"
        else:
            continue
        # In a container the path may be that of the host, which is not there.
        group = top.joinpath(*(name for name in path.split("/") if name not in ("", "..")))
        while True:
            found.append(read(group))
            if group == top:
                break
            group = group.parent
    limits = [cores for cores in found if cores is not None]
    return min(limits) if limits else None


def _quota_v2(group: Path) -> float | None:
    return _cores(_words(group / "cpu.max"))


def _quota_v1(group: Path) -> float | None:
    return _cores(_words(group / "cpu.cfs_quota_us") + _words(group / "cpu.cfs_period_us"))


def _words(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return []


def _cores(quota_and_period: list[str]) -> float | None:
    # No limit is "max" in v2 and -1 in v1.
    if len(quota_and_period) != 2 or not all(word.isdecimal() for word in quota_and_period):
        return None
    quota, period = map(int, quota_and_period)
    return quota / period if quota > 0 and period > 0 else None
