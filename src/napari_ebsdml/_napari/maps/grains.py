"""Maps made of grains, which are segmented once, and their tables; no Qt here."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._napari.maps.settings import MapResult, MapSettings, from_zero, masked
from napari_ebsdml.scan import NOT_INDEXED, Scan

if TYPE_CHECKING:
    from napari_ebsdml._parallel import Progress

_UNITS = {
    "area": "µm²",
    "equivalent_diameter": "µm",
    "centroid_y": "µm",
    "centroid_x": "µm",
    "major_axis": "µm",
    "minor_axis": "µm",
    "ellipse_angle": "°",
    "perimeter": "µm",
    "gos": "°",
}


class GrainMaps:
    """Maps made of grains, which are segmented once."""

    def __init__(self, scan: Scan, chosen: MapSettings) -> None:
        self.scan, self.chosen = scan, chosen
        self.labels = np.zeros(scan.shape, dtype=np.int32)
        self.settings = {
            "threshold": chosen.grain_threshold,
            "min_pixels": chosen.grain_min_pixels,
        }

    def segment(self, progress: Progress) -> None:
        """Find the grains; comes before all others."""
        from napari_ebsdml.maps import segment_grains

        self.labels = segment_grains(
            self.scan, self.chosen.grain_threshold, self.chosen.grain_min_pixels, progress
        )

    def grod(self, progress: Progress) -> MapResult:
        """Grain reference orientation deviation."""
        from napari_ebsdml.maps import grod

        return self._angles(grod(self.scan, self.labels, progress), "GROD", "plasma")

    def gos(self, progress: Progress) -> MapResult:
        """Grain orientation spread, as a map."""
        from napari_ebsdml.maps import gos

        return self._angles(gos(self.scan, self.labels)[self.labels], "GOS", "magma")

    def ipf(self, progress: Progress) -> MapResult:
        """IPF colours of the mean orientation of each grain."""
        from napari_ebsdml.maps import grain_mean_orientation, ipf_colors

        means = grain_mean_orientation(self.scan, self.labels)
        inside = self.labels > 0
        mean_scan = dataclasses.replace(
            self.scan,
            quaternions=means[self.labels],
            phase_id=np.where(inside, self.scan.phase_id, NOT_INDEXED),
        )
        return MapResult(
            ipf_colors(mean_scan, self.chosen.vector, progress),
            f"grain mean IPF-{self.chosen.direction_name}",
            kind="rgb",
            settings={**self.settings, "direction": self.chosen.vector},
        )

    def measure(self, progress: Progress) -> MapResult:
        """Labels of the grains, with their tables."""
        from napari_ebsdml.maps import grain_table

        table = grain_table(self.scan, self.labels, progress=progress)
        return MapResult(
            self.labels,
            "grains",
            kind="labels",
            settings=self.settings,
            display={"features": _grain_features(self.scan, table)},
            table={
                "Grains": grain_summary(self.scan, table),
                "Every grain": _with_units(self.scan, table),
            },
        )

    def _angles(self, values: NDArray[Any], quantity: str, colormap: str) -> MapResult:
        shown = masked(values, self.labels > 0)
        return MapResult(
            shown,
            quantity,
            "°",
            settings=self.settings,
            display={"colormap": colormap, "contrast_limits": from_zero(shown)},
        )


def _phase_names(scan: Scan, table: Mapping[str, NDArray[Any]]) -> list[str]:
    names = {number: phase.name for number, phase in scan.phases}
    return [names.get(int(number), "not indexed") for number in table["phase"]]


def _with_units(scan: Scan, table: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """The grain table with names of phases, and units in the titles."""
    columns = {**table, "phase": _phase_names(scan, table)}
    return {
        f"{name} [{_UNITS[name]}]" if name in _UNITS else name: values
        for name, values in columns.items()
    }


def _grain_features(scan: Scan, table: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """What the status bar tells of the grain under the cursor."""
    shown = {
        "area [µm²]": "area",
        "diameter [µm]": "equivalent_diameter",
        "aspect ratio": "aspect_ratio",
        "GOS [°]": "gos",
    }
    features: dict[str, Any] = {
        "index": [0, *table["id"].tolist()],
        "phase": ["no grain", *_phase_names(scan, table)],
    }
    for name, column in shown.items():
        features[name] = np.concatenate(([np.nan], table[column]))
    return features


def grain_summary(scan: Scan, table: Mapping[str, NDArray[Any]]) -> dict[str, list[Any]]:
    """Figures on all grains of each phase, one column a phase.

    Parameters
    ----------
    scan
    table
        As from `maps.grain_table`. Diameters are those of circles of the same area; "by area" are
        means weighted with the area; grains that the edge of the map cuts are counted.

    Returns
    -------
    dict of name -> list
    """
    names = (
        "grains",
        "cut by map edge",
        "mean diameter [µm]",
        "median diameter [µm]",
        "diameter by area [µm]",
        "mean aspect ratio",
        "GOS by area [°]",
        "map share [%]",
    )
    summary: dict[str, list[Any]] = {"": list(names)}
    whole = scan.phase_id.size * scan.step[0] * scan.step[1]
    phases = [number for number in scan.phases.ids if (table["phase"] == number).any()]
    titles = {number: scan.phases[number].name for number in phases}
    for number in phases or [NOT_INDEXED]:
        this = table["phase"] == number
        diameter, area = table["equivalent_diameter"][this], table["area"][this]
        figures: list[Any] = [int(this.sum()), int(table["touches_edge"][this].sum())]
        if this.any():
            figures += [
                float(diameter.mean()),
                float(np.median(diameter)),
                float(np.average(diameter, weights=area)),
                float(table["aspect_ratio"][this].mean()),
                float(np.average(table["gos"][this], weights=area)),
            ]
        else:
            figures += [math.nan] * 5
        figures.append(100 * float(area.sum()) / whole)
        title = titles.get(number, "none")
        summary[title if title not in summary else f"{title} ({number})"] = figures
    return summary
