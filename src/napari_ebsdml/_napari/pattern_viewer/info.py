"""What is known about one pixel, in words."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from napari_ebsdml._napari.files.map_layers import unit_of
from napari_ebsdml._napari.layers.of_scans import info_of, layers_of, scans_of
from napari_ebsdml.io._orient import euler_from_quaternions
from napari_ebsdml.scan import Scan

if TYPE_CHECKING:
    from napari.components import ViewerModel

FRAME_TIP = (
    "Bunge angles φ1, Φ, φ2 in the frame of the map: x to the right, y down, z into the screen. "
    "The angles in the file refer to the vendor's own axes and may differ"
)

NO_PATTERNS = (
    "This map has no patterns.\n\n"
    "Open the pattern file itself (.up1, .up2, .ebsp, NORDIF .dat, Bruker, EDAX, Oxford or "
    "kikuchipy HDF5, or a folder of pattern images). Where it holds no orientations, put the map "
    "(.ang, .ctf, .cpr or orix .h5) beside it under the same name: both are opened together."
)


class Entry(NamedTuple):
    """One line: what, and how much."""

    name: str
    text: str
    tip: str = ""


def describe_pixel(
    scan: Scan, row: int, column: int, viewer: ViewerModel | None = None
) -> list[Entry]:
    """Position, phase, orientation and values of a pixel.

    Parameters
    ----------
    scan, row, column
    viewer
        Where results of this scan are shown; those in sight are listed too.
    """
    dy, dx = scan.step
    at = row, column
    entries = [
        Entry(
            "position",
            f"row {row}, column {column} · x {column * dx:.6g}, y {row * dy:.6g} µm",
            "Rows and columns count from 0; x and y from the centre of the map's first pixel",
        )
    ]
    number = int(scan.phase_id[at])
    if scan.is_measured is not None and not scan.is_measured[at]:
        return [*entries, Entry("phase", "not measured")]
    if number < 0:
        entries.append(Entry("phase", "not indexed"))
    else:
        phase = scan.phases[number]
        group = phase.space_group.short_name if phase.space_group is not None else ""
        entries.append(Entry("phase", f"{phase.name} {group}".strip()))
        angles = euler_angles(scan, row, column)
        entries.append(
            Entry(
                "Euler angles",
                " · ".join(
                    f"{name} {angle:.2f}°"
                    for name, angle in zip(("φ1", "Φ", "φ2"), angles, strict=True)
                )
                + " (map frame)",
                f"{FRAME_TIP} (here: {scan.source.reference_frame}).",
            )
        )
    values = _values(scan, row, column, viewer)
    if values:
        entries.append(Entry("values", " · ".join(values)))
    return entries


def euler_angles(scan: Scan, row: int, column: int) -> tuple[float, float, float]:
    """Bunge angles in degrees, in the frame of the map."""
    angles = np.degrees(euler_from_quaternions(scan.quaternions[row, column][np.newaxis])[0])
    # 360 degrees are 0, and rounding must not show 360.00.
    phi1, capital, phi2 = (float(a) for a in np.round(angles, 2))
    return phi1 % 360.0, capital, phi2 % 360.0


def as_html(entries: list[Entry], muted: str) -> str:
    """Table of entries, their names in the colour `muted`."""
    rows = "".join(
        f"<tr><td style='padding-right: 8px; color: {muted}'>{escape(entry.name)}</td>"
        f"<td>{escape(entry.text)}</td></tr>"
        for entry in entries
    )
    return f"<table cellspacing='0' cellpadding='1'>{rows}</table>"


def _values(scan: Scan, row: int, column: int, viewer: ViewerModel | None) -> list[str]:
    """Quality values of the file, then results in visible layers."""
    results: list[str] = []
    for layer in layers_of(viewer, scan) if viewer is not None else ():
        info = info_of(layer)
        assert info is not None
        name = str(info["quantity"])
        if name in scan.prop or info["kind"] != "image" or not layer.visible:
            continue
        data = layer.data
        if data.ndim == 3:
            data = data[scans_of(layer).index(scan) if len(scans_of(layer)) > 1 else 0]
        if data.shape == scan.shape:
            results.append(_figure(name, data[row, column], str(info["unit"])))
    own = [
        _figure(name, values[row, column], unit_of(scan, name))
        for name, values in scan.prop.items()
    ]
    return own + results


def _figure(name: str, value: Any, unit: str) -> str:
    if isinstance(value, np.generic) and value.dtype.kind in "fc":
        text = f"{value:.4g}" if np.isfinite(value) else "–"
    else:
        text = str(value)
    return f"{name} {text}" + ("" if not unit else unit if unit == "°" else f" {unit}")
