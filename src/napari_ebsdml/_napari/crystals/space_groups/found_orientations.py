"""Orientations and pattern centres that are searched for: what will be done, and what came of it.

No Qt here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._napari.crystals.space_groups.cameras import (
    CameraChoice,
    Way,
    tells_centre,
    way_of,
)
from napari_ebsdml._napari.crystals.space_groups.models import ModelEntry
from napari_ebsdml.scan import NOT_INDEXED, Scan

if TYPE_CHECKING:
    from napari_ebsdml.patterns.answers.result import SpaceGroupResult

RATES = (100, 20)
"""Patterns indexed in a second, about: on two cores of one's own, and on busy ones or where many
patterns fit nothing."""
CAMERA_S = (15, 60)
"""Seconds that the search for a pattern centre takes, about: likewise."""
START_S = (3, 8)
"""Seconds until a search begins: model and templates are made ready."""


def announcement(scan: Scan | None, entries: Sequence[ModelEntry], camera: CameraChoice) -> str:
    """What will be searched for before a map is classified; "" when nothing is."""
    asking = [entry for entry in entries if entry.needs_orientations]
    if scan is None or scan.patterns is None or not asking:
        return ""
    way = way_of(scan, camera)
    if not way.orientations:
        return ""
    least, most = (
        len(asking) * (start + scan.phase_id.size / rate + (extra if way.geometry else 0))
        for start, rate, extra in zip(START_S, RATES, CAMERA_S, strict=True)
    )
    time = _duration(least, most)
    if not way.geometry:
        return (
            f"No orientations in the file: they are searched for ({RATES[1]} to {RATES[0]} "
            f"patterns a second, here {time})."
        )
    if scan.is_indexed.any():
        text = "Pattern centre and orientations are searched for; the file's are not used"
    elif tells_centre(scan):
        text = (
            "No orientations in the file: they are searched for. So is the pattern centre; the "
            "file's is not used"
        )
    else:
        text = "Neither orientations nor geometry in the file: both are searched for"
    text += f" (here {time})."
    return text + " Where no camera fits, all patterns are unknown."


def _duration(least: float, most: float) -> str:
    """Two times in seconds as a range: "20 s to 2 min"."""
    both = [_time(least), _time(most)]
    return both[0] if both[0] == both[1] else f"{both[0]} to {both[1]}"


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def outcome(result: SpaceGroupResult, way: Way) -> str:
    """What a search found, for people; "" when there was none."""
    if not way.orientations:
        return ""
    if result.orientations is None or result.fit is None:
        return result.reason
    fit = result.fit
    share = 100 * float(fitting(result).mean())
    text = f"Orientations were searched for: {share:.0f} % of the patterns fit"
    text += f" (median fit {float(np.median(fit)):.2f})"
    if share < 100:
        text += f"; the others are {'unknown' if result.labels is None else 'left out'}"
    text += "."
    if share < 50:
        text += " So few fit where the geometry is wrong or the crystals are not cubic."
    if result.geometry is not None:
        x, y, z = result.geometry.centre
        text += (
            f" Pattern centre found: x {x:.3f}, y {y:.3f}, z {z:.3f} (Bruker); the camera's tilt "
            "cannot be told and is taken as 0°, so that all orientations may be turned alike."
        )
    return text


def settings_of(result: SpaceGroupResult, way: Way) -> dict[str, Any]:
    """What layers say of the way to their answers."""
    if not way.orientations:
        return {"orientations": "file"}
    if result.orientations is None:
        return {"orientations": "none found"}
    found: dict[str, Any] = {"orientations": "searched for"}
    if result.geometry is not None:
        found["pattern_centre_found"] = [round(v, 4) for v in result.geometry.centre]
    return found


def fitting(result: SpaceGroupResult) -> NDArray[np.bool_]:
    """Where a searched orientation fits its pattern."""
    from napari_ebsdml.patterns.search.orientations import FIT

    assert result.fit is not None
    return np.asarray(result.fit >= FIT)


def found_colors(scan: Scan, result: SpaceGroupResult) -> NDArray[np.float32] | None:
    """IPF-Z colours (rows, columns, 3) of orientations that were searched for.

    NaN where none fits; None when nothing was found.
    """
    if result.orientations is None:
        return None
    from orix.crystal_map import Phase, PhaseList

    from napari_ebsdml.maps.ipf import ipf_colors

    good = fitting(result)
    if not good.any():
        return None
    found = dataclasses.replace(
        scan,
        quaternions=np.where(good[..., None], result.orientations, 0.0),
        phase_id=np.where(good, 0, NOT_INDEXED).astype(np.int32),
        phases=PhaseList(Phase("cubic", point_group="m-3m")),
    )
    return ipf_colors(found)
