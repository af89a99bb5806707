"""Text tables without compiled code: the ends of lines, and whole tables that are small and clean.

Compiling the parser takes numba two seconds of processor time, once on every machine; up to some
megabytes numpy reads a table of plain numbers in a tenth of that.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_CHUNK = 1 << 20
_COUNTED = 1 << 17
_LINE = 4096
_NEWLINE, _RETURN = 10, 13
_PLAIN = np.zeros(256, dtype=np.bool_)
_PLAIN[np.frombuffer(b"0123456789+-. \t\r\n", dtype=np.uint8)] = True
_INT32 = 2_147_483_647
_FLOAT32_WHOLE = 16_777_216


def with_newlines(buffer: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Bytes of a file whose lines end with newlines; as they are if they do at its beginning."""
    head = buffer[:_CHUNK]
    # The last byte's successor is not among these.
    if not (head == _RETURN).any() or not _lone_returns(head)[:-1].any():
        return buffer
    return np.where(_lone_returns(buffer), np.uint8(_NEWLINE), buffer)


def _lone_returns(buffer: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where a line ends with a carriage return and no newline, as on old Macs."""
    lone = buffer == _RETURN
    lone[:-1] &= buffer[1:] != _NEWLINE
    return lone


def count_lines(buffer: NDArray[np.uint8], start: int, stop: int) -> int:
    """Number of line ends in [start, stop)."""
    return sum(
        int(np.count_nonzero(buffer[at : min(stop, at + _COUNTED)] == _NEWLINE))
        for at in range(start, stop, _COUNTED)
    )


def after_newline(buffer: NDArray[np.uint8], start: int, stop: int) -> int:
    """Where the line after that of `start` begins; `stop` if none does."""
    for at in range(start, stop, _LINE):
        found = buffer[at : min(stop, at + _LINE)].tobytes().find(b"\n")
        if found >= 0:
            return at + found + 1
    return stop


def after_last_newline(buffer: NDArray[np.uint8], start: int, stop: int) -> int:
    """Where the last line of [start, stop) begins; `start` if there is but one."""
    while stop > start:
        at = max(start, stop - _LINE)
        found = buffer[at:stop].tobytes().rfind(b"\n")
        if found >= 0:
            return at + found + 1
        stop = at
    return start


def plain_values(buffer: NDArray[np.uint8], columns: int) -> NDArray[np.float64] | None:
    """Values (rows, columns) of lines that hold digits, signs, points and blanks alone.

    None when there is anything else or a line has too few or too many values: the compiled
    parser takes such tables, or says what is wrong with them.
    """
    if not _PLAIN[buffer].all():
        return None
    word = buffer > 32
    begins = word.copy()
    begins[1:] &= ~word[:-1]
    (starts,), (ends,) = np.nonzero(begins), np.nonzero(buffer == _NEWLINE)
    per_line = np.diff(np.searchsorted(starts, ends), prepend=0)
    if not np.isin(per_line, (0, columns)).all() or not _are_numbers(buffer, begins, starts):
        return None
    values = np.fromstring(buffer.tobytes(), sep=" ") if len(starts) else np.zeros(0)
    return values.reshape(-1, columns)


def _are_numbers(
    buffer: NDArray[np.uint8], begins: NDArray[np.bool_], starts: NDArray[np.intp]
) -> bool:
    """Whether each word of digits, signs and points is a number; all lines have ends."""
    sign = (buffer == ord("+")) | (buffer == ord("-"))
    if (sign & ~begins).any():
        return False
    (points,) = np.nonzero(buffer == ord("."))
    of_word = np.searchsorted(starts, points, side="right")
    first = starts + sign[starts]
    first += buffer[first] == ord(".")
    digits = (buffer[first] >= ord("0")) & (buffer[first] <= ord("9"))
    return bool(digits.all()) and not (of_word[1:] == of_word[:-1]).any()


def kind_needed(values: NDArray[np.float64]) -> int:
    """Kind 0 to 3 (uint8, int32, float32, float64) that holds a column as it was written.

    float32 holds up to 7 digits, which is how many a value has without zeros at either end.
    """
    if not len(values):
        return 0
    if (values == np.rint(values)).all():
        low, high = values.min(), values.max()
        if low >= 0 and high <= 255:
            return 0
        return 1 if max(-low, high) <= _INT32 else 3
    left = np.abs(values)
    while (tens := (left > _FLOAT32_WHOLE) & (left % 10 == 0)).any():
        left = np.where(tens, left / 10, left)
    for digits in range(23):
        scale = 10.0**digits
        mantissa = np.rint(left * scale)
        left = left[(mantissa > _FLOAT32_WHOLE) | (mantissa / scale != left)]
        if not len(left):
            return 2
    return 3
