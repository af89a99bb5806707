"""Phases of a file's header as an orix `PhaseList`, with a word on those that cannot be right."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._orix import laue_group_of, prepare_orix
from napari_ebsdml.io._phase_text import in_angstrom
from napari_ebsdml.io._raw import RawPhase
from napari_ebsdml.io.frames import ReferenceFrame, crystal_turn
from napari_ebsdml.materials import named_structure, recognise, recognise_name

if TYPE_CHECKING:
    from orix.crystal_map import Phase, PhaseList

# Laue classes whose crystal axes vendors lay differently: by their symmetry, or by the lattice.
_HEXAGONAL = frozenset({"-3", "-3m", "6/m", "6/mmm"})
_OBLIQUE = frozenset({"-1", "2/m", None})

COLORS = ("tab:blue", "tab:orange", "tab:green", "tab:red", "tab:purple", "tab:brown", "tab:pink")


def phase_list(raw: dict[int, RawPhase]) -> tuple[PhaseList, list[str]]:
    """Phases by the numbers that the file uses, and warnings."""
    prepare_orix()
    from orix.crystal_map import PhaseList

    warnings: list[str] = []
    phases = {
        number: _phase(phase, color, warnings)
        for (number, phase), color in zip(sorted(raw.items()), cycle(COLORS), strict=False)
    }
    return PhaseList(phases) if phases else PhaseList(), warnings


def _phase(raw: RawPhase, color: str, warnings: list[str]) -> Phase:
    from diffpy.structure import Atom, Lattice, Structure
    from orix.crystal_map import Phase

    lattice = raw.lattice
    if lattice is not None:
        lattice = in_angstrom(lattice, raw.name, warnings)
        lengths, angles = np.array(lattice[:3]), np.array(lattice[3:])
        if not (
            np.isfinite(lattice).all()
            and (lengths > 0).all()
            and (angles > 0).all()
            and (angles < 180).all()
            and _spans_a_cell(angles)
        ):
            warnings.append(
                f"Phase {raw.name!r}: the lattice {tuple(map(float, lattice))} is no lattice; "
                "it is left out."
            )
            lattice = None
    number = raw.space_group
    told = (raw.space_group, raw.point_group, raw.laue)
    if not any(told) and lattice is None and (known := recognise_name(raw.name)):
        number, (a, c) = known.space_group, known.lattice
        lattice = (a, a, c, 90, 90, 120 if known.space_group == 194 else 90)
        warnings.append(
            f"Phase {raw.name!r}: the file names neither symmetry nor lattice; by its name it is "
            f"taken for {known.name}, space group {number}, a = {a} angstrom."
        )
    structure = Structure(
        title=raw.name,
        lattice=Lattice(*lattice) if lattice is not None else None,
        atoms=[Atom(element, xyz, occupancy=occupancy) for element, *xyz, occupancy in raw.atoms],
    )
    space_group = number if number and 1 <= number <= 230 else None
    point_group = raw.point_group or raw.laue
    phase = Phase(name=raw.name, space_group=space_group, structure=structure, color=color)
    if space_group is None and point_group is not None:
        try:
            phase.point_group = point_group
        except ValueError:
            warnings.append(
                f"Phase {raw.name!r}: no point group {point_group!r} exists; it is left out."
            )
    if raw.space_group and space_group is None:
        warnings.append(f"Phase {raw.name!r}: space group {raw.space_group} does not exist.")
    if phase.point_group is None:
        warnings.append(
            f"Phase {raw.name!r}: the file names no symmetry; orientations of this phase "
            "are compared without any."
        )
    if space_group and raw.laue and laue_of(phase) != raw.laue:
        warnings.append(
            f"Phase {raw.name!r}: space group {space_group} has Laue class "
            f"{laue_of(phase)}, but the file also says {raw.laue}."
        )
    material = recognise(raw.name, lattice, raw.formula)
    if material and space_group and material.space_group != space_group:
        warnings.append(
            f"Phase {raw.name!r}: the file says space group {space_group}; {material.name} "
            f"of this lattice has {material.space_group}."
        )
    if space_group is None and lattice and material is None and named_structure(raw.name):
        warnings.append(
            f"Phase {raw.name!r}: the file names no space group; for slip systems it is taken for "
            f"{named_structure(raw.name)}, as its name says."
        )
    return phase


def laue_of(phase: Phase) -> str | None:
    """Laue class of a phase in Hermann-Mauguin notation, None where its symmetry is not known."""
    if phase.point_group is None:
        return None
    # orix has no name for that of the point group m (space groups 6 to 9).
    return str(laue_group_of(phase.point_group).name or "2/m")


def _spans_a_cell(angles: NDArray[np.float64]) -> bool:
    cosines = np.cos(np.radians(angles))
    return bool(1 + 2 * cosines.prod() - (cosines**2).sum() > 1e-6)


def crystal_turns(phases: PhaseList, frame: ReferenceFrame) -> dict[int, NDArray[np.float64]]:
    """Turn of the vendor's crystal axes into orix's for each phase that needs one, by its number.

    Of hexagonal and trigonal phases the symmetry decides, for it is known more often than the
    lattice; of triclinic and monoclinic ones, and of those without symmetry, the lattice does.
    """
    turns = {}
    for number, phase in phases:
        laue = laue_of(phase)
        if laue in _HEXAGONAL:
            turn = crystal_turn(frame)
        elif laue in _OBLIQUE:
            turn = crystal_turn(frame, phase.structure.lattice.abcABG())
        else:
            continue
        if turn[0] < 1 - 1e-15:
            turns[int(number)] = turn
    return turns
