"""Classes of the grains of a map."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.errors import InputError
from napari_ebsdml.grains.classes.features import GrainFeatures
from napari_ebsdml.grains.classes.islands import contiguity, islands_of

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan


@dataclass(frozen=True, eq=False)
class GrainClasses:
    """The class of every grain of a map.

    Attributes
    ----------
    scan
    features
        What was measured of the grains; ``features.labels`` are the grains.
    names
        Class -> name.
    of_grain : (labels + 1,) int32
        Class of each grain; 0 for none.
    probability : (labels + 1, classes) float64
        In the order of `names`; NaN for none.
    """

    scan: Scan
    features: GrainFeatures
    names: Mapping[int, str]
    of_grain: NDArray[np.int32]
    probability: NDArray[np.float64]

    @property
    def map(self) -> NDArray[np.int32]:
        """Class of each pixel, (rows, columns); 0 in no grain."""
        return np.asarray(self.of_grain[self.features.labels])

    @property
    def fractions(self) -> dict[str, float]:
        """Part of the area of all grains that each class has, by its name."""
        pixels = self.features.pixels.astype(np.float64)
        pixels[0] = 0
        total = max(float(pixels.sum()), 1.0)
        return {
            name: float(pixels[self.of_grain == number].sum()) / total
            for number, name in self.names.items()
        }

    @property
    def table(self) -> dict[str, Any]:
        """One row a grain: ``id``, ``class``, ``probability``, and all features."""
        at = np.flatnonzero(self.features.exists)
        found: dict[str, Any] = {
            "id": at,
            "class": [self.names[int(k)] for k in self.of_grain[at]],
            "probability": self._own(at),
            "pixels": self.features.pixels[at],
        }
        for column, name in enumerate(self.features.names):
            found[name] = self.features.values[at, column]
        return found

    def islands(self, number: int) -> dict[str, NDArray[Any]]:
        """Connected regions of a class as objects; see `islands_of`."""
        self._check(number)
        return islands_of(self.map == number, self.scan.step)

    def contiguity(self, number: int) -> float:
        """Part of the boundary of a class's grains that is with its own; see `contiguity`."""
        self._check(number)
        return contiguity(self.features.labels, self.of_grain == number)

    def with_grain(self, label: int, number: int) -> GrainClasses:
        """The same with one grain in another class."""
        self._check(number)
        if not 0 < label < len(self.of_grain) or not self.features.exists[label]:
            raise InputError(f"There is no grain {label}.")
        of_grain = self.of_grain.copy()
        of_grain[label] = number
        return dataclasses.replace(self, of_grain=of_grain)

    def renamed(self, names: Mapping[int, str]) -> GrainClasses:
        """The same with other names."""
        for number in names:
            self._check(number)
        return dataclasses.replace(self, names={**self.names, **names})

    def merged(self, into: Mapping[int, int]) -> GrainClasses:
        """The same with classes put into others; their probabilities add up."""
        for one, other in into.items():
            self._check(one)
            self._check(other)
            if other in into:
                raise InputError(f"Class {other} is itself put into another one.")
        numbers = [k for k in self.names if k not in into]
        probability = np.stack(
            [
                sum(
                    self.probability[:, i]
                    for i, k in enumerate(self.names)
                    if into.get(k, k) == number
                )
                for number in numbers
            ],
            axis=1,
        )
        of_grain = np.array([into.get(int(k), int(k)) for k in self.of_grain], dtype=np.int32)
        names = {k: self.names[k] for k in numbers}
        return dataclasses.replace(self, names=names, of_grain=of_grain, probability=probability)

    @property
    def sentence(self) -> str:
        """What was found, in words."""
        n = int(self.features.exists.sum())
        shares = ", ".join(f"{name} {100 * part:.1f} %" for name, part in self.fractions.items())
        doubtful = int((self._own(np.flatnonzero(self.features.exists)) < 0.8).sum())
        return f"{n} grains: {shares} of their area; {doubtful} with a probability below 80 %."

    def _own(self, at: NDArray[np.intp]) -> NDArray[np.float64]:
        numbers = np.array(list(self.names))
        column = np.argmax(numbers[None, :] == self.of_grain[at][:, None], axis=1)
        return np.asarray(self.probability[at, column])

    def _check(self, number: int) -> None:
        if number not in self.names:
            raise InputError(f"There is no class {number}; there are {list(self.names)}.")
