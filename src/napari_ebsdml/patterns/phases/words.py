"""What is told of phases that were found in a map, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.patterns.lattices.lattice import Lattice
from napari_ebsdml.patterns.lattices.space_groups import SpaceGroups, words
from napari_ebsdml.patterns.symmetry.groups import SYSTEMS
from napari_ebsdml.patterns.symmetry.laue import LaueResult

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan

_ONE_SIZE = 0.08
"""Difference of two lattices' a that widths of bands do not tell."""


def of_lattice(group: str, lattice: Lattice | None, groups: tuple[SpaceGroups, ...]) -> str:
    """A phase's lattice and space groups."""
    if lattice is None:
        system = SYSTEMS[group]
        if system in ("monoclinic", "triclinic"):
            return f"Lattice not measured: bands do not tell that of {system} crystals here."
        return "Lattice not measured: too few bands stand out."
    text = f"{lattice.sentence}: space group {words(groups)}"
    if lattice.primitive is not None:
        # `benchmarks/spheres_apart.py`: TiFe is told I, Ni3Al and Fe3Ni F.
        text += (
            f"; or {lattice.primitive} of the same axes (221), if the bands of an order are too "
            "weak to see"
        )
    if lattice.cubic is not None:
        text += (
            f". These axes are also those of a cubic crystal ({lattice.cubic[0]}, a = "
            f"{lattice.cubic[1]:.2f} A), whose other axes few patterns may not show: give patterns "
            "of other orientations"
        )
    return text + "."


def of_relatives(scan: Scan, mine: NDArray[np.bool_]) -> str:
    """A sentence where the file has two phases of one Laue group and about one size in a phase."""
    from napari_ebsdml.errors import EbsdmlError
    from napari_ebsdml.maps.symmetry import laue_class

    ids = scan.phase_id.ravel()[mine]
    values, counts = np.unique(ids[ids >= 0], return_counts=True)
    there = values[np.argsort(-counts)][: int((counts > 0.05 * counts.sum()).sum())]
    if len(there) < 2:
        return ""
    one, other = (scan.phases[int(i)] for i in there[:2])
    try:
        if laue_class(one) != laue_class(other):
            return ""
    except EbsdmlError:
        return ""
    off = float(other.structure.lattice.a / one.structure.lattice.a - 1)
    if not 0 < abs(off) < _ONE_SIZE:
        return ""
    return (
        f" The file calls them {one.name!r} and {other.name!r}: patterns do not tell them apart by "
        f"symmetry; in the file their lattices' a differs by {100 * abs(off):.1f} %, less than "
        "bands tell."
    )


def against_file(
    scan: Scan, mine: NDArray[np.bool_], laue: LaueResult, may_be_cubic: bool
) -> tuple[tuple[str, ...], str]:
    """The file's phases in these pixels, and a sentence where the patterns contradict the first."""
    from napari_ebsdml.errors import EbsdmlError
    from napari_ebsdml.maps.symmetry import laue_class

    ids = scan.phase_id.ravel()[mine]
    ids = ids[ids >= 0]
    if not len(ids):
        return (), ""
    values, counts = np.unique(ids, return_counts=True)
    order = values[np.argsort(-counts)]
    names = tuple(str(scan.phases[int(i)].name) for i in order)
    try:
        expected = laue_class(scan.phases[int(order[0])])
    except EbsdmlError:
        return names, ""
    if may_be_cubic and expected in ("m-3", "m-3m"):
        return names, ""
    if laue.system is None or expected in laue.group or laue.state.get(expected) != "contradicted":
        return names, ""
    return names, (
        f"The file calls {100 * counts.max() / len(ids):.0f} % of them {names[0]!r} "
        f"(Laue group {expected}), which the patterns contradict."
    )


def nothing(number: int, searched: bool) -> str:
    """Why no phase was found in a number of patterns, and what helps."""
    text = (
        "No phase found: the pattern does not show the symmetry of a crystal."
        if number == 1
        else f"No phase found: none of {number} patterns shows a symmetry that others share."
    )
    text += " A static background that was not removed hides it, too."
    if searched:
        return text + " No pattern centre fits; give detector=, or better (averaged) patterns."
    return text + " Is the pattern centre right? It is searched for where nobody told it."
