"""The TSL colour key of inverse pole figures, for one Laue class.

The colour of a crystal direction depends on where it lies in the fundamental sector: hue runs
with the angle about the sector's centre, stretched so that a triangular sector has pure red,
green and blue at its corners; saturation grows from the centre (white) to the rim. Described
by Nolze & Hielscher, J. Appl. Cryst. 49 (2016) 1786, doi:10.1107/S1600576716012942, section 2;
sectors are those of orix.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_ebsdml._orix import laue_group_of
from napari_ebsdml._quaternions import from_matrix, to_matrix
from napari_ebsdml.maps.symmetry import point_group

if TYPE_CHECKING:
    from orix.quaternion.symmetry import Symmetry

    from napari_ebsdml.maps.symmetry import CrystalSymmetry

_TABLE = 1000
_TINY = 1e-9


@dataclass(frozen=True, eq=False)
class ColorKey:
    """Numbers that turn a crystal direction into a colour.

    Attributes
    ----------
    name
        Laue class.
    normals : (n, 3)
        Of the planes that bound the sector, pointing inwards.
    vertices : (m, 3)
        Corners of the sector, unit vectors.
    centre, right, up : (3,)
        Unit vectors: the sector's centre, the direction of zero hue seen from it, and the
        direction at a right angle to both.
    turns : (k, 3, 3)
        Proper rotations, one of which brings any direction, or its opposite, into the sector.
    centres : (k, 3)
        Where the inverse of each turn takes the centre.
    flip
        Whether directions below the equator are inverted before they are turned.
    hue : (1000,)
        Stretched hue, 0 to 1, at equal steps of the angle about the centre.
    """

    name: str
    normals: NDArray[np.float64]
    vertices: NDArray[np.float64]
    centre: NDArray[np.float64]
    right: NDArray[np.float64]
    up: NDArray[np.float64]
    turns: NDArray[np.float64]
    centres: NDArray[np.float64]
    flip: bool
    hue: NDArray[np.float64]

    def colors(self, directions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Colours (n, 3) of unit crystal directions (n, 3), by numpy.

        `direction_color` gives the same at half the cost, after a second of compiling.
        """
        v = np.array(directions.T, dtype=np.float64)
        (outside,) = np.nonzero((self.normals @ v < -_TINY).any(axis=0))
        if len(outside):
            v[:, outside] = self.turned_in(v[:, outside])
        angle = np.arctan2(self.up @ v, self.right @ v) / (2 * np.pi)
        place = (angle - np.floor(angle)) * (len(self.hue) - 1)
        hue = np.interp(place, np.arange(len(self.hue)), self.hue)
        across = np.cross(v, self.centre, axisa=0, axisb=0, axisc=0)
        size = np.linalg.norm(across, axis=0)
        rim = np.full(len(size), -1.0)
        with np.errstate(invalid="ignore", divide="ignore"):
            for normal in self.normals:
                meeting = np.cross(across, normal, axisa=0, axisb=0, axisc=0)
                length = np.linalg.norm(meeting, axis=0)
                cosine = -(self.centre @ meeting) / length
                np.maximum(rim, cosine, out=rim, where=length > 1e-12 * size)
            whole = np.arccos(np.minimum(1.0, rim))
            share = np.minimum(1.0, np.arctan2(size, self.centre @ v) / whole)
        saturation = np.where(size > 1e-12, np.where(whole > 0, share, 1.0), 0.0)
        apart = hue[:, None] - np.arange(3) / 3.0
        apart = np.abs(apart - np.floor(apart + 0.5)) * 6.0
        return np.asarray(1.0 - saturation[:, None] * (1.0 - np.clip(2.0 - apart, 0.0, 1.0)))

    def turned_in(self, v: NDArray[np.float64]) -> NDArray[np.float64]:
        """Directions (3, n), or their opposites, turned into the sector."""
        if self.flip:
            v = np.where(v[2] < 0, -v, v)
        closeness = self.centres @ v
        at = (closeness if self.flip else np.abs(closeness)).argmax(axis=0)
        if not self.flip:
            v = v * np.where(closeness[at, np.arange(len(at))] > 0, 1.0, -1.0)
        turns = self.turns[at]
        return np.asarray(
            turns[:, :, 0].T * v[0] + turns[:, :, 1].T * v[1] + turns[:, :, 2].T * v[2]
        )

    @property
    def arguments(self) -> tuple[Any, ...]:
        """What `direction_color` takes after the direction."""
        return (
            self.normals,
            self.centre,
            self.right,
            self.up,
            self.turns,
            self.centres,
            self.flip,
            self.hue,
        )


