"""Pole figure, unit cell and profile, drawn with matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.collections import LineCollection
from numpy.typing import NDArray

from napari_ebsdml._napari.controls.plot import Plot
from napari_ebsdml._napari.controls.theme import shades
from napari_ebsdml.maps.ipf import IPFKey
from napari_ebsdml.maps.profile import MisorientationProfile

_MARK = "#ff8c42"


def show_pole_figure(
    plot: Plot,
    title: str,
    density: NDArray[np.floating],
    marked: NDArray[np.floating] | None = None,
) -> None:
    """Density of poles, with those of one grain marked.

    Parameters
    ----------
    plot
    title
    density : (size, size)
        In multiples of random; NaN outside the circle.
    marked : (n, 2), optional
        Points of the projection.
    """

    def paint(axes: Any) -> None:
        ink = plot.ink()
        high = max(2.0, float(np.nanmax(density))) if np.isfinite(density).any() else 2.0
        image = axes.imshow(density, extent=(-1, 1, 1, -1), cmap="viridis", vmin=0, vmax=high)
        axes.add_patch(_circle(ink))
        if marked is not None and len(marked):
            axes.scatter(
                marked[:, 0],
                marked[:, 1],
                s=34,
                facecolors="none",
                edgecolors=_MARK,
                linewidths=1.6,
            )
        axes.text(1.04, 0, "X", color=ink, fontsize=9, va="center")
        axes.text(0, 1.05, "Y", color=ink, fontsize=9, ha="center", va="top")
        axes.set_xlim(-1.12, 1.12)
        axes.set_ylim(1.2, -1.05)
        axes.set_aspect("equal")
        axes.set_axis_off()
        axes.set_title(title, color=ink, fontsize=9)
        bar = plot.drawn.colorbar(image, ax=axes, shrink=0.8, pad=0.02)
        bar.set_label("multiples of random", color=ink, fontsize=8)
        bar.ax.tick_params(colors=ink, labelsize=8)

    plot.show_with(paint)


def show_inverse_pole_figure(
    plot: Plot,
    title: str,
    density: NDArray[np.floating],
    extent: tuple[float, float, float, float],
    key: IPFKey,
    marked: NDArray[np.floating] | None = None,
) -> None:
    """Density of crystal directions in the fundamental sector, with those of one grain marked.

    Parameters
    ----------
    plot
    title
    density, extent
        Of `maps.inverse_pole_density`.
    key
        Names of the corners.
    marked : (n, 2), optional
        Points of the projection.
    """

    def paint(axes: Any) -> None:
        ink = plot.ink()
        high = max(2.0, float(np.nanmax(density))) if np.isfinite(density).any() else 2.0
        image = axes.imshow(
            density, extent=extent, cmap="viridis", vmin=0, vmax=high, interpolation="bilinear"
        )
        if marked is not None and len(marked):
            axes.scatter(
                marked[:, 0], marked[:, 1], s=20, facecolors="none", edgecolors=_MARK, linewidths=1
            )
        rows, columns = key.rgba.shape[:2]
        pixel = (extent[1] - extent[0]) / max(columns, 1)
        top = extent[3]
        for name, row, column in key.labels:
            x, y = extent[0] + column * pixel, top - row * pixel
            below = row > rows / 2
            axes.annotate(
                name, (x, y), (0, -4 if below else 4), textcoords="offset points", color=ink,
                fontsize=8, ha="center", va="top" if below else "bottom", annotation_clip=False,
            )  # fmt: skip
        axes.set_aspect("equal")
        axes.set_axis_off()
        axes.margins(0.12)
        axes.set_title(title, color=ink, fontsize=9, pad=14)
        bar = plot.drawn.colorbar(image, ax=axes, shrink=0.8, pad=0.04)
        bar.set_label("multiples of random", color=ink, fontsize=8)
        bar.ax.tick_params(colors=ink, labelsize=8)

    plot.show_with(paint)


def show_histogram(
    plot: Plot,
    title: str,
    edges: NDArray[np.floating],
    every: NDArray[np.integer],
    own: NDArray[np.integer] | None = None,
    chosen: tuple[float, float] | None = None,
    ticks: Sequence[tuple[float, str]] = (),
) -> None:
    """Values of the map, those of one grain, a range that was chosen, and ticks of its own.

    Both are scaled to the same height: a grain is a small part of the map.
    """

    def paint(axes: Any) -> None:
        ink, (blue, orange) = plot.ink(), shades(plot)[:2]
        axes.stairs(every / max(int(every.max()), 1), edges, fill=True, color=blue, alpha=0.6,
                    label="map")  # fmt: skip
        if own is not None and own.any():
            axes.stairs(own / own.max(), edges, color=orange, linewidth=1.4, label="grain")
            axes.legend(fontsize=7, frameon=False, labelcolor=ink)
        if chosen is not None:
            axes.axvspan(*chosen, color=_MARK, alpha=0.3)
        axes.set_xlim(edges[0], edges[-1])
        axes.set_ylim(0, 1.05)
        axes.set_yticks([])
        if ticks:
            axes.set_xticks([place for place, _ in ticks], [text for _, text in ticks])
        axes.set_xlabel(title, color=ink, fontsize=8)

    plot.show_with(paint)


def show_cell(plot: Plot, edges: NDArray[np.floating]) -> None:
    """A unit cell as it lies in the map, seen as the map is: near edges thick, far ones thin."""

    def paint(axes: Any) -> None:
        ink = plot.ink()
        depth = edges[..., 2].mean(axis=1)
        order = np.argsort(-depth)
        near = 1 - (depth - depth.min()) / max(float(np.ptp(depth)), 1e-9)
        lines = LineCollection(
            list(edges[order, :, :2]), linewidths=0.8 + 1.8 * near[order], colors=ink,
            alpha=0.35 + 0.65 * near[order], capstyle="round",
        )  # fmt: skip
        axes.add_collection(lines)
        axes.set_xlim(-1.05, 1.05)
        axes.set_ylim(1.05, -1.05)
        axes.set_aspect("equal")
        axes.set_axis_off()

    plot.show_with(paint)


def show_profile(plot: Plot, profile: MisorientationProfile) -> None:
    """Misorientation to the start of a line and from pixel to pixel."""

    def paint(axes: Any) -> None:
        ink, (blue, orange) = plot.ink(), shades(plot)[:2]
        axes.plot(profile.distance, profile.to_first, color=blue, label="to the start")
        axes.plot(profile.distance, profile.to_previous, color=orange, label="to the pixel before")
        axes.set_xlabel("distance [µm]", color=ink, fontsize=8)
        axes.set_ylabel("misorientation [°]", color=ink, fontsize=8)
        axes.set_ylim(bottom=0)
        axes.legend(fontsize=7, frameon=False, labelcolor=ink)

    plot.show_with(paint)


def _circle(ink: str) -> Any:
    from matplotlib.patches import Circle

    return Circle((0, 0), 1, fill=False, edgecolor=ink, linewidth=1)
