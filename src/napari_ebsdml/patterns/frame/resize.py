"""Images made smaller or larger."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


@lru_cache(maxsize=32)
def resize_matrix(before: int, after: int) -> NDArray[np.float32]:
    """Matrix (after, before) that resizes a line: area means when smaller, linear when larger."""
    if after < before:
        edges = np.linspace(0, before, after + 1)
        low, high = edges[:-1, None], edges[1:, None]
        cell = np.arange(before)[None]
        share = np.clip(np.minimum(high, cell + 1) - np.maximum(low, cell), 0, None)
        return (share / share.sum(axis=1, keepdims=True)).astype(np.float32)
    at = np.clip((np.arange(after) + 0.5) * before / after - 0.5, 0, before - 1)
    return np.maximum(0, 1 - np.abs(at[:, None] - np.arange(before)[None])).astype(np.float32)
