"""Austenite before the transformation: grains with annealing twins."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._quaternions import multiply, to_matrix

from ._fields import scattered_points, smooth_field
from ._growth import Nuclei, grow
from ._rotations import PACKET_PLANES, from_rotation_vector, uniform

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]


class Canvas(NamedTuple):
    """Where the pixels are."""

    x: Floats
    """(rows, columns) in um."""
    y: Floats
    bent_x: Floats
    """The same, displaced by a smooth random field: makes straight boundaries curve."""
    bent_y: Floats
    step: float
    grain_size: float
    """Mean diameter of the austenite grains in um."""

    @property
    def scale(self) -> float:
        """How much smaller the microstructure is than with austenite grains of 25 um."""
        return self.grain_size / 25.0

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the map in um."""
        rows, columns = self.x.shape
        return columns * self.step, rows * self.step


class Austenite(NamedTuple):
    """Prior austenite. A domain is a grain or a twin in it."""

    domain: Ints
    """(rows, columns) domain of each pixel."""
    orientation: Floats
    """(n, 4) specimen -> austenite crystal of each domain."""
    nuclei: Nuclei
    """Nuclei of the grains: the domains without the twins, which come after them."""


def make_canvas(
    rng: np.random.Generator, shape: tuple[int, int], step: float, grain_size: float
) -> Canvas:
    """Lay out the pixels of a map."""
    y, x = np.indices(shape, dtype=np.float64) * step
    s = grain_size / 25.0
    bent = []
    for along in (x, y):
        moved = along + 1.1 * s * smooth_field(rng, shape, step, 9.0 * s)
        bent.append(moved + 0.22 * s * smooth_field(rng, shape, step, 2.0 * s))
    return Canvas(x, y, bent[0], bent[1], step, grain_size)


def make_austenite(rng: np.random.Generator, canvas: Canvas, twins: bool = True) -> Austenite:
    """Grow austenite grains and put annealing twins into about half of them."""
    d = canvas.grain_size
    width, height = canvas.size
    margin = 1.5 * d
    points = scattered_points(
        rng, np.array([-margin, -margin, -d]), np.array([width + margin, height + margin, d]), d
    )
    n = len(points)
    nuclei = Nuclei(
        points,
        np.broadcast_to(np.eye(3), (n, 3, 3)).copy(),
        # Unequal starts widen the size distribution towards the log-normal one of grain growth.
        0.15 * d * rng.normal(size=n),
        np.zeros(n, dtype=np.int32),
    )
    nowhere = np.zeros(canvas.x.shape, dtype=np.int32)
    domain, _ = grow(canvas.bent_x, canvas.bent_y, nowhere, nuclei)
    orientation = list(uniform(rng, n))
    inside = {int(k): np.flatnonzero(domain == k) for k in np.unique(domain)}
    for grain, pixels in inside.items() if twins else ():
        # One family of parallel twins in a grain is the rule; a second family is rare.
        plane = PACKET_PLANES[rng.integers(4)]
        normal = to_matrix(orientation[grain]).T @ plane
        lamellae = int(rng.choice([0, 1, 2], p=[0.5, 0.35, 0.15]))
        twin = multiply(from_rotation_vector(np.deg2rad(60.0) * plane), orientation[grain])
        for _ in range(lamellae):
            centre = pixels[rng.integers(len(pixels))]
            distance = (canvas.x.ravel()[pixels] - canvas.x.ravel()[centre]) * normal[0]
            distance += (canvas.y.ravel()[pixels] - canvas.y.ravel()[centre]) * normal[1]
            half = 0.06 * d * rng.lognormal(0.0, 0.6)
            hit = pixels[np.abs(distance) < half]
            domain.ravel()[hit] = len(orientation)
            orientation.append(twin)
    return Austenite(domain, np.array(orientation), nuclei)
