"""Synthetic annealed and twinned metals, bainite, and streams of maps of random physics."""

from __future__ import annotations

import numpy as np
import pytest

from napari_ebsdml import samples
from napari_ebsdml.errors import InputError
from napari_ebsdml.maps import gos, kam, segment_grains
from napari_ebsdml.maps.disorientation import disorientation_angle
from napari_ebsdml.maps.twins import HCP_TWIN_PLANES
from napari_ebsdml.samples import BAINITE, DEFORMED, FERRITE, MARTENSITE, RECOVERED, RECRYSTALLISED


@pytest.mark.parametrize("crystal", ["bcc", "fcc", "hcp"])
def test_annealed_metal(crystal: str) -> None:
    """Fractions are met; new grains are flat, deformed ones bent everywhere, walls are sharp."""
    sample = samples.partly_recrystallised((150, 180), 3, crystal=crystal, grain_size=25.0)
    truth, scan = sample.truth, sample.scan
    assert (truth == RECRYSTALLISED).mean() == pytest.approx(0.4, abs=1e-4)
    assert (truth == RECOVERED).mean() == pytest.approx(0.25, abs=0.02)
    spread = gos(scan, grains := segment_grains(scan))[grains]
    inside = [np.median(spread[truth == k]) for k in (RECRYSTALLISED, RECOVERED, DEFORMED)]
    assert inside[0] < 0.6 < inside[1] < inside[2]
    # In recovered grains half of the pixels see no wall, in deformed ones hardly any is at rest.
    local = kam(scan)
    quiet = [(local[truth == k] < 0.4).mean() for k in (RECRYSTALLISED, RECOVERED, DEFORMED)]
    assert quiet[0] > 0.9
    assert quiet[1] > quiet[2] + 0.3
    bc = np.asarray(scan.get("BC"), float)
    assert bc[truth == 1].mean() > bc[truth == 2].mean() > bc[truth == 3].mean()
    again = samples.partly_recrystallised((150, 180), 3, crystal=crystal, grain_size=25.0)
    np.testing.assert_array_equal(again.scan.quaternions, scan.quaternions)


@pytest.mark.parametrize(("crystal", "plane", "angle"), [
    ("fcc", "{10-12}", 60.0), ("hcp", "{10-12}", 86.3), ("hcp", "{10-11}", 56.2),
])  # fmt: skip
def test_twins_have_the_misorientation_of_their_law(crystal, plane, angle) -> None:
    """Angles of magnesium: J. W. Christian, S. Mahajan (1995), doi:10.1016/0079-6425(94)00007-7."""
    sample = samples.twinned((120, 150), 2, crystal=crystal, planes=(plane,), bend=0.0)
    twin = sample.truth == samples.TWIN
    assert 0.03 < twin.mean() < 0.5
    q, phase = sample.scan.quaternions, sample.scan.phases[0]
    found = []
    indexed = sample.scan.is_indexed
    for axis in range(2):
        a = (slice(None, -1), slice(None)) if axis == 0 else (slice(None), slice(None, -1))
        b = (slice(1, None), slice(None)) if axis == 0 else (slice(None), slice(1, None))
        edge = (sample.host[a] == sample.host[b]) & (twin[a] != twin[b]) & indexed[a] & indexed[b]
        found.append(disorientation_angle(q[a][edge], q[b][edge], phase))
    assert np.median(np.concatenate(found)) == pytest.approx(angle, abs=0.5)


def test_bainite_lies_between_ferrite_and_martensite() -> None:
    sample = samples.dual_phase_steel((160, 200), 0.3, seed=1, bainite_fraction=0.3)
    truth = sample.truth
    for value, part in ((FERRITE, 0.4), (MARTENSITE, 0.3), (BAINITE, 0.3)):
        assert (truth == value).mean() == pytest.approx(part, abs=1e-3)
    bc, local = np.asarray(sample.scan.get("BC"), float), kam(sample.scan)
    level = [bc[truth == k].mean() for k in (FERRITE, BAINITE, MARTENSITE)]
    assert level[0] > level[1] > level[2]
    bent = [np.nanmean(local[truth == k]) for k in (FERRITE, BAINITE, MARTENSITE)]
    assert bent[0] < bent[1] < bent[2]
    assert (sample.morphology[truth == BAINITE] == 6).all()
    assert ((sample.variant > 0) == (truth != FERRITE)).all()
    # Coarser blocks of fewer variants.
    size = [np.bincount(sample.block[truth == k])[1:] for k in (BAINITE, MARTENSITE)]
    assert np.median(size[0][size[0] > 0]) > np.median(size[1][size[1] > 0])
    # Without bainite the map is what it was before there was any.
    plain = samples.dual_phase_steel((60, 80), 0.5, seed=4)
    with_none = samples.dual_phase_steel((60, 80), 0.5, seed=4, bainite_fraction=0.0)
    np.testing.assert_array_equal(plain.scan.quaternions, with_none.scan.quaternions)


@pytest.mark.parametrize("family", samples.FAMILIES)
def test_streams(family: str) -> None:
    """Every seed another material and another instrument."""
    names, steps, seen = set(), set(), set()
    for seed in range(6):
        scan, truth = samples.random_map(family, seed, (60, 80))
        assert truth.shape == scan.shape == (60, 80)
        assert 1 <= truth.min() <= truth.max() <= len(samples.FAMILIES[family])
        assert scan.is_indexed.mean() > 0.5
        names.add(tuple(scan.prop))
        steps.add(scan.step)
        seen |= set(np.unique(truth).tolist())
    assert len(steps) == 6
    assert len(names) > 1
    assert seen == set(range(1, 1 + len(samples.FAMILIES[family])))


def test_wrong_arguments() -> None:
    with pytest.raises(InputError, match="more than 1"):
        samples.partly_recrystallised((20, 20), recrystallised=0.7, recovered=0.5)
    with pytest.raises(InputError, match="more than 1"):
        samples.dual_phase_steel((20, 20), 0.7, bainite_fraction=0.5)
    with pytest.raises(InputError, match="crystal"):
        samples.twinned((20, 20), crystal="bcc")
    with pytest.raises(InputError, match="planes"):
        samples.twinned((20, 20), planes=("{1}",))
    with pytest.raises(InputError, match="family"):
        samples.random_map("glass", 1)
    assert "{10-12}" in HCP_TWIN_PLANES
