"""Common phases by name, and by name and lattice."""

from __future__ import annotations

import pytest

from napari_ebsdml.materials import named_structure, recognise, recognise_name


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("Iron fcc", 225), ("Iron bcc (old)", 229), ("Iron - Alpha", 229), ("Iron Gamma", 225),
        ("Austenite", 225), ("ferrite", 229), ("Nickel", 225), ("Ni-superalloy", 225),
        ("Titanium (Alpha)", 194), ("Titanium - Beta", 229), ("Zirconium alpha", 194),
        ("Magnesium", 194), ("Aluminum", 225),
        ("Iron", None), ("Titanium", None), ("alpha", None), ("Chromium carbide", None),
        ("Aluminum oxide", None), ("NiAl", None), ("", None), ("phase 1", None), ("Cobalt", None),
        ("fcc or bcc", None),
    ],
)  # fmt: skip
def test_a_name_alone_is_believed_where_it_is_clear(name: str, group: int | None) -> None:
    found = recognise_name(name)
    assert (found and found.space_group) == group


@pytest.mark.parametrize(
    ("name", "a", "group"),
    [
        ("Fe", 2.87, 229), ("Fe", 3.6, 225), ("Iron fcc", 3.66, 225), ("Iron bcc", 2.9, 229),
        ("Nickel", 3.52, 225), ("Nickel", 2.9, None), ("Austenite", 2.87, None),
        ("Iron fcc", 2.87, None), ("Iron - Gamma", 2.87, None),
    ],
)  # fmt: skip
def test_name_and_lattice_must_agree(name: str, a: float, group: int | None) -> None:
    found = recognise(name, (a, a, a, 90, 90, 90))
    assert (found and found.space_group) == group


def test_a_name_that_tells_one_structure() -> None:
    names = ("Iron fcc", "BCC phase", "hcp", "fcc bcc", "Iron", "")
    assert [named_structure(name) for name in names] == [225, 229, 194, None, None, None]
