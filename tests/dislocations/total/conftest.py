from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_ebsdml.dislocations.structures.generate import Structure, random_structure
from napari_ebsdml.dislocations.structures.sections import section
from napari_ebsdml.dislocations.structures.simulated_scan import simulated_scan
from napari_ebsdml.dislocations.structures.store import simulate
from napari_ebsdml.scan import Scan

BURGERS = 3.524e-10 / np.sqrt(2)
STEP = 0.1
"""um"""


@pytest.fixture(scope="session")
def structures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return simulate(tmp_path_factory.mktemp("structures"), 25, 32, seed=2)


@pytest.fixture(scope="session")
def loops() -> Structure:
    """Half a line per pixel of the step, in a box of 64 voxels."""
    return random_structure(np.random.default_rng(8), 64, ["loops"], 0.5, "fcc")


def scan_of(structure: Structure, noise: float, at: int = 3, step: float = STEP) -> Scan:
    """Map of a section, one voxel a step; noise in degrees."""
    part = section(structure.field, 2, at)
    rows, columns = np.indices(part.density.shape)
    turn = (
        part.rotation + columns[..., None] * part.slope[:, 0] + rows[..., None] * part.slope[:, 1]
    )
    return simulated_scan(turn * BURGERS / (step * 1e-6), step, "fcc", noise, seed=at)


def density_of(structure: Structure, step: float = STEP) -> float:
    """True density in 1/m^2 of a map with one voxel a step."""
    return structure.lines.density / (step * 1e-6) ** 2
