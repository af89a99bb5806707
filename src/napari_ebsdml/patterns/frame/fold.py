"""Patterns to the crystal frame: folding, averaging, refinement."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize

from napari_ebsdml._parallel import Progress, available_cores
from napari_ebsdml._quaternions import to_matrix
from napari_ebsdml.errors import InputError
from napari_ebsdml.patterns.frame import _kernels
from napari_ebsdml.patterns.frame.flatten import flattener
from napari_ebsdml.patterns.frame.folded import CELLS, Folded
from napari_ebsdml.patterns.frame.geometry import Geometry, to_kikuchipy
from napari_ebsdml.patterns.frame.masks import find_mask
from napari_ebsdml.patterns.frame.triangle import COARSE

_CHUNK = 256


def fold_patterns(
    patterns: NDArray[np.generic],
    quaternions: ArrayLike,
    geometry: Geometry,
    mask: NDArray[np.bool_] | None = None,
    steps: int = COARSE,
    threads: int | None = None,
) -> Folded:
    """Fold patterns into the fundamental triangle.

    Parameters
    ----------
    patterns : (n, rows, columns) array
    quaternions : (n, 4) array
        Specimen -> crystal as in `Scan`.
    geometry
        With one pattern centre or one per pattern.
    mask : (rows, columns) bool array, optional
        Pixels that carry signal. Default: `find_mask`.
    steps
        Steps of the triangle's side.
    threads
        Default: all cores that the process may use.

    Raises
    ------
    InputError
        When shapes do not fit each other.
    """
    q = np.asarray(quaternions, dtype=np.float64)
    n = len(patterns)
    if patterns.ndim != 3 or q.shape != (n, 4):
        raise InputError(
            f"Need patterns (n, rows, columns) and quaternions (n, 4), not {patterns.shape} and "
            f"{q.shape}."
        )
    if patterns.dtype.kind not in "uif":
        raise InputError(f"Patterns must be numbers, not {patterns.dtype}.")
    if geometry.shape != patterns.shape[1:]:
        raise InputError(f"Patterns are {patterns.shape[1:]}, the geometry {geometry.shape}.")
    if len(geometry.bounds) not in (1, n):
        raise InputError(f"There are {len(geometry.bounds)} pattern centres for {n} patterns.")
    valid = find_mask(patterns) if mask is None else np.asarray(mask, dtype=bool)
    if valid.shape != patterns.shape[1:]:
        raise InputError(f"The mask has shape {valid.shape}, not {patterns.shape[1:]}.")
    turns = to_matrix(to_kikuchipy(q)) @ geometry.to_sample
    flattened = flattener(valid)
    folded = Folded.empty(n, steps)

    def work(start: int) -> None:
        part = slice(start, start + _CHUNK)
        raw = np.array(patterns[part], dtype=np.float32, order="C")
        flat = flattened(raw)
        bounds = geometry.bounds if len(geometry.bounds) == 1 else geometry.bounds[part]
        mine = folded.take(part)
        _kernels.noise_power(flat, valid, mine.noise)
        _kernels.fold(
            flat, valid, np.ascontiguousarray(turns[part]), np.ascontiguousarray(bounds), steps,
            CELLS, mine.sums, mine.weights, mine.parts, mine.counts,
        )  # fmt: skip

    starts = range(0, n, _CHUNK)
    workers = min(len(starts), threads or available_cores())
    if workers <= 1:
        for start in starts:
            work(start)
    else:
        with ThreadPoolExecutor(workers, thread_name_prefix="ebsdml-fold") as pool:
            list(pool.map(work, starts))
    return folded


def refine_geometry(
    patterns: NDArray[np.generic],
    quaternions: ArrayLike,
    geometry: Geometry,
    shift: float = 0.03,
    tilt: float = 6.0,
    rounds: int = 4,
    progress: Progress = None,
    mask: NDArray[np.bool_] | None = None,
    polish: bool = True,
) -> tuple[Geometry, dict[str, float]]:
    """Move the pattern centre and tilt the camera until the folded average is sharpest.

    Parameters
    ----------
    patterns, quaternions, geometry
        As for `fold_patterns`; some tens of patterns of several grains are enough.
    shift, tilt
        First step of the search: parts of the detector's height, and degrees.
    rounds
        The step is halved in each.
    progress
        Called with the part done.
    mask
        As for `fold_patterns`.
    polish
        Whether the last part of the way is gone, too, which is slow.

    Returns
    -------
    geometry
        The refined one.
    found
        dx, dy, dz (parts of the height), tilt (degrees), and sharpness before and after.
    """
    mask = find_mask(patterns) if mask is None else mask

    def score(at: NDArray[np.float64]) -> float:
        trial = geometry.moved(*at[:3]).tilted(at[3])
        return float(fold_patterns(patterns, quaternions, trial, mask).total().sharpness[0])

    best = np.zeros(4)
    first = value = score(best)
    step = np.array([shift, shift, shift, tilt])
    for turn in range(rounds):
        for _ in range(3):
            before = value
            for axis in (3, 0, 1, 2):
                for sign in (1, -1):
                    trial = best.copy()
                    trial[axis] += sign * step[axis]
                    if (
                        geometry.bounds.size
                        and 1 / (geometry.bounds[0, 3] - geometry.bounds[0, 2]) + trial[2] <= 0.1
                    ):
                        continue
                    found = score(trial)
                    if found > value:
                        best, value = trial, found
            if value == before:
                break
        step = step / 2
        if progress is not None:
            progress(0.6 * (turn + 1) / rounds)
    if polish:
        # Tilt and centre pull the same bands: the last part of the way goes along no axis.
        corners = np.concatenate([np.zeros((1, 4)), np.diag(4 * step)])
        found_best = minimize(
            lambda at: -score(at), best, method="Nelder-Mead",
            options={"initial_simplex": best + corners, "maxfev": 120, "xatol": 2e-4,
                     "fatol": 1e-4},
        )  # fmt: skip
        if -found_best.fun > value:
            best, value = found_best.x, float(-found_best.fun)
    if progress is not None:
        progress(1.0)
    names = ("dx", "dy", "dz", "tilt")
    report = {name: float(x) for name, x in zip(names, best, strict=True)}
    report |= {"sharpness_before": first, "sharpness_after": value}
    return geometry.moved(*best[:3]).tilted(best[3]), report
