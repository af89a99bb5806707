"""Orientations in every form that users have, as quaternions of a `Scan`."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._quaternions import multiply
from napari_ebsdml.errors import InputError
from napari_ebsdml.io.frames import FRAMES

KIKUCHIPY = "kikuchipy"
"""kikuchipy's sample frame RD, TD, ND, to which its detectors refer: EDAX's."""

NEEDS_ORIENTATIONS = (
    "This model needs orientations: give quaternions (..., 4), specimen -> crystal, for example "
    "those of an indexed scan (Hough indexing of a cubic phase will do), or use the raw-pattern "
    "model: SpaceGroupClassifier.load('raw')."
)


def specimen_turn(frame: str) -> NDArray[np.float64]:
    """Quaternion that takes vectors of the map's frame to another specimen frame.

    Raises
    ------
    InputError
        When there is no frame of that name.
    """
    found = FRAMES.get("edax" if frame == KIKUCHIPY else frame)
    if found is None:
        raise InputError(f"No frame {frame!r}; there are {', '.join((KIKUCHIPY, *FRAMES))}.")
    return np.array(found.specimen_turn)


def scan_quaternions(
    given: Any, shape: tuple[int, ...], frame: str | None = None
) -> tuple[NDArray[np.float64], str]:
    """Orientations in the map's frame, and the frame that they were taken to refer to.

    Parameters
    ----------
    given : (..., 4) array, orix Rotation, Orientation or CrystalMap
        Specimen -> crystal. A map's points without a phase, or that it masks, have none.
    shape
        Of the patterns without the detector's axes. Rotations may be in a flat list.
    frame
        "kikuchipy" or a key of `FRAMES`. Default: "map" for an array, as in a `Scan`, and
        "kikuchipy" for objects of orix, which have nothing to tell their frame by.

    Returns
    -------
    quaternions : (n, 4) array
        As in `Scan`; 0 where there is none.
    frame

    Raises
    ------
    InputError
        When the form is none of these, or does not fit the patterns.
    """
    if given is None:
        raise InputError(NEEDS_ORIENTATIONS)
    of_orix = any(one.__module__.startswith("orix.") for one in type(given).__mro__)
    frame = frame or (KIKUCHIPY if of_orix else "map")
    turn = specimen_turn(frame)
    rotations = _of_orix(given, shape) if of_orix else _of_array(given, shape)
    return multiply(rotations, turn), frame


def _of_array(given: Any, shape: tuple[int, ...]) -> NDArray[np.float64]:
    try:
        q = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(
            "Orientations must be quaternions (..., 4) or an orix Rotation, Orientation or "
            f"CrystalMap, not {type(given).__name__}."
        ) from None
    if q.shape != (*shape, 4):
        raise InputError(f"quaternions have shape {q.shape}, not {(*shape, 4)}.")
    return q.reshape(-1, 4)


def _of_orix(given: Any, shape: tuple[int, ...]) -> NDArray[np.float64]:
    from orix.crystal_map import CrystalMap
    from orix.quaternion import Misorientation, Orientation, Quaternion

    number = prod(shape)
    if isinstance(given, CrystalMap):
        rotations = given.rotations if given.rotations_per_point == 1 else given.rotations[:, 0]
        q = np.where((given.phase_id >= 0)[:, None], rotations.data.reshape(-1, 4), 0.0)
        inside = np.asarray(given.is_in_data)
        if inside.size == number and not inside.all():
            whole = np.zeros((number, 4))
            whole[inside] = q
            q = whole
        if len(q) != number:
            raise InputError(
                f"The crystal map has {given.shape} points, the patterns have shape {shape}."
            )
        return q
    # A misorientation is a rotation, too, but between two crystals.
    between = isinstance(given, Misorientation) and not isinstance(given, Orientation)
    if between or not isinstance(given, Quaternion):
        raise InputError(
            "Orientations must be quaternions (..., 4) or an orix Rotation, Orientation or "
            f"CrystalMap, not {type(given).__name__}."
        )
    if given.shape not in (shape, (number,)):
        raise InputError(
            f"The rotations have shape {given.shape}, the patterns have shape {shape}."
        )
    return np.asarray(given.data, dtype=np.float64).reshape(-1, 4)
