"""Compiled kernels that read numbers from the bytes of a text table."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

TOO_FEW, TOO_MANY, NOT_A_NUMBER = 1, 2, 3
"""What can be wrong with a line."""
COMMA, REMARKS = 1, 2
"""What a table may have, to be added: decimal commas, and lines of remarks between the rows."""

_POWERS = 10.0 ** np.arange(23)
_INT_POWERS = 10 ** np.arange(18, dtype=np.int64)
# An unsigned index needs no check for negative ones.
_ONE = np.uint64(1)
# Small letters. Numbers: ord() of a text takes numba half a second to compile.
_A, _F, _I, _N = 97, 102, 105, 110
# Another digit could overflow an int64.
_FULL = 100_000_000_000_000_000


@njit(cache=True, nogil=True)
def _is_blank(c: int) -> bool:
    return c == 32 or c == 9 or c == 13


@njit(cache=True, nogil=True)
def _word(buffer: NDArray[np.uint8], p: int) -> tuple[int, float]:
    """Length and value of nan, nan(ind), inf or infinity at p, in any case; length 0: neither."""
    a, b, c = buffer[p] | 32, np.uint8(0), np.uint8(0)
    if buffer[p] != 10 and buffer[p + 1] != 10:
        b, c = buffer[p + 1] | 32, buffer[p + 2] | 32
    if a == _N and b == _A and c == _N:
        length = 3
        if buffer[p + 3] == 40:  # "nan(ind)", "nan(snan)", as C prints them on Windows
            while buffer[p + length] != 41 and buffer[p + length] != 10:
                length += 1
            return (length + 1 if buffer[p + length] == 41 else 0), np.nan
        return length, np.nan
    if a == _I and b == _N and c == _F:
        length = 3
        while 97 <= (buffer[p + length] | 32) <= 122:
            length += 1
        return (length if length == 3 or length == 8 else 0), np.inf
    return 0, 0.0


@njit(cache=True, nogil=True)
def parse(
    buffer: NDArray[np.uint8],
    start: int,
    stop: int,
    dialect: int,
    places: NDArray[np.int64],
    u1: NDArray[np.uint8],
    i4: NDArray[np.int32],
    f4: NDArray[np.float32],
    f8: NDArray[np.float64],
    row: int,
    needed: NDArray[np.int64],
    where: NDArray[np.int64],
) -> tuple[int, int, int | np.int64, int]:
    """Read the lines of [start, stop), each of which has a line end, into rows from `row` on.

    `places` has the kind of each column and its row in the array of that kind (0 to 3: u1, i4,
    f4, f8). `needed` gets the kind that the values of a column need, `where` the place of the
    first value that needs it; values that do not fit are not stored.

    Returns
    -------
    rows, code, position, column
        Code 0 for success, else `TOO_FEW`, `TOO_MANY` or `NOT_A_NUMBER`, and where.
    """
    columns = len(places)
    first = row
    p, last = np.uint64(start), np.uint64(stop)
    while p < last:
        column = 0
        while True:
            c = buffer[p]
            while c == 32 or c == 9 or c == 13:
                p += _ONE
                c = buffer[p]
            if c == 35 and column == 0 and dialect & REMARKS:
                while c != 10:
                    p += _ONE
                    c = buffer[p]
            if c == 10:
                p += _ONE
                break
            if column == columns:
                return row - first, TOO_MANY, np.int64(p), column
            begin = p
            negative = c == 45
            if negative or c == 43:
                p += _ONE
                c = buffer[p]
            mantissa = np.int64(0)
            # mypy cannot follow sums of Python's and numpy's whole numbers.
            exponent: Any = 0
            digits = 0
            d = np.int64(c) - 48
            while 0 <= d <= 9:
                if mantissa < _FULL:
                    mantissa = mantissa * 10 + d
                else:
                    exponent += 1
                digits += 1
                p += _ONE
                c = buffer[p]
                d = np.int64(c) - 48
            if c == 46 or (dialect & COMMA and c == 44):
                p += _ONE
                c = buffer[p]
                d = np.int64(c) - 48
                while 0 <= d <= 9:
                    if mantissa < _FULL:
                        mantissa = mantissa * 10 + d
                        exponent -= 1
                    digits += 1
                    p += _ONE
                    c = buffer[p]
                    d = np.int64(c) - 48
            special = 0.0
            if digits == 0:
                length, special = _word(buffer, np.int64(p))
                if length == 0:
                    return row - first, NOT_A_NUMBER, np.int64(begin), column
                p += np.uint64(length)
                c = buffer[p]
            elif c == 35:  # "1.#QNAN", "-1.#IND": how Windows programs print what is no number
                special = np.nan
                while not (_is_blank(c) or c == 10):
                    p += _ONE
                    c = buffer[p]
            elif c == 101 or c == 69:
                p += _ONE
                c = buffer[p]
                below = c == 45
                if below or c == 43:
                    p += _ONE
                    c = buffer[p]
                d = np.int64(c) - 48
                if not 0 <= d <= 9:
                    return row - first, NOT_A_NUMBER, np.int64(begin), column
                power: Any = 0
                while 0 <= d <= 9:
                    power = min(power * 10 + d, 9999)
                    p += _ONE
                    c = buffer[p]
                    d = np.int64(c) - 48
                exponent += -power if below else power
            if not (_is_blank(c) or c == 10):
                return row - first, NOT_A_NUMBER, np.int64(begin), column

            kind = places[column, 0]
            slot = places[column, 1]
            need = 0
            if kind < 2:  # a whole number is wanted
                whole = mantissa
                if special != 0.0:
                    need = 2
                elif exponent < 0 and mantissa != 0:
                    if exponent < -17 or mantissa % _INT_POWERS[-exponent] != 0:
                        need = 2
                    else:
                        whole = mantissa // _INT_POWERS[-exponent]
                elif exponent > 0 and mantissa != 0:
                    if exponent > 9 or mantissa > 2_147_483_647:
                        need = 3
                    else:
                        whole = mantissa * _INT_POWERS[exponent]
                if need == 0:
                    if negative:
                        whole = -whole
                    # float32 would round it.
                    if whole > 2_147_483_647 or whole < -2_147_483_647:
                        need = 3
                    elif whole < 0 or whole > 255:
                        need = 1
            if kind >= 2 or need >= 2:
                significant = mantissa
                if significant > 16_777_216:
                    while significant % 10 == 0:
                        significant //= 10
                if significant > 16_777_216 or exponent > 20 or exponent < -30:
                    need = 3
                value: float = np.float64(mantissa)
                if special != 0.0:
                    value = special
                elif mantissa == 0 or exponent == 0:
                    pass
                elif -22 <= exponent < 0:
                    value /= _POWERS[-exponent]
                elif 0 < exponent <= 22:
                    value *= _POWERS[exponent]
                elif exponent < -300:
                    value = value / 1e300 * 10.0 ** max(exponent + 300, -330)
                else:
                    value *= 10.0 ** min(exponent, 400)
                if negative:
                    value = -value
            if need > needed[column]:
                needed[column] = need
                where[column] = np.int64(begin)
            if need <= kind:
                if kind == 3:
                    f8[slot, row] = value
                elif kind == 2:
                    f4[slot, row] = value
                elif kind == 1:
                    i4[slot, row] = whole
                else:
                    u1[slot, row] = whole
            column += 1
        if column == columns:
            row += 1
        elif column != 0:
            return row - first, TOO_FEW, np.int64(p) - 1, column
    return row - first, 0, 0, 0
