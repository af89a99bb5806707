"""Where the planes of a crystal cut the detector: the centre lines of Kikuchi bands."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_ebsdml._quaternions import to_matrix
from napari_ebsdml.patterns.frame.geometry import Geometry, to_kikuchipy
from napari_ebsdml.patterns.frame.triangle import node_directions

_INSIDE = 1e-9


def plane_family(hkl: tuple[int, int, int]) -> NDArray[np.float64]:
    """Unit normals of the planes {hkl} of a cubic crystal, one of each pair +-n, (n, 3)."""
    found = {
        tuple(sign * index for sign, index in zip(signs, order, strict=True))
        for order in permutations(hkl)
        for signs in product((1, -1), repeat=3)
    }
    half = sorted(normal for normal in found if normal > (0, 0, 0))
    normals = np.array(half, dtype=np.float64)
    return normals / np.linalg.norm(normals, axis=1, keepdims=True)


def band_traces(
    hkl: tuple[int, int, int], quaternion: ArrayLike, geometry: Geometry
) -> NDArray[np.float64]:
    """Straight lines along which the planes {hkl} of a cubic crystal cut the detector.

    Parameters
    ----------
    hkl
    quaternion : (4,) array
        Specimen -> crystal as in `Scan`.
    geometry
        With one pattern centre.

    Returns
    -------
    lines : (n, 2, 2) array
        Two end points (row, column) of each line on the edge of the detector, in parts of its
        height and width; planes that miss the detector are left out.
    """
    to_crystal = to_matrix(to_kikuchipy(np.reshape(quaternion, 4))) @ geometry.to_sample
    x0, x1, y0, y1 = geometry.bounds[0]
    lines = []
    # n . R (x, y, 1) = 0 is a line in the gnomonic plane.
    for m in plane_family(hkl) @ to_crystal:
        across, down = m[0] * (x1 - x0), -m[1] * (y1 - y0)
        constant = m[0] * x0 + m[1] * y1 + m[2]
        ends = []
        for edge in (0.0, 1.0):
            if abs(down) > _INSIDE:
                ends.append((-(constant + across * edge) / down, edge))
            if abs(across) > _INSIDE:
                ends.append((edge, -(constant + down * edge) / across))
        inside = [end for end in ends if all(-_INSIDE <= value <= 1 + _INSIDE for value in end)]
        apart = [end for end in inside if np.hypot(*np.subtract(end, inside[0])) > _INSIDE]
        if apart:
            lines.append((inside[0], max(apart, key=lambda end: np.hypot(
                end[0] - inside[0][0], end[1] - inside[0][1]))))  # fmt: skip
    return np.array(lines, dtype=np.float64).reshape(-1, 2, 2)


BANDS: tuple[tuple[int, int, int], ...] = (
    (1, 0, 0), (1, 1, 0), (1, 1, 1), (2, 1, 0), (2, 1, 1), (2, 2, 1), (3, 1, 0), (3, 1, 1),
    (3, 2, 1), (3, 3, 1),
)  # fmt: skip
"""Plane normals whose bands are weighed, one of each family."""


def band_nodes(hkl: tuple[int, int, int], steps: int, width: float = 2.5) -> NDArray[np.bool_]:
    """Nodes of the triangle within `width` degrees of the trace of a plane of the family."""
    nodes = node_directions(steps)
    normals = plane_family(hkl)
    return (np.abs(nodes @ normals.T) < np.sin(np.deg2rad(width))).any(axis=1)
