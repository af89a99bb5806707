"""Intervals, and what noise in the GND adds to them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from napari_ebsdml.dislocations.article.uncertainty import (
    SPREAD_OF_FLOOR,
    add_noise,
    log_normal_interval,
)
from napari_ebsdml.dislocations.gnd.fit import fit_slip_systems
from napari_ebsdml.dislocations.gnd.noise_floor import noise_level
from napari_ebsdml.dislocations.slip_systems import for_lattice


def test_log_normal_interval_holds_its_share():
    rng = np.random.default_rng(0)
    draws = rng.lognormal(1.0, 0.6, 200_000)
    low, high = log_normal_interval(draws.mean(), draws.std(), 0.8)
    assert np.mean(draws < low) == pytest.approx(0.1, abs=0.01)
    assert np.mean(draws > high) == pytest.approx(0.1, abs=0.01)
    ends = log_normal_interval(np.array([0.0, np.nan, 2.0]), np.array([0.0, 1.0, 0.0]), 0.9)
    np.testing.assert_array_equal(ends, [[0, 0], [np.nan, np.nan], [2, 2]])


def test_noise_on_a_bounded_density():
    # A density that is never below the measured vector: one line, and sometimes a second.
    rng = np.random.default_rng(2)
    bound = rng.uniform(0.5, 1.5, 100_000)
    true = bound + np.where(rng.random(bound.size) < 0.5, rng.exponential(0.3, bound.size), 0)
    seen = bound + rng.normal(0, 0.1, bound.size)
    interval = np.stack([seen, seen + 0.3 * np.log(10)], axis=-1)
    before = (interval[:, 0] <= true) & (true <= interval[:, 1])
    after = add_noise(interval, seen + 0.15, 0.1, 0.9)
    assert before.mean() < 0.8
    assert 0.9 < ((after[:, 0] <= true) & (true <= after[:, 1])).mean() < 0.98
    np.testing.assert_array_equal(add_noise(interval, seen, 0.0, 0.9), interval)


@pytest.mark.parametrize("lattice", ["fcc", "bcc"])
@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_spread_of_a_density_under_noise(lattice, norm):
    systems = for_lattice(lattice, 3.0)
    turns = Rotation.random(100, random_state=1).as_quat(scalar_first=True)
    floor = noise_level(systems, turns, norm).median
    rng = np.random.default_rng(3)
    kappa = 5 * rng.standard_normal((100, 3, 3))
    kappa[:, :, 2] = np.nan
    clean = fit_slip_systems(kappa, turns, systems, norm, keep_per_system=False).total
    many = np.repeat(kappa, 20, axis=0)
    many = many + rng.standard_normal(many.shape)
    noisy = fit_slip_systems(many, np.repeat(turns, 20, axis=0), systems, norm,
                             keep_per_system=False).total  # fmt: skip
    spread = np.std(noisy - np.repeat(clean, 20)) / floor
    assert spread == pytest.approx(SPREAD_OF_FLOOR, rel=0.15)
