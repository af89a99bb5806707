"""Serial sections as one volume: aligned by their orientations, grains connected across them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress, part_of
from napari_ebsdml.errors import InputError
from napari_ebsdml.maps._checks import check_angle
from napari_ebsdml.maps.disorientation import disorientation_angle
from napari_ebsdml.maps.grains import segment_grains
from napari_ebsdml.maps.section_turns import turn_between, turned
from napari_ebsdml.maps.settings import GRAIN_THRESHOLD
from napari_ebsdml.scan import NOT_INDEXED, Scan

_LIKE = 5.0
"""Degrees within which two pixels above each other show the same grain."""
_MOST_PIXELS = 20_000
"""Pixels that an alignment looks at."""
_LEAST_OVERLAP = 0.25
_ALIGNING = 0.6
_TURNS = 4
"""Times that a turn is measured again, once the section lies better."""
_LEAST_TURN = 0.05
_GAIN = 0.005
"""Degrees, and part of the pixels, below which a turn is noise."""


@dataclass(frozen=True, eq=False)
class Volume:
    """Sections of a volume, laid on each other.

    Attributes
    ----------
    sections
        Of one shape, moved to their places: not indexed where a section does not reach.
    shifts : (sections, 2) int
        By how many rows and columns each was moved.
    turns : (sections,) float
        By how many degrees each was turned before, about the middle of the map, from x (right)
        towards y (down).
    agreement : (sections,) float
        Part of the pixels that show the orientation of the section before, 0..1; NaN for the
        first.
    grains : (sections, rows, columns) int32
        Connected in all three directions; 0 where not indexed.
    step : (dz, dy, dx)
        In um.
    """

    sections: tuple[Scan, ...]
    shifts: NDArray[np.int64]
    turns: NDArray[np.float64]
    agreement: NDArray[np.float64]
    grains: NDArray[np.int32]
    step: tuple[float, float, float]


def volume_of(
    scans: Sequence[Scan],
    spacing: float | None = None,
    align: bool = True,
    most_shift: int = 20,
    threshold: float = GRAIN_THRESHOLD,
    progress: Progress = None,
    most_turn: float = 10.0,
) -> Volume:
    """Lay sections on each other, and connect their grains.

    Parameters
    ----------
    scans
        From the first section to the last, of one shape, step and the same phases.
    spacing
        Distance of two sections in um. Default: the step of the rows.
    align
        Whether to turn and move each section, by whole pixels, to where most pixels show the
        orientation of the section before (within 5 degrees). The turn is that by which the grains
        of the two differ; it is kept where more pixels agree after it.
    most_shift
        Rows and columns by which a section may lie off the one before.
    threshold
        Degrees: two pixels beside, below or above each other belong to a grain when their
        disorientation is less.
    progress
        Called with the fraction done; may raise to cancel.
    most_turn
        Degrees by which a section may be turned against the one before; 0: sections are not turned.

    Raises
    ------
    InputError
        When there are less than two sections or they do not fit together.
    """
    sections = list(scans)
    check_angle("threshold", threshold)
    _check(sections)
    dz = sections[0].step[0] if spacing is None else float(spacing)
    if not (np.isfinite(dz) and dz > 0):
        raise InputError(f"The distance of the sections must be positive, not {dz} um.")
    if not 0 <= most_turn <= 90:
        raise InputError(f"most_turn must be 0 to 90 degrees, not {most_turn}.")
    shifts = np.zeros((len(sections), 2), np.int64)
    turns = np.zeros(len(sections))
    agreement = np.full(len(sections), np.nan)
    report = part_of(progress, 0.0, _ALIGNING)
    before = sections[0]
    for number in range(1, len(sections)):
        # Compared with the section before as it lies turned, so that turns do not add up.
        fit = _Fit(sections[number], 0.0, (0, 0))
        if align:
            fit = _fitted(before, sections[number], turns[number - 1], most_shift, most_turn)
        turns[number], before = fit.turn, fit.scan
        shifts[number] = shifts[number - 1] + fit.shift
        laid = turned(sections[number - 1], turns[number - 1])
        agreement[number] = _agreement(laid, fit.scan, fit.shift, 1)
        if report is not None:
            report(number / (len(sections) - 1))
    shifts -= np.round(np.median(shifts, axis=0)).astype(np.int64)
    moved = tuple(
        _moved(turned(scan, turn), (int(dy), int(dx)))
        for scan, turn, (dy, dx) in zip(sections, turns, shifts, strict=True)
    )
    grains = connect_grains(moved, threshold, part_of(progress, _ALIGNING))
    return Volume(moved, shifts, turns, agreement, grains, (dz, *sections[0].step))


@dataclass(frozen=True, eq=False)
class _Fit:
    """A section as it is turned, by how much, and where it then lies."""

    scan: Scan
    turn: float
    shift: tuple[int, int]


def _fitted(before: Scan, section: Scan, start: float, most_shift: int, most_turn: float) -> _Fit:
    """Turn and shift of a section at which most pixels agree with the one before."""
    scan = turned(section, start)
    best = _Fit(scan, start, _best_shift(before, scan, most_shift))
    part = _agreement(before, best.scan, best.shift, 1)
    if start:
        # The section before may lie turned alone.
        scan = section
        other = _Fit(scan, 0.0, _best_shift(before, scan, most_shift))
        found = _agreement(before, scan, other.shift, 1)
        if found >= part:
            best, part = other, found
    for number in range(_TURNS if most_turn else 0):
        here, there = _overlap(before.shape, best.shift)
        more = turn_between(before, best.scan, here, there, most_turn)
        if more is None or abs(more) < _LEAST_TURN:
            break
        turn = best.turn + more
        scan = turned(section, turn)
        shift = _best_shift(before, scan, most_shift)
        found = _agreement(before, scan, shift, 1)
        # What follows the first turn only makes it finer.
        if found < part + (-_GAIN if number else _GAIN):
            break
        best, part = _Fit(scan, turn, shift), found
    return best


def _check(sections: Sequence[Scan]) -> None:
    if len(sections) < 2:
        raise InputError(f"A volume needs two sections or more, not {len(sections)}.")
    first = sections[0]
    names = [str(phase.name) for _, phase in first.phases]
    for scan in sections[1:]:
        if scan.shape != first.shape or not np.allclose(scan.step, first.step, rtol=1e-3):
            raise InputError(
                f"{scan.name} has {scan.shape} pixels of {scan.step} um; {first.name} has "
                f"{first.shape} of {first.step}: sections of a volume have the same."
            )
        if [str(phase.name) for _, phase in scan.phases] != names:
            raise InputError(f"{scan.name} has other phases than {first.name}.")


def _angles(first: Scan, second: Scan, a: Any, b: Any) -> NDArray[np.float64]:
    """Disorientation in degrees of pixels `a` of one scan and `b` of another; NaN for none."""
    p, q = first.phase_id[a], second.phase_id[b]
    out = np.full(p.shape, np.nan)
    for number, phase in first.phases:
        both = (p == number) & (q == number)
        if number != NOT_INDEXED and both.any():
            out[both] = disorientation_angle(
                first.quaternions[a][both], second.quaternions[b][both], phase
            )
    return out


def _overlap(shape: tuple[int, int], shift: tuple[int, int], every: int = 1) -> tuple[Any, Any]:
    """Pixels of a section, and of the next one moved by a shift, that lie above each other."""
    here, there = [], []
    for size, move in zip(shape, shift, strict=True):
        low, high = max(0, move), min(size, size + move)
        here.append(slice(low, high, every))
        there.append(slice(low - move, high - move, every))
    return tuple(here), tuple(there)


def _agreement(first: Scan, second: Scan, shift: tuple[int, int], every: int) -> float:
    """Part of the overlapping, indexed pixels that show one orientation; 0 for a small overlap."""
    here, there = _overlap(first.shape, shift, every)
    both = first.is_indexed[here] & second.is_indexed[there]
    rows, columns = first.shape
    if both.sum() * every**2 < _LEAST_OVERLAP * rows * columns * first.is_indexed.mean():
        return 0.0
    angles = _angles(first, second, here, there)
    return float((angles[both] < _LIKE).mean()) if both.any() else 0.0


def _best_shift(first: Scan, second: Scan, most: int) -> tuple[int, int]:
    """Shift of the second section at which most pixels agree; all within reach are tried."""
    every = max(1, int(np.sqrt(first.phase_id.size / _MOST_PIXELS)))
    reach = [min(most, size - 1) for size in first.shape]
    # Coarsely over all of the reach, then in ever smaller steps about the best.
    stride = max(1, every)
    grid = [range(-(r // stride) * stride, r + 1, stride) for r in reach]
    best, shift = -1.0, (0, 0)
    for dy in grid[0]:
        for dx in grid[1]:
            found = _agreement(first, second, (dy, dx), every)
            # Of shifts that are alike the shortest.
            if found > best + 1e-9 or (
                abs(found - best) <= 1e-9 and abs(dy) + abs(dx) < abs(shift[0]) + abs(shift[1])
            ):
                best, shift = found, (dy, dx)
    while stride > 1:
        stride = max(1, stride // 2)
        centre = shift
        for dy in (-stride, 0, stride):
            for dx in (-stride, 0, stride):
                at = (centre[0] + dy, centre[1] + dx)
                found = _agreement(first, second, at, max(1, every // 2))
                if found > best:
                    best, shift = found, at
    return shift


def _moved(scan: Scan, shift: tuple[int, int]) -> Scan:
    """A section moved by whole pixels; not indexed, and properties NaN, where it does not reach."""
    if shift == (0, 0):
        return scan
    import dataclasses

    here, there = _overlap(scan.shape, shift)

    def move(values: NDArray[Any], empty: Any) -> NDArray[Any]:
        out = np.full_like(values, empty)
        out[here] = values[there]
        return out

    prop = {
        name: move(values.astype(np.float32) if values.dtype.kind != "f" else values, np.nan)
        for name, values in scan.prop.items()
    }
    measured = np.ones(scan.shape, bool) if scan.is_measured is None else scan.is_measured
    return dataclasses.replace(
        scan, quaternions=move(scan.quaternions, 0.0), phase_id=move(scan.phase_id, NOT_INDEXED),
        prop=prop, is_measured=move(measured, False), patterns=None, camera=None,
        source=dataclasses.replace(scan.source, hexagonal=None),
    )  # fmt: skip


def connect_grains(
    sections: Sequence[Scan], threshold: float = GRAIN_THRESHOLD, progress: Progress = None
) -> NDArray[np.int32]:
    """Grains of a volume: connected in sections and across them.

    Parameters
    ----------
    sections
        In their places.
    threshold
        Degrees; see `segment_grains`.
    progress
        Called with the fraction done; may raise to cancel.

    Returns
    -------
    (sections, rows, columns) int32
        1, 2, ... in the order of each grain's first voxel; 0 where not indexed.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    labels = np.zeros((len(sections), *sections[0].shape), np.int32)
    pairs: list[NDArray[Any]] = []
    top = 0
    for number, scan in enumerate(sections):
        own = segment_grains(scan, threshold)
        labels[number] = np.where(own > 0, own + top, 0)
        top += int(own.max(initial=0))
        if number:
            whole = (slice(None), slice(None))
            like = _angles(sections[number - 1], scan, whole, whole) < threshold
            both = like & (labels[number - 1] > 0) & (labels[number] > 0)
            ends = np.stack([labels[number - 1][both], labels[number][both]], axis=1)
            pairs.append(np.unique(ends, axis=0))
        if progress is not None:
            progress((number + 1) / len(sections))
    edges = np.concatenate(pairs) if pairs else np.zeros((0, 2), int)
    graph = coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(top + 1, top + 1))
    _, component = connected_components(graph, directed=False)
    found = component[labels]
    found[labels == 0] = -1
    # Numbers in the order in which grains come up.
    values, first = np.unique(found, return_index=True)
    order = [v for v in values[np.argsort(first)].tolist() if v >= 0]
    table = np.zeros(top + 2, np.int32)
    for new, old in enumerate(order):
        table[old] = new + 1
    return np.where(found >= 0, table[found], 0).astype(np.int32)


