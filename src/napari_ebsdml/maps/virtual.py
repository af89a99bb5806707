"""Virtual backscatter images: brightness of a part of the detector, pixel by pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress
from napari_ebsdml.errors import InputError, MissingDataError
from napari_ebsdml.maps._checks import check_count
from napari_ebsdml.scan import Scan, checked_scan

if TYPE_CHECKING:
    import dask.array as da


# Summing makes float64 of a band: eight times this in memory for 8-bit patterns.
_BLOCK_BYTES = 1 << 24


def virtual_backscatter(
    scan: Scan,
    region: tuple[int, int, int, int] | None = None,
    progress: Progress = None,
) -> NDArray[np.float32]:
    """Mean brightness of a rectangle of the detector, a virtual backscatter electron image.

    Parameters
    ----------
    scan
        Map with patterns.
    region
        First row, end row, first column, end column on the detector (end excluded). Default: the
        whole detector.
    progress
        Called with the fraction done; may raise to cancel.

    Returns
    -------
    (rows, columns) float32
        In the units of the patterns.

    Raises
    ------
    MissingDataError
        When the scan has no patterns.
    InputError
        When the region is empty or reaches beyond the detector.

    Notes
    -----
    Wright et al., Ultramicroscopy 148 (2015) 132, doi:10.1016/j.ultramic.2014.10.002.
    """
    patterns = _patterns(scan)
    height, width = patterns.shape[2:]
    try:
        r0, r1, c0, c1 = (0, height, 0, width) if region is None else (int(n) for n in region)
    except (TypeError, ValueError):
        raise InputError(f"region must be four whole numbers, not {region!r}.") from None
    if not (0 <= r0 < r1 <= height and 0 <= c0 < c1 <= width):
        raise InputError(
            f"region {region!r} is empty or outside the detector of {height} x {width} pixels; "
            "give (first row, end row, first column, end column)."
        )
    out = np.empty(scan.shape, dtype=np.float32)
    for first, end, block in _blocks(patterns[:, :, r0:r1, c0:c1], progress):
        out[first:end] = block.mean(axis=(2, 3), dtype=np.float64)
    return out


def virtual_backscatter_grid(
    scan: Scan, grid: tuple[int, int] = (5, 5), progress: Progress = None
) -> NDArray[np.float32]:
    """Virtual backscatter images of all cells of a grid on the detector, in one pass.

    Parameters
    ----------
    scan
        Map with patterns.
    grid
        Rows and columns of cells; the cells differ by at most one detector pixel.
    progress
        Called with the fraction done; may raise to cancel.

    Returns
    -------
    (grid rows, grid columns, rows, columns) float32
        In the units of the patterns.

    Raises
    ------
    MissingDataError
        When the scan has no patterns.
    InputError
        When there are more cells than detector pixels.
    """
    patterns = _patterns(scan)
    height, width = patterns.shape[2:]
    try:
        down, across = grid
    except (TypeError, ValueError):
        raise InputError(f"grid must be two whole numbers, not {grid!r}.") from None
    down, across = check_count("grid rows", down, 1), check_count("grid columns", across, 1)
    if down > height or across > width:
        raise InputError(f"grid {grid!r} has more cells than the {height} x {width} detector.")
    row_edges = np.arange(down + 1) * height // down
    column_edges = np.arange(across + 1) * width // across
    areas = np.outer(np.diff(row_edges), np.diff(column_edges))
    out = np.empty((down, across, *scan.shape), dtype=np.float32)
    for first, end, block in _blocks(patterns, progress):
        sums = np.add.reduceat(block, row_edges[:-1], axis=2, dtype=np.float64)
        sums = np.add.reduceat(sums, column_edges[:-1], axis=3)
        out[:, :, first:end] = np.moveaxis(sums / areas, (2, 3), (0, 1))
    return out


def _patterns(scan: Scan) -> da.Array:
    checked_scan(scan)
    if scan.patterns is None:
        raise MissingDataError(
            f"{scan.name} has no patterns; read a file that holds them (h5oina, Bruker or EDAX "
            "HDF5, up1/up2, ebsp, kikuchipy)."
        )
    return scan.patterns


def _blocks(patterns: da.Array, progress: Progress):  # type: ignore[no-untyped-def]
    """Bands of rows in memory, one after the other, of at most tens of megabytes if possible."""
    rows = patterns.shape[0]
    per_row = max(1, int(np.prod(patterns.shape[1:])) * patterns.dtype.itemsize)
    height = max(1, _BLOCK_BYTES // per_row)
    for first in range(0, rows, height):
        end = min(first + height, rows)
        yield first, end, np.asarray(patterns[first:end])
        if progress is not None:
            progress(end / rows)
