"""Orientation relationships against published angles and numbers of variants."""

from __future__ import annotations

import numpy as np
import pytest
from orix.crystal_map import Phase
from orix.quaternion import Orientation, Rotation
from orix.quaternion.symmetry import Oh

from napari_ebsdml.errors import InputError
from napari_ebsdml.maps import disorientation_angle
from napari_ebsdml.maps.relationships import (
    HEXAGONAL,
    OrientationRelationship,
    known_relationships,
    named_relationship,
)


def variant_angles(name: str) -> np.ndarray:
    """Disorientation of variant 1 and each other one in degrees."""
    found = named_relationship(name)
    table = found.variants.quaternions
    return disorientation_angle(table[0], table, found.child)


@pytest.mark.parametrize(
    ("name", "variants", "angle"),
    [
        ("Kurdjumov-Sachs", 24, 42.85),
        ("Nishiyama-Wassermann", 12, 45.98),
        ("Pitsch", 12, 45.98),
        ("Burgers", 12, 45.29),
    ],
)
def test_numbers_of_variants_and_angle_to_the_parent(
    name: str, variants: int, angle: float
) -> None:
    found = named_relationship(name)
    assert len(found.variants.quaternions) == variants
    assert found.angle == pytest.approx(angle, abs=0.02)


def test_greninger_troiano_lies_between_the_two() -> None:
    found = known_relationships()
    middle = found["Greninger-Troiano"]
    # 44.23 degrees in Verbeken et al. 2009, with the planes a little out of parallel.
    assert middle.angle == pytest.approx(44.23, abs=0.4)
    to = middle.deviation(found["Kurdjumov-Sachs"]), middle.deviation(found["Nishiyama-Wassermann"])
    assert sum(to) == pytest.approx(5.26, abs=0.02)
    assert min(to) > 2


def test_kurdjumov_sachs_variants_are_morito_s() -> None:
    # S. Morito et al., Acta Mater. 51 (2003) 1789, table 1, V1 against V2 ... V24.
    published = [
        60.00, 60.00, 10.53, 60.00, 49.47, 49.47, 10.53, 50.51, 50.51, 14.88, 57.21, 14.88,
        50.51, 57.21, 20.61, 51.73, 47.11, 50.51, 57.21, 20.61, 47.11, 57.21, 21.06,
    ]  # fmt: skip
    assert variant_angles("K-S")[1:] == pytest.approx(published, abs=0.01)
    table = named_relationship("K-S").variants
    assert table.packet.tolist() == [k for k in (1, 2, 3, 4) for _ in range(6)]
    group = 1 + np.flatnonzero(table.bain_group == 1)
    assert group.tolist() == [1, 4, 8, 11, 13, 16, 21, 24]
    assert np.bincount(table.bain_group).tolist() == [0, 8, 8, 8]


def test_variants_of_the_others() -> None:
    nw = np.unique(variant_angles("N-W")[1:].round(2))
    assert nw == pytest.approx([13.76, 19.47, 50.05, 53.69, 60.0], abs=0.01)
    burgers, count = np.unique(variant_angles("Burgers")[1:].round(2), return_counts=True)
    assert burgers == pytest.approx([10.53, 60.0, 60.83, 63.26, 90.0], abs=0.01)
    assert count.tolist() == [1, 2, 4, 2, 2]


@pytest.mark.parametrize("name", ["K-S", "N-W", "G-T", "Pitsch"])
def test_variants_by_orix(name: str) -> None:
    """The set of variants does not depend on our algebra."""
    found = named_relationship(name)
    # Crystal -> specimen of the parent is the identity: child = relationship * symmetry.
    every = Rotation(found.quaternion) * Oh.laue_proper_subgroup
    distinct = Orientation(every.data, symmetry=Oh).unique()
    ours = Orientation(found.variants.quaternions, symmetry=Oh)
    angles = ours.angle_with_outer(distinct, degrees=True)
    assert (angles.min(axis=1) < 0.01).all()
    assert (angles.min(axis=0) < 0.01).all()


def test_numbers_follow_a_refined_relationship() -> None:
    ideal = named_relationship("K-S")
    turned = named_relationship("G-T")
    a, b = ideal.variants, turned.variants
    angles = disorientation_angle(a.quaternions, b.quaternions, "m-3m")
    assert angles == pytest.approx(np.full(24, 2.9), abs=0.02)
    assert a.packet.tolist() == b.packet.tolist()
    assert a.bain_group.tolist() == b.bain_group.tolist()


def test_own_relationship() -> None:
    named = named_relationship("K-S")
    own = OrientationRelationship.from_parallel(((1, 1, 1), (0, 1, 1)), ((-1, 0, 1), (-1, -1, 1)))
    assert own.deviation(named) == pytest.approx(0, abs=1e-5)
    titanium = Phase("alpha", space_group=194)
    titanium.structure.lattice.setLatPar(2.951, 2.951, 4.684, 90, 90, 120)
    burgers = OrientationRelationship.from_parallel(
        ((1, 1, 0), (0, 0, 0, 1)), ((1, -1, 1), (2, -1, -1, 0)), child=titanium
    )
    assert burgers.child == HEXAGONAL
    assert burgers.deviation(named_relationship("Burgers")) == pytest.approx(0, abs=1e-4)
    again = OrientationRelationship.from_matrix(Rotation(own.quaternion).to_matrix()[0])
    assert again.deviation(own) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize(
    ("planes", "directions"),
    [
        (((1, 1, 1), (0, 1, 1)), ((1, 1, 1), (-1, -1, 1))),
        (((1, 1, 1, 1), (0, 1, 1)), ((-1, 0, 1), (-1, -1, 1))),
        (((0, 0, 0), (0, 1, 1)), ((-1, 0, 1), (-1, -1, 1))),
    ],
)
def test_indices_that_make_no_relationship(planes: tuple, directions: tuple) -> None:
    with pytest.raises(InputError):
        OrientationRelationship.from_parallel(planes, directions)


def test_unknown_names() -> None:
    with pytest.raises(InputError, match="Kurdjumov-Sachs"):
        named_relationship("Bain-Edgar")
    with pytest.raises(InputError):
        OrientationRelationship.from_matrix(2 * np.eye(3))
    with pytest.raises(InputError):
        named_relationship("K-S").deviation(named_relationship("Burgers"))
