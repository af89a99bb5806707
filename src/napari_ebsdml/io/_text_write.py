"""What the writers of .ang and .ctf share: vendor's Euler angles, fast formatting, safe files."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_ebsdml._atomic import replacing
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
        Digits after the point; 0 writes whole numbers, -9 numbers such as 1.234567890e-05.
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


class FurtherProperty(NamedTuple):
    """A property that a format has no column for.

    Attributes
    ----------
    title
        What the file calls it: its name, unless that has another meaning there.
    unit
        "" for none.
    values : (n,) array
    """

    title: str
    unit: str
    values: NDArray[Any]


class Properties:
    """The properties of a scan, flat, some of which a format has columns for.

    Parameters
    ----------
    path
        Named in warnings.
    scan
    columns
        Names that a property may have in a `Scan`, by the format's name of the column.
    reserved
        Titles, in lower case, that a further column may not have.
    foreign
        Columns of the format that mean something else in this scan.

    Attributes
    ----------
    other : list of FurtherProperty
        Those that the format has no column for.
    """

    def __init__(
        self,
        path: Path,
        scan: Scan,
        columns: dict[str, tuple[str, ...]],
        reserved: frozenset[str],
        foreign: frozenset[str] = frozenset(),
    ) -> None:
        self._known: dict[str, NDArray[Any]] = {}
        self.other: list[FurtherProperty] = []
        column_of = {name.casefold(): key for key, names in columns.items() for name in names}
        taken = set(reserved)
        for name, values in scan.prop.items():
            key = column_of.get(name.casefold(), "")
            if key and key not in self._known and key not in foreign:
                self._known[key] = values.ravel()
                lost = int(np.count_nonzero(np.isnan(values[scan.is_indexed])))
                if lost:
                    warn(path, f"{name} has no value at {lost} indexed pixels, 0 was written")
                continue
            # Codes of another format are kept, but not as what they would mean here.
            title = wanted = f"{name} ({scan.source.format})" if key in foreign else one_line(name)
            number = 1
            while title.casefold() in taken:
                number += 1
                title = f"{wanted}_property" + (f"_{number}" if number > 2 else "")
            if title != name and key not in foreign:
                warn(path, f"property {name!r} was written as {title!r}, for the name is taken")
            taken.add(title.casefold())
            self.other.append(FurtherProperty(title, scan.units.get(name, ""), values.ravel()))

    def get(self, column: str) -> NDArray[Any] | None:
        """Values of a column of the format, or None."""
        return self._known.get(column)


def warn(path: Path, sentence: str) -> None:
    """Tell what a file cannot hold, as a Python warning; napari and the command line show it."""
    warnings.warn(f"{path.name}: {sentence}.", stacklevel=2)


def with_unit(title: str, unit: str) -> str:
    """``KAM [°]``; brackets stand even without a unit, in case that the title ends with some."""
    return f"{title} [{one_line(unit)}]"


def without_unit(text: str) -> tuple[str, str]:
    """Title and unit of what `with_unit` wrote."""
    match = re.fullmatch(r"(.*) \[([^\[\]]*)\]", text)
    return (match[1], match[2]) if match else (text, "")


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


def exact_column(values: NDArray[Any], fewest: int, width: int = 0) -> TextColumn:
    """Column of a property that no vendor has a place for: every value to 9 digits, NaN as nan."""
    decimals = decimals_of(values, fewest, 0.0)
    if values.dtype.kind == "f" and not _fits(values, decimals, 0.0):
        decimals = -_MOST_DECIMALS
    return TextColumn(lambda a, b: values[a:b].astype(np.float64), decimals, width)


def decimals_of(values: NDArray[Any], fewest: int, least: float = 1e-12) -> int:
    """Digits after the point that the values have, at least `fewest` and at most 9.

    Parameters
    ----------
    least
        What is smaller than this counts as nothing.
    """
    if values.dtype.kind != "f":
        return fewest
    sample = values[:: max(1, values.size // 50_000)]
    for data in (sample, values):
        while fewest < _MOST_DECIMALS and not _fits(data, fewest, least):
            fewest += 1
    return fewest


def _fits(values: NDArray[Any], decimals: int, least: float) -> bool:
    """Whether so many digits after the point are all that the values have."""
    data = values[np.isfinite(values)].astype(np.float64)
    exact = np.abs(data) * (6e-8 if values.dtype == np.float32 else 1e-14) + least
    return bool((np.abs(data - np.round(data, decimals)) <= exact).all())


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
    try:
        with replacing(path) as temporary, temporary.open("wb") as file:
            file.write(header.encode("utf-8"))
            for block in _format(columns, rows, separator, line_end):
                file.write(block)
    except OSError as error:
        raise WriteError(f"{path} could not be written: {error.strerror or error}.") from error


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
            if np.isnan(value):
                for _ in range(widths[column] - 3):
                    out[p] = 32
                    p += 1
                out[p], out[p + 1], out[p + 2] = 110, 97, 110
                p += 3
                continue
            size = np.abs(value)
            exponent = 0
            if decimal < 0:
                decimal = -decimal
                if size > 0:
                    exponent = int(np.floor(np.log10(min(size, 1e308))))
                    size = min(size, 1e308) / 10.0**exponent
            elif not size * 10.0**decimal < 9e17:
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
                sign = 45 if exponent < 0 else 43
                exponent = abs(exponent)
                while exponent:
                    digits[count] = 48 + exponent % 10
                    exponent //= 10
                    count += 1
                digits[count] = sign
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
