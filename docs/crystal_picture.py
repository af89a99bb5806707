"""Draw the space groups of a synthetic map in napari: ``python docs/crystal_picture.py FILE``.

Four crystals of the shipped library (60 x 45 patterns, seed 3, noise 0.7 times the bands), whose
dock "Crystals" names them by grain, and one pixel with the bands that decided. Needs a display.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import dask.array as da
import napari
import numpy as np
from orix.crystal_map import Phase, PhaseList
from qtpy.QtWidgets import QApplication

import napari_ebsdml as ebsdml
from napari_ebsdml._napari.files.map_layers import map_layers
from napari_ebsdml._napari.layers.of_scans import show_map
from napari_ebsdml._quaternions import multiply
from napari_ebsdml.camera import Camera
from napari_ebsdml.patterns.crystals.library import Library
from napari_ebsdml.patterns.frame.geometry import Geometry
from napari_ebsdml.patterns.simulated.screen import expose
from napari_ebsdml.patterns.simulated.synthetic import project_bands, random_quaternions

CRYSTALS = {"Ni": 225, "Ni3Al": 221, "Fe": 229, "Si": 227}
SHAPE, SIDE, GRAINS, NOISE = (45, 60), 60, 26, 0.7
CENTRE, TILT = (0.5, 0.3, 0.55), 5.0


def four_phases() -> ebsdml.Scan:
    """A map of grains of four crystals, with patterns."""
    library = Library.load()
    names = list(library.names)
    rng = np.random.default_rng(3)
    seeds = rng.uniform(0, SHAPE, (GRAINS, 2))
    places = np.stack(np.indices(SHAPE), -1)
    grain = ((places[:, :, None] - seeds) ** 2).sum(-1).argmin(-1)
    phase = rng.integers(len(CRYSTALS), size=GRAINS)[grain]
    turns = random_quaternions(rng, GRAINS)[grain.ravel()]
    small = np.concatenate(
        [np.ones((len(turns), 1)), rng.normal(0, np.deg2rad(0.3) / 2, (len(turns), 3))], axis=1
    )
    turns = multiply(small / np.linalg.norm(small, axis=1, keepdims=True), turns)
    geometry = Geometry.from_angles(CENTRE, (SIDE, SIDE), 70.0, TILT)
    patterns = np.empty((phase.size, SIDE, SIDE), np.uint8)
    for number, name in enumerate(CRYSTALS):
        mine = np.flatnonzero(phase.ravel() == number)
        master = library.masters[names.index(name)][None]
        bands = project_bands(master, np.zeros(len(mine), np.intp), turns[mine], geometry)
        shown = expose(bands, rng, (NOISE, NOISE), 0.4)
        low, high = np.quantile(shown, (0.001, 0.999))
        patterns[mine] = np.clip(255 * (shown - low) / (high - low), 0, 255)
    return ebsdml.Scan(
        quaternions=turns.reshape(*SHAPE, 4),
        phase_id=phase.astype(np.int32),
        phases=PhaseList({n: Phase(name, space_group=group)
                          for n, (name, group) in enumerate(CRYSTALS.items())}),
        step=(0.2, 0.2),
        prop={"IQ": patterns.reshape(len(patterns), -1).std(axis=1).reshape(SHAPE)},
        source=ebsdml.Source(scan_name="four crystals"),
        patterns=da.from_array(patterns.reshape(*SHAPE, SIDE, SIDE)),
        camera=Camera(shape=(SIDE, SIDE), pc=CENTRE, sample_tilt=70.0, tilt=TILT),
    )  # fmt: skip


def main(picture: Path) -> None:
    """Open the map, let the dock answer, click a grain, and keep the window's picture."""
    scan = four_phases()
    viewer = napari.Viewer(title="napari-ebsdml")
    viewer.window.resize(1600, 1000)
    for data, arguments, kind in map_layers(scan):
        getattr(viewer, f"add_{kind}")(data, **arguments)
    _, dock = viewer.window.add_plugin_dock_widget("napari-ebsdml", "Crystals")
    wait(lambda: dock.scan is scan)
    dock.show_part("space_groups")
    page = dock.space_groups
    page.classify_form.answers.set_saved({"by": "grain"})
    wait(page.ready)
    page.compute()
    wait(lambda: bool(page.results) and not dock.tasks.running and not page.adding)
    page.tabs.setCurrentIndex(1)
    patterns = page.open_pattern_viewer()
    iron = np.argwhere((scan.phase_id == 2) & (page.results[0].result.space_group == 229))
    patterns.show_pixel(scan, *iron[len(iron) // 2])
    patterns.display.set_saved({"dynamic": True})
    wait(lambda: page.pixel_panel.explanation is not None)
    viewer.canvas.overlays.scale_bar.visible = True
    show_map(viewer, scan)
    wait(lambda: False, 2.0)
    viewer.screenshot(str(picture), canvas_only=False, flash=False)
    viewer.close()


def wait(ready: Callable[[], bool], seconds: float = 300.0) -> None:
    """Let the window live until something is so, or the time is over."""
    end = time.monotonic() + seconds
    while not ready() and time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.01)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]))
