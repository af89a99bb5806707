"""Space groups of a Laue group and a centring, and the reflections that they extinguish."""

from __future__ import annotations

import numpy as np
import pytest
from orix.quaternion.symmetry import get_point_group

from napari_ebsdml.patterns.lattices.space_groups import (
    is_extinct,
    members,
    orders_of,
    sets_of,
    symbol,
    words,
)
from napari_ebsdml.patterns.symmetry.groups import GROUPS

PATTERSON = [
    ("-1", "P"), ("2/m", "P"), ("2/m", "C"), ("mmm", "P"), ("mmm", "C"), ("mmm", "I"),
    ("mmm", "F"), ("4/m", "P"), ("4/m", "I"), ("4/mmm", "P"), ("4/mmm", "I"), ("-3", "P"),
    ("-3", "R"), ("-3m", "P"), ("-3m", "R"), ("6/m", "P"), ("6/mmm", "P"), ("m-3", "P"),
    ("m-3", "I"), ("m-3", "F"), ("m-3m", "P"), ("m-3m", "I"), ("m-3m", "F"),
]  # fmt: skip


def test_every_space_group_is_in_one_class():
    """23 pairs: the 24th Patterson symmetry parts -3m1 from -31m, both -3m P here."""
    every = [number for pair in PATTERSON for number in members(*pair)]
    assert sorted(every) == list(range(1, 231))


def test_laue_groups_have_the_order_of_orixs():
    for laue, letter in PATTERSON:
        for number in members(laue, letter):
            assert get_point_group(number).laue.size == 2 * GROUPS[laue].order


@pytest.mark.parametrize(
    ("number", "hkl", "extinct"),
    [
        (225, (2, 0, 0), False), (225, (1, 0, 0), True), (227, (2, 0, 0), True),
        (227, (4, 2, 0), True), (227, (4, 0, 0), False), (227, (2, 2, 0), False),
        (194, (0, 0, 1), True), (194, (0, 0, 2), False), (194, (1, 1, 1), True),
        (194, (1, 0, 1), False), (14, (0, 1, 0), True), (14, (1, 0, 1), True),
        (136, (1, 0, 0), True), (136, (0, 1, 2), True), (136, (1, 1, 0), False),
        (166, (0, 0, 3), False), (166, (0, 0, 1), True), (205, (0, 1, 2), True),
        (229, (1, 0, 0), True), (229, (1, 1, 0), False),
    ],
)  # fmt: skip
def test_absences_of_the_international_tables(number, hkl, extinct):
    assert bool(is_extinct(number, np.array([hkl]))[0]) is extinct


def test_known_pairs_are_in_one_set_and_others_are_not():
    """Enantiomorphs and polar groups share absences; glide planes part."""

    def of(laue, letter, number):
        return next(s.numbers for s in sets_of(laue, letter) if number in s.numbers)

    assert of("m-3m", "F", 225) == (225, 209, 216)
    assert of("6/mmm", "P", 194) == (194, 186, 190)
    assert 154 in of("-3m", "P", 152)
    assert 227 not in of("m-3m", "F", 225)
    assert 221 not in of("m-3m", "P", 223)
    assert set(of("m-3", "F", 203)) == {203}
    assert symbol(225) == "Fm-3m"


def test_words_never_name_one_alone_where_patterns_cannot_tell():
    text = words(sets_of("m-3m", "F"))
    assert text.startswith("225, 209, 216 (not separable)")
    assert "others" in text
    assert words(()) == ""
    assert len(orders_of("mmm")) == 6
    assert set(dict(PATTERSON)) == set(GROUPS)
