"""What the writers of .ang and .ctf share: vendor's Euler angles, fast formatting, safe files."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_ebsdml.errors import WriteError
from napari_ebsdml.io._orient import euler_from_quaternions
from napari_ebsdml.io._phases import crystal_turns
from napari_ebsdml.io.frames import ReferenceFrame, multiply

if TYPE_CHECKING:
    from orix.crystal_map import Phase

    from napari_ebsdml.scan import Scan

_CHUNK = 1 << 16
_CONJUGATE = np.array([1.0, -1.0, -1.0, -1.0])
_MOST_DECIMALS = 9


@dataclass
class TextColumn:
    """A column to write.

    Attributes
    ----------
    values
        ``(first, stop) -> (stop - first,) array`` for pixels in raster order.
    decimals
        Digits after the point; 0 writes whole numbers.
    width
        Least number of characters; shorter values are padded on the left.
    """

    values: Callable[[int, int], NDArray[Any]]
    decimals: int
    width: int = 0


class VendorOrientations:
    """Euler angles and phase numbers of a scan as a vendor would have them.

    Parameters
    ----------
    scan
    frame
        The vendor's frame; the inverse of what reading does is applied.

    Attributes
    ----------
    phases : list of (number, Phase)
        Numbered from 1.
    indexed : (n,) bool
    """

    def __init__(self, scan: Scan, frame: ReferenceFrame) -> None:
        self.indexed = scan.is_indexed.ravel()
        self._quaternions = scan.quaternions.reshape(-1, 4)
        self._phase_id = scan.phase_id.ravel()
        self._from_specimen = np.asarray(frame.specimen_turn) * _CONJUGATE
        self._crystal = {
            number: turn * _CONJUGATE for number, turn in crystal_turns(scan.phases, frame).items()
        }
        used = [(i, phase) for i, phase in scan.phases if i >= 0]
        self.phases: list[tuple[int, Phase]] = list(enumerate((p for _, p in used), 1))
        self._ids = [i for i, _ in used]
        self._span = (-1, -1)
        self._angles = np.zeros((0, 3))

    def phase_numbers(self, first: int, stop: int) -> NDArray[np.int64]:
        """1, 2, ... in the order of `phases`; 0 where not indexed."""
        ids = self._phase_id[first:stop]
        out = np.zeros(ids.size, dtype=np.int64)
        for number, i in enumerate(self._ids, 1):
            out[ids == i] = number
        return out

    def euler(self, first: int, stop: int) -> NDArray[np.float64]:
        """Bunge angles in radians: phi1 and phi2 in 0..2 pi, Phi in 0..pi."""
        if self._span != (first, stop):
            q = multiply(self._quaternions[first:stop], self._from_specimen)
            for number, turn in self._crystal.items():
                turned = self._phase_id[first:stop] == number
                q[turned] = multiply(turn, q[turned])
            self._span, self._angles = (first, stop), euler_from_quaternions(q)
        return self._angles


def lattice_of(phase: Phase) -> tuple[float, ...]:
    """a, b, c in angstrom and alpha, beta, gamma in degrees."""
    return tuple(float(v) for v in phase.structure.lattice.abcABG())


def one_line(text: str) -> str:
    """`text` without tabs and line ends, which would break a header."""
    return " ".join(str(text).split())


class Properties:
    """The properties of a scan, flat, some of which a format has columns for.

    Parameters
    ----------
    scan
    columns
        Names that a property may have in a `Scan`, by the format's name of the column.
    """

    def __init__(self, scan: Scan, columns: dict[str, tuple[str, ...]]) -> None:
        self.known: dict[str, NDArray[Any]] = {}
        self.other: dict[str, NDArray[Any]] = {}
        column_of = {name.casefold(): key for key, names in columns.items() for name in names}
        for name, values in scan.prop.items():
            if values.dtype.kind in "biuf":
                key = column_of.get(name.casefold(), "")
                new = key and key not in self.known
                (self.known if new else self.other)[key if new else name] = values.ravel()

    def get(self, column: str) -> NDArray[Any] | None:
        """Values of a column of the format, or None."""
        return self.known.get(column)


def property_column(
    values: NDArray[Any] | None,
    indexed: NDArray[np.bool_],
    decimals: int,
    width: int = 0,
    *,
    otherwise: float = 0.0,
    keep: bool = True,
) -> TextColumn:
    """Column of a property; vendors' formats know no NaN, so 0 stands for it.

    Parameters
    ----------
    values
        None writes 0 where indexed.
    decimals
        Fewest digits after the point; more are written where the values have them.
    otherwise
        What to write where not indexed ...
    keep
        ... unless the property has a value there that is to be kept.
    """
    if values is not None:
        decimals = decimals_of(values, decimals)

    def get(first: int, stop: int) -> NDArray[np.float64]:
        gap = ~indexed[first:stop]
        if values is None:
            return np.where(gap, otherwise, 0.0)
        out = values[first:stop].astype(np.float64)
        unknown = np.isnan(out)
        out[unknown] = 0.0
        out[gap & unknown if keep else gap] = otherwise
        return out

    return TextColumn(get, decimals, width)


def decimals_of(values: NDArray[Any], fewest: int) -> int:
    """Digits after the point that the values have, at least `fewest` and at most 9."""
    if values.dtype.kind != "f":
        return fewest
    sample = values[:: max(1, values.size // 50_000)]
    for data in (sample, values):
        data = data[np.isfinite(data)].astype(np.float64)
        exact = np.abs(data) * (6e-8 if values.dtype == np.float32 else 1e-14) + 1e-12
        while (
            fewest < _MOST_DECIMALS and (np.abs(data - np.round(data, fewest)) > exact).any()
        ):  # fmt: skip
            fewest += 1
    return fewest


def coordinate_columns(scan: Scan, fewest: int, width: int = 0) -> tuple[TextColumn, TextColumn]:
    """Columns x and y in um, with enough digits for the step."""
    columns = scan.shape[1]
    dy, dx = scan.step
    needed = int(np.ceil(-np.log10(min(dy, dx)))) + 3
    decimals = int(np.clip(needed, fewest, _MOST_DECIMALS))
    return (
        TextColumn(lambda a, b: np.arange(a, b) % columns * dx, decimals, width),
        TextColumn(lambda a, b: np.arange(a, b) // columns * dy, decimals, width),
    )


def write_text(
    path: Path, header: str, columns: list[TextColumn], rows: int, separator: str, line_end: str
) -> None:
    """Write header and table; the file appears whole or not at all.

    Raises
    ------
    WriteError
        When the folder does not exist or the file cannot be written there.
    """
    if not path.parent.is_dir():
        raise WriteError(f"{path}: there is no folder {path.parent}; make it first.")
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(
            prefix=f".{path.name}.", suffix=".part", dir=path.parent
        )
        with os.fdopen(handle, "wb") as file:
            file.write(header.encode("utf-8"))
            for block in _format(columns, rows, separator, line_end):
                file.write(block)
        # mkstemp makes files that only their owner can read.
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)
        Path(temporary).replace(path)
        temporary = ""
    except OSError as error:
        raise WriteError(f"{path} could not be written: {error.strerror or error}.") from error
    finally:
        if temporary:
            Path(temporary).unlink(missing_ok=True)


def _format(columns: list[TextColumn], rows: int, separator: str, line_end: str) -> Iterator[bytes]:
    decimals = np.array([column.decimals for column in columns], dtype=np.int64)
    widths = np.array([column.width for column in columns], dtype=np.int64)
    between = np.frombuffer(separator.encode(), dtype=np.uint8)
    end = np.frombuffer(line_end.encode(), dtype=np.uint8)
    room = int(np.maximum(widths, 40).sum() + between.size * len(columns) + end.size)
    out = np.empty(room * min(rows, _CHUNK), dtype=np.uint8)
    for first in range(0, rows, _CHUNK):
        stop = min(rows, first + _CHUNK)
        table = np.stack([column.values(first, stop) for column in columns], axis=-1)
        size = _format_rows(table.astype(np.float64), decimals, widths, between, end, out)
        yield out[:size].tobytes()


@njit(cache=True, nogil=True)
def _format_rows(
    table: NDArray[np.float64],
    decimals: NDArray[np.int64],
    widths: NDArray[np.int64],
    between: NDArray[np.uint8],
    end: NDArray[np.uint8],
    out: NDArray[np.uint8],
) -> int:
    p = 0
    digits = np.empty(40, dtype=np.uint8)  # of one value, last digit first
    for row in range(table.shape[0]):
        for column in range(table.shape[1]):
            if column:
                for c in between:
                    out[p] = c
                    p += 1
            value = table[row, column]
            decimal = decimals[column]
            size = np.abs(value)
            exponent = 0
            if not size * 10.0**decimal < 9e17:
                # Too large for fixed digits: one digit, the point, 15 digits, an exponent.
                if not size < 1e308:
                    size = 1e308
                exponent = int(np.floor(np.log10(size)))
                size /= 10.0**exponent
                decimal = 15
            scaled = np.int64(np.rint(size * 10.0**decimal))
            negative = value < 0 and scaled != 0
            count = 0
            if exponent:
                while exponent:
                    digits[count] = 48 + exponent % 10
                    exponent //= 10
                    count += 1
                digits[count] = 43
                digits[count + 1] = 101
                count += 2
            for _ in range(decimal):
                digits[count] = 48 + scaled % 10
                scaled //= 10
                count += 1
            if decimal:
                digits[count] = 46
                count += 1
            digits[count] = 48 + scaled % 10
            scaled //= 10
            count += 1
            while scaled:
                digits[count] = 48 + scaled % 10
                scaled //= 10
                count += 1
            if negative:
                digits[count] = 45
                count += 1
            for _ in range(widths[column] - count):
                out[p] = 32
                p += 1
            for i in range(count - 1, -1, -1):
                out[p] = digits[i]
                p += 1
        for c in end:
            out[p] = c
            p += 1
    return p
