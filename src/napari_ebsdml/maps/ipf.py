"""Colours of inverse pole figures (IPF) for maps and legends."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from napari_ebsdml._parallel import Progress, nth_of, over_rows
from napari_ebsdml.errors import InputError
from napari_ebsdml.maps._checks import check_count
from napari_ebsdml.maps.color_key import ColorKey, color_key, direction_color
from napari_ebsdml.maps.symmetry import laue_class, phase_table

if TYPE_CHECKING:
    from napari_ebsdml.maps.symmetry import CrystalSymmetry
    from napari_ebsdml.scan import Scan

Keys = dict[tuple[str, ...], tuple[Any, list[str]]]
"""Laue class, and what else makes a colour key differ -> a phase, names of all with that key."""

_MOST_PLAIN = 1 << 18
"""Pixels up to which a map is coloured without the kernel."""


def ipf_colors(
    scan: Scan, direction: ArrayLike = (0, 0, 1), progress: Progress = None
) -> NDArray[np.float32]:
    """IPF colours of a map: which crystal direction lies along a specimen direction.

    The TSL key, as orix's ``IPFColorKeyTSL`` and MTEX's ``ipfTSLKey`` have it, each phase in the
    key of its own Laue class.

    Parameters
    ----------
    scan
        Map with orientations.
    direction : (3,) array_like
        Specimen direction in the axes of the map: x right, y down, z into the screen. A
        direction and its opposite give the same colours.
    progress
        Called with the fraction done; may raise to cancel.

    Returns
    -------
    (rows, columns, 3) float32
        Red, green, blue from 0 to 1; NaN where not indexed.

    Raises
    ------
    InputError
        When `direction` is not a vector of three numbers, or is 0.
    MissingDataError
        When the scan has no orientations or a phase has no point group.

    Notes
    -----
    Nolze & Hielscher, J. Appl. Cryst. 49 (2016) 1786, doi:10.1107/S1600576716012942.

    Examples
    --------
    >>> import napari_ebsdml as ebsdml
    >>> scan = ebsdml.samples.dual_phase_steel((40, 50), seed=0).scan
    >>> ebsdml.ipf_colors(scan, direction=(0, 0, 1)).shape
    (40, 50, 3)
    """
    try:
        vector = np.asarray(direction, dtype=np.float64)
    except (TypeError, ValueError):
        vector = np.empty(0)
    if vector.shape != (3,) or not np.isfinite(vector).all() or not vector.any():
        raise InputError(f"direction must be three numbers, not all 0; got {direction!r}.")
    vector = vector / np.linalg.norm(vector)
    table = phase_table(scan)
    colors = np.full((*scan.shape, 3), np.nan, dtype=np.float32)
    color_rows = _color_rows if colors.size > 3 * _MOST_PLAIN else _plain_rows
    for p, phase in enumerate(table.ids):
        if not (table.index == p).any():
            continue
        key = color_key(scan.phases[int(phase)])

        def work(first: int, end: int, p: int = p, key: ColorKey = key) -> None:
            color_rows(table.quaternions, table.index, p, vector, first, end, key, colors)

        over_rows(work, scan.shape, nth_of(progress, p, len(table.ids)))
    return colors


def _plain_rows(
    q: NDArray[np.float64], index: NDArray[np.int32], phase: int, v: NDArray[np.float64],
    first: int, end: int, key: ColorKey, out: NDArray[np.float32],
) -> None:  # fmt: skip
    """Colour bands of a small map: the kernel takes longer to compile than this to run."""
    here = index[first:end] == phase
    turns = q[first:end][here]
    w, r = turns[:, :1], turns[:, 1:]
    t = 2 * np.cross(r, v)
    out[first:end][here] = key.colors(v + w * t + np.cross(r, t))


def _color_rows(
    q: NDArray[np.float64], index: NDArray[np.int32], phase: int, v: NDArray[np.float64],
    first: int, end: int, key: ColorKey, out: NDArray[np.float32],
) -> None:  # fmt: skip
    _compiled_rows(q, index, phase, v, first, end, *key.arguments, out)


@njit(cache=True, nogil=True)
def _compiled_rows(
    q: Any, index: Any, phase: int, v: Any, first: int, end: int, normals: Any, centre: Any,
    right: Any, up: Any, turns: Any, centres: Any, flip: bool, hue: Any, out: Any,
) -> None:  # fmt: skip
    for i in range(first, end):
        for j in range(index.shape[1]):
            if index[i, j] != phase:
                continue
            w, x, y, z = q[i, j, 0], q[i, j, 1], q[i, j, 2], q[i, j, 3]
            # v + 2 w (r x v) + 2 r x (r x v): the quaternion (w, r) applied to v.
            tx = 2 * (y * v[2] - z * v[1])
            ty = 2 * (z * v[0] - x * v[2])
            tz = 2 * (x * v[1] - y * v[0])
            direction_color(
                v[0] + w * tx + y * tz - z * ty,
                v[1] + w * ty + z * tx - x * tz,
                v[2] + w * tz + x * ty - y * tx,
                normals, centre, right, up, turns, centres, flip, hue, out[i, j],
            )  # fmt: skip


@dataclass(frozen=True, eq=False)
class IPFKey:
    """Picture of a colour key, for a legend.

    Attributes
    ----------
    laue_class
        Hermann-Mauguin name.
    rgba : (height, width, 4) uint8
        Fundamental sector in stereographic projection; transparent outside, smooth rim.
    labels : tuple of (text, row, column)
        Crystal direction at each corner of the sector and its place in the picture, in pixels;
        four indices for trigonal and hexagonal classes.
    """

    laue_class: str
    rgba: NDArray[np.uint8]
    labels: tuple[tuple[str, float, float], ...]


def ipf_key(symmetry: CrystalSymmetry, size: int = 256) -> IPFKey:
    """Draw the colour key of a Laue class.

    Parameters
    ----------
    symmetry
        Phase, point group or space-group number.
    size
        Longer side of the picture in pixels, at least 16.

    Returns
    -------
    IPFKey

    Raises
    ------
    InputError, MissingDataError
        When the size or the symmetry will not do.
    """
    drawn = _drawn(color_key(symmetry), check_count("size", size, 16))
    return replace(drawn, rgba=drawn.rgba.copy())


@lru_cache(maxsize=32)
def _drawn(key: ColorKey, size: int) -> IPFKey:
    """The picture; a map of 300 phases asks for that of eleven classes again and again."""
    outline = sector_points(key)
    low, high = outline.min(axis=0), outline.max(axis=0)
    pixel = float((high - low).max()) / size
    width, height = (int(n) for n in np.maximum(1, np.ceil((high - low) / pixel - 1e-6)))
    over = 4  # sub-pixels per side, for a smooth rim
    across = low[0] + (np.arange(width * over) + 0.5) * pixel / over
    down = high[1] - (np.arange(height * over) + 0.5) * pixel / over
    fine = np.zeros((height * over, width * over, 4))
    r2 = across**2 + down[:, None] ** 2
    z = (1 - r2) / (1 + r2)
    directions = np.stack(
        np.broadcast_arrays(across * (1 + z), down[:, None] * (1 + z), z), axis=-1
    )
    inside = (r2 <= 1) & (directions @ key.normals.T >= -1e-9).all(axis=-1)
    fine[inside, :3], fine[inside, 3] = key.colors(directions[inside]), 1
    sums = fine.reshape(height, over, width, over, 4).sum(axis=(1, 3))
    covered = sums[..., 3:]
    rgb = np.divide(sums[..., :3], covered, out=np.zeros_like(sums[..., :3]), where=covered > 0)
    rgba = np.concatenate((rgb, covered / over**2), axis=-1)
    labels = []
    for corner in key.vertices:
        x, y = corner[:2] / (1 + max(corner[2], 0.0))
        labels.append((_indices(corner, key.name), (high[1] - y) / pixel, (x - low[0]) / pixel))
    return IPFKey(key.name, np.round(255 * rgba).astype(np.uint8), tuple(labels))


def sector_points(key: ColorKey) -> NDArray[np.float64]:
    """Points all over the sector, stereographically projected; their extent is the sector's."""
    polar, azimuth = np.meshgrid(np.linspace(0, np.pi / 2, 181), np.linspace(0, 2 * np.pi, 721))
    vectors = np.stack(
        (np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)), axis=-1
    ).reshape(-1, 3)
    vectors = vectors[(vectors @ key.normals.T >= -1e-9).all(axis=1)]
    points = np.concatenate((vectors, key.vertices))
    return np.asarray(points[:, :2] / (1 + np.maximum(points[:, 2:], 0)))


