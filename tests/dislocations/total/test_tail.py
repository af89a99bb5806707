"""The tail of rotations around dislocations: on straight lines, structures, noise, nothing."""

from __future__ import annotations

import numpy as np
import pytest

import napari_ebsdml as ebsdml
from napari_ebsdml.dislocations import tail_density
from napari_ebsdml.dislocations.structures.generate import random_structure
from napari_ebsdml.dislocations.structures.sections import section
from napari_ebsdml.dislocations.structures.simulated_scan import simulated_scan
from napari_ebsdml.errors import InputError

STEP, BURGERS = 0.1, 2.492e-10
UNIT = BURGERS / (STEP * 1e-6)


def answer(rotation, noise=0.002, probe=0.05):
    """Total density and tail of rotations in b / s, noise in the same."""
    degrees = float(np.degrees(noise * UNIT))
    scan = simulated_scan(rotation * UNIT, STEP, "fcc", degrees)
    rho = ebsdml.total_dislocation_density(scan, degrees)
    return rho, tail_density(rho, probe)


def edges(number, side=128, seed=0):
    """Rotations (rows, columns, 3) around random straight edges normal to the map."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:side, 0:side].astype(float)
    turn = np.zeros((side, side, 3))
    for x0, y0, sign in zip(
        random.uniform(0, side, number), random.uniform(0, side, number),
        np.resize([1, -1], number), strict=True,
    ):  # fmt: skip
        turn[..., 2] += sign * (x - x0) / (2 * np.pi * ((x - x0) ** 2 + (y - y0) ** 2 + 1e-3))
    return turn


def test_straight_edges_are_counted():
    """By the textbook's field, not by ours; edges weigh 4/3 of the mixture that is assumed."""
    number = 160
    _, tail = answer(edges(number), probe=0.02)
    true = number / (128 * STEP * 1e-6) ** 2
    assert tail.measurable
    assert 0.75 < tail.density / (4 / 3 * true) < 1.33
    assert tail.interval[0] < true < tail.interval[1]
    assert 2.3 < tail.exponent < 3.7


@pytest.mark.parametrize("kind", ["loops", "network"])
def test_structures_and_agreement(kind):
    field = random_structure(np.random.default_rng(4), 64, [kind], 0.02, "fcc").field
    parts = [section(field, 2, at) for at in (8, 24, 40, 56)]
    turn = np.concatenate([np.concatenate([p.rotation for p in parts[i : i + 2]], 1)
                           for i in (0, 2)])  # fmt: skip
    true = np.mean([p.density.mean() for p in parts]) / (STEP * 1e-6) ** 2
    degrees = float(np.degrees(0.004 * UNIT))
    scan = simulated_scan(turn.astype(float) * UNIT, STEP, "fcc", degrees)
    labels = np.kron([[1, 2], [3, 4]], np.ones((64, 64), int))
    rho = ebsdml.total_dislocation_density(scan, degrees, grains=labels)
    tail = tail_density(rho, 0.7 * STEP)
    assert tail.interval[0] < true < tail.interval[1]
    assert "Both agree" in tail.agreement(rho.average())
    assert "Second opinion" in tail.sentence


def test_two_answers_that_differ_are_told():
    rho, tail = answer(edges(160), probe=0.02)
    from dataclasses import replace

    other = replace(rho.average(), measurable=True, density=1e16, interval=(5e15, 2e16))
    assert "differ by a factor" in tail.agreement(other)
    assert tail.agreement(replace(other, measurable=False)) == ""


def test_where_it_cannot_tell_it_says_so():
    # Noise alone falls off faster than any line's field.
    _, tail = answer(np.zeros((64, 64, 3)), 0.01)
    assert not tail.measurable
    assert "unlike those around" in tail.sentence or "few pixels" in tail.sentence
    # Noise as of Hough indexing: the tail would lie within the probed size.
    _, tail = answer(edges(100, 64), 0.5)
    assert not tail.measurable
    assert "a pattern sees 50 nm" in tail.sentence
    rho, _ = answer(np.zeros((5, 5, 3)))
    assert "no window" in tail_density(rho).sentence
    assert rho.averages("grain")["grain"] == []
    with pytest.raises(InputError, match="probe"):
        tail_density(rho, 0)
