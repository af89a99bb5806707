"""The pattern centre of patterns of which nothing is known: a search over all usual cameras."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress, available_cores
from napari_ebsdml.patterns.frame.geometry import Geometry
from napari_ebsdml.patterns.search.alignment import align_camera
from napari_ebsdml.patterns.search.binned import Mask, Plan, flattened
from napari_ebsdml.patterns.search.orientations import (
    FIT,
    OrientationSearch,
    orientation_grid,
    project,
    tables,
)

CENTRES: tuple[tuple[float, ...], ...] = (
    (0.4, 0.5, 0.6), (0.14, 0.23, 0.32, 0.41, 0.5, 0.58), (0.43, 0.5, 0.58, 0.67, 0.77, 0.87),
)  # fmt: skip
"""Pattern centres to start from: Bruker's x, y and z."""
MOST = 12
"""Patterns that take part, at most."""
_ROUGH = Plan(kinds=4, step=4.5, blur=2.2, coarse=600)
_STEPS = 6
_FINALISTS = 4
_CONVINCED = 0.75


@dataclass(frozen=True, eq=False)
class FoundCamera:
    """A camera that was searched for.

    Attributes
    ----------
    geometry
        The pattern centre; the camera's tilt is taken as zero, the sample's as 70 degrees: single
        patterns do not tell the tilt from the crystal's orientation.
    fit
        Of each pattern, see `OrientationSearch.find`.
    """

    geometry: Geometry
    fit: NDArray[np.float64]

    @property
    def is_sure(self) -> bool:
        """Whether at least half of the patterns fit.

        In wrong cameras hardly any pattern does. A single one must fit better: it alone leaves
        the search more freedom.
        """
        need = FIT if len(self.fit) >= 3 else ALONE
        return bool((self.fit >= need).mean() >= 0.5)


ALONE = 0.55
"""Least fit with which one or two patterns tell their camera."""


def find_camera(
    patterns: NDArray[np.generic],
    search: OrientationSearch,
    mask: Mask,
    progress: Progress = None,
) -> FoundCamera:
    """Find the pattern centre that patterns share.

    Parameters
    ----------
    patterns : (n, rows, columns) array
        At least one. Of cubic crystals; a dozen of several grains is best, one will do.
    search
        That of the classifier.
    mask : (rows, columns) bool array
        Pixels that carry signal.
    progress
        Called with the part done; may raise to cancel.

    Returns
    -------
    FoundCamera
        The best one, sure or not.

    Notes
    -----
    From each pattern centre of a coarse grid, orientations are searched for on a coarse grid too,
    then all of them and the centre are moved together to where the mean squared fit is highest.
    The best few are indexed anew with all care, in turns with the centre.
    """
    shape = (int(patterns.shape[1]), int(patterns.shape[2]))
    sheet = flattened(patterns, mask, _ROUGH)
    kinds = search.kinds[: _ROUGH.kinds]
    blurred = tables(search.templates.values[kinds], _ROUGH.blur)
    grid = orientation_grid(_ROUGH.step)
    rows = np.arange(len(patterns))

    def rough(centre: tuple[float, ...]) -> tuple[float, Geometry]:
        start = Geometry.from_angles(centre, shape)
        found = project(blurred, grid, start.bounds[0], sheet.coarse_places)
        best, kind = found.match(sheet)
        top = best.argmax(axis=1)
        geometry, _, fit = align_camera(
            sheet.coarse, sheet.coarse_places, start, grid[top], blurred, kind[rows, top], _STEPS
        )
        return float((np.maximum(fit, 0) ** 2).mean()), geometry

    starts = list(product(*CENTRES))
    tried: list[tuple[float, Geometry]] = []
    with ThreadPoolExecutor(min(4, available_cores()), thread_name_prefix="ebsdml-camera") as pool:
        jobs = [pool.submit(rough, centre) for centre in starts]
        try:
            for done, job in enumerate(jobs):
                tried.append(job.result())
                if progress is not None:
                    progress(0.8 * (done + 1) / len(jobs))
        except BaseException:
            for job in jobs:
                job.cancel()
            raise
    tried.sort(key=lambda pair: -pair[0])
    sheet = flattened(patterns, mask, search.plan)
    best: FoundCamera | None = None
    seen: list[Geometry] = []
    for _, geometry in tried:
        if len(seen) == _FINALISTS:
            break
        if any(np.abs(geometry.bounds - other.bounds).max() < 0.02 for other in seen):
            continue
        seen.append(geometry)
        fit = np.zeros(len(patterns))
        for _ in range(2):
            turns, _, crystal = search.turns(sheet, geometry, twice=False)
            geometry, _, fit = align_camera(
                sheet.fine, sheet.fine_places, geometry, turns, search.sharp, crystal, 8
            )
        fit = fit / sheet.ceiling
        if best is None or fit.mean() > best.fit.mean():
            best = FoundCamera(geometry, fit)
        if progress is not None:
            progress(0.8 + 0.2 * len(seen) / _FINALISTS)
        if (best.fit > _CONVINCED).mean() > 0.7:
            break
    assert best is not None
    return best
