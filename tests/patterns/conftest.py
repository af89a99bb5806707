"""A small library and a model trained on it."""

from __future__ import annotations

import numpy as np
import pytest

from napari_ebsdml.patterns.classifier import SpaceGroupClassifier
from napari_ebsdml.patterns.crystal_frame.training import Recipe
from napari_ebsdml.patterns.crystals.library import Library
from napari_ebsdml.patterns.crystals.user_crystals import add_to_library
from tests.patterns.band_crystals import BCC, DIAMOND, FCC, bands


@pytest.fixture(scope="session")
def library() -> Library:
    """Thirty crystals of three kinds with sizes of their own; the first of each is "real"."""
    rng = np.random.default_rng(0)
    kinds = (("fcc", 225, FCC, 3.6), ("bcc", 229, BCC, 2.9), ("diamond", 227, DIAMOND, 5.4))
    names, families, groups, masters = [], [], [], []
    for family, group, planes, a in kinds:
        for k in range(10):
            jitter = {hkl: s * rng.uniform(0.8, 1.2) for hkl, s in planes.items()}
            names.append(family if k == 0 else f"{family} #{k}")
            families.append(family)
            groups.append(group)
            masters.append(bands(a * (1.0 if k == 0 else rng.uniform(0.93, 1.07)), jitter))
    return Library(
        tuple(names), tuple(families), np.array(groups), np.full(30, 20.0), np.stack(masters)
    )


@pytest.fixture(scope="session")
def model(library: Library) -> SpaceGroupClassifier:
    """Trained in some seconds."""
    recipe = Recipe(patterns=24, members=1, epochs=6, batch=64, validation=0.2)
    return SpaceGroupClassifier.train(library, recipe)


@pytest.fixture(scope="session")
def widened_model(library: Library) -> tuple[Library, SpaceGroupClassifier]:
    """The library with a crystal of the user's own, "mine", and a twin, and a model of it.

    The twin is of another space group than the first crystal and has the very same bands.
    """
    odd = bands(4.4, {(1, 0, 0): 1.0, (2, 1, 0): 0.8, (2, 2, 1): 0.7})
    own = add_to_library(library, "mine", odd, 221, "mine")
    made = Library(
        (*own.names, "twin"), (*own.families, "fcc"), np.append(own.space_groups, 221),
        np.append(own.energies, 20.0), np.concatenate([own.masters, own.masters[:1]]),
    )  # fmt: skip
    recipe = Recipe(patterns=24, members=1, epochs=8, batch=64, validation=0.2)
    return made, SpaceGroupClassifier.train(made, recipe)
