"""Draw a prediction on simulated lines: ``python docs/dislocation_pictures.py FILE``."""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from napari_ebsdml.dislocations.article.lines import simulate_maps, unit_density
from napari_ebsdml.dislocations.article.lines_presets import line_rules
from napari_ebsdml.dislocations.article.predict import predict_planes

STEP, DEPTH = 0.1, 0.02
"""Pixel side and plane thickness in um."""


def main(file: Path) -> None:
    unit = unit_density(STEP, DEPTH)
    rules = line_rules("exact").replace(pixels=40, lines=(40, 40))
    maps = simulate_maps(1, rules, seed=12)
    out = predict_planes(maps.gnd * unit, STEP, DEPTH)
    double = predict_planes(2 * maps.gnd * unit, STEP, DEPTH)
    density = {"vmin": 0, "vmax": 4, "cmap": "inferno"}
    number = {"vmin": 0, "vmax": 5, "cmap": "viridis"}
    flag = {"vmin": 0, "vmax": 1, "cmap": "gray"}
    width = (out.interval[0, ..., 1] - out.interval[0, ..., 0]) / unit
    panels = (
        ("|GND|, the input", out.magnitude[0] / unit, density),
        ("total density, truth", maps.total[0], density),
        ("mean", out.mean[0] / unit, density),
        ("width of the 90 % interval", width, density),
        ("number of lines, truth", maps.count[0], number),
        ("number of lines, most probable", out.n_lines[0], number),
        ("in range", out.in_range[0], flag),
        ("in range, input twice too large", double.in_range[0], flag),
    )
    figure, axes = plt.subplots(2, 4, figsize=(16, 8), layout="constrained")
    side = 40 * STEP
    for axis, (title, image, style) in zip(axes.flat, panels, strict=True):
        shown = axis.imshow(
            np.asarray(image, float), extent=(0, side, side, 0), interpolation="nearest", **style
        )
        axis.set(title=title, xticks=range(5), yticks=range(5))
        figure.colorbar(shown, ax=axis, shrink=0.8)
    figure.suptitle(
        "Simulated dislocation lines on one slip plane. Densities in lines straight across a pixel "
        f"(here {unit:.2g} 1/m$^2$), axes in um"
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=65)
    plt.close(figure)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]))
