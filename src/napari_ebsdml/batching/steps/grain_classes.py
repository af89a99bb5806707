"""Step "grain-classes": classes of grains by a trained classifier."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from napari_ebsdml.batching.pictures import of_labels
from napari_ebsdml.batching.step import Outcome, Step, Work
from napari_ebsdml.batching.writing import rows_of_columns, write_image
from napari_ebsdml.errors import InputError
from napari_ebsdml.maps.grains import segment_grains
from napari_ebsdml.maps.settings import GRAIN_THRESHOLD

TABLE = "grain_classes.csv"
ENDING = "-grain-classes"


def run(work: Work) -> Outcome:
    """Class of each grain, and the part of the area that each class has."""
    scan = work.scan
    labels = segment_grains(scan, work.settings["threshold"], work.settings["min_pixels"])
    found = work.model.predict(scan, labels, progress=work.progress)
    best = np.nan_to_num(found.probability).max(axis=1)
    arrays = {
        "class": found.map, "grains": labels, "step": np.array(scan.step),
        "probability": np.where(labels > 0, best[labels], np.nan).astype(np.float32),
        "values": np.array(list(found.names)), "names": np.array(list(found.names.values())),
    }  # fmt: skip
    row = {f"fraction of {name}": part for name, part in found.fractions.items()}
    files = {f"{ENDING}.tif": partial(write_image, labels=found.map, step=scan.step)}
    table = {name: list(values) for name, values in found.table.items()}
    return Outcome(
        row, arrays, files, {TABLE: rows_of_columns(table)}, says=found.sentence,
        picture=of_labels("grain classes", found.map),
    )  # fmt: skip


def load(settings: Mapping[str, Any]) -> Any:
    """The classifier."""
    from napari_ebsdml.grains.classes.classifier import GrainClassifier

    model = settings["model"]
    if model is None:
        raise InputError('"grain-classes" needs a model: ("grain-classes", {"model": "x.json"}).')
    return GrainClassifier.load(model) if isinstance(model, str | Path) else model


def files(settings: Mapping[str, Any]) -> list[Path]:
    """Its file."""
    return [Path(settings["model"])]


STEP = Step(
    "grain-classes", run, ENDING, (),
    {"model": None, "threshold": GRAIN_THRESHOLD, "min_pixels": 4}, load, files, TABLE,
)  # fmt: skip
