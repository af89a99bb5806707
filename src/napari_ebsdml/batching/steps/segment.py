"""Step "segment": classes by a trained segmenter, and their fractions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import napari_ebsdml as ebsdml
from napari_ebsdml.batching.large.segment import predict as in_bands
from napari_ebsdml.batching.large.segment import works_in_bands
from napari_ebsdml.batching.pictures import of_labels
from napari_ebsdml.batching.step import Outcome, Step, Work
from napari_ebsdml.batching.writing import write_image
from napari_ebsdml.errors import InputError
from napari_ebsdml.learning.model_card import model_paths
from napari_ebsdml.segmentation.models.ready_names import ready_path
from napari_ebsdml.segmentation.settings import PredictSettings

TABLE = "fractions.csv"
ENDING = "-segmentation"


def run(work: Work) -> Outcome:
    """Label image and arrays of a map, and its phase fractions with 95 % intervals."""
    import dataclasses

    scan, wanted = work.scan, work.settings["phases"]
    how = dataclasses.asdict(work.of(PredictSettings))
    how |= {"device": work.settings["device"], "progress": work.progress, "warn": False}
    # A map that is turned is cut into other cells.
    if work.large is None or how["turns"] > 1 or not works_in_bands(work.model):
        result = work.model.predict(scan, **how)
    else:
        result = in_bands(work.model, work.large, **how, client=work.client)
    classes = result.classes
    arrays: dict[str, Any] = {
        "labels": result.labels, "uncertainty": result.uncertainty,
        "values": np.array(classes.values), "names": np.array(classes.names),
        "step": np.array(scan.step),
    }  # fmt: skip
    if work.settings["probability"]:
        arrays["probability"] = result.probability
    files: dict[str, Callable[[Path], None]] = {
        f"{ENDING}.tif": partial(write_image, labels=result.labels, step=scan.step)
    }
    if wanted is not None:
        names = dict(zip(classes.values, classes.names, strict=True))
        files[f"{ENDING}.{wanted}"] = partial(
            ebsdml.write, scan=scan, phase_labels=result.labels, phase_names=names
        )
    if work.settings["report"] is not None:

        def report(path: Path) -> None:
            from napari_ebsdml.segmentation import write_report

            write_report(path, scan, result, work.model)

        files[f"{ENDING}.{work.settings['report']}"] = report
    fractions = result.fractions()
    rows = [
        {
            "class": f.name, "value": f.value, "fraction": f.fraction, "low": f.low,
            "high": f.high, "expected": f.expected, "remark": " ".join(result.warnings),
        }
        for f in fractions
    ]  # fmt: skip
    row: dict[str, Any] = {}
    for f in fractions:
        row |= {
            f"fraction of {f.name}": f.fraction, f"{f.name} low": f.low, f"{f.name} high": f.high
        }  # fmt: skip
    place = np.zeros(int(max(classes.values)) + 1, dtype=np.int32)
    place[list(classes.values)] = np.arange(1, len(classes.values) + 1)
    picture = of_labels("segmentation", place[result.labels], list(classes.colors))
    return Outcome(row, arrays, files, {TABLE: rows}, result.warnings, picture=picture)


def load(settings: Mapping[str, Any]) -> Any:
    """The segmenter."""
    if settings["model"] is None:
        raise InputError('"segment" needs a model: ("segment", {"model": "steel.safetensors"}).')
    if settings["phases"] not in (None, "ang", "ctf", "h5"):
        raise InputError(f"--phases must be ang, ctf or h5, not {settings['phases']!r}.")
    if settings["report"] not in (None, "html", "pdf", "csv"):
        raise InputError(f"--report must be html, pdf or csv, not {settings['report']!r}.")
    model = settings["model"]
    from napari_ebsdml.segmentation import read_model

    return read_model(model) if isinstance(model, str | Path) else model


def files(settings: Mapping[str, Any]) -> list[Path]:
    """Its files."""
    return list(model_paths(ready_path(settings["model"])))


STEP = Step(
    "segment", run, ENDING, (PredictSettings,),
    {"model": None, "probability": False, "phases": None, "report": None, "device": "auto"},
    load, files, TABLE,
)  # fmt: skip
