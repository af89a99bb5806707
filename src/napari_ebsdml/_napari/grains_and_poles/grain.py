"""What there is to tell of one grain; no Qt here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._quaternions import to_matrix
from napari_ebsdml.maps.settings import GRAIN_THRESHOLD
from napari_ebsdml.scan import Scan

if TYPE_CHECKING:
    from orix.crystal_map import Phase

    from napari_ebsdml._parallel import Progress

_MOST_NEIGHBOURS = 12


@dataclass(frozen=True, eq=False)
class GrainMap:
    """Grains of a map, measured.

    Attributes
    ----------
    scan
    labels : (rows, columns) int32
        0 for no grain.
    table
        As `grain_table` makes it.
    threshold
        Disorientation in degrees at which a grain ends.
    """

    scan: Scan
    labels: NDArray[np.int32]
    table: dict[str, NDArray[Any]]
    threshold: float

    def row(self, label: int) -> int:
        """Row of a label in the table."""
        return int(np.searchsorted(self.table["id"], label))

    def mean(self, label: int) -> NDArray[np.float64]:
        """Mean orientation of a grain, a quaternion."""
        row = self.row(label)
        return np.array([self.table[f"mean_{name}"][row] for name in "wxyz"])


def find_grains(
    scan: Scan, threshold: float = GRAIN_THRESHOLD, progress: Progress = None
) -> Iterator[str | GrainMap]:
    """Segment a map into grains and measure them."""
    from napari_ebsdml.maps import grain_table, segment_grains

    yield "Finding grains"
    labels = segment_grains(scan, threshold, progress=progress)
    yield "Measuring grains"
    yield GrainMap(scan, labels, grain_table(scan, labels, progress=progress), threshold)


def card(grains: GrainMap, label: int) -> list[tuple[str, str]]:
    """Figures of a grain: name and text with unit."""
    table, row, scan = grains.table, grains.row(label), grains.scan
    number = int(table["phase"][row])
    phase = scan.phases[number].name if number >= 0 else "not indexed"
    edge = " (cut by the edge of the map)" if table["touches_edge"][row] else ""
    found = [
        ("Phase", phase),
        (
            "Size",
            f"{table['equivalent_diameter'][row]:.3g} µm, {table['pixels'][row]} pixels{edge}",
        ),
        ("Area", f"{table['area'][row]:.4g} µm²"),
        ("Aspect ratio", f"{table['aspect_ratio'][row]:.3g}"),
        ("Orientation spread", f"{table['gos'][row]:.3g}°"),
    ]
    if number >= 0:
        from orix.quaternion import Rotation

        angles = np.degrees(Rotation(grains.mean(label)).to_euler()).ravel()
        text = "  ".join(f"{v:.1f}°" for v in angles)
        found.insert(1, ("Mean φ1, Φ, φ2", f"{text} (axes of the map)"))
    for name, values in table.items():
        if name.startswith("mean_") and name[5:] not in tuple("wxyz") and np.isfinite(values[row]):
            found.append((f"Mean {name[5:]}", f"{values[row]:.4g}"))
    return found


def neighbours(grains: GrainMap, label: int) -> dict[str, list[Any]]:
    """Grains that share a boundary with one, the longest boundary first.

    Returns
    -------
    dict of title -> column
    """
    from napari_ebsdml.maps import disorientation_angle

    labels = grains.labels
    counts: dict[int, float] = {}
    dy, dx = grains.scan.step
    pairs = ((labels[:, :-1], labels[:, 1:], dy), (labels[:-1], labels[1:], dx))
    for first, second, side in pairs:
        for one, beside in ((first, second), (second, first)):
            touching = beside[(one == label) & (beside != label) & (beside > 0)]
            for found, number in zip(*np.unique(touching, return_counts=True), strict=True):
                counts[int(found)] = counts.get(int(found), 0.0) + side * int(number)
    ranked = sorted(counts, key=lambda other: -counts[other])[:_MOST_NEIGHBOURS]
    phases = grains.table["phase"]
    own = int(phases[grains.row(label)])
    angles = []
    for other in ranked:
        same = int(phases[grains.row(other)]) == own >= 0
        angles.append(
            float(
                disorientation_angle(
                    grains.mean(label), grains.mean(other), grains.scan.phases[own]
                )
            )
            if same
            else float("nan")
        )
    names = {number: phase.name for number, phase in grains.scan.phases}
    return {
        "neighbour": ranked,
        "misorientation [°]": angles,
        "boundary [µm]": [counts[n] for n in ranked],
        "phase": [names.get(int(phases[grains.row(n)]), "") for n in ranked],
    }


def unit_cell(phase: Phase, orientation: NDArray[np.float64]) -> NDArray[np.float64]:
    """Edges of a unit cell as it lies in the map.

    Parameters
    ----------
    phase
        Its lattice tells the cell; a hexagonal one is drawn as a prism.
    orientation : (4,)
        Quaternion, map -> crystal.

    Returns
    -------
    (n, 2, 3) float64
        Ends in the axes of the map (x right, y down, z into the screen), about the middle of the
        cell; the longest distance from it is 1.
    """
    base = np.asarray(phase.structure.lattice.base, dtype=np.float64)
    a, b, c = base
    lattice = phase.structure.lattice
    if abs(lattice.gamma - 120) < 0.5 and abs(lattice.a - lattice.b) < 1e-3 * lattice.a:
        ring = [a, a + b, b, -a, -a - b, -b]
        low = np.array([v - c / 2 for v in ring])
        high = low + c
        edges = [(face[n], face[(n + 1) % 6]) for face in (low, high) for n in range(6)]
        edges += [(low[n], high[n]) for n in range(6)]
    else:
        corners = {
            (i, j, k): (i - 0.5) * a + (j - 0.5) * b + (k - 0.5) * c
            for i in (0, 1) for j in (0, 1) for k in (0, 1)
        }  # fmt: skip
        edges = [
            (corners[one], corners[other])
            for one in corners
            for other in corners
            if one < other and sum(abs(p - q) for p, q in zip(one, other, strict=True)) == 1
        ]
    turned = np.asarray(edges) @ to_matrix(orientation)
    return np.asarray(turned / np.linalg.norm(turned, axis=-1).max())
