"""How sure the parent of each child grain is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._quaternions import multiply
from napari_ebsdml.grains.parents.clusters import Parents
from napari_ebsdml.grains.parents.energy import Energy, fits
from napari_ebsdml.grains.parents.twins import TWINS
from napari_ebsdml.maps.disorientation import disorientation_angle

Floats = NDArray[np.float64]

_CLOSE = 5.0
"""Degrees up to which a candidate is the parent."""
_RINGS = 2
_TWINS = 0.05
"""How much more rarely than the parent that costs least one of its twins is the true one."""
_SHARED = 0.5
"""What the misfit of a grain adds to what its neighbours tell: errors in a packet are alike."""


def certainty(energy: Energy, belief: Floats, parents: Parents, group: str, twins: bool) -> Floats:
    """Confidence (n,) in the parent of each child grain, 0 to 1; 0 without one.

    Votes of the grain and its neighbours of the same parent for this parent, times the odds against
    the parent's own twins (where there are any): a twin shares variants with the parent, so that
    votes alone do not tell them apart.
    """
    labels, n = parents.of_grain, len(energy.weight)
    has = labels > 0
    turned = disorientation_angle(
        energy.found.quaternions, parents.orientation[labels][:, None, :], group
    )
    close = np.nan_to_num(turned, nan=180.0) < _CLOSE
    votes = _around(energy, parents, np.where(close, belief, 0.0).sum(axis=1)[:, None])[:, 0]
    votes = np.where(energy.found.number == 1, np.maximum(votes, has), votes)
    # Where neighbours disagree for noise, the rest of the parent tells more than they do. All of
    # them are wrong together or not at all: doubts are multiplied.
    count = len(parents.orientation)
    area = np.bincount(labels, weights=energy.weight, minlength=count)
    whole = np.bincount(labels, weights=energy.weight * votes, minlength=count)
    votes = 1.0 - (1.0 - np.minimum(votes, 1.0)) * (1.0 - whole / np.maximum(area, 1e-12))[labels]
    if not twins:
        return np.where(has, np.minimum(votes, 1.0), 0.0)
    extra = np.zeros((n, len(TWINS)))
    weight = np.maximum(energy.weight, 1e-9)
    order = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[order], np.arange(len(parents.orientation) + 1))
    for c in range(1, len(parents.orientation)):
        members = order[starts[c] : starts[c + 1]]
        own = fits(energy, members, parents.orientation[c])
        for k, twin in enumerate(multiply(TWINS, parents.orientation[c])):
            extra[members, k] = (fits(energy, members, twin) - own) / weight[members]
    # Half of the squared misfit, in standard deviations about each axis, is a log likelihood.
    evidence = 1.5 * _SHARED * _around(energy, parents, extra, total=True)
    odds = _TWINS * np.exp(-np.clip(evidence, -20.0, 50.0)).sum(axis=1)
    return np.where(has, np.minimum(votes, 1.0) / (1.0 + odds), 0.0)


def _around(energy: Energy, parents: Parents, values: Floats, total: bool = False) -> Floats:
    """Mean over a grain and those about it of the same parent, by area; or the sum."""
    labels = parents.of_grain
    a, b = energy.pairs[:, 0], energy.pairs[:, 1]
    same = (labels[a] == labels[b]) & (labels[a] > 0)
    a, b = a[same], b[same]
    weight = np.ones((len(labels), 1)) if total else energy.weight[:, None]
    sums, weights = values * weight, weight.copy()
    for _ in range(1 if total else _RINGS):
        more, heavier = sums.copy(), weights.copy()
        for one, other in ((a, b), (b, a)):
            np.add.at(more, one, sums[other])
            np.add.at(heavier, one, weights[other])
        sums, weights = more, heavier
    return sums if total else sums / np.maximum(weights, 1e-12)
