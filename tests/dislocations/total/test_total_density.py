"""The total density of maps whose density is known, and what is said where it is not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import napari_ebsdml as ebsdml
from napari_ebsdml.dislocations.structures.generate import Structure
from napari_ebsdml.dislocations.structures.simulated_scan import simulated_scan
from napari_ebsdml.errors import Cancelled, InputError
from tests.dislocations.total.conftest import BURGERS, STEP, density_of, scan_of


def test_a_clear_map_tells_its_density(loops: Structure) -> None:
    scan = scan_of(loops, 0.005)
    rho = ebsdml.total_dislocation_density(scan, orientation_noise=0.005, average_over=1)
    found, true = rho.average(), density_of(loops)
    assert found.measurable
    assert found.interval[0] <= true <= found.interval[1]
    assert found.interval[0] < found.density < found.interval[1]
    assert abs(np.log10(found.density / true)) < 0.4
    assert found.limit == pytest.approx(20 * (np.radians(0.005) / BURGERS) ** 2)
    assert f"{found.density:.2g}" in found.sentence
    inside = rho.measurable
    assert inside.mean() > 0.5
    assert np.isfinite(rho.density[inside]).all()
    assert np.isnan(rho.density[~inside]).all()
    assert rho.interval.shape == (*rho.density.shape, 2)


def test_noise_hides_the_density_and_the_answer_says_so(loops: Structure) -> None:
    rho = ebsdml.total_dislocation_density(scan_of(loops, 1.0), orientation_noise=1.0)
    found = rho.average()
    assert not found.measurable
    assert np.isnan(found.density)
    assert not rho.measurable.any()
    assert found.interval[1] > density_of(loops)
    for words in ("does not tell", "below", "1 deg", "HR-EBSD"):
        assert words in found.sentence


@pytest.mark.parametrize("step", [0.1, 0.4])
def test_the_answer_goes_with_the_inverse_square_of_the_step(loops: Structure, step: float) -> None:
    # The same picture at another scale: rotations as b / s, noise likewise.
    noise = 0.005 * STEP / step
    found = ebsdml.total_dislocation_density(
        scan_of(loops, noise, step=step), orientation_noise=noise
    ).average()
    reference = ebsdml.total_dislocation_density(
        scan_of(loops, 0.005), orientation_noise=0.005
    ).average()
    assert found.density * step**2 == pytest.approx(reference.density * STEP**2, rel=0.02)


def test_a_lattice_written_by_another_symmetry_variant_is_the_same(loops: Structure) -> None:
    scan = scan_of(loops, 0.01)
    turned = scan.quaternions.copy()
    # Half a turn about the crystal's z axis, on its side: specimen -> crystal, so from the left.
    w, x, y, z = np.moveaxis(turned[::2], -1, 0)
    turned[::2] = np.stack([-z, -y, x, w], axis=-1)
    other = dataclasses.replace(scan, quaternions=turned)
    first, second = (
        ebsdml.total_dislocation_density(s, orientation_noise=0.01).average().density
        for s in (scan, other)
    )
    assert second == pytest.approx(first, rel=1e-4)


def test_masks_and_tables(loops: Structure) -> None:
    scan = scan_of(loops, 0.005)
    grains = np.ones(scan.shape, dtype=int)
    grains[:, 32:] = 2
    grains[:5, :5] = 3  # too small for a window
    rho = ebsdml.total_dislocation_density(scan, 0.005, grains=grains, by="grain", average_over=1)
    assert rho.table["grain"] == [1, 2]
    left = rho.average(np.arange(64) < 32 * np.ones((64, 1)))
    assert left.density == pytest.approx(rho.table["density [1/m²]"][0])
    assert left.pixels == 32 * 64 - 25
    by_phase = rho.averages("phase", {0: "nickel"}, friction=20)
    (stress,), (low,), (high,) = (
        by_phase[f"{name} [MPa]"] for name in ("Taylor stress", "low stress", "high stress")
    )
    assert 20 < low < stress < high
    assert stress == pytest.approx(ebsdml.taylor_stress(rho.average().density, "nickel", 20))
    nothing = rho.average(np.zeros(scan.shape, dtype=bool))
    assert not nothing.measurable
    assert np.isnan(nothing.density)
    with pytest.raises(InputError, match="shape"):
        rho.average(np.ones((3, 3)))
    with pytest.raises(InputError, match="by must be"):
        rho.averages("pixel")


def test_noise_is_measured_where_it_is_not_given(loops: Structure) -> None:
    rho = ebsdml.total_dislocation_density(scan_of(loops, 0.3))
    assert rho.measured
    # Half a line per pixel adds to the noise: a noise measured on the map is never below it.
    assert 0.9 * 0.3 < rho.orientation_noise[0] < 1.5 * 0.3
    # All orientations the same: there is nothing to read, and no number.
    flat = ebsdml.total_dislocation_density(simulated_scan(np.zeros((40, 40, 3)), 0.5))
    assert not flat.average().measurable
    assert "could not be measured" in flat.average().sentence


def test_what_is_not_a_scan_is_refused(loops: Structure) -> None:
    scan = scan_of(loops, 0.005)
    gnd = ebsdml.gnd_density(scan)
    with pytest.raises(InputError, match="article_density"):
        ebsdml.total_dislocation_density(gnd)
    with pytest.raises(InputError, match="must be a Scan"):
        ebsdml.total_dislocation_density(np.zeros((3, 3)))
    with pytest.raises(InputError, match="orientation_noise"):
        ebsdml.total_dislocation_density(scan, orientation_noise=-1)
    with pytest.raises(InputError, match="window"):
        ebsdml.total_dislocation_density(scan, window=4)
    with pytest.raises(InputError, match="grains"):
        ebsdml.total_dislocation_density(scan, grains=np.ones((3, 3), dtype=int))


def test_progress_and_cancel(loops: Structure) -> None:
    scan = scan_of(loops, 0.005)
    seen: list[float] = []
    ebsdml.total_dislocation_density(scan, 0.005, progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1

    def stop(done: float) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        ebsdml.total_dislocation_density(scan, 0.005, progress=stop)
