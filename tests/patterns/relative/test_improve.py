"""Orientations improved from the patterns, on simulated ones whose rotations are known."""

from __future__ import annotations

import dataclasses

import dask.array as da
import numpy as np
import pytest
from orix.crystal_map import Phase, PhaseList
from scipy.spatial.transform import Rotation

import napari_ebsdml as ebsdml
from napari_ebsdml._quaternions import multiply
from napari_ebsdml.camera import Camera
from napari_ebsdml.errors import Cancelled, InputError, MissingDataError, NoCameraError
from napari_ebsdml.patterns.crystals.library import Library
from napari_ebsdml.patterns.frame.geometry import Geometry
from napari_ebsdml.patterns.relative.views import Views
from napari_ebsdml.patterns.relative.zones import find_zones
from napari_ebsdml.patterns.simulated.screen import Screen, circle, expose
from napari_ebsdml.patterns.simulated.synthetic import (
    project_bands,
    random_quaternions,
    small_turns,
)

PC, TILT, SIDE, SHAPE = (0.48, 0.22, 0.55), 5.0, 48, (6, 12)
SCREEN = Screen((0.08, 0.08), (1.1, 1.1), 0.15, (0.1, 0.1), (1.0, 1.0), gain=(0, 0), dust=(0, 0))


def turned(degrees, axis=(1, 2, 2)):
    """Quaternions of rotations by some angles about one axis."""
    axis = np.asarray(axis) / np.linalg.norm(axis)
    half = np.radians(np.asarray(degrees)) / 2
    return np.concatenate([np.cos(half)[:, None], np.sin(half)[:, None] * axis], axis=1)


def sample(seed=0, bend=1.0, hough=0.3, noise=0.3, pc=PC, change=None):
    """A scan of two grains, each bent along x, and the true orientations."""
    rng = np.random.default_rng(seed)
    number = SHAPE[0] * SHAPE[1]
    column = np.tile(np.arange(SHAPE[1]), SHAPE[0])
    grain = column * 2 // SHAPE[1]
    true = multiply(turned(bend * (column % 6) / 6), random_quaternions(rng, 2)[grain])
    fine = Geometry.from_angles(pc, (2 * SIDE, 2 * SIDE), 70.0, TILT)
    library = Library.load()
    which = np.full(number, library.names.index("Ni"))
    bands = project_bands(library.masters, which, true, fine)
    bands = bands.reshape(number, SIDE, 2, SIDE, 2).mean((2, 4))
    patterns = expose(bands, rng, (noise, noise), 0.6, SCREEN, same=True)
    patterns = patterns if change is None else change(patterns)
    told = multiply(small_turns(rng, number, hough), true)
    camera = Camera(shape=(SIDE, SIDE), pc=np.reshape(pc, (*SHAPE, 3)) if np.ndim(pc) > 1
                    else np.array(pc), tilt=TILT)  # fmt: skip
    scan = ebsdml.Scan(
        quaternions=told.reshape(*SHAPE, 4), phase_id=np.zeros(SHAPE, np.int32),
        phases=PhaseList(Phase("Ni", space_group=225)), step=(0.2, 0.2), camera=camera,
        patterns=da.from_array(patterns.reshape(*SHAPE, SIDE, SIDE), chunks=(4, 12, SIDE, SIDE)),
    )  # fmt: skip
    return scan, true, (grain + 1).reshape(SHAPE)


def error(scan, true, grains):
    """Root mean square about an axis within grains, and of the grains' offsets; degrees."""
    q = scan.quaternions.reshape(-1, 4)
    there = np.linalg.norm(q, axis=1) > 0.5
    found = Rotation.from_quat(np.where(there[:, None], q, (1, 0, 0, 0))[:, [1, 2, 3, 0]])
    v = (found * Rotation.from_quat(true[:, [1, 2, 3, 0]]).inv()).as_rotvec(degrees=True)
    offsets = []
    for one in (1, 2):
        inside = (grains.ravel() == one) & there
        offsets.append(v[inside].mean(axis=0))
        v[inside] -= offsets[-1]
    rms = [float(np.sqrt(np.square(x).mean())) for x in (v[there], np.array(offsets))]
    return rms[0], rms[1]


def test_known_rotations_are_found_and_the_halves_tell_the_error():
    scan, true, grains = sample()
    found = ebsdml.improve_orientations(scan, grains=grains)
    before, _ = error(scan, true, grains)
    after, offset = error(found.scan, true, grains)
    assert after < 0.15 * before
    assert 0.75 < found.orientation_noise[0] / after < 1.33
    assert 0.85 < found.noise_before[0] / before < 1.15
    # As well as indexing tells it: 36 pixels of 0.3 degrees, the median's error 1.25 of the mean's.
    assert offset < 0.12
    assert found.improved.all()
    assert not found.failed.any()
    assert found.scan.prop["pattern fit"].min() > 0.5
    assert found.worthwhile
    assert "deg before" in found.sentence
    assert "72 pixels" in found.sentence
    noise = found.scan.prop["orientation noise"]
    assert found.scan.units["orientation noise"] == "°"
    assert np.sqrt(np.square(noise).mean()) == pytest.approx(found.orientation_noise[0], rel=1e-3)


def test_densities_take_the_noise_from_the_map():
    scan, _, grains = sample(bend=0.2)
    better = ebsdml.improve_orientations(scan, grains=grains)
    scan = dataclasses.replace(better.scan, phases=nickel())
    gnd = ebsdml.gnd_density(scan, grains=grains)
    assert gnd.orientation_noise[0] == pytest.approx(better.orientation_noise[0], rel=1e-3)
    own = ebsdml.gnd_density(scan, grains=grains, orientation_noise=0.5)
    assert own.orientation_noise[0] == 0.5


