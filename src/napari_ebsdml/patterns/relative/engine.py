"""Turns every pattern of some zones onto the zone's average, reading the map piece by piece."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress, nth_of, over_rows
from napari_ebsdml.patterns.frame.geometry import Geometry
from napari_ebsdml.patterns.frame.pieces import READ_BYTES
from napari_ebsdml.patterns.relative import _kernels
from napari_ebsdml.patterns.relative.views import Views

MEMORY = 1 << 28
"""Bytes of averages, and of patterns kept between passes."""
_TOLERANCE = 2e-6
"""Radians."""
_PASSES = ((12, 1e-5), (8, _TOLERANCE))
"""Iterations and tolerance: onto the average by indexing, then onto the average that this gives."""
_HALF = 4


@dataclass(eq=False)
class Turns:
    """What is found for each pixel of a map, in flat order.

    Attributes
    ----------
    turns : (pixels, 3, 3)
        Takes rays of the zone's screen to rays of the pixel's, in the detector's frame.
    fit : (pixels,)
        Correlation with the average of the others; NaN where there is no answer.
    error : (pixels,)
        Standard deviation about an axis by the residual, in radians; not calibrated.
    halves : (pixels, 3)
        Rotation in radians between the answers of the two halves of the screen.
    """

    turns: NDArray[np.float64]
    fit: NDArray[np.float64]
    error: NDArray[np.float64]
    halves: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Stack:
    """Patterns of a map, how they are looked at, and who belongs where.

    Attributes
    ----------
    patterns : (rows, columns, detector rows, detector columns) dask or numpy array
    views
    geometry
        Of the views: with one pattern centre, or one for each pixel.
    owner : (pixels,) int64
        Zone, -1 for none.
    """

    patterns: Any
    views: Views
    geometry: Geometry
    owner: NDArray[np.int64]

    def bounds(self, at: NDArray[np.intp]) -> NDArray[np.float64]:
        """Gnomonic bounds of some pixels, (n, 4)."""
        bounds = self.geometry.bounds
        return np.ascontiguousarray(
            np.broadcast_to(bounds, (len(at), 4)) if len(bounds) == 1 else bounds[at]
        )


def first_turns(
    geometry: Geometry,
    quaternions: NDArray[np.float64],
    owner: NDArray[np.int64],
    middle: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Turns by the orientations that are known, (pixels, 3, 3); the identity outside of zones.

    Notes
    -----
    A ray d of the zone and W d of the pixel are the same crystal direction: O S W d = Z S d, with
    the orientations O and Z as matrices and S from the detector into the sample.
    """
    from napari_ebsdml._quaternions import multiply, to_matrix
    from napari_ebsdml.patterns.frame.geometry import to_kikuchipy

    inside = owner >= 0
    back = to_kikuchipy(quaternions[inside]) * (1, -1, -1, -1)
    between = to_matrix(multiply(back, to_kikuchipy(middle[owner[inside]])))
    s = geometry.to_sample
    turns = np.tile(np.eye(3), (len(owner), 1, 1))
    turns[inside] = s.T @ between @ s
    return turns


