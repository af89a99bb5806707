"""What the dock computes, for worker threads; no Qt here."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._napari.crystals.missing import NO_PATTERNS
from napari_ebsdml._napari.crystals.space_groups.cameras import (
    FILE,
    REFINE_PATTERNS,
    CameraChoice,
    Way,
    camera_of,
    tells_centre,
    way_of,
)
from napari_ebsdml._napari.crystals.space_groups.display import label_image
from napari_ebsdml._napari.crystals.space_groups.found_orientations import found_colors, settings_of
from napari_ebsdml._napari.crystals.space_groups.models import ModelEntry
from napari_ebsdml._napari.layers.classes import LabelClass
from napari_ebsdml._parallel import Progress, nth_of
from napari_ebsdml.errors import MissingDataError
from napari_ebsdml.learning.digest import model_digest
from napari_ebsdml.learning.shipped import shipped_path
from napari_ebsdml.patterns.answers.compare import Answers, answers_of
from napari_ebsdml.patterns.kinds import SHIPPED
from napari_ebsdml.patterns.settings import ClassifySettings
from napari_ebsdml.scan import Scan

_GRAIN_PATTERNS = 24


@dataclass(frozen=True, eq=False)
class Classified:
    """Answers of one model for a map, ready to be shown.

    Attributes
    ----------
    name
        Of the model.
    result : SpaceGroupResult
    answers : Answers
    labels, classes
        As a Labels layer takes them.
    by
        "pixel", "grain" or "map".
    settings
        What it was computed with.
    camera
        Geometry that was used; None for models that need none.
    entry
    way
        What was searched for.
    colors : (rows, columns, 3) array or None
        IPF-Z colours of orientations that were found.
    """

    name: str
    result: Any
    answers: Answers
    labels: NDArray[np.int32]
    classes: tuple[LabelClass, ...]
    by: str
    settings: dict[str, Any]
    camera: Any
    entry: ModelEntry
    way: Way
    colors: NDArray[np.float32] | None = None


def problem(scan: Scan | None, entries: Sequence[ModelEntry], camera: CameraChoice) -> str:
    """Why a scan cannot be classified, and what to do; "" when it can."""
    if scan is None:
        return ""
    if scan.patterns is None:
        return NO_PATTERNS
    if (
        any(entry.needs_orientations for entry in entries) and scan.is_indexed.any()
        and camera.source == FILE and not tells_centre(scan)
    ):  # fmt: skip
        return (
            "The file does not tell the pattern centre. Enter it under Detector, have it searched "
            "for, or choose the raw-pattern model, which needs none."
        )
    return ""


def classify(
    scan: Scan, entries: Sequence[ModelEntry], chosen: ClassifySettings, camera: CameraChoice,
    progress: Callable[[float], None],
) -> Generator[str, None, list[Classified]]:  # fmt: skip
    """Classify a map with one model after the other; yields what is under way."""
    why = problem(scan, entries, camera)
    if why:
        raise MissingDataError(f"{scan.name}: {why}")
    found = []
    for number, entry in enumerate(entries):
        yield f"Loading {entry.name}"
        model = entry.load()
        in_crystal = model.needs_orientations
        way = way_of(scan, camera) if in_crystal else Way()
        searching = "Searching for orientations and classifying"
        if way.geometry:
            searching = "Searching for pattern centre and orientations, then classifying"
        yield f"{searching if way.orientations else 'Classifying'} ({entry.name})"
        frame = None if way.geometry or not in_crystal else _frame(scan, camera)
        part = nth_of(progress, number, len(entries))
        result = model.predict_scan(
            _given(scan, way), by=chosen.by, detector=frame, threshold=chosen.threshold,
            progress=part, refine=chosen.refine,
        )  # fmt: skip
        found.append(_classified(entry, scan, chosen, result, frame, way))
    return found


def _given(scan: Scan, way: Way) -> Scan:
    """The map without what is to be searched for, so that it is not taken from the file."""
    if way.orientations and scan.is_indexed.any():
        scan = scan.without(np.ones(scan.shape, bool))
    return dataclasses.replace(scan, camera=None) if way.geometry else scan


def _frame(scan: Scan, camera: CameraChoice) -> Any:
    """Geometry for the model; None where a map without orientations turns out to have none."""
    if camera.source == FILE and not tells_centre(scan) and not scan.is_indexed.any():
        return None
    return camera_of(scan, camera)


def _classified(
    entry: ModelEntry, scan: Scan, chosen: ClassifySettings, result: Any, frame: Any, way: Way,
) -> Classified:  # fmt: skip
    answers = answers_of(result, chosen.ambiguous)
    labels, classes = label_image(answers)
    if result.geometry is not None:
        frame = result.geometry
    source = entry.source
    source = shipped_path(source, SHIPPED) if isinstance(source, str) else source
    settings = {"model": entry.name, "by": chosen.by, "ambiguous": chosen.ambiguous,
                "model_sha256": model_digest(source)}  # fmt: skip
    if chosen.by == "grain":
        settings["threshold"] = chosen.threshold
    if entry.needs_orientations:
        settings |= settings_of(result, way) | ({"refine": True} if chosen.refine else {})
    return Classified(
        entry.name, result, answers, labels, classes, chosen.by, settings, frame, entry, way,
        found_colors(scan, result),
    )  # fmt: skip


def refine(
    scan: Scan, camera: CameraChoice, progress: Progress = None
) -> tuple[Any, dict[str, float]]:
    """Refine pattern centre and camera tilt on some patterns of a map.

    Returns
    -------
    geometry, found
        As `refine_scan` gives them.

    Raises
    ------
    MissingDataError
        When the scan lacks patterns, orientations or a geometry to start from.
    """
    from napari_ebsdml.patterns.frame.refine import refine_scan

    if scan.patterns is None:
        raise MissingDataError(f"{scan.name}: {NO_PATTERNS}")
    if not scan.is_indexed.any():
        raise MissingDataError(f"{scan.name} has no orientations to refine the geometry with.")
    return refine_scan(scan, camera_of(scan, camera), REFINE_PATTERNS, progress=progress)


@dataclass(frozen=True, eq=False)
class PixelExplanation:
    """Why a model answers as it does at a pixel.

    Attributes
    ----------
    at
        Row and column.
    name
        Of the model.
    images : dict of space group -> (rows, columns) array
        Positive where the pattern speaks for it, on the detector.
    bands : dict of space group -> list of ((h, k, l), value)
        Sum of the evidence along each family's bands, the strongest per area first;
        empty for models of raw patterns.
    lines : dict of (h, k, l) -> (n, 2, 2) array
        Traces of the bands as `traces.band_traces` gives them.
    patterns
        How many patterns were averaged.
    """

    at: tuple[int, int]
    name: str
    images: dict[int, NDArray[np.float32]]
    bands: dict[int, list[tuple[tuple[int, int, int], float]]]
    lines: dict[tuple[int, int, int], NDArray[np.float64]]
    patterns: int


def explain(scan: Scan, row: int, column: int, shown: Classified) -> PixelExplanation:
    """Explain the answer for a pixel: of its pattern, or of patterns of its grain."""
    assert scan.patterns is not None
    model = shown.entry.load()
    if not model.needs_orientations:
        return _explain_raw(scan, row, column, shown.name, model)
    from napari_ebsdml.patterns.frame.bands import BANDS, band_traces
    from napari_ebsdml.patterns.frame.geometry import Geometry

    rows, columns = np.array([row]), np.array([column])
    grains = shown.result.labels
    if shown.by != "pixel" and grains is not None and grains[row, column] > 0:
        rows, columns = np.nonzero(grains == grains[row, column])
        # The nearest ones: the pixel itself comes first, and the picture is drawn on its pattern.
        near = np.argsort(np.hypot(rows - row, columns - column), kind="stable")[:_GRAIN_PATTERNS]
        rows, columns = rows[near], columns[near]
    size = (int(scan.patterns.shape[2]), int(scan.patterns.shape[3]))
    frame = shown.camera
    found_here = shown.result.orientations
    quaternions = scan.quaternions if found_here is None else found_here
    whole = frame if isinstance(frame, Geometry) else Geometry.of(frame, size)
    geometry = whole.take(np.ravel_multi_index((rows, columns), scan.shape))
    stack = np.asarray(scan.patterns.vindex[rows, columns])
    found = model.explain(stack, quaternions[rows, columns], geometry)
    mine = Geometry(geometry.bounds[:1], geometry.to_sample, geometry.shape)
    return PixelExplanation(
        (row, column), shown.name,
        dict(zip(found.space_groups, found.images, strict=True)),
        {group: _ranked(bands) for group, bands in found.bands.items()},
        {hkl: band_traces(hkl, quaternions[row, column], mine) for hkl in BANDS}, len(stack),
    )  # fmt: skip


def _ranked(
    bands: list[tuple[tuple[int, int, int], float]],
) -> list[tuple[tuple[int, int, int], float]]:
    """Bands by their evidence per area: a family with many planes covers half of the pattern."""
    from napari_ebsdml.patterns.frame.bands import band_nodes
    from napari_ebsdml.patterns.frame.triangle import COARSE

    area = {hkl: max(1, int(band_nodes(hkl, COARSE).sum())) for hkl, _ in bands}
    return sorted(bands, key=lambda pair: -abs(pair[1]) / area[pair[0]])


def _explain_raw(scan: Scan, row: int, column: int, name: str, model: Any) -> PixelExplanation:
    assert scan.patterns is not None
    pattern = np.asarray(scan.patterns[row, column])
    found = model.explain(pattern)
    images = dict(zip(found.space_groups, found.images, strict=True))
    return PixelExplanation((row, column), name, images, {}, {}, 1)
