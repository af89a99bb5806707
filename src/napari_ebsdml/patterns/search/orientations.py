"""Orientations of cubic patterns whose phase is unknown: matching with a few kinds of crystal.

Templates of all crystals that a model knows are boiled down to a handful of kinds. Their
projections in all orientations of a coarse grid, slightly blurred, are compared with a pattern; the
best ones are turned to where they fit best, then compared once more with all templates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.spatial.transform import Rotation

from napari_ebsdml._quaternions import multiply, to_matrix
from napari_ebsdml.patterns.frame.fold import fold_patterns
from napari_ebsdml.patterns.frame.geometry import Geometry, from_kikuchipy, to_kikuchipy
from napari_ebsdml.patterns.frame.triangle import COARSE, to_square
from napari_ebsdml.patterns.search import _kernels as _search_kernels
from napari_ebsdml.patterns.search.alignment import align
from napari_ebsdml.patterns.search.binned import Doubles, Floats, Mask, Plan, Sheet, flattened
from napari_ebsdml.patterns.search.templates import Templates

FIT = 0.45
"""Least fit of a pattern of a known kind. Nearly all simulated patterns of known crystals reach 0.7
(60 x 60 pixels, noise up to 1.3 times the bands), 95 % of those of hexagonal and trigonal crystals
stay below 0.45. It is no higher because measured patterns fit less well than simulated ones."""
_SIDE = 91
_FAR = 10.0
_CUBIC = Rotation.create_group("O")


@dataclass(frozen=True, eq=False)
class Dictionary:
    """Projections of the kinds in all orientations, for one camera.

    Attributes
    ----------
    images : (kinds, orientations, pixels) float32 array
    scale : (kinds, orientations) float32 array
        Brings the images' variance to 1 / pixels.
    """

    images: Floats
    scale: Floats

    def match(self, sheet: Sheet) -> tuple[Floats, NDArray[np.intp]]:
        """Best correlation with each orientation, and the kind that has it: two (n, orientations).

        The images keep their mean and background: the patterns have none to meet them with.
        """
        lines = sheet.coarse - sheet.coarse.mean(axis=1, keepdims=True)
        lines -= (lines @ sheet.level) @ sheet.level.T
        lines /= np.maximum(np.linalg.norm(lines, axis=1, keepdims=True), 1e-9)
        best = (lines @ self.images[0].T) * self.scale[0]
        kind = np.zeros(best.shape, np.intp)
        for k in range(1, len(self.images)):
            other = (lines @ self.images[k].T) * self.scale[k]
            better = other > best
            kind[better] = k
            np.maximum(best, other, out=best)
        return best, kind


class OrientationSearch:
    """Finds the orientations of cubic patterns of unknown phase in a known geometry.

    Parameters
    ----------
    templates
        Those of a classifier.
    plan
        How finely to search.
    """

    def __init__(self, templates: Templates, plan: Plan | None = None) -> None:
        self.templates = templates
        self.plan = plan or Plan()
        self.kinds = representatives(templates.alike, self.plan.kinds)
        self.sharp = tables(templates.values)
        self.blurred = tables(templates.values[self.kinds], self.plan.blur)
        self.grid = orientation_grid(self.plan.step)
        self._last: tuple[Doubles, Doubles, Dictionary] | None = None

    def find(
        self, patterns: NDArray[np.generic], geometry: Geometry, mask: Mask
    ) -> tuple[Doubles, Doubles]:
        """Orientations of patterns.

        Parameters
        ----------
        patterns : (n, rows, columns) array
        geometry
            With one pattern centre or one per pattern; these may drift, by a tenth of the screen
            at most: the search starts from their mean.
        mask : (rows, columns) bool array
            Pixels that carry signal.

        Returns
        -------
        quaternions : (n, 4) array
            Specimen -> crystal as in `Scan`; of the symmetrically equal ones any.
        fit : (n,) array
            Correlation of each pattern with the template that fits best, as a part of what its
            noise leaves; below `FIT` it is no crystal that the templates know.
        """
        sheet = flattened(patterns, mask, self.plan)
        turns, _, _ = self.turns(sheet, geometry)
        return self._finished(patterns, sheet, turns, geometry, mask)

    def refine(
        self, patterns: NDArray[np.generic], given: Doubles, geometry: Geometry, mask: Mask
    ) -> tuple[Doubles, Doubles]:
        """Orientations (n, 4) and fits as `find`, from given ones that are some degrees off.

        Several times as fast, and of symmetrically equal orientations that near the given one.
        Where no fit is found close by, orientations are searched for and taken if they lie within
        10 degrees.
        """
        sheet = flattened(patterns, mask, self.plan)
        n, kinds = len(given), len(self.kinds)
        start = to_matrix(to_kikuchipy(given)) @ geometry.to_sample
        turns, fit = align(
            sheet.coarse, np.repeat(np.arange(n), kinds), sheet.coarse_places, geometry.bounds,
            np.repeat(start, kinds, axis=0), self.blurred, np.tile(np.arange(kinds), n), 5,
        )  # fmt: skip
        best = fit.reshape(n, kinds).argmax(axis=1)
        turns, _ = align(
            sheet.fine, np.arange(n), sheet.fine_places, geometry.bounds,
            turns.reshape(n, kinds, 3, 3)[np.arange(n), best], self.sharp, self.kinds[best], 4,
        )  # fmt: skip
        q, fit = self._finished(patterns, sheet, turns, geometry, mask)
        again = np.flatnonzero(fit < FIT)
        if len(again):
            found, better = self.find(patterns[again], geometry.take(again), mask)
            found, angle = _nearest(found, given[again])
            up = (angle < _FAR) & (better > fit[again])
            q[again[up]], fit[again[up]] = found[up], better[up]
        return q, fit

    def _finished(
        self, patterns: NDArray[np.generic], sheet: Sheet, turns: Doubles, geometry: Geometry,
        mask: Mask,
    ) -> tuple[Doubles, Doubles]:  # fmt: skip
        """Turn once more, with the template that resembles the folded pattern most of all."""
        q = quaternions(turns, geometry)
        match = self.templates.correlate(fold_patterns(patterns, q, geometry, mask))
        turns, fit = align(
            sheet.fine, np.arange(len(q)), sheet.fine_places, geometry.bounds, turns, self.sharp,
            match.argmax(axis=1), 3,
        )  # fmt: skip
        return quaternions(turns, geometry), fit / sheet.ceiling

    def turns(
        self, sheet: Sheet, geometry: Geometry, twice: bool = True
    ) -> tuple[Doubles, Doubles, NDArray[np.intp]]:
        """Best turns (n, 3, 3), detector -> crystal, their correlations and templates (n,).

        `twice`: where nothing fits, more candidates are tried.
        """
        turns, fit, kind = self._candidates(sheet, geometry, self.plan.tops, self.plan.finals)
        again = np.flatnonzero(fit < FIT * sheet.ceiling)
        if twice and len(again):
            # Few patterns fail; for them a longer list of candidates is worth its time.
            part = Sheet(
                sheet.fine[again], sheet.coarse[again], sheet.fine_places, sheet.coarse_places,
                sheet.level, sheet.ceiling[again],
            )  # fmt: skip
            more, better, kinds = self._candidates(
                part, geometry.take(again), 4 * self.plan.tops, 2 * self.plan.finals
            )
            up = better > fit[again]
            turns[again[up]], fit[again[up]], kind[again[up]] = more[up], better[up], kinds[up]
        return turns, fit, kind

    def _candidates(
        self, sheet: Sheet, geometry: Geometry, tops: int, finals: int
    ) -> tuple[Doubles, Doubles, NDArray[np.intp]]:
        n = len(sheet.coarse)
        best, kind = self._dictionary(sheet, geometry).match(sheet)
        tops = min(tops, best.shape[1])
        top = np.argpartition(-best, tops - 1, axis=1)[:, :tops]
        kinds = np.take_along_axis(kind, top, axis=1)
        turns, fit = align(
            sheet.coarse, np.repeat(np.arange(n), tops), sheet.coarse_places, geometry.bounds,
            self.grid[top.ravel()], self.blurred, kinds.ravel(), 4,
        )  # fmt: skip
        turns, fit = turns.reshape(n, tops, 3, 3), fit.reshape(n, tops)
        chosen = _distinct(turns, fit, finals)
        turns = np.take_along_axis(turns, chosen[..., None, None], axis=1)
        crystal = self.kinds[np.take_along_axis(kinds, chosen, axis=1)]
        turns, fit = align(
            sheet.fine, np.repeat(np.arange(n), finals), sheet.fine_places, geometry.bounds,
            turns.reshape(-1, 3, 3), self.sharp, crystal.ravel(), 4,
        )  # fmt: skip
        fit = fit.reshape(n, finals)
        rows, first = np.arange(n), fit.argmax(axis=1)
        return turns.reshape(n, finals, 3, 3)[rows, first], fit[rows, first], crystal[rows, first]

    def _dictionary(self, sheet: Sheet, geometry: Geometry) -> Dictionary:
        """For the mean of the pattern centres; kept as long as it is asked for again."""
        bounds = geometry.bounds.mean(axis=0)
        last = self._last
        if last is not None:
            old, places, dictionary = last
            # Centres drift over a map; the fit that follows takes each pattern's own.
            near = np.abs(old - bounds).max() < 0.005
            if near and np.array_equal(places, sheet.coarse_places):
                return dictionary
        self._last = None
        dictionary = project(self.blurred, self.grid, bounds, sheet.coarse_places)
        self._last = bounds, sheet.coarse_places, dictionary
        return dictionary


def project(tables: Floats, grid: Doubles, bounds: Doubles, places: Doubles) -> Dictionary:
    """Dictionary of templates in the orientations of a grid, for one pattern centre."""
    x0, x1, y0, y1 = bounds
    rays = np.stack(
        [x0 + (x1 - x0) * places[:, 0], y1 - (y1 - y0) * places[:, 1], np.ones(len(places))], axis=1
    )
    images = np.empty((len(tables), len(grid), len(places)), np.float32)
    scale = np.empty((len(tables), len(grid)), np.float32)
    _search_kernels.project_all(tables, rays, grid, images, scale)
    return Dictionary(images, scale)


def quaternions(turns: Doubles, geometry: Geometry) -> Doubles:
    """Turns of the detector's frame into the crystal as quaternions of a `Scan`, (n, 4)."""
    xyzw = Rotation.from_matrix(turns @ geometry.to_sample.T).as_quat()
    return from_kikuchipy(xyzw[:, [3, 0, 1, 2]])


