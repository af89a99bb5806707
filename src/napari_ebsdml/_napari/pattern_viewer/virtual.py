"""Virtual backscatter images from the pattern viewer: what can be chosen, and the images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._napari.layers.of_scans import contrast_limits
from napari_ebsdml._napari.pattern_viewer.canvas import Region
from napari_ebsdml._parallel import Progress
from napari_ebsdml.errors import InputError
from napari_ebsdml.maps import virtual_backscatter, virtual_backscatter_grid
from napari_ebsdml.options import Option
from napari_ebsdml.scan import Scan

_MOST_CELLS = 10


@dataclass(frozen=True)
class VirtualSettings:
    """Which virtual backscatter images to compute."""

    what: Annotated[
        str,
        Option(
            "Image",
            "Which part of each pattern is averaged to one grey level, or to one colour channel",
            choices={
                "across": "RGB: left, middle, right of the detector",
                "down": "RGB: top, middle, bottom of the detector",
                "grid": "Grey: every cell of a grid",
                "region": "Grey: a region drawn on the pattern",
            },
        ),
    ] = "across"
    rows: Annotated[int, Option("Grid rows", "", "", 1, _MOST_CELLS, when="what=grid")] = 5
    columns: Annotated[int, Option("Grid columns", "", "", 1, _MOST_CELLS, when="what=grid")] = 5


@dataclass(frozen=True)
class VirtualImage:
    """One image, ready for `layers.add_result`."""

    data: NDArray[np.float32]
    quantity: str
    kind: str = "image"
    visible: bool = True
    settings: Mapping[str, Any] = field(default_factory=dict)


def virtual_images(
    scan: Scan,
    chosen: VirtualSettings,
    region: Region | None = None,
    progress: Progress = None,
) -> list[VirtualImage]:
    """Images that the form asks for.

    Parameters
    ----------
    scan
        Map with patterns.
    chosen
    region
        What was drawn on the pattern.
    progress
        Called with the fraction done; may raise to cancel.

    Raises
    ------
    MissingDataError
        When the scan has no patterns.
    InputError
        When no region was drawn, or the grid is finer than the detector.
    """
    what = chosen.what
    if what == "region":
        if region is None:
            raise InputError("Draw a region first: drag with the mouse over the pattern.")
        rows, columns = f"{region[0]}–{region[1] - 1}", f"{region[2]}–{region[3] - 1}"
        image = _unmeasured(scan, virtual_backscatter(scan, region, progress))
        name = f"virtual backscatter, detector rows {rows}, columns {columns}"
        return [VirtualImage(image, name, settings={"region": region})]
    if what == "grid":
        grid = chosen.rows, chosen.columns
        cells = virtual_backscatter_grid(scan, grid, progress)
        middle = grid[0] // 2, grid[1] // 2
        return [
            VirtualImage(
                _unmeasured(scan, cells[row, column]),
                f"virtual backscatter, cell {row + 1},{column + 1} of {grid[0]} × {grid[1]}",
                visible=(row, column) == middle,
                settings={"grid": grid, "cell": (row, column)},
            )
            for row in range(grid[0])
            for column in range(grid[1])
        ]
    grid = (1, 3) if what == "across" else (3, 1)
    thirds = virtual_backscatter_grid(scan, grid, progress).reshape(3, *scan.shape)
    name = "left, middle, right" if what == "across" else "top, middle, bottom"
    return [
        VirtualImage(
            rgb_of(scan, thirds), f"virtual backscatter, {name}", "rgb", settings={"grid": grid}
        )
    ]


def rgb_of(scan: Scan, channels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Three images as red, green and blue, each stretched on its own; NaN where not measured.

    Parameters
    ----------
    scan
    channels : (3, rows, columns)

    Returns
    -------
    (rows, columns, 3) float32 of 0 .. 1
    """
    colors = np.empty((*scan.shape, 3), dtype=np.float32)
    for number, channel in enumerate(channels):
        low, high = contrast_limits(channel, scan.is_measured)
        colors[..., number] = np.clip((channel - low) / (high - low), 0, 1)
    if scan.is_measured is not None:
        colors[~scan.is_measured] = np.nan
    return colors


def guides(chosen: VirtualSettings, shape: tuple[int, int], region: Region | None) -> list[Region]:
    """Parts of the detector that the images of the form come from."""
    if chosen.what == "region":
        return [] if region is None else [region]
    grid = {"across": (1, 3), "down": (3, 1)}.get(chosen.what, (chosen.rows, chosen.columns))
    height, width = shape
    down = [height * n // grid[0] for n in range(grid[0] + 1)]
    across = [width * n // grid[1] for n in range(grid[1] + 1)]
    return [
        (down[r], down[r + 1], across[c], across[c + 1])
        for r in range(grid[0])
        for c in range(grid[1])
    ]


def _unmeasured(scan: Scan, image: NDArray[np.float32]) -> NDArray[np.float32]:
    if scan.is_measured is None:
        return image
    return np.where(scan.is_measured, image, np.float32(np.nan))