def color_key(symmetry: CrystalSymmetry) -> ColorKey:
    """Colour key of the Laue class of a phase, point group or space-group number.

    Raises
    ------
    InputError, MissingDataError
        As `symmetry.point_group`.
    """
    laue = laue_group_of(point_group(symmetry))
    # The matrices tell apart settings of one class, such as 2/m with its axis along y or z.
    return _color_key(str(laue.name or "2/m"), _matrices(laue).tobytes())


def _matrices(group: Symmetry) -> NDArray[np.float64]:
    """Elements as matrices, improper ones with their inversion."""
    # Not orix's own matrices: numba takes seconds to compile them at the first map of all.
    matrices = to_matrix(np.asarray(group.data, dtype=np.float64).reshape(-1, 4))
    signs = np.where(np.asarray(group.improper, dtype=bool).ravel(), -1.0, 1.0)
    return np.ascontiguousarray(matrices * signs[:, None, None]).round(15)


@lru_cache(maxsize=32)
def _color_key(name: str, elements: bytes) -> ColorKey:
    from orix.quaternion import Symmetry

    matrices = np.frombuffer(elements).reshape(-1, 3, 3)
    proper = np.linalg.det(matrices) > 0
    turns = matrices * np.where(proper, 1, -1)[:, None, None]
    group = Symmetry(np.array([from_matrix(turn) for turn in turns]))
    group.improper = ~proper
    group.name = name
    sector = group.fundamental_sector
    normals = np.atleast_2d(sector.unit.data).reshape(-1, 3).astype(np.float64)
    vertices = np.asarray(sector.vertices.unit.data, dtype=np.float64).reshape(-1, 3)
    centre = np.asarray(sector.center.unit.data, dtype=np.float64).reshape(3)
    turn = np.radians(_sector_turn(name, matrices[proper]))
    if turn:
        about_z = np.array(
            [[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]]
        )
        normals, vertices, centre = normals @ about_z.T, vertices @ about_z.T, about_z @ centre
    # No mirror across z in this class: a plain choice of hemisphere, then the threefold axis.
    flip = name == "-3"
    matrices = matrices[proper]
    # Hue starts towards the pole; the sector of -1 has its centre there, so towards x.
    start = np.array([0.0, 0.0, 1.0]) if len(vertices) else np.array([1.0, 0.0, 0.0])
    right = start - centre
    right -= (right @ centre) * centre
    right /= np.linalg.norm(right)
    up = np.cross(centre, right)
    return ColorKey(
        name,
        normals,
        vertices,
        centre,
        right,
        up,
        np.ascontiguousarray(matrices.transpose(0, 2, 1)),
        np.ascontiguousarray(matrices @ centre),
        flip,
        _hue_table(normals, vertices, centre, right, up, start),
    )


def _sector_turn(name: str, turns: NDArray[np.float64]) -> float:
    """Degrees about z that bring orix's sector to where a group has its axes.

    orix has one sector per Laue class; of -3m with twofold axes across a, and of 2/m with its
    axis along x, that sector is not fundamental.
    """
    half_turns = turns[np.abs(np.trace(turns, axis1=1, axis2=2) + 1) < 1e-6]
    if name == "-3m" and (half_turns[:, 1, 1] > 1 - 1e-6).any():
        return 30.0
    if name == "2/m" and (half_turns[:, 0, 0] > 1 - 1e-6).any():
        return -90.0
    return 0.0


