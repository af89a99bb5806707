"""Phases of one structure, told apart by element counts or not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_ebsdml.patterns.phases.chemistry import chemical_parts, mean_shares

NICKEL, AUSTENITE = np.array([0.02, 0.02, 0.96]), np.array([0.70, 0.18, 0.12])
SIDE = 32


def grains_of(rng, number=30):
    seeds = rng.uniform(0, SIDE, (number, 2))
    places = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE), indexing="ij"), -1)
    return ((places[:, :, None] - seeds) ** 2).sum(-1).argmin(-1)


def counted(shares, total, rng):
    """Poisson counts; the sample is twice as bright at one side as at the other."""
    bright = total * np.linspace(0.67, 1.33, SIDE)[:, None, None]
    return rng.poisson(bright * np.clip(shares, 0, None)).astype(float)


def told(shares, total, grains, seed=0, phase=None, gain=1.0):
    rng = np.random.default_rng([seed, 1])
    phase = np.zeros((SIDE, SIDE), int) if phase is None else phase
    return chemical_parts(gain * counted(shares, total, rng), phase, 0, grains)


@pytest.mark.parametrize("total", [20, 200])
@pytest.mark.parametrize("gain", [0.1, 1.0, 30.0])
def test_two_chemistries_are_two_parts(total, gain):
    rng = np.random.default_rng(0)
    grains = grains_of(rng)
    second = np.isin(grains, rng.permutation(30)[:10])
    shares = np.where(second[..., None], NICKEL, AUSTENITE)
    if gain < 1:
        total = 10 * total
    parts = told(shares, total, grains, gain=gain)
    assert len(parts.shares) == 2
    # The larger part is the first.
    assert ((parts.labels == 1) == second).mean() > 0.99
    np.testing.assert_allclose(parts.shares, [AUSTENITE, NICKEL], atol=0.03)


@pytest.mark.parametrize("total", [20, 60, 200])
def test_one_chemistry_is_one_part(total):
    uniform = np.broadcast_to(AUSTENITE, (SIDE, SIDE, 3))
    slope = np.linspace(-0.1, 0.1, SIDE)[None, :, None] * np.array([1, -0.4, -0.6])
    along = 0.1 * np.sin(np.linspace(0, 2 * np.pi, SIDE))[:, None, None] * np.array([1, -1, 0])
    for seed in range(2):
        grains = grains_of(np.random.default_rng(seed))
        for shares in (uniform, uniform + slope, uniform + along):
            assert told(shares, total, grains, seed) is None


def test_mixed_rims_are_no_part():
    for seed in range(4):
        rng = np.random.default_rng(seed)
        grains = grains_of(rng, 12)
        second = np.isin(grains, rng.permutation(12)[:4])
        shares = gaussian_filter(np.where(second[..., None], NICKEL, AUSTENITE), (1, 1, 0))
        parts = told(shares, 200, grains, seed)
        assert len(parts.shares) == 2
        assert ((parts.labels == 1) == second).mean() > 0.97


def test_the_x_rays_of_another_structure_part_nothing():
    # Small grains of another structure and chemistry: their surroundings look mixed.
    rng = np.random.default_rng(3)
    other = np.zeros((SIDE, SIDE), bool)
    other[4::8, 4::8] = other[5::8, 4::8] = True
    shares = gaussian_filter(np.where(other[..., None], NICKEL, AUSTENITE), (1.2, 1.2, 0))
    grains = grains_of(rng)
    assert told(shares, 500, grains, phase=other.astype(int)) is None


def test_close_chemistries_take_more_counts():
    rng = np.random.default_rng(0)
    grains = grains_of(rng)
    second = np.isin(grains, rng.permutation(30)[:10])
    shares = np.where(second[..., None], [0.62, 0.20, 0.18], AUSTENITE)
    assert told(shares, 20, grains) is None
    parts = told(shares, 200, grains)
    assert parts.radius >= 1
    assert ((parts.labels == 1) == second).mean() > 0.98


def test_nothing_to_part():
    phase = np.full((SIDE, SIDE), -1)
    zeros = np.zeros((SIDE, SIDE, 3))
    assert chemical_parts(zeros, phase, 0, phase) is None
    assert chemical_parts(zeros, np.zeros_like(phase), 0, phase) is None
    assert chemical_parts(zeros[..., :1] + 9, np.zeros_like(phase), 0, phase) is None
    np.testing.assert_array_equal(mean_shares(zeros, phase < 0), 0)
