"""Fixtures that all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# numba's and torch's OpenMP pools fight on small machines: waiting threads must not spin.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# Side by side (pytest -n), each process has a core, and one cache of compiled code serves all.
if os.environ.get("PYTEST_XDIST_WORKER"):
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ["NUMBA_CACHE_DIR"] = str(
        Path(__file__).resolve().parents[1] / ".pytest_cache" / "numba"
    )
    from numba.core import config

    from napari_ebsdml._orix import prepare_orix

    # A plugin of pytest may have loaded numba, which looks at its settings when it compiles first:
    # the kernel of a ufunc would go to one folder and what calls it to the other.
    config.reload_config()
    # Before a test imports orix itself: it must not be compiled twice at once.
    prepare_orix()


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real EBSD files, beside the repository; not part of it."""
    root = Path(__file__).resolve().parents[1]
    folder = Path(os.environ.get("EBSDML_TEST_DATA", root.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("the real EBSD files (../shared/data, or EBSDML_TEST_DATA) are absent")
    return folder
