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
        try:
            patterns = self.load(np.atleast_1d(points))
        except FileFormatError:
            raise
        except Exception as error:
            raise FileFormatError(
                self.path, f"patterns could not be read: {error}", f"pattern {np.min(points) + 1}"
            ) from error
        if np.ndim(points) == 0:
            patterns = patterns[0]
            return patterns[tuple(rest)]
        return patterns[(slice(None), *rest)]

    @abstractmethod
    def load(self, points: NDArray[np.intp]) -> NDArray[Any]:
        """Patterns of these points, which follow each other unless somebody indexed oddly."""


def lazy(source: PatternSource, columns: int | None = None) -> da.Array:
    """Dask array (n, detector rows, detector columns) of the patterns of `source`.

    Parameters
    ----------
    source
    columns
        Points in a map row: blocks of whole rows make a map of patterns without copies.
    """
    import dask.array as da

    n, sy, sx = source.shape
    block = max(1, _BLOCK_BYTES // max(1, sy * sx * source.dtype.itemsize))
    if columns and n % columns == 0:
        block = max(1, block // columns) * columns
    return da.from_array(
        source,
        chunks=(min(block, n), sy, sx),
        name=False,
        meta=np.empty((0, 0, 0), dtype=source.dtype),
    )


@dataclass(frozen=True)
class H5Patterns(PatternSource):
    """Dataset of an HDF5 file with one pattern after the other."""

    dataset: str = ""

    def load(self, points: NDArray[np.intp]) -> NDArray[Any]:
        """Patterns of these points."""
        import h5py

        with h5py.File(self.path, "r") as file:
            first, last = int(points.min()), int(points.max())
            block = np.asarray(file[self.dataset][first : last + 1])
        return block[points - first]


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
        at = self.offset + points.astype(np.int64) * size if self.starts is None else self.starts
        if self.starts is not None:
            at = self.starts[points]
        out = np.empty((len(points), sy, sx), dtype=self.dtype)
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