def _nearest(q: Doubles, given: Doubles) -> tuple[Doubles, Doubles]:
    """Of the symmetrically equal orientations those nearest to given ones; angles in degrees."""
    operations = _CUBIC.as_quat()[:, [3, 0, 1, 2]]
    equal = multiply(operations[:, None], q[None])
    cosine = np.abs((equal * given).sum(axis=-1))
    best = cosine.argmax(axis=0)
    rows = np.arange(len(q))
    return equal[best, rows], 2 * np.rad2deg(np.arccos(np.minimum(cosine[best, rows], 1)))


def tables(values: Floats, blur: float = 0.0) -> Floats:
    """Templates (m, nodes) on square tables, as the kernels want them: (m, side, side).

    `blur` in degrees.
    """
    images = to_square(values.astype(np.float64), COARSE)
    if blur:
        # The triangle's sides are mirrors, and a step is a degree.
        images = gaussian_filter(images, (0, blur, blur), mode="mirror")
    angle = np.arctan(np.linspace(0, 1, _SIDE)) / (np.pi / 4 / COARSE)
    at = np.meshgrid(angle, angle, indexing="ij")
    found = [map_coordinates(image, at, order=3, mode="mirror") for image in images]
    return np.stack(found).astype(np.float32)


def representatives(alike: Floats, number: int) -> NDArray[np.intp]:
    """Crystals that together resemble all others most, chosen one by one.

    Parameters
    ----------
    alike : (m, m) array
        Correlation of each pair.
    number
        How many to choose, at most.
    """
    nearest = np.full(len(alike), -1.0)
    chosen: list[int] = []
    for _ in range(min(number, len(alike))):
        gain = np.maximum(alike, nearest).sum(axis=1)
        gain[chosen] = -np.inf
        chosen.append(int(gain.argmax()))
        nearest = np.maximum(nearest, alike[chosen[-1]])
    return np.array(chosen)


