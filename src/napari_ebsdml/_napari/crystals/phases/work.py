"""What the page computes, for worker threads; no Qt here."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._napari.crystals.phases.display import classes_of
from napari_ebsdml.scan import Scan

if TYPE_CHECKING:
    from napari_ebsdml._parallel import Progress
    from napari_ebsdml.patterns.phases.find import FoundPhases
    from napari_ebsdml.patterns.settings import PhasesSettings

FOUND, COLORS = "phases found", "IPF-Z of found orientations"
"""What layers show."""


def find(
    scan: Scan, settings: PhasesSettings, search_centre: bool = False, progress: Progress = None
) -> tuple[FoundPhases, list[dict[str, Any]]]:
    """The phases of a map, and its layers as arguments of `ScanWidget.add_result`, bottom to top.

    Parameters
    ----------
    scan, settings
    search_centre
        Whether the pattern centre of the file is put aside, and searched for.
    """
    from napari_ebsdml.patterns.phases.find import find_phases

    given = scan
    if search_centre and scan.camera is not None:
        given = dataclasses.replace(scan, camera=dataclasses.replace(scan.camera, pc=None))
    found = find_phases(given, progress=progress, **settings.arguments())
    if not found.clusters:
        return found, []
    from napari_ebsdml.maps import ipf_colors

    labels, classes = classes_of(found)
    return found, [
        {"data": ipf_colors(found.scan), "quantity": COLORS, "kind": "rgb", "visible": False},
        {
            "data": labels, "quantity": FOUND, "kind": "labels", "classes": classes,
            "result": found, "opacity": 1.0,
        },
    ]  # fmt: skip


@dataclass(frozen=True, eq=False)
class AxesOnPattern:
    """The best pattern of a phase, with the axes of symmetry where they meet the screen.

    Attributes
    ----------
    image : (rows, columns) array
        Without its background.
    valid : (rows, columns) bool array
    at : tuple of int
        Row and column in the map.
    axes : list of (x, y, order)
        Parts of the screen's width from the left and height from the top; order 2, 3, 4 or 6.
    """

    image: NDArray[Any]
    valid: NDArray[np.bool_]
    at: tuple[int, int]
    axes: list[tuple[float, float, int]]


def axes_on_pattern(found: FoundPhases, number: int) -> AxesOnPattern:
    """Of one of the phases found."""
    from napari_ebsdml.patterns.frame.geometry import Geometry
    from napari_ebsdml.patterns.symmetry.view import flat_images

    phase, scan = found.clusters[number], found.scan
    assert scan.patterns is not None
    place = int(phase.patterns[0])
    row, column = (int(n) for n in np.unravel_index(place, scan.shape))
    pattern = np.asarray(scan.patterns[row, column])
    bounds = Geometry.of(found.camera, pattern.shape).bounds
    x0, x1, y0, y1 = bounds[place if len(bounds) > 1 else 0]
    axes = []
    for axis in phase.laue.axes:
        x, y, z = axis.direction if axis.direction[2] >= 0 else -axis.direction
        if axis.pattern or z < 1e-6:
            continue
        across, down = (x / z - x0) / (x1 - x0), (y1 - y / z) / (y1 - y0)
        if 0 <= across <= 1 and 0 <= down <= 1:
            axes.append((float(across), float(down), axis.order))
    images, valid = flat_images(pattern[None])
    return AxesOnPattern(images[0], valid, (row, column), axes)
