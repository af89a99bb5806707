"""First-layer filters of two models beside each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.errors import InputError
from napari_ebsdml.patterns.classifier import SpaceGroupClassifier
from napari_ebsdml.patterns.raw.classifier import RawClassifier


@dataclass(frozen=True, eq=False)
class FilterPair:
    """Two filters, one of each model, that learned nearly the same.

    Attributes
    ----------
    first, second
        Number of the filter in each model.
    distance
        Euclidean distance of the filters, each with mean 0 and norm 1.
    filters : (2, k, k) array
        Both, as compared.
    """

    first: int
    second: int
    distance: float
    filters: NDArray[np.float32]


def alike_filters(
    one: SpaceGroupClassifier, other: SpaceGroupClassifier, number: int = 4, member: int = 0
) -> list[FilterPair]:
    """The most alike first-layer filters of two models, each used once.

    Parameters
    ----------
    one, other
        Models of raw patterns.
    number
        How many pairs; the paper shows four.
    member
        Which network of each ensemble.

    Returns
    -------
    list of FilterPair
        The most alike first.

    Raises
    ------
    InputError
        When a model is one of the crystal frame, the filters are of different sizes, or `number`
        is too large.

    Notes
    -----
    Pseudo-RGB filters see the same image three times, so that the sum over their channels is what
    acts. Contrast and brightness are taken out: filters of different starts differ in these.
    """
    tables = []
    for model in (one, other):
        raw = RawClassifier.required(model, "alike_filters")
        filters = raw.filters(member).sum(axis=1)
        flat = filters.reshape(len(filters), -1).astype(np.float64)
        flat -= flat.mean(axis=1, keepdims=True)
        tables.append(flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12))
    a, b = tables
    if a.shape[1] != b.shape[1]:
        raise InputError(
            f"The models' first filters have {a.shape[1]} and {b.shape[1]} weights; only networks "
            "of one kind can be compared."
        )
    if not 1 <= number <= min(len(a), len(b)):
        raise InputError(f"number must lie in 1..{min(len(a), len(b))}, not {number}.")
    distance = np.linalg.norm(a[:, None] - b[None], axis=2)
    side = round(a.shape[1] ** 0.5)
    pairs = []
    for _ in range(number):
        i, j = np.unravel_index(np.argmin(distance), distance.shape)
        both = np.stack([a[i], b[j]]).reshape(2, side, side).astype(np.float32)
        pairs.append(FilterPair(int(i), int(j), float(distance[i, j]), both))
        distance[i, :] = np.inf
        distance[:, j] = np.inf
    return pairs
