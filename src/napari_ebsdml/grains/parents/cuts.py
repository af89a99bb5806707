"""Divide the child grains of two parents anew: the best division, by a minimum cut.

Moved one by one, the grains of a packet hold each other back. Between two labels the Potts energy
has its minimum at a minimum cut (Boykov, Veksler and Zabih, IEEE Trans. Pattern Anal. Mach.
Intell. 23 (2001) 1222, doi:10.1109/34.969114).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, connected_components, maximum_flow

from napari_ebsdml._parallel import Progress
from napari_ebsdml._quaternions import multiply
from napari_ebsdml.grains.parents.energy import Energy, fits
from napari_ebsdml.grains.parents.twins import TWINS, saved, trace_of, traces

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]

_UNITS = 32
"""Steps of cost that are told apart: a cut counts in whole numbers."""


def divide(energy: Energy, labels: Ints, orientation: Floats, progress: Progress = None) -> Ints:
    """Divide the grains of every two parents that touch; labels keep their meaning."""
    labels = labels.copy()
    a, b = labels[energy.pairs[:, 0]], labels[energy.pairs[:, 1]]
    touch = (a != b) & (a > 0) & (b > 0)
    sides = np.unique(np.sort(np.stack([a[touch], b[touch]], axis=1), axis=1), axis=0)
    for number, (c, d) in enumerate(sides):
        members = np.flatnonzero((labels == c) | (labels == d))
        if len(members) > 1:
            of_c = fits(energy, members, orientation[c])
            of_d = fits(energy, members, orientation[d])
            trace = np.zeros(2)
            if energy.has_twins:
                trace = traces(orientation[c][None], orientation[d][None])[0]
            is_d = _cut(energy, members, of_c, of_d, trace)
            labels[members] = np.where(is_d, d, c)
        if progress is not None:
            progress((number + 1) / len(sides))
    return labels


def split_twins(
    energy: Energy, labels: Ints, orientation: Floats, progress: Progress = None
) -> tuple[Ints, Floats]:
    """Give pieces of parents to a twin of theirs where that costs less.

    Returns
    -------
    labels, orientation
        New twins come last.
    """
    labels = labels.copy()
    found = list(orientation)
    count = len(orientation)
    for c in range(1, count):
        members = np.flatnonzero(labels == c)
        if len(members) < 2:
            continue
        own = fits(energy, members, orientation[c])
        for which, twin in enumerate(multiply(TWINS, orientation[c])):
            other = fits(energy, members, twin)
            if float(np.maximum(own - other, 0.0).sum()) < energy.price:
                continue
            trace = trace_of(orientation[c], which)
            is_twin = _cut(energy, members, own, other, trace)
            if not is_twin.any() or is_twin.all():
                continue
            taken = np.zeros(len(members), dtype=bool)
            for piece in _pieces(energy, members, is_twin):
                won = float((own - other)[piece].sum())
                edge = energy.boundary(members[piece], labels == c, trace)
                # One grain alone has a candidate near to any of four twins too often.
                alone = len(piece) < 2
                if won - energy.gain * edge > energy.price and not alone:
                    labels[members[piece]] = len(found)
                    found.append(twin)
                    taken[piece] = True
            members, own = members[~taken], own[~taken]
        if progress is not None:
            progress(c / count)
    return labels, np.array(found)


def _inside(energy: Energy, members: NDArray[np.intp]) -> tuple[Any, Any, NDArray[np.int64]]:
    """Edges among some grains, by the place of these, and which they are."""
    place = np.full(len(energy.weight), -1, dtype=np.int64)
    place[members] = np.arange(len(members))
    edges = energy.edges_of(members)
    first, second = place[energy.pairs[edges, 0]], place[energy.pairs[edges, 1]]
    both = (first >= 0) & (second >= 0)
    return first[both], second[both], edges[both]


def _cut(
    energy: Energy, members: NDArray[np.intp], of_c: Floats, of_d: Floats, trace: Floats
) -> NDArray[np.bool_]:
    """Which of the grains go to the second of two parents."""
    n = len(members)
    first, second, edges = _inside(energy, members)
    length = energy.length[edges] * (1.0 - saved(energy.facing[edges], trace))
    joined = np.rint(_UNITS * energy.gain * length).astype(np.int32)
    to_c, to_d = (np.rint(_UNITS * cost).astype(np.int32) for cost in (of_c, of_d))
    each = np.arange(n)
    rows = np.concatenate([np.full(n, n), each, first, second])
    columns = np.concatenate([each, np.full(n, n + 1), second, first])
    capacity = np.concatenate([to_d, to_c, joined, joined])
    graph = csr_array((capacity, (rows, columns)), shape=(n + 2, n + 2), dtype=np.int32)
    flow = maximum_flow(graph, n, n + 1).flow
    left = csr_array(graph - flow)
    left.data = np.maximum(left.data, 0)
    left.eliminate_zeros()
    reached = breadth_first_order(left, n, directed=True, return_predecessors=False)
    is_d = np.ones(n + 2, dtype=bool)
    is_d[reached] = False
    return is_d[:n]


def _pieces(
    energy: Energy, members: NDArray[np.intp], chosen: NDArray[np.bool_]
) -> list[NDArray[np.intp]]:
    at = np.flatnonzero(chosen)
    first, second, _ = _inside(energy, members[at])
    n = len(at)
    graph = csr_array((np.ones(len(first)), (first, second)), shape=(n, n))
    number, of = connected_components(graph, directed=False)
    return [at[of == k] for k in range(number)]
