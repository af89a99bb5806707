"""Augmentation that keeps the physics: what is done to the map is done to the crystals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._quaternions import multiply

if TYPE_CHECKING:
    from napari_ebsdml.maps.symmetry import PhaseTable
    from napari_ebsdml.segmentation.inputs.planes import Plane

_H = np.sqrt(0.5)

TURNS: tuple[tuple[int, bool, tuple[float, float, float, float]], ...] = (
    (0, False, (1.0, 0.0, 0.0, 0.0)),
    (1, False, (_H, 0.0, 0.0, -_H)),
    (2, False, (0.0, 0.0, 0.0, 1.0)),
    (3, False, (_H, 0.0, 0.0, _H)),
    (0, True, (0.0, 0.0, 1.0, 0.0)),
    (1, True, (0.0, _H, _H, 0.0)),
    (2, True, (0.0, 1.0, 0.0, 0.0)),
    (3, True, (0.0, _H, -_H, 0.0)),
)
"""The eight turns that bring a map onto its grid: quarter turns of `numpy.rot90`, whether the
columns are mirrored before, and the rotation of the specimen that does the same. Every mirror
is a half turn about an axis in the map: the specimen seen from behind."""


def turn_map(values: NDArray[Any], turn: int) -> NDArray[Any]:
    """Turn the last two axes of an array."""
    quarters, mirror, _ = TURNS[turn]
    if mirror:
        values = values[..., ::-1]
    return np.rot90(values, quarters, axes=(-2, -1))


def turn_orientations(quaternions: NDArray[np.floating], turn: int) -> NDArray[np.floating]:
    """Orientations (specimen -> crystal, last axis) after the specimen was turned."""
    w, x, y, z = TURNS[turn][2]
    turned = multiply(quaternions, np.array([w, -x, -y, -z]))
    return turned.astype(quaternions.dtype, copy=False)


def turn_variants(
    means: NDArray[np.float64], phase: NDArray[np.int32], table: PhaseTable
) -> NDArray[np.float32]:
    """Symmetry operation that brings each grain's mean back to the fundamental zone.

    Parameters
    ----------
    means : (labels, 4)
        Mean orientations.
    phase : (labels,)
        Row of the phase table of each label, -1 for none.
    table

    Returns
    -------
    (8, labels, 4) float32
        Unit quaternions with the sign that makes the turned mean's w positive.
    """
    out = np.zeros((len(TURNS), len(means), 4), dtype=np.float32)
    out[..., 0] = 1
    for p, (operators, count) in enumerate(zip(table.operators, table.count, strict=True)):
        rows = np.flatnonzero(phase == p)
        if not len(rows):
            continue
        for turn in range(1, len(TURNS)):
            turned = turn_orientations(means[rows], turn)
            # Scalar part of S * q for every operation S.
            scalar = turned[:, :1] * operators[:count, 0] - turned[:, 1:] @ operators[:count, 1:].T
            best = np.abs(scalar).argmax(axis=1)
            sign = np.sign(scalar[np.arange(len(rows)), best])
            out[turn, rows] = operators[best] * np.where(sign == 0, 1, sign)[:, None]
    return out


def turn_crop(
    values: NDArray[np.float32],
    turn: int,
    quaternion_planes: slice | None,
    variants: NDArray[np.float32] | None,
    grains: NDArray[np.int32] | None,
) -> NDArray[np.float32]:
    """Turn a crop of input planes: the map, and the orientations in it.

    Parameters
    ----------
    values : (planes, rows, columns)
    turn
        Number in `TURNS`.
    quaternion_planes
        Which four planes are w, x, y, z; None when there are none.
    variants, grains
        See `ChannelStack`; `grains` cropped as `values`.
    """
    if turn == 0:
        return values
    turned = turn_map(values, turn)
    if quaternion_planes is None:
        return np.ascontiguousarray(turned)
    turned = turned.copy()
    q = turn_orientations(np.moveaxis(turned[quaternion_planes], 0, -1), turn)
    if variants is not None and grains is not None:
        q = multiply(variants[turn][turn_map(grains, turn)], q)
    turned[quaternion_planes] = np.moveaxis(q, -1, 0)
    return turned


def vary_brightness(
    values: NDArray[np.float32],
    planes: tuple[Plane, ...],
    strength: float,
    rng: np.random.Generator,
) -> None:
    """Change brightness and contrast of the measured planes, in units of their spread."""
    # In the planes' order, not a set's: that of strings changes from process to process, and with
    # it the random numbers of each.
    measured = [plane.name.partition("@")[0] for plane in planes if plane.role == "measured"]
    for name in dict.fromkeys(measured):
        gain, shift = 1 + strength * rng.uniform(-1, 1), strength * rng.normal()
        for number, plane in enumerate(planes):
            # A grain's mean changes with the property that it is a mean of.
            if plane.role == "measured" and plane.name.partition("@")[0] == name:
                values[number] = values[number] * gain + shift


def lose_indexing(
    values: NDArray[np.float32],
    planes: tuple[Plane, ...],
    empty: NDArray[np.float32],
    share: float,
    rng: np.random.Generator,
) -> None:
    """Turn a random part of the pixels into pixels that were not indexed.

    `empty` is what each plane holds where there is no orientation, after standardising.
    """
    lost = rng.random(values.shape[1:]) < share * rng.random()
    for number, plane in enumerate(planes):
        if plane.role != "measured":
            values[number][lost] = empty[number]
