"""A trained model of the crystal frame, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from napari_ebsdml.patterns.answers.classes import ClassModel
from napari_ebsdml.patterns.crystal_frame.known import KnownScore
from napari_ebsdml.patterns.crystal_frame.network import FoldedNetwork, ensemble_logits
from napari_ebsdml.patterns.search.binned import Plan
from napari_ebsdml.patterns.search.orientations import OrientationSearch
from napari_ebsdml.patterns.search.templates import Templates


@dataclass(frozen=True, eq=False, kw_only=True)
class CrystalModel(ClassModel):
    """Networks, templates and thresholds that name folded patterns.

    Attributes
    ----------
    networks
        An ensemble: the mean of their outputs counts.
    temperature
        The outputs are divided by it.
    templates
        Folded patterns of known crystals.
    known
        Score of being of a known kind.
    plan
        How finely orientations are searched for that nobody gave.
    """

    networks: tuple[FoldedNetwork, ...]
    temperature: float
    templates: Templates
    known: KnownScore = field(default_factory=KnownScore)
    plan: Plan = field(default_factory=Plan)

    @cached_property
    def real(self) -> Templates:
        """Templates of real materials."""
        return self.templates.take(self.templates.is_real)

    @cached_property
    def real_alike(self) -> NDArray[np.float32]:
        """Correlation of the real templates with each other."""
        return self.real.alike

    @cached_property
    def search(self) -> OrientationSearch:
        """The search for orientations that are not given; made when first asked for."""
        return OrientationSearch(self.templates, self.plan)

    def probability(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Calibrated probabilities of the classes, (n, classes), from features (n, nodes)."""
        logits = ensemble_logits(self.networks, features)
        calibrated: NDArray[np.float32] = softmax(logits / self.temperature, axis=1)
        return calibrated
