"""Answers for stacks and maps of patterns: with orientations, or with what a search finds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_ebsdml.errors import InputError, MissingDataError
from napari_ebsdml.patterns.answers.result import SpaceGroupResult, no_answers
from napari_ebsdml.patterns.crystal_frame.answer import answer
from napari_ebsdml.patterns.frame.checks import (
    Progress,
    check_given,
    check_mask,
    check_patterns,
    geometry_of,
)
from napari_ebsdml.patterns.frame.fold import fold_patterns
from napari_ebsdml.patterns.frame.folded import Folded
from napari_ebsdml.patterns.frame.geometry import Geometry
from napari_ebsdml.patterns.frame.pieces import folded_pieces
from napari_ebsdml.patterns.search.maps import index_patterns, indexed_pieces, search_camera
from napari_ebsdml.patterns.search.orientations import FIT

if TYPE_CHECKING:
    from napari_ebsdml.patterns.classifier import SpaceGroupClassifier
    from napari_ebsdml.scan import Scan

NO_BANDS = "No pattern shows bands that a search for orientations could begin with: none was named."
NO_CAMERA = (
    "These patterns fit no camera, so that none was named. Give the detector's geometry, and "
    "orientations where there are any, or ask a model of raw patterns."
)

Mask = NDArray[np.bool_] | None
By = Literal["pixel", "grain", "map"]


def predict_indexed(
    model: SpaceGroupClassifier, patterns: Any, quaternions: ArrayLike, detector: Any, mask: Mask,
    progress: Progress,
) -> SpaceGroupResult:  # fmt: skip
    """Answers for patterns with orientations; see `SpaceGroupClassifier.predict`."""
    shape, rays, geometry = check_given(patterns, quaternions, detector)
    flat = no_answers((len(rays),), model.space_groups)
    for part, folded, good in folded_pieces(patterns, rays, geometry, mask, progress):
        answer(model, folded, flat, part.start + np.flatnonzero(good))
    return flat.reshaped(shape)


def predict_unindexed(
    model: SpaceGroupClassifier, patterns: Any, detector: Any, mask: Mask, progress: Progress
) -> SpaceGroupResult:
    """Answers for patterns without orientations; see `SpaceGroupClassifier.predict`."""
    found, part_done = _camera(model, patterns, detector, mask, progress)
    shape = check_patterns(patterns)
    if isinstance(found, str):
        return replace(no_answers(shape, model.space_groups), reason=found)
    number = int(np.prod(shape, dtype=int))
    flat = no_answers((number,), model.space_groups)
    quaternions = np.zeros((number, 4))
    fits = np.zeros(number, np.float32)
    pieces = indexed_pieces(model.search, patterns, found, mask, _later(progress, part_done))
    for part, block, q, fit, seen in pieces:
        folded = fold_patterns(block, q, found.take(part), seen)
        answer(model, folded, flat, np.arange(part.start, part.stop))
        quaternions[part], fits[part] = q, fit
    # An orientation that was fitted to the pattern makes noise and strangers look better than
    # the score of the known, which is fitted on given orientations, takes them for.
    flat.is_known[fits < FIT] = False
    result = replace(flat, orientations=quaternions, fit=fits).reshaped(shape)
    return result if detector is not None else replace(result, geometry=found)


def predict_scan(
    model: SpaceGroupClassifier, scan: Scan, by: By, detector: Any, threshold: float, mask: Mask,
    progress: Progress,
) -> SpaceGroupResult:  # fmt: skip
    """Answers for a map; see `SpaceGroupClassifier.predict_scan`."""
    if by not in ("pixel", "grain", "map"):
        raise InputError(f"by must be 'pixel', 'grain' or 'map', not {by!r}.")
    if scan.patterns is None:
        raise MissingDataError(f"{scan.name} has no patterns.")
    camera = scan.detector if detector is None else detector
    if not scan.is_indexed.any():
        return _predict_unindexed_scan(model, scan, by, camera, threshold, mask, progress)
    if camera is None:
        raise MissingDataError(
            f"{scan.name} has no detector geometry; give detector=EBSDDetector(...)."
        )
    if by == "pixel":
        return predict_indexed(model, scan.patterns, scan.quaternions, camera, mask, progress)
    return _by_labels(model, scan, _labels(scan, by, threshold), camera, mask, progress)


def _predict_unindexed_scan(
    model: SpaceGroupClassifier, scan: Scan, by: By, camera: Any, threshold: float, mask: Mask,
    progress: Progress,
) -> SpaceGroupResult:  # fmt: skip
    if by == "pixel":
        return predict_unindexed(model, scan.patterns, camera, mask, progress)
    geometry, start = _camera(model, scan.patterns, camera, mask, progress)
    if isinstance(geometry, str):
        return replace(no_answers(scan.shape, model.space_groups), reason=geometry)
    middle = start + 0.8 * (1 - start)
    quaternions, fit = index_patterns(
        model.search, scan.patterns, geometry, mask, _later(progress, start, middle)
    )
    quaternions[fit < FIT] = 0
    fitting = fit >= FIT
    if not fitting.any():
        found = no_answers(scan.shape, model.space_groups)
        found = replace(found, labels=np.zeros(scan.shape, np.int32))
    else:
        known = replace(
            scan, quaternions=quaternions, phase_id=np.where(fitting, 0, -1).astype(np.int32),
            phases=_one_cubic_phase(),
        )  # fmt: skip
        found = _by_labels(
            model, known, _labels(known, by, threshold), geometry, mask, _later(progress, middle)
        )
    found = replace(found, orientations=quaternions, fit=fit)
    return found if camera is not None else replace(found, geometry=geometry)


def _camera(
    model: SpaceGroupClassifier, patterns: Any, detector: Any, mask: Mask, progress: Progress
) -> tuple[Geometry | str, float]:
    """Geometry that was given or found, or why there is none; and the part of work done."""
    shape = check_patterns(patterns)
    check_mask(mask, patterns)
    if detector is not None:
        return geometry_of(patterns, detector, int(np.prod(shape, dtype=int))), 0.0
    share = 0.5
    camera = search_camera(model.search, patterns, mask, _later(progress, 0.0, share))
    if camera is None:
        return NO_BANDS, share
    # An answer from a camera that few patterns fit, or from patterns as they are, would be a guess
    # that looks like any other answer.
    return (camera.geometry if camera.is_sure else NO_CAMERA), share


def _labels(scan: Scan, by: By, threshold: float) -> NDArray[np.int32]:
    if by == "map":
        return scan.is_indexed.astype(np.int32)
    from napari_ebsdml.maps.grains import segment_grains

    return segment_grains(scan, threshold=threshold)


def _by_labels(
    model: SpaceGroupClassifier, scan: Scan, labels: NDArray[np.int32], camera: Any, mask: Mask,
    progress: Progress,
) -> SpaceGroupResult:  # fmt: skip
    """One answer for each label, from the sum of its folded patterns."""
    _, rays, geometry = check_given(scan.patterns, scan.quaternions, camera)
    number = int(labels.max())
    total: Folded | None = None
    flat_labels = labels.ravel().astype(np.intp) - 1
    for part, folded, good in folded_pieces(scan.patterns, rays, geometry, mask, progress):
        if total is None:
            total = Folded.empty(number, folded.steps)
        total.add(flat_labels[part][good], folded)
    grains = no_answers((number,), model.space_groups)
    if total is not None:
        seen = np.flatnonzero(total.count.sum(axis=1) > 0)
        for start in range(0, len(seen), 4096):
            at = seen[start : start + 4096]
            answer(model, total.take(at), grains, at)
    return grains.spread(labels)


def _later(progress: Progress, start: float, stop: float = 1.0) -> Progress:
    """Progress of a part of the work."""
    if progress is None:
        return None
    told = progress
    return lambda part: told(start + (stop - start) * part)


def _one_cubic_phase() -> Any:
    from orix.crystal_map import Phase, PhaseList

    return PhaseList(Phase("cubic", point_group="m-3m"))
