"""Patterns of plain crystals with known axes, for tests of symmetry."""

from __future__ import annotations

import numpy as np

from napari_ebsdml._quaternions import to_matrix
from napari_ebsdml.patterns.crystals.master import sample
from napari_ebsdml.patterns.frame.geometry import Geometry
from napari_ebsdml.patterns.simulated.kinematic import Crystal
from napari_ebsdml.patterns.simulated.synthetic import random_quaternions

CENTRE = (0.5, 0.3, 0.55)
NICKEL = Crystal("Ni", 225, (3.52, 3.52, 3.52, 90, 90, 90), ((28, (0, 0, 0)),))
IRON = Crystal("Fe", 229, (2.87, 2.87, 2.87, 90, 90, 90), ((26, (0, 0, 0)),))
POLONIUM = Crystal("Po", 221, (3.35, 3.35, 3.35, 90, 90, 90), ((84, (0, 0, 0)),))
TITANIUM = Crystal("Ti", 194, (2.95, 2.95, 4.68, 90, 90, 120), ((22, (1 / 3, 2 / 3, 0.25)),))
TIN = Crystal("Sn", 141, (5.83, 5.83, 3.18, 90, 90, 90), ((50, (0, 0.25, 0.125)),))
TRIGONAL = Crystal("trigonal", 147, (5.5, 5.5, 6.5, 90, 90, 120), ((42, (0.13, 0.41, 0.22)),))
URANIUM = Crystal("U", 63, (2.854, 5.869, 4.956, 90, 90, 90), ((92, (0, 0.1025, 0.25)),))


def patterns(crystal, n, noise=0.5, size=60, seed=0, centre=CENTRE):
    """Patterns (n, size, size) and the crystal's axes x, y, z (n, 3, 3) in the detector's frame."""
    rng = np.random.default_rng(seed)
    master = crystal.master(80)
    turns = to_matrix(random_quaternions(rng, n))
    # The detector's own frame: no sample in between.
    geometry = Geometry.from_angles(centre, (size, size))
    rays = (geometry.directions() @ geometry.to_sample)[0]
    images = np.stack([sample(master, rays @ turn.T) for turn in turns])
    images = (images - images.mean()) / images.std()
    light = 40 + 10 * np.linspace(-1, 1, size)[:, None] - 8 * np.linspace(-1, 1, size) ** 2
    return light + images + noise * rng.normal(size=images.shape), np.swapaxes(turns, 1, 2)
