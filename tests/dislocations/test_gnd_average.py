"""Averages without the noise, against maps whose density is known."""

from __future__ import annotations

import numpy as np
import pytest

import napari_ebsdml as ebsdml
from napari_ebsdml.dislocations.averages import gnd_averages
from napari_ebsdml.dislocations.gnd.density import gnd_density
from napari_ebsdml.dislocations.gnd.magnitudes import shape_factor
from napari_ebsdml.errors import InputError

from .fields import field, random_field
from .test_gnd import scan_of
from .test_noise import ANY, errors, turned


def pair(exponent, size, sigma, seed=3):
    """The same map without and with noise of `sigma` degrees."""
    turns = np.radians(size) * random_field((80, 80), exponent, seed)
    noise = errors(turns.shape[:2], sigma, seed + 1)
    return gnd_density(scan_of(turned(turns))), gnd_density(scan_of(turned(turns + noise)))


@pytest.mark.parametrize(("exponent", "size", "sigma"), [(2.0, 1.0, 0.15), (1.5, 0.5, 0.2)])
def test_the_noise_is_taken_off_and_the_interval_holds(exponent, size, sigma):
    clean, noisy = pair(exponent, size, sigma)
    true, found = clean.total.mean(), noisy.average()
    assert found.raw_mean > 1.15 * true
    assert float(found) == pytest.approx(true, rel=0.12)
    assert found.interval[0] < true < found.interval[1]
    assert not found.is_bound
    assert found.raw_mean == pytest.approx(noisy.total.mean())
    assert found.median == pytest.approx(np.median(noisy.total))
    assert "without the noise" in found.sentence
    stress = ebsdml.taylor_stress(found, "alpha-iron")
    assert stress == pytest.approx(ebsdml.taylor_stress(found.density, "alpha-iron"))


@pytest.mark.parametrize("seed", [3, 13])
def test_errors_that_go_together_are_told_from_the_lattice(seed):
    """Blurred over neighbours: noise that grows with distance at first, as the lattice does."""
    turns = np.radians(1.0) * random_field((80, 80), 2.0, seed)
    noise = errors(turns.shape[:2], 0.15, seed + 1, blur=0.5)
    true = gnd_density(scan_of(turned(turns))).total.mean()
    noisy = gnd_density(scan_of(turned(turns + noise)))
    found = noisy.average()
    assert noisy.noise[0].correlation == pytest.approx(0.26, abs=0.08)
    assert found.raw_mean > 1.2 * true
    assert float(found) == pytest.approx(true, rel=0.2)
    assert found.interval[0] < true < found.interval[1] < 1.6 * true


def test_averages_at_a_step_of_choice():
    _, noisy = pair(2.0, 1.0, 0.15)
    table = gnd_averages(noisy, "phase", 2.5)
    expected = noisy.step_dependence().at(2.5)
    assert table["mean GND at 2.5 µm [1/m²]"] == [pytest.approx(expected)]
    for by, step, text in (("phase", 99.0, "not at 99 um"), ("grain", 2.5, "phases")):
        with pytest.raises(InputError, match=text):
            gnd_averages(noisy, by, step)


def test_where_noise_rules_there_is_an_upper_bound():
    q = field((60, 60), (1, 1), np.zeros((3, 2)), ANY, 0.3)
    found = gnd_density(scan_of(q)).average()
    assert found.is_bound
    assert found.interval[0] == 0
    assert found.interval[1] < 0.5 * found.raw_mean
    assert "below" in found.sentence


def test_denoised_maps_average_what_was_measured():
    _, noisy = pair(2.0, 1.0, 0.15)
    smooth = gnd_density(noisy.scan, denoise=True)
    assert smooth.average() == noisy.average()


def test_masks_and_tables():
    _, noisy = pair(2.0, 1.0, 0.15)
    left = np.zeros(noisy.total.shape, dtype=bool)
    left[:, :40] = True
    part = noisy.average(left)
    assert part.pixels == left.sum()
    assert part.raw_mean == pytest.approx(noisy.total[left].mean())
    assert float(part) == pytest.approx(float(noisy.average()), rel=0.4)
    nothing = noisy.average(np.zeros_like(left))
    assert nothing.pixels == 0
    assert np.isnan(float(nothing))
    for bad in (left[:3], left.astype(int)):
        with pytest.raises(InputError, match="mask"):
            noisy.average(bad)
    table = gnd_averages(noisy, "phase")
    assert table["mean GND [1/m²]"][0] == pytest.approx(float(noisy.average()), rel=0.02)
    assert table["low [1/m²]"][0] < table["mean GND [1/m²]"][0] < table["high [1/m²]"][0]
    assert table["mean with noise [1/m²]"][0] == pytest.approx(noisy.total.mean())


def test_given_noise_is_used():
    clean, noisy = pair(1.0, 0.5, 0.2)
    found = gnd_density(noisy.scan, orientation_noise=0.2).average()
    assert float(found) == pytest.approx(clean.total.mean(), rel=0.08)
    none = gnd_density(noisy.scan, orientation_noise={"bcc": 0.0}).average()
    assert float(none) == pytest.approx(noisy.total.mean(), rel=0.08)


def test_shape_of_the_true_lengths():
    random = np.random.default_rng(1)
    true = np.where(random.random(20_000) < 0.1, 10.0, 0.0)
    direction = random.standard_normal((20_000, 6))
    direction /= np.linalg.norm(direction, axis=1)[:, None]
    vectors = true[:, None] * direction + random.standard_normal((20_000, 6))
    expected = true.mean() / np.sqrt((true**2).mean())
    # A tenth of the pixels hold all: what noise lets through is on the high side.
    assert expected < shape_factor(np.linalg.norm(vectors, axis=1)) < 1.35 * expected
