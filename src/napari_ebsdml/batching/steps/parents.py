"""Step "parents": parent grains of transformed phases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import napari_ebsdml as ebsdml
from napari_ebsdml.batching.pictures import of_ipf
from napari_ebsdml.batching.step import Outcome, Step, Work
from napari_ebsdml.batching.writing import rows_of_columns
from napari_ebsdml.grains.parents.result import ParentGrains
from napari_ebsdml.grains.parents.settings import ParentSettings

TABLE = "parents.csv"


def run(work: Work) -> Outcome:
    """Parent grains of a map, a row for each."""
    phases: dict[str, Any] = {
        name: _phase(work.settings[name]) for name in ("child_phase", "parent_phase")
    }
    found = ebsdml.parent_grains(
        work.scan, **work.of(ParentSettings).arguments(), **phases, progress=work.progress
    )
    arrays: dict[str, Any] = {
        "parent_id": found.parent_id, "orientations": found.orientations,
        "variant": found.variant, "packet": found.packet, "bain_group": found.bain_group,
        "block": found.block, "misfit": found.misfit, "confidence": found.confidence,
        "relationship": found.orientation_relationship.quaternion,
        "step": np.array(work.scan.step),
    }  # fmt: skip
    notes = [] if found.count else [found.sentence]
    return Outcome(
        parent_columns(found), arrays, {}, {TABLE: rows_of_columns(_plain(found.table))}, notes,
        says=found.sentence, picture=("Parents", of_ipf(found.as_scan())[1]),
    )  # fmt: skip


def parent_columns(found: ParentGrains) -> dict[str, object]:
    """Columns of a map's row."""
    size = found.grain_size
    inside = found.parent_id > 0
    known = bool(found.count)
    return {
        "parents": found.count,
        "parents_without_twins": int(found.grain_of.max()),
        "share_with_parent": round(float(inside.mean()), 4),
        "relationship": found.orientation_relationship.name,
        **{
            f"deg_from_{name}": round(angle, 3)
            for name, angle in found.deviations.items()
        },
        "median_misfit_deg": round(float(np.nanmedian(found.misfit)), 3) if known else "",
        "mean_confidence": round(float(found.confidence[inside].mean()), 3) if known else "",
        "retained_pixels": int(found.retained.sum()),
        "retained_deviation_deg": _number(found.retained_deviation),
        "astm_grain_size": _number(size.number),
        "astm_whole_grains": size.whole,
    }  # fmt: skip


def _plain(table: Mapping[str, Any]) -> dict[str, list[Any]]:
    return {name: values.tolist() for name, values in table.items()}


def _number(value: float) -> object:
    return round(value, 2) if np.isfinite(value) else ""


def _phase(given: str | int | None) -> str | int | None:
    """A phase of the command line: a number, a name, or "" for none."""
    if isinstance(given, str):
        return int(given) if given.lstrip("-").isdecimal() else given or None
    return given


STEP = Step(
    "parents", run, "-parents", (ParentSettings,), {"child_phase": None, "parent_phase": None},
    table=TABLE,
)  # fmt: skip
