"""Small maps and short trainings, in place of those that the pages name."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import napari_ebsdml as ebsdml
from napari_ebsdml import samples
from napari_ebsdml.segmentation import segmenter

_SMALL = (60, 80)
_settings = segmenter.settings_from
_steel = samples.dual_phase_steel
_fetch = samples.fetch


def make_files(folder: Path) -> None:
    """What the pages call map.ctf, map.ang, map.h5, and a folder of maps."""
    scan = _steel(_SMALL, seed=1).scan
    for name in ("map.ctf", "map.ang", "measurements/one.ctf", "measurements/two.ctf"):
        (folder / name).parent.mkdir(exist_ok=True)
        ebsdml.write(folder / name, scan)
    shutil.copy(_fetch("nickel_patterns"), folder / "map.h5")


def small_things(folder: Path) -> list[tuple[Any, str, Any]]:
    """Module, name and what to put there; downloads are copies of the map in a folder."""

    def steel(shape: tuple[int, int] = _SMALL, *rest: Any, **more: Any) -> Any:
        return _steel((min(shape[0], _SMALL[0]), min(shape[1], _SMALL[1])), *rest, **more)

    def settings(*given: Any) -> Any:
        return dataclasses.replace(_settings(*given), epochs=2, steps=4, batch=2)

    def fetch(name: str) -> Path:
        if name not in samples.downloads.registry():
            return _fetch(name)
        return shutil.copy(folder / "map.ang", folder / f"{name}.ang")

    return [
        (samples, "fetch", fetch),
        (samples, "dual_phase_steel", steel),
        (segmenter, "settings_from", settings),
    ]


def use_small_things() -> None:
    """Put them there for good, with the files in the working folder."""
    folder = Path.cwd()
    make_files(folder)
    for module, name, value in small_things(folder):
        setattr(module, name, value)
