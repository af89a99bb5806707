"""Fixtures that all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# numba's and torch's OpenMP pools fight on small machines: waiting threads must not spin.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real EBSD files, beside the repository; not part of it."""
    root = Path(__file__).resolve().parents[1]
    folder = Path(os.environ.get("EBSDML_TEST_DATA", root.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("the real EBSD files (../shared/data, or EBSDML_TEST_DATA) are absent")
    return folder
