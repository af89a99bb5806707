"""Small simulated maps of two phases, and what `find_phases` says of one, computed once."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import dask.array as da
import numpy as np
from numpy.typing import NDArray
from orix.crystal_map import Phase, PhaseList

import napari_ebsdml as ebsdml
from napari_ebsdml._quaternions import to_matrix
from napari_ebsdml.camera import Camera
from napari_ebsdml.patterns.crystals.master import sample
from napari_ebsdml.patterns.frame.geometry import Geometry, to_kikuchipy
from napari_ebsdml.patterns.phases.find import FoundPhases, find_phases
from napari_ebsdml.patterns.simulated.synthetic import random_quaternions
from tests.patterns.symmetry.crystals import CENTRE, NICKEL, TITANIUM

CAMERA = Camera(shape=(60, 60), pc=CENTRE, tilt=5.0)


def images_of(kinds, which, q, noise, rng):
    """Noisy patterns of crystals, `which` of `kinds` and in what orientation for each."""
    geometry = Geometry.of(CAMERA)
    turns = to_matrix(to_kikuchipy(q)) @ geometry.to_sample
    rays = (geometry.directions() @ geometry.to_sample)[0]
    masters = [crystal.master(80) for crystal in kinds]
    images = np.stack([
        sample(masters[int(p)], rays @ turn.T) for p, turn in zip(which, turns, strict=True)
    ])  # fmt: skip
    images = (images - images.mean((1, 2), keepdims=True)) / images.std((1, 2), keepdims=True)
    return 50 + images + noise * rng.normal(size=images.shape)


def scan_of(images, shape):
    return ebsdml.Scan(
        quaternions=np.tile([1.0, 0, 0, 0], (*shape, 1)), phase_id=np.zeros(shape, int),
        phases=PhaseList(Phase("steel", point_group="m-3m")), step=(1.0, 1.0), camera=CAMERA,
        patterns=da.from_array(images.reshape(*shape, 60, 60).astype(np.float32)),
    )  # fmt: skip


def two_phase_map(shape=(6, 8), noise=0.5):
    """A map, left half nickel, right half titanium, every pixel in an orientation of its own."""
    rng = np.random.default_rng(4)
    rows, columns = shape
    phase = np.broadcast_to(np.arange(columns) >= columns // 2, shape)
    q = random_quaternions(rng, rows * columns)
    images = images_of((NICKEL, TITANIUM), phase.ravel(), q, noise, rng)
    images[-1] = rng.normal(50, 1, (60, 60))
    return scan_of(images, shape), phase, q.reshape(*shape, 4)


class TwoPhases(NamedTuple):
    """A map, where its second phase is, its orientations, the answer, and the progress told."""

    scan: ebsdml.Scan
    phase: NDArray[np.bool_]
    quaternions: NDArray[np.float64]
    found: FoundPhases
    progress: list[float]


@cache
def two_phases() -> TwoPhases:
    """What `find_phases` says of `two_phase_map`: it takes long, and several files look at it."""
    scan, phase, q = two_phase_map()
    told: list[float] = []
    return TwoPhases(scan, phase, q, find_phases(scan, progress=told.append), told)
