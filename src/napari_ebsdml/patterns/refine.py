"""Refine what a map tells: the camera's geometry from some patterns, orientations from each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress
from napari_ebsdml.errors import InputError, MissingDataError
from napari_ebsdml.patterns.frame.flatten import find_mask
from napari_ebsdml.patterns.frame.fold import refine_geometry
from napari_ebsdml.patterns.frame.geometry import Geometry
from napari_ebsdml.patterns.frame.pieces import blocks
from napari_ebsdml.patterns.frame.scans import camera_of, patterns_of
from napari_ebsdml.patterns.search.orientations import FIT

if TYPE_CHECKING:
    from kikuchipy.detectors import EBSDDetector

    from napari_ebsdml.camera import Camera
    from napari_ebsdml.patterns.classifier import SpaceGroupClassifier
    from napari_ebsdml.scan import Scan

_PIECE = 256
"""Patterns refined at once: below a second, after which a cancel is heeded."""


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
    geometry = _camera(scan, detector)
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


def refine_orientations(
    scan: Scan,
    classifier: SpaceGroupClassifier | None = None,
    detector: EBSDDetector | Camera | Geometry | None = None,
    progress: Progress = None,
) -> tuple[Scan, NDArray[np.float32]]:
    """Turn each orientation to where a cubic crystal fits the pattern best.

    For orientations of Hough indexing, which may be a degree or two off.

    Parameters
    ----------
    scan
        With patterns and orientations of cubic crystals, right within about 3 degrees.
    classifier
        Its templates are fitted. Default: the shipped one.
    detector
        Default: the scan's. Refine it first where it may be wrong: `refine_scan`.
    progress
        Called with the part done; may raise to cancel.

    Returns
    -------
    scan : Scan
        A copy with the new orientations; those of patterns that no template fits are kept.
    fit : (rows, columns) array
        Correlation with the best template as a part of what the noise leaves; 0 where not
        indexed.

    Raises
    ------
    InputError
        When the classifier is one of raw patterns.
    MissingDataError
        When the scan has no patterns or orientations.
    NoCameraError
        When there is no detector.
    """
    from napari_ebsdml.patterns.crystal_frame.classifier import CrystalFrameClassifier

    if classifier is None:
        classifier = CrystalFrameClassifier.load()
    search = CrystalFrameClassifier.required(classifier, "refine_orientations").model.search
    camera = _camera(scan, detector)
    quaternions = np.array(scan.quaternions, dtype=np.float64)
    flat = quaternions.reshape(-1, 4)
    indexed = scan.is_indexed.ravel()
    fits = np.zeros(len(flat), np.float32)
    mask = None
    for start, block in blocks(scan.patterns):
        mask = find_mask(block) if mask is None else mask
        for first in range(0, len(block), _PIECE):
            piece = block[first : first + _PIECE]
            at = np.arange(start + first, start + first + len(piece))
            good = indexed[at] & np.isfinite(flat[at]).all(axis=1)
            good &= np.linalg.norm(np.nan_to_num(flat[at]), axis=1) > 0.5
            if good.any():
                mine = camera.take(at[good])
                q, fit = search.refine(piece[good], flat[at[good]], mine, mask)
                fits[at[good]] = fit
                fitting = fit >= FIT
                flat[at[good][fitting]] = q[fitting]
            if progress is not None:
                progress(float(at[-1] + 1) / len(flat))
    refined = replace(scan, quaternions=flat.reshape(scan.quaternions.shape))
    return refined, fits.reshape(scan.shape)


def _camera(scan: Scan, detector: EBSDDetector | Camera | Geometry | None) -> Geometry:
    """Geometry for a scan that has all it takes to refine anything."""
    patterns_of(scan)
    if not scan.is_indexed.any():
        raise MissingDataError(f"{scan.name} has no orientations; index it first.")
    return camera_of(scan, detector)


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
