"""Lattices from the spheres of plain crystals."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from napari_ebsdml.errors import InputError
from napari_ebsdml.patterns.frame.geometry import Geometry
from napari_ebsdml.patterns.lattices.bands import bands_of
from napari_ebsdml.patterns.lattices.fit import Guess, LatticeFit, allowed, families
from napari_ebsdml.patterns.lattices.lattice import (
    Lattice,
    about_z,
    find_lattice,
    rank_space_groups,
)
from napari_ebsdml.patterns.lattices.size import size_of
from napari_ebsdml.patterns.simulated.kinematic import Crystal, wavelength
from napari_ebsdml.patterns.symmetry.sphere import MeasuredSphere
from napari_ebsdml.patterns.symmetry.view import flat_images, views_of
from tests.patterns.symmetry.crystals import (
    CENTRE,
    IRON,
    NICKEL,
    POLONIUM,
    TIN,
    TITANIUM,
    patterns,
)

BISMUTH = Crystal("Bi", 166, (4.546, 4.546, 11.86, 90, 90, 120), ((83, (0, 0, 0.234)),))


def sphere_of(crystal, group):
    images, axes = patterns(crystal, 10)
    flat, valid = flat_images(images)
    views = views_of(flat, valid, Geometry.from_angles(CENTRE, (60, 60)).bounds)
    return MeasuredSphere.merged(views, axes, group)


def test_the_strong_bands_are_the_crystals():
    bands = bands_of(sphere_of(NICKEL, "m-3m"))
    first = np.sort(np.abs(bands.normals[:4]), axis=1)
    families = np.array([[1, 1, 1], [0, 0, 1], [1, 1, 3], [0, 1, 1]])
    families = families / np.linalg.norm(families, axis=1, keepdims=True)
    assert (first @ families.T).max(axis=0).min() > np.cos(np.deg2rad(2))


@pytest.mark.parametrize(
    ("crystal", "group", "bravais"),
    [
        (NICKEL, "m-3m", "cF"),
        (IRON, "m-3m", "cI"),
        (POLONIUM, "m-3m", "cP"),
        (TITANIUM, "6/mmm", "hP"),
        (TIN, "4/mmm", "tI"),
    ],
)  # fmt: skip
def test_bravais_lattice_and_ratio(crystal, group, bravais):
    found = find_lattice(sphere_of(crystal, group))
    assert found is not None
    lattice, turn = found
    assert lattice.bravais == bravais
    true = crystal.cell[2] / crystal.cell[0]
    assert lattice.c / lattice.a == pytest.approx(true, rel=0.015)
    if crystal is not TIN:  # Whose plain bands are no wider than the patterns resolve.
        assert abs(np.log(lattice.a / crystal.cell[0])) < 3 * lattice.uncertainty
    assert lattice.diffpy().a == pytest.approx(lattice.a)
    assert lattice.bravais in lattice.sentence
    assert turn.T @ turn == pytest.approx(np.eye(3))
    if crystal is NICKEL:
        ranked = rank_space_groups(sphere_of(crystal, group), lattice, turn)
        assert ranked[0].numbers[0] == 225
        # Without 200 or 111 the bands are not explained.
        assert ranked[-1].gain < -0.1


@pytest.mark.parametrize(("crystal", "centring"), [(NICKEL, "F"), (IRON, "I"), (POLONIUM, "P")])
def test_bands_along_the_same_normals_tell_the_centring(crystal, centring):
    fit = LatticeFit(sphere_of(crystal, "m-3m"), wavelength(20.0) / 2)
    cell = Guess(0.0, np.full(3, crystal.cell[0]), "P", np.eye(3))
    explained = {letter: fit.centred("cubic", cell, letter) for letter in "PIF"}
    assert max(explained, key=explained.get) == centring


@pytest.mark.parametrize(("crystal", "centring"), [(NICKEL, "F"), (IRON, "I")])
def test_size_is_found_from_a_wrong_start_and_goes_with_the_wavelength(crystal, centring):
    sphere = sphere_of(crystal, "m-3m")
    told = []
    for energy in (20.0, 10.0):
        longer = wavelength(energy) / wavelength(20.0)
        guess = Guess(0.0, np.full(3, 1.2 * longer * crystal.cell[0]), centring, np.eye(3))
        size = size_of(sphere, guess, energy)
        told.append(1.2 * size.factor * longer)
        assert 0.01 < size.error < 0.3
    assert told[0] == pytest.approx(1, abs=0.15)
    assert told[1] / told[0] == pytest.approx(wavelength(10.0) / wavelength(20.0), rel=0.02)


def test_an_assumed_energy_is_said():
    lattice = Lattice(3.6, 3.6, 3.6, 90, 90, 90, "cF", 0.1, 0.0, 0.5, 20.0, False)
    assert "at 20 kV assumed; 4.17 A if it was 15 kV" in lattice.sentence
    assert "assumed" not in dataclasses.replace(lattice, is_energy_told=True).sentence
    assert lattice.primitive == "cP"
    assert dataclasses.replace(lattice, bravais="cP").primitive is None


def test_low_symmetry_and_empty_spheres_have_none():
    sphere = sphere_of(TIN, "4/mmm")
    assert find_lattice(MeasuredSphere("2/m", sphere.cells)) is None


def test_families_of_reflections():
    hkl = families("m-3m", "F")
    assert [tuple(sorted(np.abs(h))) for h in hkl[:4]] == [
        (1, 1, 1), (0, 0, 2), (0, 2, 2), (1, 1, 3)
    ]  # fmt: skip
    # {hk0} and {kh0} are one family in m-3m and two in m-3.
    first = [tuple(sorted(np.abs(h))) for h in families("m-3", "P")]
    assert first.count((0, 1, 2)) == 2
    # Obverse setting: -h + k + l = 3n.
    assert allowed(np.array([[1, 0, 1], [0, 0, 3], [1, 0, 2]]), "R").tolist() == [True, True, False]


def test_wavelength_is_relativistic():
    # International Tables C, 4.3.2: 0.0859 at 20 kV, 0.0370 at 100 kV.
    assert wavelength(20) == pytest.approx(0.0859, abs=1e-4)
    assert wavelength(100) == pytest.approx(0.0370, abs=1e-4)
    with pytest.raises(InputError):
        wavelength(0)


@pytest.mark.parametrize(("bravais", "ratio", "told"), [
    ("tI", 1.42, ("cF", 5.0 * np.sqrt(2))), ("tI", 0.995, ("cI", 5.0)), ("tI", 1.05, None),
    ("hR", 2.45, ("cF", 5.0 * np.sqrt(2))), ("hR", 0.61, ("cI", 5.0 / np.sqrt(2))),
    ("hR", 1.22, ("cP", 5.0 / np.sqrt(2))), ("hP", 1.22, None), ("tP", 1.42, None),
])  # fmt: skip
def test_axes_that_are_those_of_a_cubic_lattice(bravais, ratio, told):
    lattice = Lattice(5.0, 5.0, 5.0 * ratio, 90, 90, 90, bravais, 0.2, 0.01, 0.5)
    if told is None:
        assert lattice.cubic is None
    else:
        assert lattice.cubic == (told[0], pytest.approx(told[1]))


@pytest.mark.parametrize(
    ("crystal", "group", "system", "centring", "about"),
    [(BISMUTH, "-3m", "trigonal", "R", 60.0), (TITANIUM, "6/mmm", "hexagonal", "P", 0.0)],
)
def test_c_is_as_long_as_weak_bands_say(crystal, group, system, centring, about):
    fit = LatticeFit(sphere_of(crystal, group), 0.9 * wavelength(20.0) / 2, 3000)
    true = Guess(0.0, np.array(crystal.cell[:3]), centring, np.eye(3))
    twice = Guess(0.0, true.lengths * [1, 1, 2], centring, about_z(about))
    assert fit.is_longer(system, true)
    assert not fit.is_longer(system, twice)


RUTILE = Crystal(
    "TiO2", 136, (4.594, 4.594, 2.959, 90, 90, 90), ((22, (0, 0, 0)), (8, (0.305, 0.305, 0)))
)


@pytest.mark.parametrize(("crystal", "primitive"), [(RUTILE, True), (TIN, False)])
def test_weak_bands_that_a_centring_lacks(crystal, primitive):
    # The titanium of rutile is body-centred; only its oxygen has the other bands.
    fit = LatticeFit(sphere_of(crystal, "4/mmm"), 0.85 * wavelength(20.0) / 2, 3000)
    guess = Guess(0.0, np.array(crystal.cell[:3]), "I", np.eye(3))
    assert fit.is_primitive("tetragonal", guess) is primitive
