"""Patterns that stay in their file until somebody asks for them, as dask arrays.

The objects behind the arrays hold a path and numbers only: no file stays open, they survive
garbage collection of whatever read the header, and they can be pickled to other processes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.errors import FileFormatError

if TYPE_CHECKING:
    import dask.array as da

# A click on a pixel reads one block, so blocks are small; 4 MB is about 1000 patterns of 60 x 60.
_BLOCK_BYTES = 4 << 20
# Blocks are whole map rows up to this size; larger rows are cut.
BIG_ROW = 32 << 20


@dataclass(frozen=True)
class PatternSource(ABC):
    """Something that reads patterns by their position.

    Parameters
    ----------
    path
    shape : (n, detector rows, detector columns)
    dtype
    """

    path: Path
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    ndim = 3

    def __getitem__(self, key: Any) -> NDArray[Any]:
        which, *rest = key if isinstance(key, tuple) else (key,)
        points = np.arange(self.shape[0])[which]
        if points.size == 0:
            return np.empty((0, *self.shape[1:]), dtype=self.dtype)[(slice(None), *rest)]
        try:
            patterns = self.load(np.atleast_1d(points))
        except FileFormatError:
            raise
        except Exception as error:
            raise FileFormatError(
                self.path, f"patterns could not be read: {error}", self.place(np.atleast_1d(points))
            ) from error
        if np.ndim(points) == 0:
            patterns = patterns[0]
            return patterns[tuple(rest)]
        return patterns[(slice(None), *rest)]

    def place(self, points: NDArray[np.intp]) -> str:
        """Where these points are in the file, for messages; patterns count from 1."""
        return f"pattern {int(points.min()) + 1}"

    @abstractmethod
    def load(self, points: NDArray[np.intp]) -> NDArray[Any]:
        """Patterns of these points, which follow each other unless somebody indexed oddly."""


def lazy(
    source: PatternSource,
    columns: int | None = None,
    *,
    multiple_of: int = 1,
    most: int | None = None,
    name: str | bool = False,
) -> da.Array:
    """Dask array (n, detector rows, detector columns) of the patterns of `source`.

    Parameters
    ----------
    source
    columns
        Points in a map row: blocks of whole rows make a map of patterns without copies, and equal
        parts of a row where a row is too large for one block.
    multiple_of
        Points that the file stores together; blocks without `columns` hold whole ones.
    most
        Points in a block at the most.
    name
        Name of the array for dask; by default a random one.
    """
    import dask.array as da

    n, sy, sx = source.shape
    size = max(1, sy * sx * source.dtype.itemsize)
    fit = max(1, min(_BLOCK_BYTES // size, most or n))
    rows = n // columns if columns and n % columns == 0 else 0
    chunks: int | tuple[int, ...]
    if columns and rows and columns * size >= BIG_ROW:
        parts = np.array_split(np.arange(columns), -(-columns // fit))
        chunks = tuple(len(part) for part in parts) * rows
    elif columns and rows:
        chunks = min(max(1, fit // columns) * columns, n)
    else:
        chunks = max(1, min(max(1, fit // multiple_of) * multiple_of, n))
    return da.from_array(
        source,
        chunks=(chunks, sy, sx),
        name=name,
        meta=np.empty((0, 0, 0), dtype=source.dtype),
    )


@dataclass(frozen=True, eq=False)
class BinaryPatterns(PatternSource):
    """Uncompressed patterns in a binary file, each at its own byte position.

    Parameters
    ----------
    offset
        Position of the first pattern.
    starts : (n,) int array, optional
        Position of every pattern; default: one after the other from `offset`.
    """

    offset: int = 0
    starts: NDArray[np.int64] | None = None

    def load(self, points: NDArray[np.intp]) -> NDArray[Any]:
        """Patterns of these points."""
        _, sy, sx = self.shape
        size = sy * sx * self.dtype.itemsize
        if self.starts is None:
            at = self.offset + points.astype(np.int64) * size
        else:
            at = self.starts[points]
        # mypy does not know that arrays are buffers.
        out: Any = np.empty((len(points), sy, sx), dtype=self.dtype)
        with self.path.open("rb") as file:
            if self.starts is None and np.all(np.diff(points) == 1):
                file.seek(int(at[0]))
                got = file.readinto(memoryview(out).cast("B"))
                if got != out.nbytes:
                    raise FileFormatError(self.path, "the file has become shorter")
                return out
            for k, position in enumerate(at):
                file.seek(int(position))
                if file.readinto(memoryview(out[k]).cast("B")) != size:
                    raise FileFormatError(self.path, "the file has become shorter")
        return out


@dataclass(frozen=True, eq=False)
class ImagePatterns(PatternSource):
    """One image file per pattern.

    Parameters
    ----------
    files
        In point order.
    reader
        ``(path) -> (rows, columns) array``; must be a module-level function to be picklable.
    """

    files: Sequence[Path] = ()
    reader: Callable[[Path], NDArray[Any]] | None = None

    def load(self, points: NDArray[np.intp]) -> NDArray[Any]:
        """Patterns of these points."""
        assert self.reader is not None
        out = np.empty((len(points), *self.shape[1:]), dtype=self.dtype)
        for k, point in enumerate(points):
            image = self.reader(self.files[point])
            if image.shape != self.shape[1:] or image.dtype != self.dtype:
                raise FileFormatError(
                    self.files[point],
                    f"the image has {image.shape[0]} x {image.shape[1]} pixels of {image.dtype}, "
                    f"the first of the folder {self.shape[1]} x {self.shape[2]} of {self.dtype}",
                )
            out[k] = image
        return out
