"""GND against step, and what of the split over slip systems is real."""

from __future__ import annotations

import numpy as np
import pytest

from napari_ebsdml.dislocations.gnd.density import gnd_density
from napari_ebsdml.errors import InputError, MissingDataError

from .fields import field, random_field
from .test_gnd import scan_of
from .test_noise import ANY, errors, turned


def test_a_uniform_bend_has_the_same_density_at_every_step():
    q = field((40, 40), (0.5, 0.5), np.outer((0.3, -0.5, 0.8), (0.01, 0.02)), ANY)
    found = gnd_density(scan_of(q, step=(0.5, 0.5))).step_dependence()
    np.testing.assert_allclose(found.steps, 0.5 * np.array([1, 2, 3, 4, 6]))
    values = [float(a) for a in found.averages]
    np.testing.assert_allclose(values, values[0], rtol=0.04)
    assert abs(found.slope) < 0.03
    assert found.at(1.2) == pytest.approx(values[0], rel=0.04)
    with pytest.raises(InputError, match=r"not at 9 um"):
        found.at(9.0)
    with pytest.raises(InputError, match="factors"):
        gnd_density(scan_of(q)).step_dependence((0, 2))


def test_noise_does_not_make_the_slope():
    """Raw means fall with the step as noise does; without it the true slope is left."""
    turns = np.radians(0.8) * random_field((96, 96), 2.0, 3)
    clean = gnd_density(scan_of(turned(turns))).step_dependence((1, 2, 3))
    noisy = gnd_density(scan_of(turned(turns + errors((96, 96), 0.15, 1))))
    found = noisy.step_dependence((1, 2, 3))
    raw = np.polyfit(np.log(found.steps), np.log([a.raw_mean for a in found.averages]), 1)[0]
    assert abs(found.slope - clean.slope) < 0.5 * abs(raw - clean.slope)
    assert found.noise[0] / found.noise[1] == pytest.approx(2, rel=0.1)
    assert "power of" in found.sentence


def test_the_grain_threshold_moves_the_mean_and_not_the_median():
    """Two halves 5 degrees apart: a boundary below 5 degrees, a strong wall above."""
    turns = np.radians(0.5) * random_field((40, 40), 2.0, 3)
    turns[:, 20:] += np.radians(5.0) * np.array([0.0, 0.0, 1.0])
    gnd = gnd_density(scan_of(turned(turns)))
    found = gnd.threshold_dependence((2, 3, 10))
    raw, median = ([getattr(a, n) for a in found.averages] for n in ("raw_mean", "median"))
    assert raw[0] == pytest.approx(raw[1], rel=1e-6)
    assert raw[2] > 1.5 * raw[1]
    assert median[2] < 1.1 * median[1]
    assert found.averages[1] == gnd.average()
    assert "threshold of 2 to 10 deg" in found.sentence
    with pytest.raises(InputError, match="thresholds"):
        gnd.threshold_dependence((0,))


def test_stability_of_the_split():
    turns = np.radians(0.8) * random_field((24, 24), 2.0, 3)
    gnd = gnd_density(scan_of(turned(turns)))
    found = gnd.split_stability(draws=2)
    assert 0 <= np.nanmin(found.share) <= np.nanmax(found.share) <= 1 + 1e-6
    assert np.nanmean(found.share) < 0.9
    assert found.total < 0.05
    small = gnd.split_stability(jitter=1e-6, draws=1)
    assert np.nanmedian(small.share) > 0.99
    assert "not measured" in found.sentence
    assert found.per_system.shape == (len(gnd.systems),)
    with pytest.raises(MissingDataError, match="kept"):
        gnd_density(gnd.scan, keep_per_system=False).split_stability()
    with pytest.raises(InputError, match="jitter"):
        gnd.split_stability(jitter=0)
    assert any("Elastic strain" in text for text in gnd.caveats)
