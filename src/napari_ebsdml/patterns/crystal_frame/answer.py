"""From folded patterns to answers on two levels: lattice family, then space group."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from napari_ebsdml.patterns.answers.result import SpaceGroupResult
from napari_ebsdml.patterns.crystal_frame.known import witnesses
from napari_ebsdml.patterns.crystal_frame.selection import CLOSE
from napari_ebsdml.patterns.crystal_frame.training import ensemble_logits
from napari_ebsdml.patterns.frame.folded import Folded, features

if TYPE_CHECKING:
    from napari_ebsdml.patterns.classifier import SpaceGroupClassifier

_LIKELY = 0.2


def joint_and_match(
    model: SpaceGroupClassifier, folded: Folded
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Calibrated probabilities of the joint classes, and correlation with each template."""
    x = features(folded)
    joint = softmax(ensemble_logits(model.networks, x) / model.temperature, axis=1)
    return joint, model.templates.correlate(folded, x)


def answer(
    model: SpaceGroupClassifier, folded: Folded, result: SpaceGroupResult, at: NDArray[np.intp]
) -> None:
    """Write the answers for folded patterns into a flat result, at the places `at`."""
    joint, match = joint_and_match(model, folded)
    rows = np.arange(len(joint))
    group = np.zeros((len(joint), len(model.space_groups)), np.float32)
    family = np.zeros((len(joint), len(model.families)), np.float32)
    for k in range(len(model.classes)):
        group[:, model._group_of[k]] += joint[:, k]
        family[:, model._family_of[k]] += joint[:, k]
    best_family = family.argmax(axis=1)
    # The space group follows the family: the lattice decides first, faint bands second.
    inside = np.zeros_like(group)
    for k in range(len(model.classes)):
        mine = model._family_of[k] == best_family
        inside[mine, model._group_of[k]] += joint[mine, k]
    best = inside.argmax(axis=1)
    score = model.known(witnesses(folded, match))
    result.space_group[at] = np.array(model.space_groups)[best]
    result.family[at] = np.array(model.families)[best_family]
    result.probability[at] = group[rows, best]
    result.family_probability[at] = family[rows, best_family]
    result.known_score[at] = score
    result.is_known[at] = score >= model.known.threshold
    result.probabilities[at] = group
    close = _close(model, match, best)
    twins = close | (group >= _LIKELY)
    twins[rows, best] = False
    # Few sets occur: patterns share their tuples, a million of which would fill memory.
    code, place = np.unique(twins @ (1 << np.arange(twins.shape[1])), return_inverse=True)
    sets = np.empty(len(code), dtype=object)
    for k, bits in enumerate(code):
        sets[k] = tuple(g for n, g in enumerate(model.space_groups) if bits >> n & 1)
    result.ambiguous_with[at] = sets[place]


def _close(
    model: SpaceGroupClassifier, match: NDArray[np.float32], best: NDArray[np.intp]
) -> NDArray[np.bool_]:
    """Space groups with a real crystal whose template is too close to the best one's."""
    real = np.array(["#" not in name for name in model.templates.names])
    match = match[:, real]
    found = np.zeros((len(match), len(model.space_groups)), dtype=bool)
    if not real.any():
        return found
    groups = np.array([model.space_groups.index(int(g)) for g in model._real.space_groups])
    nearest = np.full((len(match), len(model.space_groups)), -1)
    for g in range(len(model.space_groups)):
        mine = np.flatnonzero(groups == g)
        if len(mine):
            nearest[:, g] = mine[match[:, mine].argmax(axis=1)]
    rows = np.arange(len(match))
    own = nearest[rows, best]
    for g in range(len(model.space_groups)):
        ok = (nearest[:, g] >= 0) & (own >= 0)
        # Close to each other, and the other fits the pattern nearly as well.
        found[ok, g] = (model._alike[own[ok], nearest[ok, g]] > CLOSE) & (
            match[rows[ok], nearest[ok, g]] > match[rows[ok], own[ok]] - 0.02
        )
    return found
