"""Draw the synthetic dual-phase steels: ``python docs/sample_pictures.py FOLDER``."""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap

import napari_ebsdml as ebsdml
from napari_ebsdml.maps import ipf_colors, kam


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    truth_colors = ListedColormap(["tab:red", "tab:blue"])
    for name, fraction in ebsdml.samples.VARIANTS.items():
        scan, truth, *_ = ebsdml.samples.dual_phase_steel(martensite_fraction=fraction)
        figure, axes = plt.subplots(2, 2, figsize=(16, 12.4), layout="constrained")
        size = (0, scan.shape[1] * scan.step[1], scan.shape[0] * scan.step[0], 0)
        panels = (
            ("Band contrast", scan.get("BC"), {"cmap": "gray"}),
            ("IPF-Z", np.nan_to_num(ipf_colors(scan)), {}),
            ("KAM, 0 to 1.5 degrees", kam(scan), {"vmin": 0, "vmax": 1.5}),
            ("Truth: ferrite red, martensite blue", truth, {"cmap": truth_colors}),
        )
        for axis, (title, image, style) in zip(axes.flat, panels, strict=True):
            axis.imshow(image, extent=size, interpolation="nearest", **style)
            axis.set(title=title, xlabel="x / um", ylabel="y / um")
        figure.suptitle(f"{name}: {100 * fraction:.0f} % martensite")
        figure.savefig(folder / f"dual_phase_{name}.png", dpi=80)
        plt.close(figure)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]))
