"""Step "density": the total dislocation density, read from the orientations."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import napari_ebsdml as ebsdml
from napari_ebsdml._parallel import part_of
from napari_ebsdml.batching.large.density import total_dislocation_density as in_bands
from napari_ebsdml.batching.pictures import of_values
from napari_ebsdml.batching.step import Outcome, Step, Work
from napari_ebsdml.batching.writing import rows_of_columns
from napari_ebsdml.dislocations.settings import TaylorSettings, TotalSettings
from napari_ebsdml.learning.model_card import model_paths
from napari_ebsdml.learning.shipped import shipped_path

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan

TABLE = "dislocations.csv"


def run(work: Work) -> Outcome:
    """Density with its interval and limit; averages of phases or grains with Taylor's stress."""
    scan, by, settings = work.scan, work.settings["by"], work.of(TotalSettings)
    progress, said = work.progress, []
    if settings.improve and scan.patterns is not None:
        better = ebsdml.improve_orientations(
            scan, grain_threshold=settings.grain_threshold, progress=part_of(progress, 0, 0.8)
        )
        said, progress = [better.sentence], part_of(progress, 0.8)
        scan = better.scan if better.worthwhile else scan
    how: dict[str, Any] = {
        "model": work.model, "by": by, "slip_systems": work.settings["slip_systems"],
        "progress": progress, **settings.arguments(),
    }  # fmt: skip
    if work.large is not None and scan is work.scan:
        rho = in_bands(work.large, **how, client=work.client)
    else:
        rho = ebsdml.total_dislocation_density(scan, **how)
    whole = rho.average()
    low, high = whole.interval
    arrays = {
        "density": rho.density, "low": rho.interval[..., 0], "high": rho.interval[..., 1],
        "measurable": rho.measurable, "limit": np.array(rho.limit), "step": np.array(scan.step),
    }  # fmt: skip
    row = {
        "density_per_m2": f"{whole.density:.4g}", "density_low_per_m2": f"{low:.4g}",
        "density_high_per_m2": f"{high:.4g}", "density_limit_per_m2": f"{whole.limit:.4g}",
        "density_says": whole.sentence,
    }  # fmt: skip
    taylor = work.of(TaylorSettings)
    metals = metals_of(scan) | dict(taylor.materials or {})
    rows = rows_of_columns(rho.averages(by, metals, taylor.friction))
    rows = [{**one, "note": whole.sentence} for one in rows or [{}]]
    picture = of_values("density", rho.density, "1/m²", log=True)
    return Outcome(row, arrays, {}, {TABLE: rows}, said, whole.sentence, picture)


def metals_of(scan: Scan) -> dict[int, str]:
    """Metals that are recognised, by phase id."""
    from napari_ebsdml.dislocations.averages import material_of_phase

    found = {n: material_of_phase(phase) for n, phase in scan.phases if n >= 0}
    return {n: metal for n, metal in found.items() if metal is not None}


def load(settings: Mapping[str, Any]) -> Any:
    """The model."""
    from napari_ebsdml.dislocations.total.model import TotalDensityModel

    return TotalDensityModel.load(settings["model"])


def files(settings: Mapping[str, Any]) -> list[Path]:
    """Its files."""
    from napari_ebsdml.dislocations.total.model import SHIPPED

    return list(model_paths(shipped_path(settings["model"], SHIPPED)))


STEP = Step(
    "density", run, "-density", (TotalSettings, TaylorSettings),
    {"model": "default", "by": "phase", "slip_systems": "auto"}, load, files, TABLE,
)  # fmt: skip
