"""Answers for stacks and maps of patterns: with orientations, or with what a search finds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress, part_of
from napari_ebsdml.errors import InputError
from napari_ebsdml.patterns.answers.result import SpaceGroupResult, no_answers
from napari_ebsdml.patterns.crystal_frame.answer import answer
from napari_ebsdml.patterns.crystal_frame.model import CrystalModel
from napari_ebsdml.patterns.frame.checks import check_mask, check_patterns, geometry_of
from napari_ebsdml.patterns.frame.evidence import (
    Witnesses,
    check_frame,
    doubt,
    refined_sentence,
)
from napari_ebsdml.patterns.frame.fold import fold_patterns
from napari_ebsdml.patterns.frame.folded import Folded
from napari_ebsdml.patterns.frame.geometry import Geometry
from napari_ebsdml.patterns.frame.masks import Mask, Screen, find_screen
from napari_ebsdml.patterns.frame.orientations import scan_quaternions
from napari_ebsdml.patterns.frame.pieces import folded_pieces, some_patterns
from napari_ebsdml.patterns.frame.refine import refine_scan
from napari_ebsdml.patterns.frame.scans import camera_of, check_by, grains_of, patterns_of
from napari_ebsdml.patterns.search.maps import index_patterns, indexed_pieces, search_camera
from napari_ebsdml.patterns.search.orientations import FIT

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan

NO_BANDS = "No pattern shows bands that a search for orientations could begin with: none was named."
NO_CAMERA = (
    "These patterns fit no camera, so that none was named. Give the detector's geometry, and "
    "orientations where there are any, or ask a model of raw patterns."
)

_SEARCH_CAMERA = 0.5
"""Part of the work that the search for a camera takes."""
_REFINE = 0.5
"""Part of the work that refining the geometry takes."""
_LOOKED_AT = 48
"""Patterns that are looked at before a map is answered."""

Refine: TypeAlias = bool | Literal["auto"]


def predict(
    model: CrystalModel, patterns: Any, orientations: Any, detector: Any, mask: Mask | None,
    progress: Progress, frame: str | None,
) -> SpaceGroupResult:  # fmt: skip
    """Answers for patterns; see `CrystalFrameClassifier.predict`."""
    shape = check_patterns(patterns)
    check_mask(mask, patterns)
    number = int(np.prod(shape, dtype=int))
    at, some = some_patterns(patterns, _LOOKED_AT)
    screen = find_screen(some) if mask is None else Screen(mask)
    if orientations is None:
        camera = None if detector is None else geometry_of(patterns, detector, number)
        result = _unindexed(model, patterns, camera, screen.valid, progress)
    else:
        q, assumed = scan_quaternions(orientations, shape, frame)
        camera = geometry_of(patterns, detector, number)
        if frame is None:
            check_frame(Witnesses.among(at, some, q, camera, screen.valid), assumed)
        result = _indexed(model, patterns, q, camera, screen.valid, progress)
    return replace(result, warnings=screen.warnings)


def predict_scan(
    model: CrystalModel, scan: Scan, by: str, detector: Any, threshold: float, mask: Mask | None,
    progress: Progress, refine: Refine,
) -> SpaceGroupResult:  # fmt: skip
    """Answers for a map; see `CrystalFrameClassifier.predict_scan`."""
    check_by(by)
    if refine not in (True, False, "auto"):
        raise InputError(f"refine must be True, False or 'auto', not {refine!r}.")
    patterns = patterns_of(scan)
    check_mask(mask, patterns)
    at, some = some_patterns(patterns, _LOOKED_AT)
    screen = find_screen(some) if mask is None else Screen(mask)
    told = list(screen.warnings)
    if not scan.is_indexed.any():
        none = detector is None and scan.detector is None
        found = None if none else camera_of(scan, detector)
        if by == "pixel":
            result = _unindexed(model, patterns, found, screen.valid, progress)
        else:
            result = _unindexed_areas(model, scan, by, found, threshold, screen.valid, progress)
        return replace(result, warnings=tuple(told))
    camera = camera_of(scan, detector)
    q = scan.quaternions.reshape(-1, 4)
    doubted = doubt(Witnesses.among(at, some, q, camera, screen.valid))
    refined = None
    if refine is True or (refine == "auto" and doubted is not None):
        mirrored = 0.0 if doubted is None else doubted.mirrored
        start = camera.moved(dy=mirrored)
        camera, moved = refine_scan(scan, start, progress=part_of(progress, 0.0, _REFINE))
        told.append(refined_sentence({**moved, "dy": moved["dy"] + mirrored}))
        refined, progress = camera, part_of(progress, _REFINE)
    elif doubted is not None:
        told.append(doubted.sentence)
    if by == "pixel":
        result = _indexed(model, patterns, q, camera, screen.valid, progress)
    else:
        labels = _labels(scan, by, threshold)
        result = _by_labels(model, scan, labels, camera, screen.valid, progress)
    return replace(result, warnings=tuple(told), geometry=refined)


def _indexed(
    model: CrystalModel, patterns: Any, q: NDArray[np.float64], camera: Geometry, mask: Mask,
    progress: Progress,
) -> SpaceGroupResult:  # fmt: skip
    flat = no_answers((len(q),), model.space_groups)
    for part, folded, good in folded_pieces(patterns, q, camera, mask, progress):
        answer(model, folded, flat, part.start + np.flatnonzero(good))
    return flat.reshaped(patterns.shape[:-2])


def _unindexed(
    model: CrystalModel, patterns: Any, camera: Geometry | None, mask: Mask, progress: Progress
) -> SpaceGroupResult:
    shape = patterns.shape[:-2]
    found, part_done = _camera(model, patterns, camera, mask, progress)
    if isinstance(found, str):
        return replace(no_answers(shape, model.space_groups), reason=found)
    number = int(np.prod(shape, dtype=int))
    flat = no_answers((number,), model.space_groups)
    quaternions = np.zeros((number, 4))
    fits = np.zeros(number, np.float32)
    pieces = indexed_pieces(model.search, patterns, found, mask, part_of(progress, part_done))
    for part, block, q, fit, seen in pieces:
        folded = fold_patterns(block, q, found.take(part), seen)
        answer(model, folded, flat, np.arange(part.start, part.stop))
        quaternions[part], fits[part] = q, fit
    # An orientation that was fitted to the pattern makes noise and strangers look better than
    # the score of the known, which is fitted on given orientations, takes them for.
    flat.is_known[fits < FIT] = False
    result = replace(flat, orientations=quaternions, fit=fits).reshaped(shape)
    return result if camera is not None else replace(result, geometry=found)


def _unindexed_areas(
    model: CrystalModel, scan: Scan, by: str, camera: Geometry | None, threshold: float,
    mask: Mask, progress: Progress,
) -> SpaceGroupResult:  # fmt: skip
    geometry, start = _camera(model, scan.patterns, camera, mask, progress)
    if isinstance(geometry, str):
        return replace(no_answers(scan.shape, model.space_groups), reason=geometry)
    middle = start + 0.8 * (1 - start)
    quaternions, fit = index_patterns(
        model.search, scan.patterns, geometry, mask, part_of(progress, start, middle)
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
            model, known, _labels(known, by, threshold), geometry, mask, part_of(progress, middle)
        )
    found = replace(found, orientations=quaternions, fit=fit)
    return found if camera is not None else replace(found, geometry=geometry)


def _camera(
    model: CrystalModel, patterns: Any, given: Geometry | None, mask: Mask, progress: Progress
) -> tuple[Geometry | str, float]:
    """Geometry that was given or found, or why there is none; and the part of work done."""
    if given is not None:
        return given, 0.0
    camera = search_camera(model.search, patterns, mask, part_of(progress, 0.0, _SEARCH_CAMERA))
    if camera is None:
        return NO_BANDS, _SEARCH_CAMERA
    # An answer from a camera that few patterns fit, or from patterns as they are, would be a guess
    # that looks like any other answer.
    return (camera.geometry if camera.is_sure else NO_CAMERA), _SEARCH_CAMERA


def _labels(scan: Scan, by: str, threshold: float) -> NDArray[np.int32]:
    return scan.is_indexed.astype(np.int32) if by == "map" else grains_of(scan, threshold)


def _by_labels(
    model: CrystalModel, scan: Scan, labels: NDArray[np.int32], camera: Geometry, mask: Mask,
    progress: Progress,
) -> SpaceGroupResult:  # fmt: skip
    """One answer for each label, from the sum of its folded patterns."""
    number = int(labels.max())
    total: Folded | None = None
    flat_labels = labels.ravel().astype(np.intp) - 1
    q = scan.quaternions.reshape(-1, 4)
    for part, folded, good in folded_pieces(scan.patterns, q, camera, mask, progress):
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


def _one_cubic_phase() -> Any:
    from orix.crystal_map import Phase, PhaseList

    return PhaseList(Phase("cubic", point_group="m-3m"))
