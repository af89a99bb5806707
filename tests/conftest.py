"""Fixtures that all tests share."""

from __future__ import annotations

import importlib.util
import os
import runpy
from pathlib import Path

import pytest

# numba's and torch's OpenMP pools fight on small machines: waiting threads must not spin.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# Side by side (pytest -n), each process has a core, and one cache of compiled code serves all.
if _worker := os.environ.get("PYTEST_XDIST_WORKER"):
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    _here = Path(__file__).resolve().parent
    if importlib.util.find_spec("fcntl"):
        _start = str(_here / "one_cache")
        runpy.run_path(f"{_start}/sitecustomize.py")
        _paths = (_start, os.environ.get("PYTHONPATH", ""))
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, _paths))
    else:
        os.environ["NUMBA_CACHE_DIR"] = str(_here.parent / ".pytest_cache" / "numba" / _worker)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real EBSD files, beside the repository; not part of it."""
    root = Path(__file__).resolve().parents[1]
    folder = Path(os.environ.get("EBSDML_TEST_DATA", root.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("the real EBSD files (../shared/data, or EBSDML_TEST_DATA) are absent")
    return folder
