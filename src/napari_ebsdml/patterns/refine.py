"""Orientations of a map that are turned to where its patterns fit best."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress
from napari_ebsdml.patterns.frame.geometry import Geometry
from napari_ebsdml.patterns.frame.masks import find_mask
from napari_ebsdml.patterns.frame.pieces import blocks
from napari_ebsdml.patterns.frame.scans import indexed_camera
from napari_ebsdml.patterns.search.orientations import FIT

if TYPE_CHECKING:
    from kikuchipy.detectors import EBSDDetector

    from napari_ebsdml.camera import Camera
    from napari_ebsdml.patterns.classifier import SpaceGroupClassifier
    from napari_ebsdml.scan import Scan

_PIECE = 256
"""Patterns refined at once: below a second, after which a cancel is heeded."""


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
    camera = indexed_camera(scan, detector)
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
