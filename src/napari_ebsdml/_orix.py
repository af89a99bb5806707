"""orix without what its compiling does to a first import, and without its slow Laue groups.

`orix.quaternion._conversions` names the types of its 30 kernels, so numba compiles all of them
when the module is imported and not yet in numba's cache: 17 s of processor time before the first
map can be shown. Few of them are ever called. Without the types numba compiles a kernel when it
is; orix hands them arrays of float64 in either case.

The three ufuncs of `orix.quaternion.quaternion` are compiled when they are called. numba keeps a
ufunc in two files, its kernel and what calls it, each named after the process that compiled it. Two
processes that compile at the same moment leave a kernel of the one and a caller of the other, and
every later process that loads them ends with a segmentation fault. So they take turns.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from orix.quaternion.symmetry import Symmetry

_lock = threading.Lock()


_PATIENCE_S = 120.0
"""For another process to compile; then this one does, with the risk."""


def prepare_orix() -> None:
    """Import the modules that compile, before anything else of orix does."""
    if "orix.quaternion._conversions" in sys.modules:
        return
    import numba

    with _lock:
        njit, guvectorize = numba.njit, numba.guvectorize

        def without_types(*signature: Any, **options: Any) -> Any:
            typed = signature and isinstance(signature[0], str)
            return njit(*signature[1:] if typed else signature, **options)

        def in_turn(*signature: Any, **options: Any) -> Callable[[Any], CompiledInTurn]:
            made = guvectorize(*signature, **options)
            return lambda function: CompiledInTurn(made(function))

        numba.njit = without_types
        try:
            import orix.quaternion._conversions

            numba.njit, numba.guvectorize = njit, in_turn
            import orix.quaternion.quaternion  # noqa: F401
        finally:
            numba.njit, numba.guvectorize = njit, guvectorize


class CompiledInTurn:
    """A ufunc whose first call, which compiles or loads it, no two processes make at once."""

    def __init__(self, ufunc: Callable[..., Any]) -> None:
        self._ufunc = ufunc
        self._compiled = False

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """As the ufunc."""
        if self._compiled:
            return self._ufunc(*arguments, **options)
        with _one_process():
            result = self._ufunc(*arguments, **options)
        self._compiled = True
        return result

    def __getattr__(self, name: str) -> Any:
        if name == "_ufunc":  # asked for while a copy of it is being made
            raise AttributeError(name)
        return getattr(self._ufunc, name)


@contextmanager
def _one_process() -> Iterator[None]:
    import platformdirs
    from filelock import FileLock, Timeout

    folder = Path(platformdirs.user_cache_dir("napari-ebsdml", appauthor=False))
    lock = FileLock(folder / "compiling.lock", timeout=_PATIENCE_S)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except (OSError, Timeout, NotImplementedError):
        # Without a place for a lock numba has most often none for its cache either.
        yield
        return
    try:
        yield
    finally:
        lock.release()


_laue_groups: dict[tuple[str, bytes, bytes], Symmetry] = {}


def laue_group_of(group: Symmetry) -> Symmetry:
    """`Symmetry.laue` of a point group, made once: orix multiplies it out every time.

    A map of 300 phases asks for it thousands of times, 8 ms each.
    """
    data = np.asarray(group.data, dtype=np.float64)
    key = (str(group.name), data.tobytes(), np.asarray(group.improper).tobytes())
    found = _laue_groups.get(key)
    if found is None:
        if len(_laue_groups) >= 256:
            _laue_groups.clear()
        found = _laue_groups[key] = group.laue
    return found
