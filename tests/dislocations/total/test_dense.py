"""Maps of more lines than any structure of the training has within a point."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import napari_ebsdml as ebsdml
from napari_ebsdml.dislocations.structures.generate import random_structure
from napari_ebsdml.dislocations.structures.measurement import DENSEST, Errors, random_map
from napari_ebsdml.dislocations.structures.simulated_scan import simulated_scan
from napari_ebsdml.dislocations.structures.store import Stored, sections_of
from napari_ebsdml.dislocations.total.dense import DENSE, PARTS, read_dense
from napari_ebsdml.dislocations.total.model import TotalDensityModel
from napari_ebsdml.dislocations.total.statistics import NAMES, features, of_parts
from napari_ebsdml.dislocations.total.sums import SUMS, window_sums

STEP = 0.05
BURGERS = 2.5e-10


@pytest.fixture(scope="module")
def sparse() -> Stored:
    random = np.random.default_rng(3)
    return sections_of(random_structure(random, 64, ["loops"], 2.0, "fcc", strain=True), random)


def inputs_of(rotation: np.ndarray, noise: float) -> np.ndarray:
    sums = np.zeros((1, SUMS))
    whole = np.zeros(rotation.shape[:2], dtype=np.int64)
    window_sums(rotation, whole, np.zeros(1, dtype=np.int64), 0, len(whole), sums)
    return features(sums, np.array([noise]), np.zeros(1), np.ones(1))


def test_parts_are_windows_of_smaller_turns_and_noise() -> None:
    random = np.random.default_rng(0)
    turns = 0.05 * random.standard_normal((40, 40, 3)).cumsum(axis=0).cumsum(axis=1)
    turns += 0.1 * random.standard_normal(turns.shape)
    # A root of 4 is two of the classes of length: the numbers in them move as a whole.
    expected = inputs_of(turns / 4, 0.025)
    assert of_parts(inputs_of(turns, 0.1), 16) == pytest.approx(expected, abs=1e-6)


def test_many_independent_structures_are_not_told_too_few(sparse: Stored) -> None:
    random = np.random.default_rng(4)
    part = sparse.sections[1][0]
    turn, lines = np.zeros((64, 64, 3)), 0.0
    for _ in range(20):
        # Periodic: moved and turned about, copies are structures of their own.
        shift = tuple(random.integers(0, 64, 2))
        turn += random.choice((-1, 1)) * np.roll(part.rotation, shift, (0, 1))
        lines += float(part.density.mean())
    unit, true = BURGERS / (STEP * 1e-6), lines / (STEP * 1e-6) ** 2
    noise = np.sqrt(lines / 300)
    scan = simulated_scan(turn * unit, STEP, "fcc", float(np.degrees(noise * unit)), 1)
    given = float(np.degrees(noise * unit))
    found = ebsdml.total_dislocation_density(scan, given, surface=True, average_over=1).average()
    assert lines > 20
    assert found.interval[0] < true < found.interval[1]

    # The second reading is of more lines, and both are held.
    model = TotalDensityModel.load()
    inputs = inputs_of(turn + noise * random.standard_normal(turn.shape), noise)
    once = model.calibration.interval(model.predict(inputs)[0], np.array([noise]))
    median, low, high = read_dense(model, inputs, np.array([noise]), once)
    assert low[0] == once[1][0]
    assert high[0] > once[2][0] + 0.1
    assert once[0][0] < median[0] < np.log10(lines) + 0.2


def test_sparse_or_rough_windows_are_read_once(sparse: Stored) -> None:
    model = TotalDensityModel.load()
    part = sparse.sections[1][0]
    noise = np.array([0.05])
    sparse_inputs = inputs_of(part.rotation.astype(float) / 4, 0.05)
    dense = inputs_of(part.rotation.astype(float) * 4, 0.05)
    rough = dense.copy()
    rough[:, NAMES.index("log (second(2) - noise)")] = rough[
        :, NAMES.index("log (second(1) - noise)")
    ]
    for inputs in (sparse_inputs, rough):
        once = model.calibration.interval(model.predict(inputs)[0], noise)
        assert read_dense(model, inputs, noise, once) is once
    once = model.calibration.interval(model.predict(dense)[0], noise)
    assert once[0][0] > DENSE
    twice = read_dense(model, dense, noise, once)
    assert twice[2][0] > once[2][0]
    assert twice[2][0] - once[2][0] < np.log10(PARTS)


def test_some_maps_of_the_training_are_sums_of_many_sections(sparse: Stored) -> None:
    random = np.random.default_rng(5)
    drawn = [random_map(sparse, random, Errors(), 1, True, scale_up=False) for _ in range(60)]
    lines = np.array([one.density.mean() for one in drawn])
    one = float(np.mean([part.density.mean() for part in sparse.sections[1]]))
    assert 0.1 < (lines > 3.5 * one).mean() < 0.5
    assert 0.4 * DENSEST < lines.max() < 2 * DENSEST
    # Fields of independent structures add up as the root of their number does.
    turns = np.array([np.diff(one.rotation, axis=0).std() for one in drawn])
    slope = np.polyfit(np.log(lines), np.log(turns), 1)[0]
    assert slope == pytest.approx(0.5, abs=0.12)


def test_lattices_are_not_added_up(sparse: Stored) -> None:
    random = np.random.default_rng(6)
    lattice = replace(sparse, kinds=("taylor",))
    most = max(float(part.density.mean()) for part in sparse.sections[1])
    for _ in range(20):
        drawn = random_map(lattice, random, Errors(), 1, True, scale_up=False)
        assert drawn.density.mean() < 1.01 * most
