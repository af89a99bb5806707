"""From a map's patterns to the image of one pixel: neighbours, background, grey levels."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Literal
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._napari.pattern_viewer.kikuchipy import load
from napari_ebsdml._parallel import Progress
from napari_ebsdml.errors import EbsdmlError, FileFormatError, MissingDataError
from napari_ebsdml.io.static_background import static_background
from napari_ebsdml.scan import Scan

_MEAN_BYTES = 64 << 20
_MEAN_ROWS = 32


@dataclass(frozen=True)
class Processing:
    """What is done to a pattern before it is shown.

    Attributes
    ----------
    average
        Mean of the pixel and its eight neighbours.
    static
        Subtract the static background: the file's, else the mean pattern of the map.
    dynamic
        Subtract the pattern's own low frequencies.
    """

    average: bool = False
    static: bool = False
    dynamic: bool = False

    @property
    def needs_kikuchipy(self) -> bool:
        """Whether kikuchipy has to be imported for this."""
        return self.static or self.dynamic


@dataclass(frozen=True)
class Background:
    """Static background of a map and where it comes from."""

    image: NDArray[np.float32]
    origin: Literal["file", "mean"]
    scale: bool
    """Whether its grey levels have to be fitted to those of each pattern."""


@dataclass(frozen=True, eq=False)
class Pattern:
    """Pattern of one pixel.

    Attributes
    ----------
    scan, row, column
        Where it was measured.
    raw : (detector rows, detector columns)
        As measured; float32 when neighbours were averaged.
    image : (detector rows, detector columns)
        After processing: float32 of -1 .. 1 when a background was removed, else `raw`.
    processing
        What was done.
    averaged
        Number of patterns in the average.
    background
        Where the static background came from, "" without one.
    """

    scan: Scan
    row: int
    column: int
    raw: NDArray[np.generic]
    image: NDArray[np.generic]
    processing: Processing = Processing()
    averaged: int = 1
    background: str = ""

    @property
    def pixel(self) -> tuple[int, int]:
        """Row and column on the map."""
        return self.row, self.column

    def describe(self) -> str:
        """Pixel, size and processing in one line."""
        height, width = self.raw.shape
        parts = [f"Row {self.row}, column {self.column}", f"{height} × {width} px"]
        if self.averaged > 1:
            parts.append(f"mean of {self.averaged} patterns")
        if self.background:
            parts.append(
                {"file": "static background of the file removed"}.get(
                    self.background, "mean pattern of the map removed"
                )
            )
        if self.processing.dynamic:
            parts.append("dynamic background removed")
        return " · ".join(parts)


_backgrounds: WeakKeyDictionary[Scan, Background] = WeakKeyDictionary()
_lock = threading.Lock()


def load_pattern(scan: Scan, row: int, column: int, average: bool = False) -> Pattern:
    """Read the pattern of one pixel; slow when its file is far away.

    Raises
    ------
    MissingDataError
        When the map has no patterns, or none was measured at this pixel.
    FileFormatError
        When the file cannot be read any more.
    """
    if scan.patterns is None:
        raise MissingDataError(f"{scan.name} has no patterns.")
    if scan.is_measured is not None and not scan.is_measured[row, column]:
        raise MissingDataError(f"No pattern was measured at row {row}, column {column}.")
    top, left = (max(row - 1, 0), max(column - 1, 0)) if average else (row, column)
    bottom, right = (row + 2, column + 2) if average else (row + 1, column + 1)
    window = slice(top, bottom), slice(left, right)
    block = _read(scan, *window)
    if not average:
        return Pattern(scan, row, column, raw=block[0, 0], image=block[0, 0])
    kept = block.reshape(-1, *block.shape[2:])
    if scan.is_measured is not None:
        kept = kept[scan.is_measured[window].reshape(-1)]
    mean = kept.mean(axis=0, dtype=np.float64).astype(np.float32)
    return Pattern(scan, row, column, mean, mean, Processing(average=True), averaged=len(kept))


def process(pattern: Pattern, wanted: Processing, progress: Progress = None) -> Pattern:
    """Remove the background of a loaded pattern; imports kikuchipy when it is needed."""
    if not wanted.needs_kikuchipy:
        return pattern
    kikuchipy = load()
    image = np.ascontiguousarray(pattern.raw, dtype=np.float32)
    origin = ""
    # A pattern that is the same everywhere has nothing to stretch.
    if wanted.static and image.min() < image.max():
        background = background_of(pattern.scan, progress)
        origin = background.origin
        image = kikuchipy.static(image, background.image, np.float32, -1.0, 1.0, background.scale)
    if wanted.dynamic and image.min() < image.max():
        # A copy: kikuchipy subtracts in place.
        image = kikuchipy.dynamic(image.copy(), dtype_out="float32")
    if not np.isfinite(image).all():
        # The background took everything, as on a map whose patterns are all alike.
        image = np.zeros_like(image)
    return Pattern(
        pattern.scan,
        pattern.row,
        pattern.column,
        pattern.raw,
        image,
        wanted,
        pattern.averaged,
        origin,
    )


def has_background(scan: Scan) -> bool:
    """Whether `background_of` returns at once."""
    return scan in _backgrounds


def background_of(scan: Scan, progress: Progress = None) -> Background:
    """Static background of a map: the file's, else the mean pattern; computed once.

    Parameters
    ----------
    scan
        Map with patterns.
    progress
        Called with the fraction done; may raise to cancel.
    """
    # One thread computes, others wait for its result.
    with _lock:
        if scan not in _backgrounds:
            found = static_background(scan)
            if found is not None:
                _backgrounds[scan] = Background(found, "file", scale=_other_range(scan, found))
            else:
                _backgrounds[scan] = Background(mean_pattern(scan, progress), "mean", scale=False)
        return _backgrounds[scan]


def mean_pattern(scan: Scan, progress: Progress = None) -> NDArray[np.float32]:
    """Mean of patterns from all over the map; of a part of them when they are many.

    At most about 64 MB are read, from up to 32 rows, each a piece that lies together in its
    file: enough for a smooth mean, and quick even when the file is far away.

    Parameters
    ----------
    scan
        Map with patterns.
    progress
        Called with the fraction done; may raise to cancel.

    Returns
    -------
    (detector rows, detector columns) float32
    """
    assert scan.patterns is not None
    rows, columns = scan.shape
    height, width = scan.patterns.shape[2:]
    chosen = np.unique(np.linspace(0, rows - 1, min(rows, _MEAN_ROWS)).astype(int))
    per_pattern = height * width * scan.patterns.dtype.itemsize
    length = min(columns, max(1, _MEAN_BYTES // len(chosen) // per_pattern))
    total = np.zeros((height, width))
    count = 0
    for number, row in enumerate(chosen):
        # Pieces move across the map from row to row.
        first = (columns - length) * number // max(1, len(chosen) - 1)
        window = slice(row, row + 1), slice(first, first + length)
        block = _read(scan, *window)[0]
        if scan.is_measured is not None:
            block = block[scan.is_measured[window][0]]
        total += block.sum(axis=0, dtype=np.float64)
        count += len(block)
        if progress is not None:
            progress((number + 1) / len(chosen))
    return (total / max(1, count)).astype(np.float32)


def grey_levels(
    image: NDArray[np.generic], clip: float = 0.0, gamma: float = 1.0
) -> NDArray[np.uint8]:
    """8-bit image: percentiles clipped at both ends, then a gamma.

    Parameters
    ----------
    image : (rows, columns)
    clip
        Per cent of the pixels that become black, and as many that become white.
    gamma
        Exponent; below 1 brightens.
    """
    values = np.asarray(image, dtype=np.float32)
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return np.zeros(values.shape, dtype=np.uint8)
    low, high = (float(v) for v in np.percentile(finite, (clip, 100 - clip)))
    if high <= low:
        low, high = float(finite.min()), float(finite.max())
    if high <= low:
        return np.full(values.shape, 127, dtype=np.uint8)
    scaled = np.clip((np.nan_to_num(values, nan=low) - low) / (high - low), 0, 1)
    return np.rint(255 * scaled**gamma).astype(np.uint8)


def _read(scan: Scan, rows: slice, columns: slice) -> NDArray[np.generic]:
    assert scan.patterns is not None
    try:
        # One thread: dask's pool gains nothing on a block or two, and waits for busy workers.
        return np.asarray(scan.patterns[rows, columns].compute(scheduler="synchronous"))
    except EbsdmlError:
        raise
    except (OSError, KeyError, ValueError) as error:
        path = scan.source.path or scan.name
        raise FileFormatError(path, f"patterns could not be read: {error}") from error


def _other_range(scan: Scan, background: NDArray[np.float32]) -> bool:
    """Whether grey levels of the background are beyond those that the patterns can have."""
    assert scan.patterns is not None
    dtype = scan.patterns.dtype
    return dtype.kind in "ui" and float(background.max()) > float(np.iinfo(dtype).max)
