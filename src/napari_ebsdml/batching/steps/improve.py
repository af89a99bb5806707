"""Step "improve": orientations within grains, measured anew from the patterns."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import napari_ebsdml as ebsdml
from napari_ebsdml.batching.pictures import of_values
from napari_ebsdml.batching.step import Outcome, Step, Work
from napari_ebsdml.camera import Camera
from napari_ebsdml.errors import InputError
from napari_ebsdml.patterns.settings import ImproveSettings

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan

ENDING = "-improved"


def run(work: Work) -> Outcome:
    """The map with better orientations as a file, and their noise before and after."""
    camera = _camera(work.scan, str(work.settings["pattern_centre"]))
    found = ebsdml.improve_orientations(
        work.scan, camera, progress=work.progress, **work.of(ImproveSettings).arguments()
    )
    row: dict[str, Any] = {"improved_percent": round(100 * float(found.improved.mean()), 2)}
    if found.orientation_noise:
        row["noise_before_deg"] = _figures(found.noise_before.values())
        row["noise_after_deg"] = _figures(found.orientation_noise.values())
    noise = found.scan.get("orientation noise")
    files = {f"{ENDING}.h5": partial(_write, scan=found.scan)}
    picture = of_values("orientation noise", noise, "°")
    return Outcome(row, {}, files, says=found.sentence, picture=picture)


def _figures(values: Any) -> str:
    return " ".join(f"{value:.4g}" for value in values)


def _write(path: Path, scan: Scan) -> None:
    ebsdml.write(path, scan)


def _camera(scan: Scan, text: str) -> Camera | None:
    """The map's camera with another pattern centre; None: as the file tells it."""
    if not text.strip():
        return None
    try:
        pc = np.array([float(word) for word in text.replace(",", " ").split()])
    except ValueError:
        pc = np.zeros(0)
    if pc.shape != (3,):
        raise InputError(f"The pattern centre is three numbers, such as 0.5,0.2,0.6, not {text!r}.")
    if scan.patterns is None:
        return None
    shape = (int(scan.patterns.shape[-2]), int(scan.patterns.shape[-1]))
    old = scan.camera
    angles = {} if old is None else {
        name: getattr(old, name) for name in ("sample_tilt", "tilt", "azimuthal", "twist")
    }  # fmt: skip
    return Camera(shape=shape, pc=pc, **angles)


STEP = Step("improve", run, ENDING, (ImproveSettings,), {"pattern_centre": ""})
