"""The geometry of a map: whether it fits the patterns, and the one that fits them best."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress
from napari_ebsdml.errors import InputError
from napari_ebsdml.patterns.frame.fold import refine_geometry
from napari_ebsdml.patterns.frame.geometry import Geometry
from napari_ebsdml.patterns.frame.scans import indexed_camera

if TYPE_CHECKING:
    from kikuchipy.detectors import EBSDDetector

    from napari_ebsdml.camera import Camera
    from napari_ebsdml.scan import Scan


def refine_scan(
    scan: Scan,
    detector: EBSDDetector | Camera | Geometry | None = None,
    number: int = 48,
    seed: int = 0,
    progress: Progress = None,
) -> tuple[Geometry, dict[str, float]]:
    """Move pattern centre and tilt to where the map's folded patterns are sharpest.

    Parameters
    ----------
    scan
        With patterns and orientations, of one phase or several that Hough indexing takes for one.
    detector
        To start from. Default: the scan's.
    number
        Patterns that take part, spread over the map's orientations: more are slower and surer.
    seed
        Of their choice.
    progress
        Called with the part done; may raise to cancel.

    Returns
    -------
    geometry
        Give it to ``SpaceGroupClassifier.predict_scan(scan, detector=geometry)``.
    found
        dx, dy, dz (parts of the detector's height), tilt (degrees), sharpness_before and
        sharpness_after.

    Raises
    ------
    MissingDataError
        When the scan has no patterns or orientations.
    NoCameraError
        When there is no detector.
    InputError
        When fewer than four patterns are asked for.

    Notes
    -----
    The sharpness is the standard deviation of the folded average over the triangle. Orientations
    that were measured with the wrong geometry are wrong as well and take part of the error up;
    what is refined is the geometry that fits these orientations best.
    """
    if number < 4:
        raise InputError(f"The geometry needs four patterns at least, not {number}.")
    geometry = indexed_camera(scan, detector)
    assert scan.patterns is not None
    places = np.flatnonzero(scan.is_indexed.ravel())
    columns = scan.shape[1]
    q = scan.quaternions.reshape(-1, 4)
    chosen = _spread(q[places], min(number, len(places)), np.random.default_rng([seed, 4]))
    at = np.sort(places[chosen])
    patterns = np.stack([np.asarray(scan.patterns[k // columns, k % columns]) for k in at])
    if len(geometry.bounds) > 1:
        own = geometry.take(at)
        _, report = refine_geometry(patterns, q[at], own, progress=progress)
        whole = geometry.moved(report["dx"], report["dy"], report["dz"]).tilted(report["tilt"])
        return whole, report
    return refine_geometry(patterns, q[at], geometry, progress=progress)


def _spread(q: NDArray[np.float64], number: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Indices of orientations far from each other, each the farthest of a random handful."""
    chosen = [int(rng.integers(len(q)))]
    nearest = np.abs(q @ q[chosen[0]])
    free = np.ones(len(q), dtype=bool)
    free[chosen[0]] = False
    while len(chosen) < number:
        handful = rng.choice(np.flatnonzero(free), min(16, int(free.sum())), replace=False)
        # Many pixels share a grain's orientation; others tell more about the camera.
        best = int(handful[nearest[handful].argmin()])
        chosen.append(best)
        free[best] = False
        nearest = np.maximum(nearest, np.abs(q @ q[best]))
    return np.array(chosen)
