"""Patterns in HDF5 files, as dask arrays that read them only when asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.errors import FileFormatError
from napari_ebsdml.io._hdf5 import DAMAGE, Node, native, reason_of
from napari_ebsdml.io._lazy_patterns import PatternSource, lazy

if TYPE_CHECKING:
    import dask.array as da

# Each stored chunk costs a look-up, and there may be one per pattern.
_STORED_CHUNKS = 2048


@dataclass(frozen=True)
class H5Patterns(PatternSource):
    """Dataset of an HDF5 file with one pattern after the other, opened for each read.

    Parameters
    ----------
    dataset
        Its full name.
    stored
        Type of its numbers in the file, which may be of another byte order than `dtype`.
    columns
        Points in a row of a dataset (rows, columns, height, width); None for one of patterns in
        a line.
    """

    dataset: str = ""
    stored: np.dtype[Any] | None = None
    columns: int | None = None

    def place(self, points: NDArray[np.intp]) -> str:
        """Dataset and the first of these points, counted from 1."""
        return f"{self.dataset}, {super().place(points)}"

    def load(self, points: NDArray[np.intp]) -> NDArray[Any]:
        """Patterns of these points."""
        first, last = int(points.min()), int(points.max())
        try:
            with h5py.File(self.path, "r") as file:
                dataset = file[self.dataset]
                shape: tuple[int, ...] = self.shape
                if self.columns is not None:
                    shape = (self.shape[0] // self.columns, self.columns, *self.shape[1:])
                if dataset.shape != shape or dataset.dtype != self.stored:
                    raise FileFormatError(
                        self.path,
                        "the file was changed after it was opened; read it again",
                        self.dataset,
                    )
                if self.columns is None:
                    block = native(dataset[first : last + 1])
                else:
                    top = first // self.columns
                    rows = native(dataset[top : last // self.columns + 1])
                    at = top * self.columns
                    block = rows.reshape(-1, *self.shape[1:])[first - at : last + 1 - at]
        except DAMAGE as error:
            raise FileFormatError(
                self.path, f"patterns could not be read ({reason_of(error)})", self.place(points)
            ) from error
        return block if np.all(np.diff(points) == 1) else block[points - first]


def h5_patterns(node: Node, name: str, n: int | None, columns: int | None = None) -> da.Array:
    """Patterns `name`, (n, detector rows, detector columns); the file may have them as a map.

    Parameters
    ----------
    node
        Group that holds the dataset.
    name
    n
        Number of points; None when the patterns themselves tell it.
    columns
        Points in a map row, when the patterns are in raster order; see `_lazy_patterns.lazy`.

    Raises
    ------
    FileFormatError
        When the dataset is missing, is no stack of patterns or has another number of them.
    """
    from dask.base import tokenize

    dataset = node.dataset(name)
    shape = dataset.shape
    grid_columns = int(shape[1]) if len(shape) == 4 else None
    if grid_columns:
        shape = (shape[0] * shape[1], *shape[2:])
    if len(shape) != 3 or dataset.dtype.kind not in "iuf" or 0 in shape[1:]:
        raise node.error(
            name, f"its shape is {shape} of {dataset.dtype}, not (points, height, width)"
        )
    if n is not None and shape[0] != n:
        raise node.error(name, f"it has {shape[0]} patterns; the map has {n} points")
    node.refuse_oversize(name, dataset)
    stat = node.path.stat()
    source = H5Patterns(
        path=node.path.resolve(),
        shape=(int(shape[0]), int(shape[1]), int(shape[2])),
        dtype=dataset.dtype.newbyteorder("="),
        dataset=str(dataset.name),
        stored=dataset.dtype,
        columns=grid_columns,
    )
    stored = int(dataset.chunks[0]) * (grid_columns or 1) if dataset.chunks else 1
    # The same file read twice gives the same name, a file that was written anew another one.
    token = tokenize(str(source.path), source.dataset, columns, stat.st_mtime_ns, stat.st_size)
    return lazy(
        source,
        columns,
        multiple_of=stored,
        most=stored * _STORED_CHUNKS if dataset.chunks else None,
        name=f"patterns-{token}",
    )


def pattern_shape(
    patterns: da.Array | None, header: Node, height: str, width: str
) -> tuple[int, int] | None:
    """Rows and columns of the patterns, by the header's entries when none were stored."""
    if patterns is not None:
        return int(patterns.shape[1]), int(patterns.shape[2])
    if header.number(height) and header.number(width):
        return header.count(height), header.count(width)
    # Pattern centres in fractions of an unknown size are of no use.
    return None
