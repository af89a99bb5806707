"""Patterns made ready for matching: binned, flattened, and only where they carry signal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.patterns.frame import _kernels
from napari_ebsdml.patterns.frame.flatten import fill_gaps, flattener, polynomials
from napari_ebsdml.patterns.frame.resize import resize_matrix

Doubles = NDArray[np.float64]
Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

_LOWEST_CEILING = 0.3
_BLANK = 1e-3
"""Patterns whose flattened pixels have a smaller mean square show nothing."""


@dataclass(frozen=True)
class Plan:
    """How finely to search.

    Attributes
    ----------
    kinds
        Crystals that are compared with first.
    step
        Of the grid of orientations, degrees.
    blur
        Standard deviation of the blur of the templates there, degrees: bands must be wider than
        the grid's meshes.
    coarse, fine
        Pixels of the binned patterns that are matched, and fitted, at most.
    tops, finals
        Candidates that are turned into place on coarse patterns, and then on fine ones.
    """

    kinds: int = 6
    step: float = 3.0
    blur: float = 1.7
    coarse: int = 600
    fine: int = 3600
    tops: int = 48
    finals: int = 6


@dataclass(frozen=True, eq=False)
class Sheet:
    """Flattened patterns on two grids of pixels.

    Attributes
    ----------
    fine, coarse : (n, pixels) float32 arrays
        Of the pixels that carry signal.
    fine_places, coarse_places : (pixels, 2) arrays
        Their places, 0..1 from the left and from the top.
    level : (pixels, terms) float32 array
        Smooth functions of the coarse pixels, orthonormal: what is left of the background.
    ceiling : (n,) array
        Highest correlation that the fine patterns' noise leaves to a template, 0.3 at least.
    """

    fine: Floats
    coarse: Floats
    fine_places: Doubles
    coarse_places: Doubles
    level: Floats
    ceiling: Doubles


def flattened(patterns: NDArray[np.generic], mask: Mask, plan: Plan) -> Sheet:
    """Bin patterns and remove their background as folding does."""
    shape = (int(patterns.shape[1]), int(patterns.shape[2]))
    fine = _smaller(shape, plan.fine)
    coarse = _smaller(fine, plan.coarse)
    valid = _binned(mask[None].astype(np.float32), fine)[0] > 0.99
    small = _binned(valid[None].astype(np.float32), coarse)[0]
    raw = np.array(patterns, dtype=np.float32, order="C")
    fill_gaps(raw)
    flat = flattener(valid)(np.ascontiguousarray(_binned(raw, fine)))
    noise = np.zeros(len(flat), np.float32)
    _kernels.noise_power(flat, valid, noise)
    power = np.maximum((flat**2).sum(axis=(1, 2), dtype=np.float64), 1e-9)
    ceiling = np.sqrt(np.clip(1 - noise / power, _LOWEST_CEILING**2, 1.0))
    # Black and saturated patterns have no noise either.
    ceiling[power < _BLANK * valid.sum()] = _LOWEST_CEILING
    # Bins at the mask's rim are means of fewer pixels.
    good = small > 0.5
    binned = _binned(flat, coarse)[:, good] / small[good]
    return Sheet(
        np.ascontiguousarray(flat[:, valid]), np.ascontiguousarray(binned, np.float32),
        _places(valid), _places(good), polynomials(good, 3)[good.ravel()], ceiling,
    )  # fmt: skip


def _places(valid: Mask) -> Doubles:
    rows, columns = np.nonzero(valid)
    return np.stack([(columns + 0.5) / valid.shape[1], (rows + 0.5) / valid.shape[0]], axis=1)


def _smaller(shape: tuple[int, int], pixels: int) -> tuple[int, int]:
    """A shape of the same sides' ratio with that many pixels at most, 8 a side at least."""
    part = min(1.0, np.sqrt(pixels / (shape[0] * shape[1])))
    rows, columns = (min(size, max(8, int(size * part + 1e-6))) for size in shape)
    return rows, columns


def _binned(images: Floats, shape: tuple[int, int]) -> Floats:
    """Means over equal parts of the screen, which may cut pixels."""
    if images.shape[1:] == shape:
        return images
    rows, columns = (resize_matrix(images.shape[k + 1], shape[k]) for k in (0, 1))
    return (rows @ images @ columns.T).astype(np.float32)
