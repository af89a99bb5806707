"""From folded patterns to answers on two levels: lattice family, then space group."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.patterns.answers.classes import write_answers
from napari_ebsdml.patterns.answers.result import SpaceGroupResult
from napari_ebsdml.patterns.crystal_frame.known import witnesses
from napari_ebsdml.patterns.crystal_frame.model import CrystalModel
from napari_ebsdml.patterns.crystal_frame.selection import CLOSE
from napari_ebsdml.patterns.frame.folded import Folded, features


def joint_and_match(
    model: CrystalModel, folded: Folded
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Calibrated probabilities of the joint classes, and correlation with each template."""
    x = features(folded)
    return model.probability(x), model.templates.correlate(folded, x)


def answer(
    model: CrystalModel, folded: Folded, result: SpaceGroupResult, at: NDArray[np.intp]
) -> None:
    """Write the answers for folded patterns into a flat result, at the places `at`."""
    joint, match = joint_and_match(model, folded)
    group, family = model.by_group(joint), model.by_family(joint)
    lattice = family.argmax(axis=1)
    # The space group follows the family: the lattice decides first, faint bands second.
    inside = np.where(model.family_of == lattice[:, None], joint, np.float32(0))
    best = model.by_group(inside).argmax(axis=1)
    known = model.known(witnesses(folded, match))
    write_answers(
        model, result, at, group, family, (best, lattice), known, model.known.threshold,
        _close(model, match, best),
    )  # fmt: skip


def _close(
    model: CrystalModel, match: NDArray[np.float32], best: NDArray[np.intp]
) -> NDArray[np.bool_]:
    """Space groups with a real crystal whose template is too close to the best one's."""
    match = match[:, model.templates.is_real]
    found = np.zeros((len(match), len(model.space_groups)), dtype=bool)
    if not match.shape[1]:
        return found
    groups = np.array([model.space_groups.index(int(g)) for g in model.real.space_groups])
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
        found[ok, g] = (model.real_alike[own[ok], nearest[ok, g]] > CLOSE) & (
            match[rows[ok], nearest[ok, g]] > match[rows[ok], own[ok]] - 0.02
        )
    return found
