from __future__ import annotations

import numpy as np


def stroke_labels(truth, share=0.02, seed=0):
    """Labels on a random part of the pixels."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(truth.shape) < share, truth, 0).astype(np.uint8)
