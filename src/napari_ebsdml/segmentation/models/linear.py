"""Linear discriminant on the input planes: the answer that is there at once. Loads no torch.

The U-Net learns what this leaves over. It is fitted in milliseconds, so a map can follow the brush.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.errors import InputError

_MOST_PIXELS = 100_000
_FLOOR = 1e-3
_CHUNK = 1 << 18
_MOST_GROUPS = 300


@dataclass(frozen=True, eq=False)
class Discriminant:
    """Linear discriminant: ``logits = weight @ planes + bias``.

    Attributes
    ----------
    weight : (classes, planes) float32
    bias : (classes,) float32
    shrinkage
        Part of the covariance that was replaced by its mean variance, 0..1.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    shrinkage: float = 0.0

    @classmethod
    def fit(
        cls,
        values: NDArray[np.floating],
        target: NDArray[np.integer],
        classes: int,
        units: NDArray[np.integer] | None = None,
        balance: float = 0.5,
        seed: int = 0,
    ) -> Discriminant:
        """Fit to pixels.

        Parameters
        ----------
        values : (pixels, planes)
            Standardised planes.
        target : (pixels,) int
            Class index of each pixel. A class without pixels is never the answer.
        classes
            Number of classes.
        units : (pixels,) int, optional
            Grain of each pixel. Pixels of one grain are alike: how sure the covariance is follows
            from how grains differ, not from the number of pixels. Default: each pixel its own.
        balance
            0: the classes are as likely as they were painted; 1: every class is as likely.
        seed
            For the choice among more than 100 000 pixels.

        Raises
        ------
        InputError
            When there is no pixel.

        Notes
        -----
        R. A. Fisher, Ann. Eugenics 7 (1936) 179, doi:10.1111/j.1469-1809.1936.tb02137.x. The
        pooled covariance within classes is shrunk as by O. Ledoit, M. Wolf, J. Multivar. Anal. 88
        (2004) 365, doi:10.1016/S0047-259X(03)00096-4, with grains in place of samples.
        """
        if not len(target):
            raise InputError("A discriminant needs at least one labelled pixel.")
        counts = np.bincount(target, minlength=classes)
        if len(target) > _MOST_PIXELS:
            chosen = np.random.default_rng(seed).choice(len(target), _MOST_PIXELS, replace=False)
            # A rare class keeps its pixels.
            rare = np.flatnonzero(np.isin(target, np.flatnonzero(counts < _MOST_PIXELS // 10)))
            chosen = np.union1d(chosen, rare)
            values, target = values[chosen], target[chosen]
            units = None if units is None else units[chosen]
        x = np.asarray(values, dtype=np.float64)
        present = np.flatnonzero(counts)
        means = np.zeros((classes, x.shape[1]))
        for c in present:
            means[c] = x[target == c].mean(axis=0)
        group = (
            None
            if units is None
            else np.unique(units.astype(np.int64) * classes + target, return_inverse=True)[1]
        )
        covariance, shrinkage = _shrunk(x - means[target], group)
        weight = np.linalg.solve(covariance, means[present].T).T
        share = counts[present] / counts.sum()
        prior = share ** (1 - balance)
        bias = -0.5 * (weight * means[present]).sum(axis=1) + np.log(prior / prior.sum())
        # Only differences count; centred, the numbers stay small.
        weight, bias = weight - weight.mean(axis=0), bias - bias.mean()
        every = np.zeros((classes, x.shape[1]), np.float32)
        offset = np.full(classes, -60.0, np.float32)
        every[present], offset[present] = weight, bias
        return cls(every, offset, shrinkage)

    def logits(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """(classes, rows, columns) of planes (planes, rows, columns)."""
        flat = image.reshape(image.shape[0], -1)
        out = np.empty((len(self.bias), flat.shape[1]), np.float32)
        # Product by product in pieces that stay in the cache.
        for start in range(0, flat.shape[1], _CHUNK):
            part = slice(start, start + _CHUNK)
            np.matmul(self.weight, flat[:, part], out=out[:, part])
        out += self.bias[:, None]
        return out.reshape(len(self.bias), *image.shape[1:])

    def at(self, values: NDArray[np.floating]) -> NDArray[np.float32]:
        """(pixels, classes) of pixels (pixels, planes)."""
        return np.asarray(values @ self.weight.T + self.bias, dtype=np.float32)


def labelled(
    images: Sequence[NDArray[np.float32]],
    targets: Sequence[NDArray[np.int8]],
    units: Sequence[NDArray[np.int32]],
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int32]]:
    """Planes (pixels, planes), class index and unit of the labelled pixels of several maps.

    A random choice of them where there are more than a discriminant has use for.
    """
    where = [np.nonzero(target >= 0) for target in targets]
    total = sum(len(i) for i, _ in where)
    if total > 2 * _MOST_PIXELS:
        rng = np.random.default_rng(0)
        kept = [rng.random(len(i)) < 2 * _MOST_PIXELS / total for i, _ in where]
        where = [(i[k], j[k]) for (i, j), k in zip(where, kept, strict=True)]
    values = [image[:, i, j].T for image, (i, j) in zip(images, where, strict=True)]
    classes = [target[at] for target, at in zip(targets, where, strict=True)]
    unit = [ids[at] for ids, at in zip(units, where, strict=True)]
    return np.concatenate(values), np.concatenate(classes).astype(np.int64), np.concatenate(unit)


def _shrunk(
    residual: NDArray[np.float64], group: NDArray[np.integer] | None
) -> tuple[NDArray[np.float64], float]:
    """Covariance that is shrunk towards its mean variance, and by how much.

    Planes differ in spread within the classes, so they are brought to spread 1 before.
    """
    number, planes = residual.shape
    spread = np.sqrt((residual**2).mean(axis=0))
    # A plane that is constant within all classes would separate them beyond all measure.
    spread = np.maximum(spread, _FLOOR * max(float(spread.max(initial=0.0)), 1.0))
    z = residual / spread
    sample = z.T @ z / number
    level = float(np.trace(sample)) / planes
    distance = float(((sample - level * np.eye(planes)) ** 2).sum())
    noise = _noise(z, sample, group)
    shrinkage = 1.0 if distance <= 0 else float(np.clip(noise / distance, 0.0, 1.0))
    estimate = (1 - shrinkage) * sample + shrinkage * level * np.eye(planes)
    estimate += _FLOOR * np.eye(planes)
    return estimate * spread[:, None] * spread, shrinkage


def _noise(
    z: NDArray[np.float64], sample: NDArray[np.float64], group: NDArray[np.integer] | None
) -> float:
    """Summed variance of the entries of a covariance, from the scatter of its parts."""
    squares = z**2
    pixels = float((squares.T @ squares).sum() / len(z) - (sample**2).sum()) / len(z)
    if group is None:
        return pixels
    number = int(group.max()) + 1
    order = np.argsort(group, kind="stable")
    ends = np.cumsum(np.bincount(group, minlength=number))
    # Some hundred parts tell the scatter well enough.
    chosen = np.unique(np.linspace(0, number - 1, min(number, _MOST_GROUPS)).astype(int))
    total = 0.0
    for n in chosen:
        part = z[order[(ends[n - 1] if n else 0) : ends[n]]]
        total += float(((part.T @ part / len(z) - sample / number) ** 2).sum())
    scatter = total * number / len(chosen) * number / max(number - 1, 1)
    return max(pixels, scatter)
