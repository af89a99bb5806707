"""Compiled kernels of the lattice search: band profiles, and how a lattice fits them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_ebsdml.patterns.symmetry._kernels import face_index

Array = NDArray[Any]


@njit(cache=True, nogil=True, fastmath=True)
def band_sums(
    normals: Array, directions: Array, values: Array, area: Array, step: float, sums: Array,
    weights: Array,
) -> None:  # fmt: skip
    """Sums of values and areas by distance from the great circle of each normal.

    `sums` and `weights` (normals, bins): bins of `step`, in sines of the distance, from the great
    circle outwards; what lies beyond the last bin does not count.
    """
    bins = sums.shape[1]
    for i in range(len(normals)):
        x, y, z = normals[i, 0], normals[i, 1], normals[i, 2]
        for j in range(len(directions)):
            t = abs(x * directions[j, 0] + y * directions[j, 1] + z * directions[j, 2])
            k = int(t / step)
            if k < bins:
                sums[i, k] += area[j] * values[j]
                weights[i, k] += area[j]


@njit(cache=True, nogil=True)
def lattice_score(
    matrix: Array, indices: Array, limit: int, stars: Array, owners: Array, peak_strength: Array,
    peak_width: Array, contrast: Array, side: int, factor: float, reference: float,
    half_wave: float, resolved: float,
) -> float:  # fmt: skip
    """How well a lattice fits bands: are its first bands there, and are the bands there its own?

    Parameters
    ----------
    matrix : (3, 3) array
        Reciprocal vectors as columns: g = matrix @ hkl, 1/angstrom.
    indices : (n, 3) array
        One hkl of each family that the centring allows.
    limit
        The first so many families must be there; twice as many may explain bands.
    stars : (m, 3) array
        Normals of the strong bands, all equivalents.
    owners : (m,) int array
        Band of each normal.
    peak_strength, peak_width : (bands,) arrays
        Contrast, and half width as a sine.
    contrast : (cells, widths) array
        Contrast of a band of each normal and half width, in steps of `1 / factor`.
    half_wave
        Half the wavelength in angstrom.
    resolved
        Half width (sine) below which the patterns do not tell one from another.
    """
    n = len(indices)
    size = np.empty(n)
    g = np.empty((n, 3))
    for k in range(n):
        for r in range(3):
            g[k, r] = (
                matrix[r, 0] * indices[k, 0]
                + matrix[r, 1] * indices[k, 1]
                + matrix[r, 2] * indices[k, 2]
            )
        size[k] = math.sqrt(g[k, 0] ** 2 + g[k, 1] ** 2 + g[k, 2] ** 2)
    order = np.argsort(size)
    there = 0.0
    weight = 0.0
    explained = np.zeros(len(peak_strength))
    for rank in range(min(n, 2 * limit)):
        k = order[rank]
        x, y, z = g[k, 0] / size[k], g[k, 1] / size[k], g[k, 2] / size[k]
        half = size[k] * half_wave
        if rank < limit:
            at = face_index(x, y, z, side)
            place = min(contrast.shape[1] - 1, max(0, int(half * factor)))
            w = 1.0 / (rank + 2.0)
            there += w * min(1.0, max(-0.3, contrast[at, place] / reference))
            weight += w
        for j in range(len(stars)):
            dot = abs(x * stars[j, 0] + y * stars[j, 1] + z * stars[j, 2])
            if dot > 0.9985:
                # Bands narrower than the resolution all look alike.
                told = max(half, resolved)
                off = math.log(told / max(peak_width[owners[j]], resolved)) / 0.3
                value = math.exp(-0.5 * off * off)
                if value > explained[owners[j]]:
                    explained[owners[j]] = value
    total = 0.0
    good = 0.0
    for p in range(len(peak_strength)):
        total += peak_strength[p]
        good += peak_strength[p] * explained[p]
    if weight <= 0 or total <= 0:
        return 0.0
    return max(0.0, there / weight) * good / total


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def band_columns(
    points: Array, normals: Array, start: Array, half: Array, blur: float, dark: float,
    lost: float, columns: Array,
) -> None:  # fmt: skip
    """What each family of bands looks like along directions: bright bands with darker edges.

    Parameters
    ----------
    points : (n, 3) array
    normals : (m, 3) array
        Of all bands, family by family.
    start : (families + 1,) int array
        Where each family's normals begin.
    half : (families,) array
        Half widths as sines.
    blur, dark, lost
        Softness of an edge, how dark it is, and the distance (sines) beyond which flat patterns
        have lost what varies slowly.
    columns : (n, families) array
        Filled.
    """
    for k in range(len(half)):
        h = half[k]
        depth = 2 * h / (math.sqrt(2 * math.pi) * lost)
        for i in range(len(points)):
            total = 0.0
            for j in range(start[k], start[k + 1]):
                t = abs(
                    points[i, 0] * normals[j, 0]
                    + points[i, 1] * normals[j, 1]
                    + points[i, 2] * normals[j, 2]
                )
                if t > h + 3 * lost:
                    continue
                x = (t - h) / blur
                if x < 7:
                    total += 1 / (1 + math.exp(x))
                    if x > -4:
                        total -= dark * math.exp(-((x - 1.5) ** 2) / 4)
                total -= depth * math.exp(-((t / lost) ** 2) / 2)
            columns[i, k] = total


@njit(cache=True, nogil=True)
def hat_columns(
    points: Array, normals: Array, start: Array, nodes: Array, columns: Array
) -> None:  # fmt: skip
    """Shares that points have of the nodes of each family's profile, summed over its bands.

    Parameters
    ----------
    points : (n, 3) array
    normals : (m, 3) array
        Of all bands, family by family.
    start : (families + 1,) int array
        Where each family's normals begin.
    nodes : (k,) array
        Distances from the middle of a band, as sines; the last has no column.
    columns : (n, families (k - 1)) array
        Added to.
    """
    own = len(nodes) - 1
    for k in range(len(start) - 1):
        for i in range(len(points)):
            for j in range(start[k], start[k + 1]):
                t = abs(
                    points[i, 0] * normals[j, 0]
                    + points[i, 1] * normals[j, 1]
                    + points[i, 2] * normals[j, 2]
                )
                if t >= nodes[own]:
                    continue
                at = np.searchsorted(nodes, t, side="right") - 1
                part = (t - nodes[at]) / (nodes[at + 1] - nodes[at])
                columns[i, k * own + at] += 1 - part
                if at + 1 < own:
                    columns[i, k * own + at + 1] += part
