"""Phases that were found by structure, parted where the element counts of the map say so."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._quaternions import from_matrix, multiply
from napari_ebsdml.maps.elements import ElementCounts
from napari_ebsdml.maps.grains import segment_grains
from napari_ebsdml.patterns.phases.averages import Averages
from napari_ebsdml.patterns.phases.chemistry import chemical_parts, mean_shares
from napari_ebsdml.patterns.phases.clusters import Cluster, part_of_cluster
from napari_ebsdml.patterns.symmetry.view import View

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan

Floats = NDArray[np.float64]
Owners = NDArray[np.int32]
Measured = TypeVar("Measured")

_SAID = 0.005
"""Share from which on an element is named."""


def parted(
    scan: Scan, counts: ElementCounts, known: Sequence[tuple[Cluster, Measured]], owner: Owners,
    quaternions: Floats, sample: tuple[NDArray[np.intp], Sequence[View], Averages],
    measure: Callable[[Cluster], tuple[Cluster, Measured]], searched: bool,
) -> tuple[list[tuple[Cluster, Measured]], Owners, Floats, list[list[int]]]:  # fmt: skip
    """Part clusters by chemistry.

    Parameters
    ----------
    scan
        The map; its phases and orientations are not used.
    counts
        Of two lines or more.
    known
        Clusters that were found by structure, and what was measured of them.
    owner, quaternions
        The cluster of each pixel (n,), -1 for none, and the orientations (n, 4).
    sample
        Places (m,) in the flat order of the patterns that the clusters were found from, their
        views and averages.
    measure
        Measures a part, and turns it into the frame of its crystal.
    searched
        Whether the camera was searched for.

    Returns
    -------
    known, owner, quaternions
        With the parts in place of what was parted, those of most pixels first; as they were where
        nothing was parted.
    one_structure
        Numbers of the phases that each of those that were parted is now.
    """
    places, views, averages = sample
    grid = owner.reshape(scan.shape)
    grains = _grains(scan, [cluster for cluster, _ in known], grid, quaternions)
    made: list[tuple[tuple[Cluster, Measured], NDArray[np.bool_], int]] = []
    for number, (cluster, told) in enumerate(known):
        parts = chemical_parts(counts.counts, grid, number, grains)
        if parts is None:
            made.append(((cluster, told), owner == number, number))
            continue
        labels = parts.labels.ravel()
        for k in range(len(parts.shares)):
            mine = labels == k
            part = part_of_cluster(views, averages, cluster, mine[places], searched)
            both = (part, told) if part.is_of_whole else measure(part)
            made.append((both, mine, number))
    if len(made) == len(known):
        return list(known), owner, quaternions, []
    made.sort(key=lambda one: -int(one[1].sum()))
    new, turned = np.full_like(owner, -1), quaternions.copy()
    for k, ((part, _), mine, number) in enumerate(made):
        new[mine] = k
        between = part.turn @ known[number][0].turn.T
        if not np.allclose(between, np.eye(3)):
            turned[mine] = multiply(from_matrix(between), quaternions[mine])
    of = [number for _, _, number in made]
    together = [[k for k, one in enumerate(of) if one == number] for number in range(len(known))]
    return (
        [one[0] for one in made], new, turned, [some for some in together if len(some) > 1],
    )  # fmt: skip


def _grains(
    scan: Scan, clusters: Sequence[Cluster], grid: Owners, quaternions: Floats
) -> NDArray[np.int32]:
    from orix.crystal_map import Phase, PhaseList

    phases = [Phase(f"{k}", point_group=one.sphere.group) for k, one in enumerate(clusters)]
    found = dataclasses.replace(
        scan, quaternions=quaternions.reshape(*scan.shape, 4), phase_id=grid,
        phases=PhaseList(phases),
    )  # fmt: skip
    return segment_grains(found, min_pixels=1)


def element_shares(counts: ElementCounts, mask: NDArray[np.bool_]) -> dict[str, float]:
    """Mean shares of a phase's counts by their lines, the largest first."""
    shares = mean_shares(counts.counts, mask)
    order = np.argsort(-shares, kind="stable")
    return {counts.lines[k]: float(shares[k]) for k in order}


def of_shares(shares: Mapping[str, float], is_of_whole: bool) -> str:
    """What follows in the sentence on a phase; ``""`` where the map has no counts."""
    named = [f"{100 * share:.0f} % {line}" for line, share in shares.items() if share >= _SAID]
    text = f" Element counts: {', '.join(named)}." if named else ""
    if is_of_whole:
        text += (
            " Too few of its patterns were searched: symmetry and lattice are those of all phases "
            "of this structure."
        )
    return text


def of_chemistry(counts: ElementCounts, one_structure: Sequence[Sequence[int]]) -> str:
    """A sentence on what the element counts of a map did."""
    lines = ", ".join(counts.lines)
    if not one_structure:
        return (
            f"The element counts ({lines}) were looked at: within no phase do they differ by a "
            "jump. Phases of one structure type, lattices within 2 % and like chemistry are "
            "counted as one."
        )
    told = "; ".join(" and ".join(f"phase {k + 1}" for k in some) for some in one_structure)
    return (
        f"Chemistry was used: {told} are of one structure to their patterns, and told apart by "
        f"element counts ({lines})."
    )
