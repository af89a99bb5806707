"""Correlation with a library of folded master patterns: the plain baseline, and a witness."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.patterns.crystals.library import Library
from napari_ebsdml.patterns.crystals.structure import are_real
from napari_ebsdml.patterns.frame.folded import Folded, features
from napari_ebsdml.patterns.frame.triangle import solid_angles
from napari_ebsdml.patterns.simulated.synthetic import Reality, folded_batch

_PERFECT = Reality((60,), (0.05, 0.05), 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, eq=False)
class Templates:
    """What patterns of known crystals look like, folded without noise.

    Attributes
    ----------
    names, families : tuples of str
    space_groups : (m,) int array
    values : (m, nodes) float32 array
        As `features` gives them.
    """

    names: tuple[str, ...]
    families: tuple[str, ...]
    space_groups: NDArray[np.int64]
    values: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.names)

    @classmethod
    def of(cls, library: Library, orientations: int = 30, seed: int = 11) -> Templates:
        """Project each master pattern in many orientations and fold it as a pattern would be.

        The background removal that measured patterns undergo changes the bands too; templates
        must have undergone it.
        """
        values = []
        for number in range(len(library)):
            # The same orientations and cameras for all: equal crystals give equal templates.
            which = np.full(orientations, number)
            folded = folded_batch(library.masters, which, [seed, 0], _PERFECT)
            values.append(features(folded.grouped(np.zeros(orientations, np.intp), 1)))
        return cls(library.names, library.families, library.space_groups, np.concatenate(values))

    @property
    def is_real(self) -> NDArray[np.bool_]:
        """Which templates are of real materials, (m,)."""
        return are_real(self.names)

    def take(self, which: NDArray[np.bool_]) -> Templates:
        """Part of the templates."""
        index = np.flatnonzero(which)
        return Templates(
            tuple(self.names[k] for k in index), tuple(self.families[k] for k in index),
            self.space_groups[index], self.values[index],
        )  # fmt: skip

    def correlate(
        self, folded: Folded, given: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """Correlation of folded patterns with each template over the nodes seen, (n, m)."""
        x = features(folded) if given is None else given
        weight = (solid_angles(folded.steps) * folded.seen).astype(np.float32)
        total = np.maximum(weight.sum(axis=1, keepdims=True), 1e-9)
        table = self.values.T
        mean = weight @ table / total
        power = weight @ table**2 / total - mean**2
        # The features have mean 0 and mean square 1 over the same nodes and weights.
        both = (weight * x) @ table / total
        return both / np.sqrt(np.maximum(power, 1e-6))

    @property
    def alike(self) -> NDArray[np.float32]:
        """Correlation of the templates with each other, (m, m)."""
        area = solid_angles(45)
        values = self.values - (self.values * area).sum(axis=1, keepdims=True) / area.sum()
        values = values * np.sqrt(area)
        values /= np.linalg.norm(values, axis=1, keepdims=True)
        return (values @ values.T).astype(np.float32)
