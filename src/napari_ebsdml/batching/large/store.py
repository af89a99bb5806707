"""`LargeMap`: a map whose arrays are files, of which a band of rows is in memory at a time."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import DTypeLike, NDArray

from napari_ebsdml.errors import InputError, WriteError
from napari_ebsdml.scan import NOT_INDEXED, Scan

BAND_PIXELS = 1_000_000
"""Of a band, unless something else is asked for: some hundred MB for a GND density."""
FEWEST_PIXELS = 1_000


@dataclass(frozen=True)
class Band:
    """Rows that are worked on at once.

    Attributes
    ----------
    read
        Rows of the map that are needed: those that are wanted, and a halo on both sides.
    keep
        The wanted ones within what is read.
    write
        The wanted ones within the map.
    """

    read: slice
    keep: slice
    write: slice

    @property
    def rows(self) -> int:
        """How many are wanted."""
        return int(self.write.stop - self.write.start)


@dataclass(frozen=True)
class LargeMap:
    """A map held in a folder.

    It is small itself: a worker of Dask is given it and opens the files, so that they must be seen
    under the same path there.

    Attributes
    ----------
    folder
        Has one ``.npy`` for each array; nobody else's.
    shape
        Rows and columns.
    head
        A map of one pixel: phases, step, properties with their kinds, source.
    pixels
        Of a band.
    """

    folder: Path
    shape: tuple[int, int]
    head: Scan
    pixels: int = BAND_PIXELS

    @classmethod
    def empty(
        cls,
        folder: str | os.PathLike[str],
        shape: tuple[int, int],
        like: Scan,
        pixels: int = BAND_PIXELS,
    ) -> LargeMap:
        """A map of this shape, to be filled by `fill`, with what else `like` has.

        Raises
        ------
        InputError
            When bands would be too small.
        WriteError
            When the files cannot be made.
        """
        if pixels < FEWEST_PIXELS:
            raise InputError(
                f"Bands of {pixels} pixels are more halo than map: take {FEWEST_PIXELS} or more."
            )
        head = dataclasses.replace(
            like.crop(slice(0, 1), slice(0, 1)),
            patterns=None, camera=None, step=like.step, is_measured=None,
        )  # fmt: skip
        made = cls(Path(folder).absolute(), shape, head, pixels)
        made.make("quaternions", np.float64, (4,))
        made.make("phase_id", np.int32)
        for number, values in enumerate(like.prop.values()):
            made.make(f"prop{number}", values.dtype)
        return made

    @classmethod
    def of(cls, scan: Scan, folder: str | os.PathLike[str], pixels: int = BAND_PIXELS) -> LargeMap:
        """A map in memory, written to a folder; without its patterns."""
        made = cls.empty(folder, scan.shape, scan, pixels)
        for band in made.bands():
            made.fill(band.write.start, scan.crop(band.write))
        return made

    def fill(self, first: int, part: Scan) -> None:
        """Write rows of the map, from `first` on.

        Raises
        ------
        InputError
            When the part has other columns, properties or kinds of numbers.
        """
        if part.shape[1] != self.shape[1] or list(part.prop) != list(self.head.prop):
            raise InputError("The part does not belong to the map: other columns or properties.")
        self.write("quaternions", first, part.quaternions)
        self.write("phase_id", first, part.phase_id)
        for number, values in enumerate(part.prop.values()):
            self.write(f"prop{number}", first, values)

    def bands(self, halo: int = 0, align: int = 1) -> list[Band]:
        """Bands that cover the map.

        Parameters
        ----------
        halo
            Rows above and below that a result needs.
        align
            What is read begins at multiples of this.
        """
        rows, columns = self.shape
        height = max(1, self.pixels // columns)
        height = -(-height // align) * align
        margin = -(-halo // align) * align
        found = []
        for first in range(0, rows, height):
            end = min(first + height, rows)
            low, high = max(0, first - margin), min(rows, end + margin)
            found.append(Band(slice(low, high), slice(first - low, end - low), slice(first, end)))
        return found

    def band(self, rows: slice) -> Scan:
        """Some rows of the map, in memory."""
        return self._scan({name: self.read(name, rows) for name in self._names()})

    @cached_property
    def scan(self) -> Scan:
        """All of the map, mapped into memory: the system loads what is looked at, and drops it."""
        return self._scan({name: self.array(name) for name in self._names()})

    def __getstate__(self) -> dict[str, Any]:
        """Without the mapped arrays, which would be copied to every worker."""
        return {key: value for key, value in vars(self).items() if key != "scan"}

    def _names(self) -> list[str]:
        return ["quaternions", "phase_id", *(f"prop{n}" for n in range(len(self.head.prop)))]

    def _scan(self, arrays: Mapping[str, NDArray[Any]]) -> Scan:
        return dataclasses.replace(
            self.head, quaternions=arrays["quaternions"], phase_id=arrays["phase_id"],
            prop={name: arrays[f"prop{n}"] for n, name in enumerate(self.head.prop)},
        )  # fmt: skip

    def make(self, name: str, kind: DTypeLike, inner: tuple[int, ...] = ()) -> str:
        """Make an array (rows, columns, ...) of zeros; the name that it is to be called by.

        Raises
        ------
        WriteError
            When there is no room for it.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            npy.open_memmap(
                self._path(name), mode="w+", dtype=np.dtype(kind), shape=(*self.shape, *inner)
            )
        except OSError as error:
            raise WriteError(f"{self._path(name)}: {error.strerror or error}.") from None
        return name

    def new(self, kind: DTypeLike, inner: tuple[int, ...] = ()) -> str:
        """Make an array under a name of its own."""
        return self.make(uuid.uuid4().hex, kind, inner)

    def remove(self, name: str) -> None:
        """Remove an array that nothing needs any more."""
        # Windows keeps what is still open somewhere; it goes with the folder.
        with contextlib.suppress(OSError):
            self._path(name).unlink()

    def array(self, name: str) -> NDArray[Any]:
        """A whole array, mapped into memory."""
        found: NDArray[Any] = np.load(self._path(name), mmap_mode="r")
        return found

    def read(self, name: str, rows: slice) -> NDArray[Any]:
        """Some rows of an array."""
        # Read, not mapped: what is mapped counts as memory of the process until it is dropped.
        start, kind, shape = self._layout(name)
        each = int(np.prod(shape[1:]))
        count = rows.stop - rows.start
        found: NDArray[Any] = np.fromfile(
            self._path(name), kind, count * each, offset=start + rows.start * each * kind.itemsize
        )
        return found.reshape(count, *shape[1:])

    def write(self, name: str, first: int, values: NDArray[Any]) -> None:
        """Write rows of an array, from `first` on.

        Raises
        ------
        InputError
            When the array's kind of numbers does not hold the values.
        WriteError
            When the file cannot be written.
        """
        start, kind, shape = self._layout(name)
        if not np.can_cast(values.dtype, kind):
            raise InputError(f"{values.dtype} does not fit into an array of {kind}.")
        each = int(np.prod(shape[1:])) * kind.itemsize
        try:
            with self._path(name).open("rb+") as file:
                file.seek(start + first * each)
                file.write(np.ascontiguousarray(values, dtype=kind).data)
        except OSError as error:
            raise WriteError(f"{self._path(name)}: {error.strerror or error}.") from None

    def _layout(self, name: str) -> tuple[int, np.dtype[Any], tuple[int, ...]]:
        """Where the numbers of an array begin in its file, their kind, and its shape."""
        with self._path(name).open("rb") as file:
            npy.read_magic(file)
            shape, _, kind = npy.read_array_header_1_0(file)
            return file.tell(), kind, shape

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.npy"

    def present(self) -> list[int]:
        """Ids of the phases of oriented pixels."""
        found: set[int] = set()
        for band in self.bands():
            ids = self.read("phase_id", band.write)
            oriented = (ids != NOT_INDEXED) & self.read("quaternions", band.write).any(axis=-1)
            found |= {int(number) for number in np.unique(ids[oriented])}
        return sorted(found)
