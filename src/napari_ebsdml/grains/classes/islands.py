"""Regions of a class as objects: size, shape, distance, contiguity."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from napari_ebsdml.grains.adjacency import neighbours


def islands_of(where: NDArray[np.bool_], step: tuple[float, float]) -> dict[str, NDArray[Any]]:
    """Measure the connected regions of a mask.

    Parameters
    ----------
    where : (rows, columns) bool
        The class; pixels that touch by a side belong together.
    step : (dy, dx)
        um.

    Returns
    -------
    dict of name -> (islands,) array
        ``id``, ``pixels``, ``area`` um^2, ``equivalent_diameter`` um, ``aspect_ratio`` (of the
        ellipse with the same second moments), ``centroid_y``, ``centroid_x`` um, ``touches_edge``,
        ``nearest`` um: distance of its centroid to the next one's, NaN for a single island.
    """
    from skimage.measure import label

    labels, count = label(np.asarray(where, bool), connectivity=1, return_num=True)
    n = count + 1
    y, x = np.indices(labels.shape)
    flat = labels.ravel()
    pixels = np.bincount(flat, minlength=n)[1:].astype(np.float64)

    def sums(values: NDArray[Any]) -> NDArray[np.float64]:
        return np.asarray(np.bincount(flat, values.ravel(), n)[1:] / np.maximum(pixels, 1))

    dy, dx = step
    my, mx = sums(y), sums(x)
    # Each pixel is a rectangle, not a point: it adds step^2 / 12.
    vyy = (np.maximum(sums(y * y) - my * my, 0) + 1 / 12) * dy * dy
    vxx = (np.maximum(sums(x * x) - mx * mx, 0) + 1 / 12) * dx * dx
    vxy = (sums(x * y) - mx * my) * dx * dy
    root = np.hypot((vxx - vyy) / 2, vxy)
    large, small = (vxx + vyy) / 2 + root, np.maximum((vxx + vyy) / 2 - root, 1e-30)
    area = pixels * dy * dx
    centres = np.stack([my * dy, mx * dx], axis=1)
    nearest = np.full(count, np.nan)
    if count > 1:
        nearest = cKDTree(centres).query(centres, k=2)[0][:, 1]
    edge = np.zeros(n, dtype=bool)
    for side in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        edge[side] = True
    return {
        "id": np.arange(1, n, dtype=np.int32),
        "pixels": pixels.astype(np.int64),
        "area": area,
        "equivalent_diameter": np.sqrt(4 * area / np.pi),
        "aspect_ratio": np.sqrt(large / small),
        "centroid_y": centres[:, 0],
        "centroid_x": centres[:, 1],
        "touches_edge": edge[1:],
        "nearest": nearest,
    }


def contiguity(labels: NDArray[np.int32], is_class: NDArray[np.bool_]) -> float:
    """Contiguity of a class of grains: 2 S_aa / (2 S_aa + S_ab).

    S_aa is the boundary between grains of the class, S_ab that between the class and all others
    (J. Gurland, Trans. Metall. Soc. AIME 212 (1958) 452).

    Parameters
    ----------
    labels : (rows, columns) int32
        Grains.
    is_class : (labels + 1,) bool

    Returns
    -------
    float
        0 (every grain alone) to 1; NaN when the class has no boundary.
    """
    pairs, length = neighbours(labels, len(is_class))
    a, b = is_class[pairs[:, 0]], is_class[pairs[:, 1]]
    inner, outer = float(length[a & b].sum()), float(length[a ^ b].sum())
    return 2 * inner / (2 * inner + outer) if inner + outer > 0 else float("nan")
