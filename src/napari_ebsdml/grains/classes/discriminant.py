"""Linear discriminant for few examples, with probabilities that hold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_TEMPERATURES = np.exp(np.linspace(0.0, 3.0, 25))


@dataclass(frozen=True, eq=False)
class Discriminant:
    """Linear discriminant on standardised features; classes are 0, 1, ...

    The covariance within the classes is shrunk towards the unit matrix, the more the fewer
    examples there are: p features and n examples beyond one for each class give it the weight
    p / (p + n). Every class is as likely as another.
    """

    means: Floats
    inverse: Floats

    @classmethod
    def fit(cls, values: Floats, classes: NDArray[np.int64], count: int) -> Discriminant:
        """Fit to examples (n, features) of which every class has at least one."""
        p = values.shape[1]
        means = np.stack([values[classes == k].mean(axis=0) for k in range(count)])
        rest = values - means[classes]
        free = max(len(values) - count, 0)
        within = rest.T @ rest / max(free, 1)
        weight = p / (p + free)
        return cls(means, np.linalg.inv((1 - weight) * within + weight * np.eye(p)))

    def scores(self, values: Floats) -> Floats:
        """Log likelihoods (n, classes), but for a constant of each row."""
        off = values[:, None, :] - self.means[None]
        return np.asarray(-0.5 * np.einsum("nki,ij,nkj->nk", off, self.inverse, off))


def softmax(scores: Floats, temperature: float = 1.0) -> Floats:
    """Probabilities of log likelihoods."""
    z = scores / temperature
    z = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(z / z.sum(axis=1, keepdims=True))


def left_out(
    values: Floats, classes: NDArray[np.int64], count: int, folds: int = 50
) -> tuple[Floats, NDArray[np.bool_]]:
    """Scores of each example by a discriminant that has not seen it, and whether there is one.

    A class whose only examples are left out cannot be found: those examples are not judged.
    """
    n = len(values)
    scores = np.zeros((n, count))
    judged = np.zeros(n, dtype=bool)
    fold = np.random.default_rng(0).permutation(n) % min(n, folds)
    for number in range(int(fold.max()) + 1):
        out = fold == number
        kept = np.bincount(classes[~out], minlength=count)
        if (kept == 0).any():
            continue
        scores[out] = Discriminant.fit(values[~out], classes[~out], count).scores(values[out])
        judged[out] = True
    return scores, judged


def best_temperature(scores: Floats, classes: NDArray[np.int64]) -> float:
    """Temperature, at least 1, at which the probabilities of the true classes are highest."""
    if len(scores) < 2:
        return float(_TEMPERATURES[len(_TEMPERATURES) // 2])
    rows = np.arange(len(scores))
    losses = [-np.log(softmax(scores, t)[rows, classes] + 1e-12).mean() for t in _TEMPERATURES]
    return float(_TEMPERATURES[int(np.argmin(losses))])
