"""Step "article-density": the article's way from the GND density to the total one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import napari_ebsdml as ebsdml
from napari_ebsdml._parallel import part_of
from napari_ebsdml.batching.pictures import of_values
from napari_ebsdml.batching.step import Outcome, Step, Work
from napari_ebsdml.batching.steps.density import TABLE, metals_of
from napari_ebsdml.batching.steps.gnd import gnd_of
from napari_ebsdml.batching.writing import rows_of_columns
from napari_ebsdml.dislocations.settings import DensitySettings, GndSettings, TaylorSettings
from napari_ebsdml.learning.model_card import model_paths
from napari_ebsdml.learning.shipped import shipped_path

if TYPE_CHECKING:
    from napari_ebsdml.dislocations.article.density import ArticleDensity

_GND_SHARE = 0.3


def run(work: Work) -> Outcome:
    """Density of each pixel with its interval; averages of phases with Taylor's stress."""
    from napari_ebsdml.dislocations.averages import density_averages

    how, taylor = work.of(DensitySettings), work.of(TaylorSettings)
    gnd = gnd_of(work, part_of(work.progress, 0.0, _GND_SHARE))
    arguments = how.arguments() | {"model": work.model}
    found = ebsdml.article_density(gnd, **arguments, progress=part_of(work.progress, _GND_SHARE))
    arrays = {
        "mean": found.mean, "median": found.median, "std": found.std,
        "low": found.interval[..., 0], "high": found.interval[..., 1], "gnd": found.gnd,
        "n_lines": found.n_lines, "in_range": found.in_range, "valid": found.valid,
        "step": np.array(work.scan.step),
    }  # fmt: skip
    metals = metals_of(work.scan) | dict(taylor.materials or {})
    rows = rows_of_columns(
        density_averages(
            found, gnd, "phase", metals, taylor.friction,
            2 * work.model.network.radius + 1, how.extrapolate,
        )
    )  # fmt: skip
    missing = why_missing(found, how.extrapolate)
    note = " ".join([*gnd.notes, missing]).strip()
    row = {}
    if rows:
        first = {k: v for k, v in rows[0].items() if "[" in k}
        row = {f"article {name}": value for name, value in first.items()}
    return Outcome(
        row, arrays, {}, {TABLE: [{**one, "note": note} for one in rows or [{}]]},
        [*gnd.notes, *([missing] if missing else [])],
        picture=of_values("density (article)", found.mean, "1/m²", log=True),
    )  # fmt: skip


def why_missing(total: ArticleDensity, extrapolate: bool) -> str:
    """Why there is no average of the density, or ""."""
    if not total.valid.any():
        return "No pixel has a density: none has enough measured neighbours in its grain."
    if not extrapolate and not (total.valid & total.in_range).any():
        return (
            f"All {int(total.valid.sum())} pixels with a density lie out of the range that the "
            "model was trained in, so there is no average; --extrapolate counts them."
        )
    return ""


def load(settings: Mapping[str, Any]) -> Any:
    """The model."""
    from napari_ebsdml.dislocations.article.model import DislocationModel

    return DislocationModel.load(settings["model"])


def files(settings: Mapping[str, Any]) -> list[Path]:
    """Its files."""
    from napari_ebsdml.dislocations.article.model import SHIPPED

    return list(model_paths(shipped_path(settings["model"], SHIPPED)))


STEP = Step(
    "article-density", run, "-density", (GndSettings, DensitySettings, TaylorSettings), {},
    load, files, TABLE,
)  # fmt: skip