def _indices(direction: NDArray[np.float64], laue: str) -> str:
    """Name of a crystal direction that lies on a symmetry axis or plane of the sector."""
    x, y, z = direction
    if laue in ("-3", "-3m", "6/m", "6/mmm"):
        if z > 0.99:
            return "[0001]"
        # Directions in the basal plane every 30 degrees, a at 0, from 0 to 330.
        step = round(np.degrees(np.arctan2(y, x)) / 30) % 12
        a = (
            (2, -1, -1), (1, 0, -1), (1, 1, -2), (0, 1, -1), (-1, 2, -1), (-1, 1, 0),
        )[step % 6]  # fmt: skip
        whole = [*(n if step < 6 else -n for n in a), 0]
    else:
        largest = max(abs(x), abs(y), abs(z))
        whole = [round(float(n) / largest) for n in direction]
    return "[" + "".join(f"{n}" if n >= 0 else f"{-n}\u0305" for n in whole) + "]"


def phases_by_key(scan: Scan) -> Keys:
    """Phases that occur and have a symmetry, grouped by the colour key that they share."""
    groups: Keys = {}
    present = set(np.unique(scan.phase_id).tolist())
    for number, phase in scan.phases:
        if number not in present or phase.point_group is None:
            continue
        space_group = phase.space_group.number if phase.space_group is not None else ""
        laue = laue_class(phase)
        # Only trigonal and monoclinic keys depend on the setting.
        key = (laue, str(space_group)) if laue in ("-3m", "2/m") else (laue,)
        groups.setdefault(key, (phase, []))[1].append(str(phase.name))
    return groups
