"""What a user chooses by phase: slip systems, orientation noise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from napari_ebsdml.dislocations.slip_systems import SlipSystems, for_phase
from napari_ebsdml.errors import InputError, MissingDataError
from napari_ebsdml.maps.symmetry import laue_operators
from napari_ebsdml.scan import ORIENTATION_NOISE

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan

_MOST = 20.0
"""Degrees that no orientation noise reaches."""

SlipChoice: TypeAlias = str | SlipSystems | None
"""``"auto"``, a lattice, slip systems, or None for no density."""


def by_phase(scan: Scan, name: str, choice: Mapping[int | str, Any]) -> dict[int, Any]:
    """A choice by phase id or name as one by phase id.

    Raises
    ------
    InputError
        When the scan has no such phase; `name` is what the argument is called.
    """
    names = {scan.phases[number].name: number for number in scan.phases.ids}
    chosen = {}
    for key, value in choice.items():
        number = names.get(key) if isinstance(key, str) else key
        if number is None or number not in scan.phases.ids:
            raise InputError(
                f"{name} names phase {key!r}; {scan.name} has "
                f"{', '.join(f'{i} {known!r}' for known, i in names.items())}."
            )
        chosen[int(number)] = value
    return chosen


def noise_by_phase(
    scan: Scan, choice: float | Mapping[int | str, float] | None, present: list[int]
) -> dict[int, float | None]:
    """Orientation noise by phase id in degrees: as given, else as the map tells it, else None.

    A map whose orientations were improved from its patterns tells the noise of each pixel in its
    property `ORIENTATION_NOISE`; the root mean square of a phase counts.
    """
    if isinstance(choice, Mapping):
        return by_phase(scan, "orientation_noise", choice)
    told = scan.prop.get(ORIENTATION_NOISE)
    if choice is not None or told is None:
        return dict.fromkeys(present, choice)
    found: dict[int, float | None] = {}
    for number in present:
        inside = scan.phase_id == number
        values = np.asarray(told, dtype=np.float64)[inside]
        values = values[np.isfinite(values) & (values > 0) & (values < _MOST)]
        # Where most pixels have none, they are as indexing gave them.
        enough = len(values) > 0.5 * inside.sum()
        found[number] = float(np.sqrt(np.square(values).mean())) if enough else None
    return found


def choose_systems(
    scan: Scan, choice: SlipChoice | Mapping[int | str, SlipChoice], present: list[int]
) -> tuple[dict[int, SlipSystems], tuple[str, ...]]:
    """Slip systems by phase id for the phases that the map holds, and what to say about it.

    Raises
    ------
    InputError
        When the choice cannot be understood or leaves out every phase.
    MissingDataError
        When the systems that were asked for by phase are not known, or those of no phase are.
    """
    asked = isinstance(choice, Mapping)
    wanted: dict[int, SlipChoice] = (
        by_phase(scan, "slip_systems", choice)
        if isinstance(choice, Mapping)
        else dict.fromkeys(present, choice)
    )
    chosen: dict[int, SlipSystems] = {}
    unknown: list[MissingDataError] = []
    for number in present:
        value = wanted.get(number)
        try:
            if isinstance(value, str):
                systems = for_phase(scan.phases[number], value)
            elif isinstance(value, SlipSystems):
                systems = value
            elif value is None:
                continue
            else:
                raise InputError(
                    "slip_systems must be 'auto', 'fcc', 'bcc', 'hcp', a SlipSystems or a dict "
                    f"of these by phase, not {value!r}."
                )
            laue_operators(scan.phases[number])
        except MissingDataError as error:
            if asked:
                raise
            unknown.append(error)
        else:
            chosen[number] = systems
    if not chosen and unknown:
        raise unknown[0]
    if not chosen:
        raise InputError("slip_systems leaves out every phase that the map holds.")
    return chosen, tuple(f"{error} Its pixels have no GND density." for error in unknown)
