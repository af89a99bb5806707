"""A crystal's pattern on the half sphere, merged from measured patterns and their symmetry.

Patterns of one phase, each put into the frame of its symmetry, add up to a master pattern that
was measured and not simulated: nothing of the crystal but its Laue group is needed. Other patterns
of the phase are recognised and oriented by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from napari_ebsdml._quaternions import to_matrix
from napari_ebsdml.patterns.symmetry import _sphere_kernels as kernels
from napari_ebsdml.patterns.symmetry.groups import GROUPS
from napari_ebsdml.patterns.symmetry.operators import half_cube
from napari_ebsdml.patterns.symmetry.view import View

Floats = NDArray[np.float64]
Rays = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]

SIDE = 90
"""Cells along an edge of a face of the half cube: one degree."""
_THINNED = 2
_LEAST_PART, _LEAST_RAYS = 0.4, 30
"""Part of a pattern's rays, and rays, that a sphere must know something of where they fit."""
UNKNOWN = np.float32(1e9)


@dataclass(frozen=True, eq=False)
class MeasuredSphere:
    """A master pattern made of measured patterns.

    Attributes
    ----------
    group
        Laue group that it was symmetrised with.
    cells : (3 SIDE^2,) float32 array
        Values on the cells of `operators.half_cube`, mean 0 and standard deviation 1; 1e9 where
        no pattern looked.
    """

    group: str
    cells: NDArray[np.float32]

    @classmethod
    def merged(cls, views: Sequence[View], frames: Floats, group: str) -> MeasuredSphere:
        """Merge patterns.

        Parameters
        ----------
        views
        frames : (n, 3, 3) array
            Columns: the group's axes in each pattern's detector frame.
        group
            Laue group to symmetrise with.
        """
        total = np.zeros(3 * SIDE**2)
        count = np.zeros_like(total)
        rotations = GROUPS[group].rotations
        for view, frame in zip(views, frames, strict=True):
            turns = np.ascontiguousarray(rotations @ frame.T)
            kernels.gather(view.fine_rays, view.fine_values, turns, 1.0, SIDE, total, count)
        # Cells between rays take their neighbours' values.
        smooth_total, smooth_count = (
            np.concatenate([gaussian_filter(f, 0.7).ravel() for f in v.reshape(3, SIDE, SIDE)])
            for v in (total, count)
        )
        known = smooth_count > 0.02
        values = smooth_total / np.maximum(smooth_count, 1e-9)
        inside = values[known]
        values = (values - inside.mean()) / max(float(inside.std()), 1e-6)
        return cls(group, np.where(known, values, UNKNOWN).astype(np.float32))

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which cells any pattern looked at."""
        return self.cells < 1e8

    @property
    def coverage(self) -> float:
        """Part of the half sphere that patterns looked at."""
        axes = half_cube(SIDE)
        area = np.abs(axes).max(axis=1) ** 3
        flat = np.abs(axes) / np.abs(axes).max(axis=1, keepdims=True)
        # Cells are even in angle along a face's axes, not in the tangent.
        area = area * np.prod(1 + flat**2, axis=1) / 2
        return float(area[self.known].sum() / area.sum())

    def at(self, directions: Floats) -> Floats:
        """Values along unit vectors (n, 3) of the crystal's frame; NaN where unknown."""
        out = np.empty((1, len(directions)), np.float32)
        kernels.project(
            np.ascontiguousarray(directions, np.float64), np.eye(3)[None], self.cells, SIDE, out
        )
        return np.where(out[0] < 1e8, out[0], np.nan).astype(np.float64)


@lru_cache(maxsize=4)
def rotation_grid(group: str, degrees: float) -> Floats:
    """Rotations (n, 3, 3) spread evenly, one of each that are equivalent under the group.

    Super-Fibonacci spirals (Alexa, doi:10.1109/CVPR52688.2022.00811).
    """
    number = int(8 * np.pi**2 / np.deg2rad(degrees) ** 3)
    s = np.arange(number) + 0.5
    r, big = np.sqrt(s / number), np.sqrt(1 - s / number)
    alpha, beta = 2 * np.pi * s / np.sqrt(2), 2 * np.pi * s / 1.533751168755204288118041
    q = np.stack(
        [r * np.sin(alpha), r * np.cos(alpha), big * np.sin(beta), big * np.cos(beta)], axis=1
    )
    turns = to_matrix(q)
    # The one with the largest trace among R' = S R.
    keep = np.ones(number, bool)
    own = np.trace(turns, axis1=1, axis2=2)
    for rotation in GROUPS[group].rotations[1:]:
        keep &= np.einsum("ij,nji->n", rotation, turns) <= own + 1e-9
    kept = np.ascontiguousarray(turns[keep])
    # Callers share it.
    kept.flags.writeable = False
    return kept


def split(rays: NDArray[np.floating]) -> Rays:
    """x, y and z of rays (n, 3), as the kernels take them."""
    x, y, z = (np.ascontiguousarray(rays[:, k], np.float32) for k in range(3))
    return x, y, z


def climbed(
    turn: Floats, rays: Rays, values: NDArray[np.float32], cells: NDArray[np.float32],
    first: float, last: float,
) -> float:  # fmt: skip
    """Turn rays, in place, from `first` to `last` degrees to where they fit a sphere best.

    Their correlation with it; -1 where it knows too little there.
    """
    number, fit = kernels.climb(
        turn, rays, values, cells, SIDE, np.deg2rad(first), np.deg2rad(last), _LEAST_PART
    )
    return float(fit) if number >= max(_LEAST_PART * len(values), _LEAST_RAYS) else -1.0


class SphereSearch:
    """Orientations of patterns by one or several measured spheres, all of one camera.

    Parameters
    ----------
    sphere
    view
        Any pattern of the camera: its screen's size, mask and bounds count.
    """

    def __init__(self, sphere: MeasuredSphere, view: View) -> None:
        self.sphere = sphere
        # Steps of 3.5 to 5 degrees: 70 thousand templates at most.
        order = GROUPS[sphere.group].order
        self.turns = rotation_grid(sphere.group, 3.5 if order >= 6 else 4.3 if order > 2 else 5.5)
        self._rays = view.coarse_rays[::_THINNED]
        self._templates = np.empty((len(self.turns), len(self._rays)), np.float32)
        # Templates of which little is known must not win by chance.
        kernels.templates(self._rays, self.turns, sphere.cells, SIDE, _LEAST_PART, self._templates)

    def find(
        self, views: Sequence[View], candidates: int = 8
    ) -> tuple[Floats, NDArray[np.float32]]:
        """Turns (n, 3, 3), detector -> crystal, and fits (n,): correlations with the sphere."""
        values = np.stack([view.coarse_values[::_THINNED] for view in views])
        score = values @ self._templates.T
        turns = np.empty((len(views), 3, 3))
        fits = np.empty(len(views), np.float32)
        for k, view in enumerate(views):
            top = np.argpartition(-score[k], candidates)[:candidates]
            trial = self.turns[top].copy()
            fit = np.empty(candidates)
            rays, own = split(view.fine_rays[::4]), view.fine_values[::4].copy()
            for j in range(candidates):
                fit[j] = climbed(trial[j], rays, own, self.sphere.cells, 2.0, 0.6)
            best = trial[int(fit.argmax())]
            rays, own = split(view.fine_rays), view.fine_values
            turns[k], fits[k] = best, climbed(best, rays, own, self.sphere.cells, 0.6, 0.1)
        return turns, fits