def nickel():
    from diffpy.structure import Lattice, Structure

    lattice = Lattice(3.52, 3.52, 3.52, 90, 90, 90)
    return PhaseList(Phase("Ni", space_group=225, structure=Structure(lattice=lattice)))


def hot(patterns):
    patterns[:, [5, 20, 31], [7, 24, 40]] = 255
    return patterns


def cosmic(patterns):
    rng = np.random.default_rng(3)
    for one in patterns:
        one[rng.integers(0, SIDE, 12), rng.integers(0, SIDE, 12)] = 255
    return patterns


def round_screen(patterns):
    return patterns * circle((SIDE, SIDE)).astype(patterns.dtype)


def third_black(patterns):
    patterns[:, 2 * SIDE // 3 :] = 0
    return patterns


@pytest.mark.parametrize("change", [hot, cosmic, round_screen, third_black])
def test_faults_of_the_screen_cost_little(change):
    scan, true, grains = sample(change=change)
    found = ebsdml.improve_orientations(scan, grains=grains)
    after = error(found.scan, true, grains)[0]
    assert after < 0.25 * error(scan, true, grains)[0]
    assert 0.6 < found.orientation_noise[0] / after < 1.6


def test_a_grain_bent_over_several_zones_is_linked():
    scan, true, grains = sample(bend=12.0, noise=0.1)
    found = ebsdml.improve_orientations(scan, grains=grains)
    assert error(found.scan, true, grains)[0] < 0.03


def test_each_pixel_may_have_its_own_pattern_centre():
    column = np.tile(np.arange(SHAPE[1]), SHAPE[0])
    pc = np.array(PC) + 0.004 * column[:, None] * np.array([1.0, -0.5, 0.5])
    scan, true, grains = sample(pc=pc, bend=0.5)
    found = ebsdml.improve_orientations(scan, grains=grains)
    after = error(found.scan, true, grains)[0]
    assert after < 0.04
    fixed = dataclasses.replace(scan, camera=Camera(shape=(SIDE, SIDE), pc=pc.mean(0), tilt=TILT))
    assert (
        error(ebsdml.improve_orientations(fixed, grains=grains).scan, true, grains)[0] > 3 * after
    )


def test_a_pattern_of_another_crystal_is_left_out():
    scan, _, grains = sample()
    wrong = [3, 9]
    noise = np.random.default_rng(0).integers(0, 255, (2, SIDE, SIDE)).astype(np.uint8)
    patterns = np.asarray(scan.patterns).reshape(-1, SIDE, SIDE)
    patterns[wrong] = noise
    scan = dataclasses.replace(scan, patterns=da.from_array(patterns.reshape(*SHAPE, SIDE, SIDE)))
    found = ebsdml.improve_orientations(scan, grains=grains)
    assert found.failed.ravel()[wrong].all()
    assert found.failed.sum() <= 4
    assert not found.scan.is_indexed.ravel()[wrong].any()
    kept = ebsdml.improve_orientations(scan, grains=grains, keep_failed=True)
    np.testing.assert_array_equal(
        kept.scan.quaternions.reshape(-1, 4)[wrong], scan.quaternions.reshape(-1, 4)[wrong]
    )


def test_small_grains_keep_their_orientations_and_it_is_said():
    scan, _, grains = sample()
    one = scan.crop(slice(0, 1), slice(0, 1))
    found = ebsdml.improve_orientations(one)
    np.testing.assert_array_equal(found.scan.quaternions, one.quaternions)
    assert "No orientation could be improved" in found.sentence
    line = ebsdml.improve_orientations(scan.crop(slice(0, 1)), grains=grains[:1])
    assert line.improved.all()


def test_what_cannot_be_done_is_said():
    scan, _, grains = sample()
    with pytest.raises(MissingDataError, match="no patterns"):
        ebsdml.improve_orientations(dataclasses.replace(scan, patterns=None))
    with pytest.raises(NoCameraError):
        ebsdml.improve_orientations(dataclasses.replace(scan, camera=None))
    with pytest.raises(InputError, match="grains must be integers"):
        ebsdml.improve_orientations(scan, grains=grains[:2])
    with pytest.raises(InputError, match="mask"):
        ebsdml.improve_orientations(scan, mask=np.ones((3, 3), bool))

    def stop(done):
        if done > 0.2:
            raise Cancelled

    with pytest.raises(Cancelled):
        ebsdml.improve_orientations(scan, progress=stop)


def test_progress_rises_to_the_end():
    scan, _, grains = sample()
    told = []
    ebsdml.improve_orientations(scan, grains=grains, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_zones_part_what_is_turned_far_and_pixels_of_small_grains_have_none():
    q = turned(np.linspace(0, 12, 50))
    labels = np.ones(53, int)
    labels[50:] = 2
    q = np.concatenate([q, q[:3]])
    zones = find_zones(q, labels, np.array([[1.0, 0, 0, 0]]))
    assert len(zones.grain) in (2, 3)
    assert (zones.owner[50:] == -1).all()
    assert (zones.owner[:50] >= 0).all()
    apart = 2 * np.degrees(
        np.arccos(np.minimum(np.abs((q[:50] * zones.middle[zones.owner[:50]]).sum(1)), 1))
    )
    assert apart.max() < 4.5


def test_large_patterns_are_binned_and_the_geometry_goes_with_it():
    views = Views.of(np.random.default_rng(0).normal(size=(3, 250, 381)))
    assert views.binning == 2
    assert views.shape == (125, 190)
    assert views.part_of_screen((250, 381)) == (1.0, 380 / 381)
    assert not (views.halves[0] & views.halves[1]).any()
    assert (views.halves.any(axis=0) == views.valid).all()