def turned_orientations(
    geometry: Geometry, turns: NDArray[np.float64], zones: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Orientations of a `Scan` (n, 4) from turns (n, 3, 3) and those of their zones (n, 4)."""
    from scipy.spatial.transform import Rotation

    from napari_ebsdml._quaternions import multiply
    from napari_ebsdml.patterns.frame.geometry import from_kikuchipy, to_kikuchipy

    s = geometry.to_sample
    back = Rotation.from_matrix(s @ np.swapaxes(turns, 1, 2) @ s.T).as_quat()
    return from_kikuchipy(multiply(to_kikuchipy(zones), back[:, [3, 0, 1, 2]]))


def align_zones(
    stack: Stack, zones: NDArray[np.intp], found: Turns, progress: Progress
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64]]:
    """Fill `found` for the pixels of some zones.

    Returns
    -------
    total, count : (zones, rows, columns)
        Sums of the turned patterns, and how many were seen.
    bounds : (zones, 4)
        Of the zones' screens.
    """
    number = np.full(int(stack.owner.max(initial=-1)) + 2, -1, dtype=np.int64)
    number[zones] = np.arange(len(zones))
    local = number[stack.owner]
    members = np.flatnonzero(local >= 0)
    of = local[members]
    weight = np.bincount(of, minlength=len(zones))
    bounds = np.zeros((len(zones), 4))
    np.add.at(bounds, of, stack.bounds(members))
    bounds /= np.maximum(weight, 1)[:, None]
    shape = (len(zones), *stack.views.shape)
    reader = _Reader(stack, members, local)
    steps = 2 * len(_PASSES)
    total, count = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    _gather(stack, reader, bounds, found.turns, total, count, nth_of(progress, 0, steps))
    for number_of, (most, tolerance) in enumerate(_PASSES):
        last = number_of == len(_PASSES) - 1
        own = nth_of(progress, 2 * number_of + 1, steps)
        _align(stack, reader, bounds, total, count, found, most, tolerance, last, own)
        if not last:
            total[:], count[:] = 0, 0
            own = nth_of(progress, 2 * number_of + 2, steps)
            _gather(stack, reader, bounds, found.turns, total, count, own, found.fit)
    return total, count, bounds


def _gather(
    stack: Stack, reader: _Reader, bounds: NDArray[np.float64], turns: NDArray[np.float64],
    total: NDArray[np.float32], count: NDArray[np.float32], progress: Progress,
    fit: NDArray[np.float64] | None = None,
) -> None:  # fmt: skip
    for done, at, owners, flat in reader:
        # A pattern that fits nowhere spoils the average.
        use = owners if fit is None else np.where(np.isfinite(fit[at]), owners, -1)
        _kernels.gather(
            flat, stack.views.usable, use, bounds, stack.bounds(at), turns[at],
            total, count,
        )  # fmt: skip
        if progress is not None:
            progress(done)


def _align(
    stack: Stack, reader: _Reader, bounds: NDArray[np.float64], total: NDArray[np.float32],
    count: NDArray[np.float32], found: Turns, most: int, tolerance: float, halves: bool,
    progress: Progress,
) -> None:  # fmt: skip
    views = stack.views
    # Turns that the averages were made with; those of patterns that were left out count as none.
    for done, at, owners, flat in reader:
        own = stack.bounds(at)
        before = found.turns[at].copy()
        before[~np.isfinite(found.fit[at])] = 0.0
        turns, fit = found.turns[at].copy(), np.zeros(len(at))
        error = np.zeros((len(at), 3, 3))

        def work(
            chosen: NDArray[np.bool_], most: int, turns: NDArray[np.float64],
            fit: NDArray[np.float64], error: NDArray[np.float64],
            *,
            flat: NDArray[np.float32] = flat, own: NDArray[np.float64] = own,
            owners: NDArray[np.int64] = owners, before: NDArray[np.float64] = before,
        ) -> None:  # fmt: skip
            def some(first: int, end: int) -> None:
                part = slice(first, end)
                _kernels.align(
                    flat[part], chosen, views.usable, owners[part], bounds, own[part], total,
                    count, before[part], most, tolerance, turns[part], fit[part], error[part],
                )  # fmt: skip

            over_rows(some, (len(flat), flat[0].size))

        work(views.valid, most, turns, fit, error)
        if halves:
            sides = []
            for side in range(2):
                side_turns, side_fit = turns.copy(), np.zeros(len(at))
                spare = np.zeros((len(at), 3, 3))
                work(views.halves[side], _HALF, side_turns, side_fit, spare)
                side_turns[~np.isfinite(side_fit)] = np.nan
                sides.append(side_turns)
            between = np.einsum("nji,njk->nik", sides[0], sides[1])
            # Small: the antisymmetric part is the rotation vector.
            found.halves[at] = 0.5 * np.stack(
                [between[:, 2, 1] - between[:, 1, 2], between[:, 0, 2] - between[:, 2, 0],
                 between[:, 1, 0] - between[:, 0, 1]], axis=-1,
            )  # fmt: skip
        found.turns[at], found.fit[at] = turns, fit
        found.error[at] = np.sqrt(np.maximum(np.trace(error, axis1=1, axis2=2), 0) / 3)
        if progress is not None:
            progress(done)


class _Reader:
    """Flat patterns of some pixels, again and again; kept where they fit into memory.

    Yields the part done, places in flat order, zones by their number here, flat patterns.
    """

    def __init__(self, stack: Stack, members: NDArray[np.intp], local: NDArray[np.int64]) -> None:
        self._stack, self._local = stack, local
        self._columns = int(stack.patterns.shape[1])
        self._members = members
        size = 4 * int(np.prod(stack.views.shape))
        self._keep = len(members) * size <= MEMORY
        self._kept: list[
            tuple[float, NDArray[np.intp], NDArray[np.int64], NDArray[np.float32]]
        ] = []

    def __iter__(
        self,
    ) -> Iterator[tuple[float, NDArray[np.intp], NDArray[np.int64], NDArray[np.float32]]]:
        if self._kept:
            yield from self._kept
            return
        new = []
        for item in self._read():
            if self._keep:
                new.append(item)
            yield item
        self._kept = new

    def _read(
        self,
    ) -> Iterator[tuple[float, NDArray[np.intp], NDArray[np.int64], NDArray[np.float32]]]:
        patterns, members, columns = self._stack.patterns, self._members, self._columns
        if not len(members):
            return
        row = max(1, columns * int(np.prod(patterns.shape[2:])) * patterns.dtype.itemsize)
        height = max(1, READ_BYTES // row)
        first, last = int(members[0] // columns), int(members[-1] // columns) + 1
        piece = max(16, READ_BYTES // (4 * int(np.prod(self._stack.views.shape))))
        for top in range(first, last, height):
            end = min(top + height, last)
            inside = members[np.searchsorted(members, top * columns) :
                             np.searchsorted(members, end * columns)]  # fmt: skip
            if not len(inside):
                continue
            block = np.asarray(patterns[top:end]).reshape(-1, *patterns.shape[2:])
            for start in range(0, len(inside), piece):
                at = inside[start : start + piece]
                flat = self._stack.views.flat(block[at - top * columns])
                yield float(end - first) / (last - first), at, self._local[at], flat
