"""Points and pattern centres of the HDF5 formats: where they go on the map."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.io._hdf5 import Node
from napari_ebsdml.io._raw import RawPhase
from napari_ebsdml.io.frames import FRAMES

if TYPE_CHECKING:
    from kikuchipy.detectors import EBSDDetector

# A point may lie this far from its node, in steps, and still count as in raster order.
_OFF_GRID = 0.3


@dataclass
class Placement:
    """Where the points of a file go, as `RawMap` wants it.

    Attributes
    ----------
    x, y : (n,) arrays or None
        Coordinates in um; None when the points fill `shape` in raster order.
    shape : (rows, columns) or None
    step : (dy, dx) in um or None
    pixel : (n,) int array or None
        Flat index of each point on `shape`; None when only the assembled map will tell.
    """

    x: NDArray[Any] | None
    y: NDArray[Any] | None
    shape: tuple[int, int] | None
    step: tuple[float, float] | None
    pixel: NDArray[np.intp] | None


def place_points(
    n: int,
    shape: tuple[int, int] | None,
    step: tuple[float, float] | None,
    x: NDArray[Any] | None,
    y: NDArray[Any] | None,
    measured: NDArray[np.bool_] | None,
    warnings: list[str],
) -> Placement:
    """Decide between the coordinates of the points and the grid of the header.

    Points outside the scanned area have no coordinates. When the others stand in raster order
    on the header's grid, that order tells where all of them belong.
    """
    raster = np.arange(n, dtype=np.intp) if shape and n <= shape[0] * shape[1] else None
    if x is None or y is None:
        return Placement(None, None, shape, step, raster)
    if shape is None or n != shape[0] * shape[1]:
        return Placement(x, y, shape, step, None)
    use = np.isfinite(x) & np.isfinite(y)
    if measured is not None:
        use &= measured
    found = _raster_step(shape, step, x, y, use)
    if found is not None:
        if use.all():
            return Placement(x, y, shape, step, raster)
        if step is not None and np.any(np.abs(np.subtract(found, step)) > 0.01 * np.array(found)):
            warnings.append(
                f"The header says a step of {step[0]:g} x {step[1]:g} um; the coordinates say "
                f"{found[0]:g} x {found[1]:g} um, which is used."
            )
        return Placement(None, None, shape, found, raster)
    if _collide(x[use], y[use]):
        warnings.append(
            "Several points have the same coordinates, so these cannot be right; the points are "
            f"laid row by row on the header's {shape[0]} x {shape[1]} cells instead."
        )
        return Placement(None, None, shape, step, raster)
    return Placement(x, y, shape, step, None)


def _raster_step(
    shape: tuple[int, int],
    step: tuple[float, float] | None,
    x: NDArray[Any],
    y: NDArray[Any],
    use: NDArray[np.bool_],
) -> tuple[float, float] | None:
    """Step (dy, dx) when the points in `use` stand in raster order on `shape`, else None."""
    if not use.any():
        return None
    xs = np.where(use, x, np.nan).astype(np.float64).reshape(shape)
    ys = np.where(use, y, np.nan).astype(np.float64).reshape(shape)
    steps = []
    for values, axis in ((ys, 0), (xs, 1)):
        gaps = np.diff(values, axis=axis)
        gaps = gaps[np.isfinite(gaps)]
        if gaps.size:
            steps.append(float(np.median(gaps)))
        elif step is not None:
            steps.append(step[axis])
        else:
            return None
    dy, dx = steps
    if not (dy > 0 and dx > 0):
        return None
    off_x = xs - dx * np.arange(shape[1])
    off_y = ys - dy * np.arange(shape[0])[:, None]
    if np.nanmax(off_x) - np.nanmin(off_x) > _OFF_GRID * dx:
        return None
    if np.nanmax(off_y) - np.nanmin(off_y) > _OFF_GRID * dy:
        return None
    if step is not None and abs(dy - step[0]) < 1e-3 * dy and abs(dx - step[1]) < 1e-3 * dx:
        # The header has more digits than differences of single-precision coordinates.
        return step
    return dy, dx


def _collide(x: NDArray[Any], y: NDArray[Any]) -> bool:
    pairs = np.unique(np.column_stack((x, y)), axis=0)
    return len(pairs) < x.size


def step_of(dy: float | None, dx: float | None) -> tuple[float, float] | None:
    """Header step as (dy, dx) in um, or None; a line scan has no dy."""
    if dx is None or not (np.isfinite(dx) and dx > 0):
        return None
    if dy is None or not (np.isfinite(dy) and dy > 0):
        return dx, dx
    return dy, dx


def detector_maker(
    pattern_shape: tuple[int, int] | None,
    pc: NDArray[Any] | None,
    convention: str,
    placement: Placement,
    warnings: list[str],
    **angles: float,
) -> Callable[[], EBSDDetector] | None:
    """Function that makes the kikuchipy detector, or None when the file does not describe one.

    Parameters
    ----------
    pattern_shape
        Rows and columns of the patterns.
    pc : (n, 3) or (3,) array, optional
        Pattern centre of each point, or of all, in the vendor's convention.
    convention
        Vendor's convention by kikuchipy's name.
    placement
        Where the points are on the map; without `pixel` their mean centre serves all of them.
    warnings
        Gets a sentence when the centres cannot be right.
    **angles
        Further arguments of kikuchipy's `EBSDDetector`.
    """
    if pattern_shape is None or pc is None:
        return None
    pc = np.asarray(pc, dtype=np.float64)
    finite = np.isfinite(pc).all(axis=-1)
    if not finite.any():
        warnings.append("The file's pattern centres are no numbers; it has no usable detector.")
        return None
    mean = pc if pc.ndim == 1 else pc[finite].mean(axis=0)
    if mean[2] <= 0:
        warnings.append(
            f"The file's pattern centre {tuple(np.round(mean, 4).tolist())} lies on or behind the "
            "detector, which cannot be; set the right one before simulating patterns."
        )
    on_map = pc.ndim == 2 and placement.pixel is not None and placement.shape is not None
    if on_map and np.ptp(pc[finite], axis=0).max() > 0:
        assert placement.shape is not None
        assert placement.pixel is not None
        laid = np.tile(mean, (placement.shape[0] * placement.shape[1], 1))
        laid[placement.pixel[finite]] = pc[finite]
        mean = laid.reshape(*placement.shape, 3)
    return partial(make_detector, pattern_shape, mean, convention, angles)


def make_detector(
    shape: tuple[int, int], pc: NDArray[np.float64], convention: str, angles: dict[str, float]
) -> EBSDDetector:
    """Detector of kikuchipy, which takes seconds to import, so only when asked for."""
    from kikuchipy.detectors import EBSDDetector

    return EBSDDetector(shape=shape, pc=pc, convention=convention, **angles)


def distinct(values: NDArray[Any]) -> set[int]:
    """Whole numbers that occur; counting is faster than numpy's hashing or sorting."""
    if not values.size:
        return set()
    low = int(values.min())
    if int(values.max()) - low > 1 << 16:
        return set(np.unique(values).tolist())
    return set((low + np.flatnonzero(np.bincount(values - low))).tolist())


def has_repeats(cells: NDArray[np.intp], n_cells: int) -> bool:
    """Whether a cell index, below `n_cells`, occurs more than once."""
    taken = np.zeros(n_cells, dtype=bool)
    taken[cells] = True
    return int(np.count_nonzero(taken)) < cells.size


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


def modern_symbol(symbol: str) -> str:
    """Symbol of a point group or Laue class in today's notation, as orix has it."""
    symbol = symbol.replace(" ", "")
    return {"m3m": "m-3m", "m3": "m-3", "-3m1": "-3m", "-31m": "-3m"}.get(symbol, symbol)


def known_frame(name: str, otherwise: str, warnings: list[str]) -> str:
    """`name` when `frames` knows it; else `otherwise`, with a warning."""
    if name in FRAMES:
        return name
    warnings.append(
        f"The file's reference frame ({name}) is not known; {otherwise!r} is used, so directions "
        "in the map may be wrong."
    )
    return otherwise
