"""One cache of compiled code for test processes side by side, and for those that they start.

numba writes the index of a module's compiled functions before the functions themselves, and each
process numbers them on its own: two that compile different signatures at the same moment leave an
index that names the wrong code, which ends every later process. With a lock they take turns.

Python imports a module of this name at its start: `tests/conftest.py` puts this folder on the path.
"""

from __future__ import annotations

import fcntl
import importlib.abc
import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[2] / ".pytest_cache" / "numba"
_MODULE = "numba.core.caching"


def _in_turn(method: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        with (FOLDER / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return method(*arguments)

    return call


class _Locking(importlib.abc.MetaPathFinder):
    """Puts the lock around numba's cache once numba is imported."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """The module as it is, changed once it has run."""
        if name != _MODULE:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.loader is not None
        run = spec.loader.exec_module

        def run_and_lock(module: Any) -> None:
            run(module)
            cache = module.IndexDataCacheFile
            cache.save, cache.load = _in_turn(cache.save), _in_turn(cache.load)

        spec.loader.exec_module = run_and_lock  # type: ignore[method-assign]
        return spec


FOLDER.mkdir(parents=True, exist_ok=True)
os.environ["NUMBA_CACHE_DIR"] = str(FOLDER)
sys.meta_path.insert(0, _Locking())
