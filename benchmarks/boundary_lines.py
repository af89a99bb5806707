"""Boundaries of a large map as lines between pixels: how long they take to make and to draw.

    python benchmarks/boundary_lines.py [--side 2000] [--window]

The map is synthetic dual-phase steel of 500 x 500 pixels, side by side. Processor seconds; with
--window also the wall seconds from a zoom to the drawn frame (in software where there is no GPU).
The rival is one pixel a boundary in a Labels layer, as it was before.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from typing import Any

import numpy as np

_TILE = 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=2000)
    parser.add_argument("--window", action="store_true")
    given = parser.parse_args()
    from napari.components import ViewerModel
    from qtpy.QtWidgets import QApplication

    from napari_ebsdml._napari.files.map_layers import map_layers
    from napari_ebsdml._napari.maps.results import as_result
    from napari_ebsdml.maps import MapSettings, compute_maps
    from napari_ebsdml.samples import dual_phase_steel

    app = QApplication.instance() or QApplication([])
    sample = dual_phase_steel((_TILE, _TILE), seed=0).scan
    many = -(-given.side // _TILE)

    def tiled(values: Any) -> Any:
        array = np.tile(values, (many, many, *[1] * (np.ndim(values) - 2)))
        return array[: given.side, : given.side]

    scan = dataclasses.replace(
        sample, quaternions=tiled(sample.quaternions), phase_id=tiled(sample.phase_id),
        prop={name: tiled(values) for name, values in sample.prop.items()},
    )  # fmt: skip
    viewer: Any = ViewerModel()
    if given.window:
        import napari

        viewer = napari.Viewer(show=True)
    for data, options, kind in map_layers(scan)[:1]:
        getattr(viewer, f"add_{kind}")(data, **options)
    settings = MapSettings(kam=False, grains=False, ipf=False)

    def timed(name: str, call: Any) -> Any:
        start = time.process_time()
        found = call()
        print(f"{name:34} {time.process_time() - start:6.2f} s")
        return found

    events = timed("kinds and lines of boundaries", lambda: list(compute_maps(scan, settings)))
    found = next(e for e in events if not isinstance(e, str) and e.name == "boundaries")
    result = timed("joined to straight lines", lambda: as_result(scan, settings, found))
    lines, kinds = result.lines
    print(f"{len(found.measured.lines)} sides of pixels, {len(lines)} lines, {scan.shape}")
    layer = timed("layer of lines", lambda: result.add_to(viewer, scan))
    plain = dataclasses.replace(result, lines=None)
    timed("rival: layer of pixels", lambda: plain.add_to(viewer, scan, replace=False))

    def zoom(factor: float) -> None:
        viewer.scene.camera.zoom *= factor
        from napari_ebsdml._napari.layers.line_width import _of_viewers

        _of_viewers[getattr(viewer, "__wrapped__", viewer)].apply()

    timed("width after a zoom", lambda: zoom(2.0))
    print(f"width {layer.edge_width:.3f} pixels of the map, {len(np.unique(kinds))} kinds")
    if given.window:
        for _ in range(50):
            app.processEvents()
        for factor in (2.0, 0.5):
            start = time.perf_counter()
            zoom(factor)
            viewer.screenshot(canvas_only=True, flash=False)
            print(f"zoom by {factor:g} to the frame: {time.perf_counter() - start:.2f} s wall")


if __name__ == "__main__":
    main()
