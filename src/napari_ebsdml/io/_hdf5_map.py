"""What the vendors' HDF5 maps share: choice of the scan, phases, and checks of what points say."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.errors import InputError
from napari_ebsdml.io._hdf5 import Node, open_h5
from napari_ebsdml.io._raw import RawMap, RawPhase

Place = TypeVar("Place")


def chosen_scan(path: Path, scan: str | None, names: Iterable[str]) -> str:
    """The scan that was asked for, or the first one.

    Raises
    ------
    InputError
        When the file has no such scan.
    """
    names = list(names)
    if scan is None:
        return names[0]
    if scan not in names:
        raise InputError(f"{path} has no scan {scan!r}; it has {', '.join(names)}.")
    return scan


def several_scans(
    find: Callable[[Node], Mapping[str, Place]], read_one: Callable[[Node, str, Place], RawMap]
) -> tuple[Callable[[Path, str | None], RawMap], Callable[[Path], list[str]]]:
    """`read` and `scans` of a format whose files hold several scans by name.

    Parameters
    ----------
    find
        ``(root) -> {name: place}`` of the scans in the file, in order; raises when there is none.
    read_one
        ``(root, name, place) -> RawMap``.
    """

    def read(path: Path, scan: str | None = None) -> RawMap:
        with open_h5(path) as root:
            found = find(root)
            name = chosen_scan(path, scan, found)
            return read_one(root, name, found[name])

    def scans(path: Path) -> list[str]:
        with open_h5(path) as root:
            return list(find(root))

    return read, scans


def numbered_phases(
    group: Node | None, one_phase: Callable[[Node, int], RawPhase]
) -> dict[int, RawPhase]:
    """Phases of a header, each a group whose name is its number."""
    phases: dict[int, RawPhase] = {}
    if group is None:
        return phases
    for key in group.keys:
        if not re.fullmatch(r"\d{1,6}", key.strip()):
            raise group.error(key, "phases are numbered; this is no number")
        phases[int(key)] = one_phase(group.group(key), int(key))
    return phases


def distinct(values: NDArray[Any]) -> set[int]:
    """Whole numbers that occur; counting is faster than numpy's hashing or sorting."""
    if not values.size:
        return set()
    low = int(values.min())
    if int(values.max()) - low > 1 << 16:
        return set(np.unique(values).tolist())
    return set((low + np.flatnonzero(np.bincount(values - low))).tolist())


def check_phases(
    data: Node,
    phase: NDArray[np.int32],
    indexed: NDArray[np.bool_],
    phases: dict[int, RawPhase],
    warnings: list[str],
) -> None:
    """Refuse points of a phase that the header does not list; name phases when it lists none."""
    used = distinct(phase[indexed])
    if used and not phases:
        phases.update({number: RawPhase(f"phase {number}") for number in sorted(used)})
        warnings.append("The header describes no phases; their names and symmetries are unknown.")
    unknown = sorted(used - set(phases))
    if unknown:
        raise data.error(
            "Phase",
            f"points belong to phase {', '.join(map(str, unknown))}; "
            f"the header lists {', '.join(map(str, sorted(phases)))}",
        )


def check_euler(
    data: Node, name: str, euler: NDArray[np.float64], indexed: NDArray[np.bool_], unit: str
) -> None:
    """Refuse Euler angles (radians) that are no numbers anywhere, or that have another unit."""
    of_indexed = euler[indexed]
    of_indexed = of_indexed[np.isfinite(of_indexed).all(axis=1)]
    if not of_indexed.size:
        if indexed.any():
            raise data.error(name, "no indexed point has Euler angles that are numbers")
        return
    largest = float(np.abs(of_indexed).max())
    if largest > 4 * np.pi + 0.01:
        if unit == "degrees":
            largest = float(np.rad2deg(largest))
        raise data.error(name, f"Euler angles reach {largest:g}; they must be {unit}")
