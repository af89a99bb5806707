"""A small synthetic pattern map, and the page "Name the space groups" on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
from orix.crystal_map import Phase, PhaseList

from napari_ebsdml import Scan, Source
from napari_ebsdml._napari.crystals.space_groups.page import SpaceGroupsPage
from napari_ebsdml._napari.crystals.widget import SPACE_GROUPS, CrystalsWidget
from napari_ebsdml._quaternions import to_matrix
from napari_ebsdml.camera import Camera
from napari_ebsdml.patterns.crystals.library import Library
from napari_ebsdml.patterns.frame import _kernels
from napari_ebsdml.patterns.frame.geometry import Geometry, to_kikuchipy
from napari_ebsdml.patterns.frame.triangle import FINE
from napari_ebsdml.patterns.simulated.synthetic import CLEAN, random_quaternions, spoil
from tests.napari.docks import add_map, open_dock, run

PC, TILT = (0.5, 0.25, 0.55), 5.0


CAMERA = Camera(shape=(60, 60), pc=np.array(PC), sample_tilt=70.0, tilt=TILT)


def three_phase_map() -> Scan:
    """Silicon, iron and nickel side by side, two grains each; the last row is not indexed."""
    library = Library.load()
    rng = np.random.default_rng(2)
    shape = (8, 12)
    kind = np.repeat(np.arange(3), 4)[None].repeat(8, axis=0)
    grain = 2 * kind + (np.arange(8) > 3)[:, None]
    q = random_quaternions(rng, 6)[grain]
    which = np.array([library.names.index(name) for name in ("Si", "Fe", "Ni")])[kind]
    geometry = Geometry.from_angles(PC, (60, 60), 70.0, TILT)
    turns = np.ascontiguousarray(to_matrix(to_kikuchipy(q.reshape(-1, 4))) @ geometry.to_sample)
    images = np.empty((96, 60, 60), np.float32)
    _kernels.project(library.masters, which.ravel(), turns, geometry.bounds, FINE, images)
    patterns = spoil(images, rng, CLEAN).reshape(*shape, 60, 60)
    scan = Scan(
        quaternions=q, phase_id=kind,
        phases=PhaseList(
            [Phase("silicon", space_group=227), Phase("iron", space_group=229),
             Phase("nickel", space_group=225)]
        ),
        step=(0.5, 0.5), patterns=da.from_array(patterns, chunks=(4, 12, 60, 60)),
        camera=CAMERA, source=Source(path=Path("three.h5")),
    )  # fmt: skip
    hole = np.zeros(shape, bool)
    hole[-1] = True
    return scan.without(hole)


def show(viewer: Any, scan: Scan) -> None:
    viewer.layers.clear()
    add_map(viewer, scan)


def open_page(viewer: Any, scan: Scan | None = None) -> SpaceGroupsPage:
    if scan is not None:
        show(viewer, scan)
    dock = open_dock(viewer, "Crystals", CrystalsWidget)
    dock.show_part(SPACE_GROUPS)
    return dock.space_groups


def classify(page: SpaceGroupsPage, qtbot: Any, expect: str = "done") -> None:
    run(page.compute, page.tasks, qtbot, expect)
    qtbot.waitUntil(lambda: not page.adding, timeout=20_000)
