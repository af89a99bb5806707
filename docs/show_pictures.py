"""Draw what leaves the window: ``python docs/show_pictures.py FOLDER [KIND ...]``; kinds:

sheet     contact sheet of a batch of nine synthetic maps
figure    a map as a paper wants it
session   a window that was saved, closed and opened again; needs a display
volume    grains of 24 synthetic sections in 3-D; needs a display
"""

from __future__ import annotations

import dataclasses
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import napari_ebsdml as ebsdml


def sheet(picture: Path) -> None:
    """Contact sheet of maps of three kinds, of which one cannot be read."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for seed in range(4):
            steel = ebsdml.samples.dual_phase_steel((120, 160), 0.2 + 0.15 * seed, seed=seed)
            ebsdml.write(folder / f"dual phase {seed}.ctf", steel.scan)
            rolled = ebsdml.samples.partly_recrystallised((120, 160), seed=seed)
            ebsdml.write(folder / f"annealed {seed}.ang", rolled.scan)
        (folder / "broken.ctf").write_text("Channel Text File\nPrj\tcut off\n")
        ebsdml.batch(folder, ["maps", "gnd"], folder / "results")
        shutil.copy(folder / "results" / "contact_sheet.png", picture)


def figure(picture: Path) -> None:
    """IPF map with boundaries, key and scale bar."""
    scan = ebsdml.samples.dual_phase_steel((150, 220), 0.3, seed=0).scan
    ebsdml.figure(scan, "IPF-Z", picture, width=120, dpi=250, boundaries=True)


def session(picture: Path) -> None:
    """Maps and GND density of a window, as the next window shows them."""
    from napari_ebsdml._napari.demo.run import open_map, save_screenshot, write_example
    from napari_ebsdml._napari.demo.steps import _let_live, show_gnd

    with tempfile.TemporaryDirectory() as name:
        viewer, scan = open_map(write_example(Path(name)))
        show_gnd(viewer, scan)
        path = ebsdml.save_session(viewer, Path(name) / "monday")
        viewer.close()
        import napari

        viewer = napari.Viewer(title="monday.ebsdml.zarr")
        viewer.window.resize(1600, 1000)
        ebsdml.open_session(path, viewer)
        _let_live(8.0)
        save_screenshot(viewer, picture)
        viewer.close()


def blocks(sections: int = 24, rows: int = 44, columns: int = 60, grains: int = 60) -> list[Any]:
    """Maps of sections through grains of chance orientations."""
    rng = np.random.default_rng(5)
    seeds = rng.random((grains, 3)) * (sections, rows, columns)
    at = np.stack(np.indices((sections, rows, columns), dtype=np.float32), -1)
    nearest = np.full(at.shape[:-1], np.inf, np.float32)
    labels = np.zeros(at.shape[:-1], np.int32)
    for number, seed in enumerate(seeds):
        away = ((at - seed.astype(np.float32)) ** 2).sum(-1)
        labels[away < nearest] = number
        nearest = np.minimum(nearest, away)
    turns = rng.normal(size=(grains, 4))
    turns /= np.linalg.norm(turns, axis=-1, keepdims=True)
    like = ebsdml.samples.bent_crystal((8, 8), 0.01, step=0.5).scan
    return [
        dataclasses.replace(
            like, quaternions=turns[one], prop={}, is_measured=None,
            phase_id=np.full(one.shape, like.phases.ids[-1]),
        )
        for one in labels
    ]  # fmt: skip


def volume(picture: Path) -> None:
    """The grains of a volume, with a corner cut away, as napari shows them in 3-D."""
    import napari

    from napari_ebsdml._napari.demo.run import save_screenshot
    from napari_ebsdml._napari.demo.steps import _let_live
    from napari_ebsdml.maps import volume_of

    found = volume_of(blocks(), spacing=0.5)
    grains = found.grains.copy()
    grains[:12, 22:, :30] = 0
    viewer = napari.Viewer(title="napari-ebsdml", ndisplay=3)
    viewer.window.resize(1000, 700)
    viewer.add_labels(grains, name="grains", scale=found.step, units=("um",) * 3, opacity=1)
    camera = viewer.scene.camera
    camera.angles = (10, -35, 150)
    camera.zoom *= 0.8
    viewer.canvas.overlays.scale_bar.visible = True
    _let_live(1.0)
    save_screenshot(viewer, picture)
    viewer.close()


def main(folder: Path, chosen: list[str]) -> None:
    kinds = {"sheet": sheet, "figure": figure, "session": session, "volume": volume}
    if not set(chosen) <= set(kinds):
        raise SystemExit(__doc__)
    folder.mkdir(parents=True, exist_ok=True)
    for kind in chosen or kinds:
        kinds[kind](folder / f"{kind}.png")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]), sys.argv[2:])
