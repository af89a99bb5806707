"""Axes of symmetry of a pattern: the pattern's correlation with its own rotated self.

For a rotation R, c(R) is the normalised correlation of the pattern with the pattern carried by R,
over the directions that both see; opposite directions count as one (Friedel). A mirror is a
twofold axis normal to it. One screen sees some 20 to 30 per cent of the half sphere: each
operation of a group is tested where it can be, and carries the weight of that part.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.patterns.symmetry import _kernels
from napari_ebsdml.patterns.symmetry.groups import GROUPS, TURNS, LaueGroup, turn
from napari_ebsdml.patterns.symmetry.view import View

Floats = NDArray[np.float64]

ANGLES = np.deg2rad(np.array(TURNS))
STILL = float(np.cos(np.deg2rad(7.0)))
"""Cosine of the least move: nearer pixels are alike without any symmetry."""
LEAST = 0.06
"""Part of the screen that an operation must see of itself to be tested."""
# A twofold axis meets each pair of directions twice.
WEIGHTS = np.array([0.5, 1.0, 1.0, 1.0])

NAMES: tuple[str, ...] = tuple(GROUPS)
_SIDE = 45
_PERIODS = {
    "mmm": 90.0, "4/mmm": 45.0, "-3m": 60.0, "6/mmm": 30.0, "m-3": 90.0, "m-3m": 45.0,
}  # fmt: skip
_CHOSEN = 3
LEAST_MAIN = 0.25
_APART = float(np.cos(np.deg2rad(5.0)))


@dataclass(frozen=True, eq=False)
class Placement:
    """The best place of a Laue group's axes in one pattern.

    Attributes
    ----------
    group
        Symbol.
    frame : (3, 3) array
        Columns: the group's axes x, y, z in the detector's frame.
    correlation, part : (k,) arrays
        Of each operation of `LaueGroup.operations`: its correlation, and the part of the screen
        that tells it; 0 where this view cannot test it.
    ceiling
        Correlation that the noise of this pattern lets an operation of the crystal reach.
    """

    group: str
    frame: Floats
    correlation: Floats
    part: Floats
    ceiling: float = 1.0

    @property
    def score(self) -> float:
        """Weight times squared mean correlation over two: see `_kernels.search_frames`."""
        _, turns = GROUPS[self.group].operations
        weight = WEIGHTS[turns] * self.part
        total = float(weight.sum())
        if total <= 0:
            return 0.0
        mean = float((weight * self.correlation).sum()) / total
        return total * mean * abs(mean) / 2

    @property
    def agreement(self) -> float:
        """Mean correlation of the operations that are tested, as a part of the ceiling."""
        weight = WEIGHTS[GROUPS[self.group].operations[1]] * self.part
        total = float(weight.sum()) * self.ceiling
        return float((weight * self.correlation).sum()) / total if total > 0 else 0.0


@cache
def half_cube(side: int = _SIDE) -> Floats:
    """Directions (3 side^2, 3) of the cells that `_kernels.face_index` counts."""
    middle = np.tan((np.arange(side) + 0.5) / side * np.pi / 2 - np.pi / 4)
    u, v = np.meshgrid(middle, middle, indexing="ij")
    one = np.ones_like(u)
    faces = [np.stack([u, v, one], -1), np.stack([one, u, v], -1), np.stack([v, one, u], -1)]
    axes = np.concatenate([face.reshape(-1, 3) for face in faces])
    return axes / np.linalg.norm(axes, axis=1, keepdims=True)


def scan(view: View, side: int = _SIDE) -> tuple[Floats, Floats]:
    """Correlation and part of the screen, (cells, turns), of all axes of `half_cube`."""
    axes = half_cube(side)
    correlation = np.zeros((len(axes), len(TURNS)))
    part = np.zeros_like(correlation)
    _kernels.scan_axes(
        axes, ANGLES, view.coarse_rays, view.coarse_values, view.coarse, view.bounds,
        STILL, LEAST, correlation, part,
    )  # fmt: skip
    return correlation, part


def place(
    view: View, names: tuple[str, ...] = tuple(GROUPS), side: int = _SIDE, fine: bool = True
) -> dict[str, Placement]:
    """Where each Laue group fits a pattern best.

    Parameters
    ----------
    view
    names
        Laue groups to try.
    side
        Of the faces of the half cube of axes: 45 for steps of 2 degrees.
    fine
        Whether to end with steps of a tenth of a degree over all rays.
    """
    correlation, part = scan(view, side)
    weight = part * WEIGHTS
    table_s, table_n = weight * correlation, weight
    # A main axis that correlates by a quarter of the best ones is none.
    least = LEAST_MAIN * float(np.quantile(correlation, 0.999))
    found: dict[str, Placement] = {}
    # Smaller groups first: a larger one may lie where a smaller one was found.
    for name in sorted(names, key=NAMES.index):
        group = GROUPS[name]
        if group.order == 1:
            found[name] = Placement(name, np.eye(3), np.zeros(0), np.zeros(0), view.ceiling)
            continue
        frames = candidates(group, table_s, table_n, side, least)
        frames += [found[h].frame @ q for h, q in embeddings(name) if h in found]
        rough = [refined(view, group, frame, 8, 1.0, 0.3) for frame in frames]
        best = max(rough, key=lambda placed: placed.score)
        found[name] = refined(view, group, best.frame, 1, 0.4, 0.12) if fine else best
    return found


def candidates(
    group: LaueGroup, table_s: Floats, table_n: Floats, side: int, least: float
) -> list[Floats]:
    """Frames from the table of all axes, best first, none equivalent to another."""
    principals = half_cube(side)
    axes, turns = group.operations
    score = np.empty(len(principals))
    angle = np.empty(len(principals))
    period = np.deg2rad(_PERIODS.get(group.name, 1.0))
    step = np.pi / 2 / side if group.name in _PERIODS else 10.0
    _kernels.search_frames(
        principals, axes, turns, period, step, table_s, table_n, side, least, score, angle
    )
    chosen: list[Floats] = []
    for at in np.argsort(-score)[:400]:
        frame = _frame(principals[at], angle[at])
        if any(_alike(frame, other, group) for other in chosen):
            continue
        chosen.append(frame)
        if len(chosen) == _CHOSEN:
            break
    return chosen


@cache
def embeddings(name: str) -> tuple[tuple[str, Floats], ...]:
    """Groups that lie in a group, with the turns from their frames to its frame."""
    eye = np.eye(3)
    around = (eye, np.roll(eye, 1, axis=0), np.roll(eye, 2, axis=0))
    if name in ("4/mmm", "6/mmm"):
        found = [("mmm", one) for one in around]
        return (*found, ("-3m", eye)) if name == "6/mmm" else tuple(found)
    if name == "m-3":
        return (("mmm", eye),)
    if name != "m-3m":
        return ()
    z = np.array([0.0, 0.0, 1.0])
    diagonal, threefold = np.array([1.0, -1.0, 0.0]) / np.sqrt(2), np.ones(3) / np.sqrt(3)
    along = np.stack([diagonal, np.cross(threefold, diagonal), threefold])
    eighth, sixth = turn(z, 45.0), turn(z, 60.0)
    return (
        ("m-3", eye), ("4/mmm", eye), ("4/mmm", eighth), ("-3m", along), ("-3m", sixth @ along),
        *(("mmm", one @ eighth) for one in around),
    )  # fmt: skip


def _frame(p: Floats, angle: float) -> Floats:
    """The frame that `_kernels.search_frames` means by a main axis and an angle."""
    e1 = np.array([-p[1], p[0], 0.0] if abs(p[2]) < 0.8 else [0.0, -p[2], p[1]])
    e1 = e1 / np.linalg.norm(e1)
    e2 = np.cross(p, e1)
    c, s = np.cos(angle), np.sin(angle)
    return np.stack([c * e1 + s * e2, c * e2 - s * e1, p], axis=1)


def _alike(one: Floats, other: Floats, group: LaueGroup) -> bool:
    """Whether two frames are nearly the same but for an operation of the group."""
    if group.name not in _PERIODS:
        return bool(abs(one[:, 2] @ other[:, 2]) > _APART)
    trace = np.einsum("ij,kij->k", one.T @ other, group.rotations)
    return bool(trace.max() > 1 + 2 * _APART)


def refined(
    view: View, group: LaueGroup, frame: Floats, step: int, first: float, last: float
) -> Placement:
    """The placement of a group after turns of a frame, from `first` to `last` degrees.

    Every `step`-th ray takes part.
    """
    axes, turns = group.operations
    frame = np.array(frame)
    correlation, part = np.zeros(len(turns)), np.zeros(len(turns))
    _kernels.refine(
        frame, axes, turns, ANGLES, WEIGHTS, view.fine_rays, view.fine_values, view.fine,
        view.bounds, STILL, LEAST, step, np.deg2rad(first), np.deg2rad(last), correlation, part,
    )  # fmt: skip
    return Placement(group.name, frame, correlation, part, view.ceiling)
