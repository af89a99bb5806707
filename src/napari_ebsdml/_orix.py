"""orix without the compiling that its first import does, and without its slow Laue groups.

`orix.quaternion._conversions` names the types of its 30 kernels, so numba compiles all of them
when the module is imported and not yet in numba's cache: 17 s of processor time before the first
map can be shown. Few of them are ever called. Without the types numba compiles a kernel when it
is; orix hands them arrays of float64 in either case.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from orix.quaternion.symmetry import Symmetry

_lock = threading.Lock()


def prepare_orix() -> None:
    """Import the module that compiles, before anything else of orix does."""
    if "orix.quaternion._conversions" in sys.modules:
        return
    import numba

    with _lock:
        njit = numba.njit

        def without_types(*signature: Any, **options: Any) -> Any:
            typed = signature and isinstance(signature[0], str)
            return njit(*signature[1:] if typed else signature, **options)

        numba.njit = without_types
        try:
            import orix.quaternion._conversions  # noqa: F401
        finally:
            numba.njit = njit


_laue_groups: dict[tuple[str, bytes, bytes], Symmetry] = {}


def laue_group_of(group: Symmetry) -> Symmetry:
    """`Symmetry.laue` of a point group, made once: orix multiplies it out every time.

    A map of 300 phases asks for it thousands of times, 8 ms each.
    """
    data = np.asarray(group.data, dtype=np.float64)
    key = (str(group.name), data.tobytes(), np.asarray(group.improper).tobytes())
    found = _laue_groups.get(key)
    if found is None:
        if len(_laue_groups) >= 256:
            _laue_groups.clear()
        found = _laue_groups[key] = group.laue
    return found