def _hue_table(
    normals: NDArray[np.float64],
    vertices: NDArray[np.float64],
    centre: NDArray[np.float64],
    right: NDArray[np.float64],
    up: NDArray[np.float64],
    start: NDArray[np.float64],
) -> NDArray[np.float64]:
    angles = np.linspace(0, 2 * np.pi, _TABLE)
    if len(vertices) == 0:
        return angles / (2 * np.pi)
    # Rays from the centre lie in planes with these normals; a ray meets the rim where its plane
    # meets a bounding plane, and the nearest of these points is the rim's distance.
    plane = np.cross(right, centre)
    rays = (
        np.cos(angles[:-1, None]) * plane
        + np.sin(angles[:-1, None]) * np.cross(centre, plane)
        + (1 - np.cos(angles[:-1, None])) * (centre @ plane) * centre
    )
    meeting = np.cross(normals[:, None], rays[None])
    length = np.linalg.norm(meeting, axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        cosine = (meeting @ centre) / length
    rim = np.arccos(np.clip(np.where(length > 0, cosine, 0), -1, 1)).min(axis=0)
    if len(vertices) == 3:
        # Each side of a triangle gets a third of the colour circle, so that corners are pure.
        towards = vertices - centre
        corner = np.sort(np.mod(np.arctan2(towards @ up, towards @ right), 2 * np.pi))
        at = np.round(_TABLE * corner / (2 * np.pi)).astype(int)
        at = at[1:] if at[0] < 10 else at
        for part in (slice(0, at[0]), slice(at[0], at[1]), slice(at[1], None)):
            rim[part] /= rim[part].sum()
    return np.concatenate(([0.0], np.cumsum(rim / rim.sum())))


@njit(cache=True, nogil=True, inline="always")
def _dot(a, x, y, z):  # type: ignore[no-untyped-def]
    return a[0] * x + a[1] * y + a[2] * z


@njit(cache=True, nogil=True)
def inside(normals: Any, x: float, y: float, z: float) -> bool:
    """Whether a direction lies in the sector or on its rim."""
    for n in range(len(normals)):  # noqa: SIM110  (a loop compiles to a loop)
        if _dot(normals[n], x, y, z) < -_TINY:
            return False
    return True


@njit(cache=True, nogil=True)
def direction_color(
    x: float, y: float, z: float, normals: Any, centre: Any, right: Any, up: Any,
    turns: Any, centres: Any, flip: bool, hue: Any, out: Any,
) -> None:  # fmt: skip
    """Write the colour of unit crystal direction x, y, z to ``out[0:3]``."""
    # As in orix: nearest centre, not "inside after the turn". For m-3, whose centre is slightly
    # off its mirror plane, one direction in ten thousand ends just outside and gets a rim colour.
    if not inside(normals, x, y, z):
        if flip and z < 0:
            x, y, z = -x, -y, -z
        best, at, sign = -2.0, 0, 1.0
        for k in range(len(centres)):
            closeness = _dot(centres[k], x, y, z)
            # The inverse of a turn belongs to the class, too.
            size = closeness if flip else abs(closeness)
            if size > best + 1e-12:
                best, at, sign = size, k, (1.0 if flip or closeness > 0 else -1.0)
        x, y, z = sign * x, sign * y, sign * z
        t = turns[at]
        x, y, z = _dot(t[0], x, y, z), _dot(t[1], x, y, z), _dot(t[2], x, y, z)

    # Hue: angle about the centre.
    angle = math.atan2(_dot(up, x, y, z), _dot(right, x, y, z)) / (2 * math.pi)
    place = (angle - math.floor(angle)) * (len(hue) - 1)
    cell = min(int(place), len(hue) - 2)
    h = hue[cell] + (place - cell) * (hue[cell + 1] - hue[cell])

    # Saturation: how far from the centre to the rim, along the great circle through both. It
    # meets each bounding plane once within half a turn; the first of these points is the rim.
    cx, cy, cz = centre[0], centre[1], centre[2]
    px, py, pz = y * cz - z * cy, z * cx - x * cz, x * cy - y * cx
    size = math.sqrt(px * px + py * py + pz * pz)
    saturation = 0.0
    if size > 1e-12:
        rim = -1.0
        for n in range(len(normals)):
            a, b, c = normals[n, 0], normals[n, 1], normals[n, 2]
            mx, my, mz = py * c - pz * b, pz * a - px * c, px * b - py * a
            length = math.sqrt(mx * mx + my * my + mz * mz)
            if length > 1e-12 * size:
                rim = max(rim, -(cx * mx + cy * my + cz * mz) / length)
        whole = math.acos(min(1.0, rim))
        from_centre = math.atan2(size, x * cx + y * cy + z * cz)
        saturation = min(1.0, from_centre / whole) if whole > 0 else 1.0
    for channel in range(3):
        # Pure hue, a trapezium in each channel; red at 0, green at 1/3, blue at 2/3.
        apart = h - channel / 3.0
        apart = abs(apart - math.floor(apart + 0.5)) * 6.0
        pure = min(1.0, max(0.0, 2.0 - apart))
        out[channel] = 1.0 - saturation * (1.0 - pure)
