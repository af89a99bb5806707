"""Crystals made of plain bands, so that no simulation is needed."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np

from napari_ebsdml._quaternions import to_matrix
from napari_ebsdml.patterns.frame import _kernels
from napari_ebsdml.patterns.frame.geometry import Geometry, to_kikuchipy
from napari_ebsdml.patterns.frame.triangle import FINE, node_directions

CAMERA = Geometry.from_angles((0.5, 0.25, 0.55), (60, 60), 70, 5)


def bands(a: float, planes: dict[tuple[int, int, int], float], directions=None) -> np.ndarray:
    """Sum of bands of {hkl} with widths after Bragg's law at 20 kV, `a` in angstrom."""
    nodes = node_directions(FINE) if directions is None else directions
    total = np.zeros(nodes.shape[:-1])
    for hkl, strength in planes.items():
        family = {
            tuple(s * h for s, h in zip(signs, order, strict=True))
            for order in permutations(hkl)
            for signs in product((1, -1), repeat=3)
        }
        for normal in family:
            n = np.array(normal) / np.linalg.norm(normal)
            half = 0.08588 / 2 * np.linalg.norm(normal) / a
            distance = np.abs(nodes @ n)
            total += strength / (1 + np.exp((distance - half) / 0.006))
    return ((total - total.mean()) / total.std()).astype(np.float32)


FCC = {(1, 1, 1): 1.0, (2, 0, 0): 0.8, (2, 2, 0): 0.5, (3, 1, 1): 0.4}
BCC = {(1, 1, 0): 1.0, (2, 0, 0): 0.6, (2, 1, 1): 0.5, (3, 1, 0): 0.3}
DIAMOND = {(1, 1, 1): 0.7, (2, 2, 0): 1.0, (3, 1, 1): 0.5, (4, 0, 0): 0.4}


def project(library, which, q, camera=CAMERA):
    """Noise-free patterns of crystals of a library."""
    turns = np.ascontiguousarray(to_matrix(to_kikuchipy(q)) @ camera.to_sample)
    out = np.empty((len(q), *camera.shape), np.float32)
    _kernels.project(library.masters, np.asarray(which), turns, camera.bounds, FINE, out)
    return out
