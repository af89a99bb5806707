"""Tables of grains for people, with names of phases and units; no Qt here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.scan import NOT_INDEXED, Scan

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


def _phase_names(scan: Scan, table: Mapping[str, NDArray[Any]]) -> list[str]:
    names = {number: phase.name for number, phase in scan.phases}
    return [names.get(int(number), "not indexed") for number in table["phase"]]


def every_grain(scan: Scan, table: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """The table of `maps.grain_table` with names of phases, and units in the titles."""
    columns = {**table, "phase": _phase_names(scan, table)}
    return {
        f"{name} [{_UNITS[name]}]" if name in _UNITS else name: values
        for name, values in columns.items()
    }


def grain_features(scan: Scan, table: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
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
