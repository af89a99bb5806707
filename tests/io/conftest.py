"""What the tests of readers share."""

from __future__ import annotations

import warnings
from typing import Any

import pytest


@pytest.fixture(scope="session")
def kp() -> Any:
    """The module kikuchipy, which warns while it is imported for the first time."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("kikuchipy")
