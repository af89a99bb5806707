"""The product of `_quaternions` for compiled code.

Apart from it, so that what only turns whole arrays does not load numba.
"""

from __future__ import annotations

from numba import njit


@njit(cache=True, nogil=True, inline="always")
def product(  # type: ignore[no-untyped-def]
    aw, ax, ay, az, bw, bx, by, bz
):
    """Hamilton product a * b, component by component."""
    return (
        aw * bw - ax * bx - ay * by - az * bz,
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
    )