def orientation_grid(step: float) -> Doubles:
    """Rotations (n, 3, 3) that cover the cubic fundamental zone evenly, `step` degrees apart.

    A super-Fibonacci spiral, doi:10.1109/CVPR52688.2022.00811, of which one of each 24 equal
    orientations is kept.
    """
    number = round(8 * np.pi**2 / np.deg2rad(step) ** 3)
    place = np.arange(number) + 0.5
    inner, outer = np.sqrt(place / number), np.sqrt(1 - place / number)
    one = 2 * np.pi * place / np.sqrt(2)
    two = 2 * np.pi * place / 1.533751168755204288118041
    q = np.stack(
        [inner * np.sin(one), inner * np.cos(one), outer * np.sin(two), outer * np.cos(two)], axis=1
    )
    # The scalar part of the product of a symmetry operation and q, the scalar being last.
    scalar = np.abs(q @ (_CUBIC.as_quat() * (-1, -1, -1, 1)).T)
    own = int(np.abs(_CUBIC.as_quat()[:, 3]).argmax())
    zone = scalar[:, own] >= scalar.max(axis=1) - 1e-12
    return Rotation.from_quat(q[zone]).as_matrix()


def _distinct(turns: Doubles, fit: Doubles, number: int) -> NDArray[np.intp]:
    """Places of the best candidates (n, number) that are a degree or more apart."""
    order = np.argsort(-fit, axis=1)
    chosen = np.zeros((len(fit), number), np.intp)
    # One fundamental zone holds them all: twins across its border are rare and only cost time.
    flat = turns.reshape(*fit.shape, 9)
    limit = 1 + 2 * np.cos(np.deg2rad(1.0))
    for k, line in enumerate(order):
        kept = [int(line[0])]
        for j in line[1:]:
            if len(kept) == number:
                break
            if (flat[k, kept] @ flat[k, j]).max() < limit:
                kept.append(int(j))
        chosen[k] = (kept * number)[:number]
    return chosen
