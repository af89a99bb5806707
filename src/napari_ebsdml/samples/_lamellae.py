"""Twins as lamellae in grains: slabs of annealing twins, lenses of deformation twins."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._quaternions import multiply, to_matrix
from napari_ebsdml.maps.twins import HCP_TWIN_PLANES, hcp_twin

from ._austenite import Canvas
from ._rotations import PACKET_PLANES, from_rotation_vector, scatter, uniform

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]

HEXAGONAL_RATIO = 1.624
"""c/a of magnesium."""


class TwinLaw(NamedTuple):
    """Twins that a crystal can have."""

    rotations: Floats
    """(n, 4) matrix crystal -> twin crystal."""
    normals: Floats
    """(n, 3) normals of their planes in the matrix crystal."""


def cubic_twins() -> TwinLaw:
    """60 degrees about <111>, on {111} (fcc)."""
    turn = from_rotation_vector(np.deg2rad(60.0) * PACKET_PLANES)
    return TwinLaw(turn, PACKET_PLANES)


def hexagonal_twins(plane: str, ratio: float = HEXAGONAL_RATIO) -> TwinLaw:
    """The six variants of one of `HCP_TWIN_PLANES`."""
    first = hcp_twin(HCP_TWIN_PLANES[plane], ratio)
    angle = np.arange(6) * np.pi / 3
    about_c = from_rotation_vector(np.stack([0 * angle, 0 * angle, angle], axis=1))
    back = about_c * np.array([1.0, -1.0, -1.0, -1.0])
    rotations = multiply(multiply(about_c, first), back)
    return TwinLaw(rotations, rotations[:, 1:] / np.linalg.norm(rotations[:, 1:], axis=1)[:, None])


def insert_twins(
    rng: np.random.Generator,
    canvas: Canvas,
    label: Ints,
    orientation: Floats,
    law: TwinLaw,
    grains: NDArray[np.integer],
    lenses: bool,
    mean_number: float,
    half_width: float,
) -> tuple[Ints, Floats, NDArray[np.bool_], Ints]:
    """Put lamellae into grains.

    Parameters
    ----------
    rng
    canvas
    label : (rows, columns)
        Grains.
    orientation : (n, 4)
        Of each grain, specimen -> crystal.
    law
        Twins to choose from; a grain takes one or two of them.
    grains
        Those that may twin.
    lenses
        Lamellae that thin out to their ends, and may end within the grain.
    mean_number
        Mean number of lamellae in a grain.
    half_width
        Mean half width in um, before the cut by the surface.

    Returns
    -------
    label, orientation, is_twin, host
        With the twins after the grains; `host` is the grain of each.
    """
    label, turned = label.copy(), [*orientation]
    host = list(range(len(orientation)))
    wanted = np.zeros(len(orientation), dtype=bool)
    wanted[grains] = True
    order = np.argsort(label, axis=None, kind="stable")
    values = label.ravel()[order]
    starts = np.flatnonzero(np.r_[True, np.diff(values) != 0])
    x, y = canvas.x.ravel(), canvas.y.ravel()
    flat = label.ravel()
    for pixels in np.split(order, starts[1:]):
        grain = int(flat[pixels[0]])
        if not wanted[grain]:
            continue
        number = int(rng.poisson(mean_number))
        family = rng.permutation(len(law.normals))[: 1 if rng.random() < 0.7 else 2]
        axes = to_matrix(orientation[grain]).T
        for _ in range(number):
            variant = int(rng.choice(family))
            normal = axes @ law.normals[variant]
            across = np.array([normal[0], normal[1]])
            slope = float(np.linalg.norm(across))
            if slope < 0.2:
                continue
            across /= slope
            along = np.array([-across[1], across[0]])
            at = pixels[rng.integers(len(pixels))]
            dx, dy = x[pixels] - x[at], y[pixels] - y[at]
            half = half_width * rng.lognormal(0.0, 0.5) / slope
            distance = np.abs(dx * across[0] + dy * across[1])
            limit: Floats | float = half
            if lenses:
                length = half * rng.uniform(6, 25)
                limit = half * np.sqrt(np.clip(1 - ((dx * along[0] + dy * along[1]) / length) ** 2,
                                               0, None))  # fmt: skip
            hit = pixels[distance < limit]
            hit = hit[flat[hit] == grain]
            # A crystal that is nearly all twin would be called the matrix.
            left = (flat[pixels] == grain).sum() - len(hit)
            if len(hit) < 3 or left < 0.55 * len(pixels):
                continue
            flat[hit] = len(turned)
            turned.append(multiply(law.rotations[variant], orientation[grain]))
            host.append(grain)
    label = flat.reshape(label.shape).astype(np.int32)
    is_twin = np.arange(len(turned)) >= len(orientation)
    return label, np.array(turned), is_twin, np.array(host, dtype=np.int32)


def textured(
    rng: np.random.Generator, n: int, share: float, components: int, width: float
) -> Floats:
    """Orientations (n, 4): part of them near a few, the rest anywhere."""
    main = uniform(rng, max(components, 1))
    chosen = main[rng.integers(len(main), size=n)]
    near = multiply(scatter(rng, n, width), chosen)
    return np.where((rng.random(n) < share)[:, None], near, uniform(rng, n))
