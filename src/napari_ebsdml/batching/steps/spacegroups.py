"""Step "spacegroups": space groups of the patterns of a map."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import napari_ebsdml as ebsdml
from napari_ebsdml.batching.pictures import of_labels
from napari_ebsdml.batching.step import Outcome, Step, Work
from napari_ebsdml.batching.writing import write_image
from napari_ebsdml.learning.model_card import model_paths
from napari_ebsdml.learning.shipped import shipped_path
from napari_ebsdml.patterns.settings import ClassifySettings

if TYPE_CHECKING:
    from napari_ebsdml.patterns.answers.result import SpaceGroupResult
    from napari_ebsdml.scan import Scan

TABLE = "spacegroups.csv"
ENDING = "-spacegroups"
FILE, SEARCHED, NONE, UNUSED = "file", "searched", "none found", "not used"


def run(work: Work) -> Outcome:
    """Answer of each pixel, and how often each was given."""
    scan, chosen = work.scan, work.of(ClassifySettings)
    options = {"threshold": chosen.threshold} if chosen.by == "grain" else {}
    result = work.model.predict_scan(
        scan, by=chosen.by, progress=work.progress, refine=chosen.refine, **options
    )
    way, found, says = _way(scan, result, work.model.needs_orientations)
    arrays = {
        "space_group": result.space_group, "probability": result.probability,
        "family": result.family, "is_known": result.is_known,
        "known_score": result.known_score, "step": np.array(scan.step), **found,
    }  # fmt: skip
    image = np.where(result.is_known, result.space_group, 0)
    tally = [dict(row) | way for row in result.tally if row["number"]]
    row: dict[str, Any] = {}
    if tally:
        first = max(tally, key=lambda one: one["number"])
        row = {"space_group": first["space_group"], "space_group_percent": first["percent"]}
    files = {f"{ENDING}.tif": partial(write_image, labels=image, step=scan.step)}
    return Outcome(
        row, arrays, files, {TABLE: tally}, result.warnings, says, of_labels("space groups", image),
    )  # fmt: skip


def _way(
    scan: Scan, result: SpaceGroupResult, in_crystal: bool
) -> tuple[dict[str, str], dict[str, Any], str]:
    """How a map was answered: columns of the table, arrays of what was searched for, a sentence."""
    if not in_crystal:
        return {"orientations": UNUSED, "pattern centre": UNUSED}, {}, ""
    arrays: dict[str, Any] = {}
    where = FILE
    if result.geometry is not None:
        arrays["pattern_centre"] = np.array(result.geometry.centre)
        how = "refined" if scan.is_indexed.any() else "searched"
        where = f"{how}: {' '.join(f'{value:.4f}' for value in arrays['pattern_centre'])}"
    if scan.is_indexed.any():
        return {"orientations": FILE, "pattern centre": where}, arrays, ""
    if result.orientations is None or result.fit is None:
        return {"orientations": NONE, "pattern centre": NONE}, {}, result.reason
    from napari_ebsdml.patterns.search.orientations import FIT

    arrays |= {"orientations": result.orientations, "fit": result.fit}
    text = f"orientations searched for, {100 * (result.fit >= FIT).mean():.0f} % fit"
    if result.geometry is not None:
        text += f"; pattern centre {where} (Bruker)"
    return {"orientations": SEARCHED, "pattern centre": where}, arrays, text


def load(settings: Mapping[str, Any]) -> Any:
    """The classifier."""
    model = settings["model"]
    return ebsdml.SpaceGroupClassifier.load(model) if isinstance(model, str | Path) else model


def files(settings: Mapping[str, Any]) -> list[Path]:
    """Its files."""
    from napari_ebsdml.patterns.kinds import SHIPPED

    return list(model_paths(shipped_path(settings["model"], SHIPPED)))


STEP = Step(
    "spacegroups", run, ENDING, (ClassifySettings,), {"model": "default"}, load, files, TABLE
)