def kam_of_volume(
    sections: Sequence[Scan], threshold: float = 3.0, progress: Progress = None
) -> NDArray[np.float64]:
    """Kernel average misorientation in three dimensions.

    The mean disorientation of a voxel to its 26 neighbours, as `kam` has it for 8.

    Parameters
    ----------
    sections
        In their places.
    threshold
        Degrees; neighbours that differ by more are left out, as those of other phases.
    progress
        Called with the fraction done; may raise to cancel.

    Returns
    -------
    (sections, rows, columns) float64
        Degrees; 0 where not indexed and where no neighbour is left.

    Raises
    ------
    InputError
        When the threshold is out of range.
    """
    limit = check_angle("threshold", threshold) * (1 + 1e-9)
    shape = (len(sections), *sections[0].shape)
    total, number = np.zeros(shape), np.zeros(shape, np.int32)
    beside = [(0, 1), (1, -1), (1, 0), (1, 1)]
    above = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    for n, scan in enumerate(sections):
        pairs = [(n, scan, shift) for shift in beside]
        if n + 1 < len(sections):
            pairs += [(n + 1, sections[n + 1], shift) for shift in above]
        for m, other, (dy, dx) in pairs:
            # The other voxel lies at the place of this one and the shift.
            here, there = _overlap(scan.shape, (-dy, -dx))
            angles = _angles(scan, other, here, there)
            near = angles <= limit
            angles = np.where(near, angles, 0.0)
            for k, at in ((n, here), (m, there)):
                total[k][at] += angles
                number[k][at] += near
        if progress is not None:
            progress((n + 1) / len(sections))
    return np.where(number > 0, total / np.maximum(number, 1), 0.0)
