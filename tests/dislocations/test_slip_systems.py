from __future__ import annotations

import numpy as np
import pytest
from orix.crystal_map import Phase

from napari_ebsdml.dislocations import slip_systems as ss
from napari_ebsdml.errors import EbsdmlError, InputError, MissingDataError


@pytest.mark.parametrize(
    ("args", "edges", "screws", "lengths"),
    [
        (("fcc", 3.6), 12, 6, [3.6 / np.sqrt(2)]),
        (("bcc", 2.87), 48, 4, [2.87 * np.sqrt(3) / 2]),
        (("hcp", 3.2, 5.2), 30, 9, [3.2, np.hypot(3.2, 5.2)]),
    ],
)
def test_counts_and_geometry(args, edges, screws, lengths):
    systems = ss.for_lattice(*args)
    assert (systems.is_edge.sum(), (~systems.is_edge).sum()) == (edges, screws)
    assert len(set(systems.labels)) == edges + screws
    for length in systems.burgers_lengths:
        assert np.abs(np.array(lengths) - length).min() < 1e-9
    e = systems.is_edge
    normals = systems.normals[e]
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1)
    for other in (systems.burgers[e], systems.lines[e]):
        np.testing.assert_allclose((normals * other).sum(1), 0, atol=1e-9)
    np.testing.assert_allclose((systems.burgers[e] * systems.lines[e]).sum(1), 0, atol=1e-9)
    along = np.abs((systems.burgers * systems.lines).sum(1)[~e])
    np.testing.assert_allclose(along, systems.burgers_lengths[~e])
    relative = (systems.burgers_lengths / systems.burgers_lengths.min()) ** 2
    np.testing.assert_allclose(systems.energies, relative * np.where(e, 1, 0.7))


def test_hcp_families_by_known_geometry():
    systems = ss.for_lattice("hcp", 3.2, 5.2)
    counts = {name: systems.families.count(name) for name in dict.fromkeys(systems.families)}
    assert counts == {
        "basal": 3,
        "prismatic": 3,
        "pyramidal <a>": 6,
        "pyramidal I <c+a>": 12,
        "pyramidal II <c+a>": 6,
        "screw": 9,
    }
    tilt = np.degrees(np.arccos(np.abs(systems.normals[:, 2])))
    ratio = 5.2 / 3.2
    expected = {
        "basal": 0.0,
        "prismatic": 90.0,
        "pyramidal <a>": np.degrees(np.arctan(2 * ratio / np.sqrt(3))),
        "pyramidal I <c+a>": np.degrees(np.arctan(2 * ratio / np.sqrt(3))),
        "pyramidal II <c+a>": np.degrees(np.arctan(ratio)),
    }
    for family, angle in zip(systems.families, tilt, strict=True):
        if family != "screw":
            assert angle == pytest.approx(expected[family], abs=1e-6)
    # x along a: the basal Burgers vectors lie at 0, 60 and 120 degrees.
    basal = systems.burgers[:3]
    angles = np.degrees(np.arctan2(basal[:, 1], basal[:, 0])) % 180
    np.testing.assert_allclose(np.sort(np.round(angles, 6) % 180), [0, 60, 120])


def test_families_can_be_chosen_and_made():
    assert len(ss.for_lattice("bcc", 2.87, families=["{110}"])) == 12 + 4
    assert len(ss.for_lattice("bcc", 2.87, families=["{110}", "{112}<111>"], screws=False)) == 24
    assert len(ss.for_lattice("hcp", 3.2, 5.2, families="basal")) == 6
    tin = ss.from_families(
        [ss.SlipFamily("{100}<001>", (1, 0, 0), (0, 0, 1))], (5.83, 5.83, 3.18, 90, 90, 90), "4/mmm"
    )
    assert (tin.is_edge.sum(), len(tin)) == (2, 3)
    np.testing.assert_allclose(tin.burgers_lengths, 3.18)
    assert len(ss.SlipSystems.join([tin, tin])) == 6
    assert tin.select(~tin.is_edge).labels == ("[001] screw",)


def phase(space_group=None, a=2.87, c=None, name="x", group=None):
    from diffpy.structure import Lattice, Structure

    lattice = Lattice(a, a, c or a, 90, 90, 120 if space_group == 194 else 90)
    return Phase(
        name, space_group=space_group, point_group=group, structure=Structure(lattice=lattice)
    )


def test_from_phase():
    assert ss.for_phase(phase(225)).name == "fcc"
    assert ss.for_phase(phase(229)).name == "bcc"
    assert ss.for_phase(phase(194, 3.2, 5.2)).name == "hcp"
    known_by_name = ss.for_phase(phase(None, 2.87, name="Iron (Alpha)", group="m-3m"))
    assert known_by_name.name == "bcc"
    np.testing.assert_allclose(known_by_name.burgers_lengths, 2.87 * np.sqrt(3) / 2)
    in_nm = ss.for_phase(phase(225, 0.36))
    np.testing.assert_allclose(in_nm.burgers_lengths, 3.6 / np.sqrt(2))


@pytest.mark.parametrize(
    ("make", "kind", "word"),
    [
        (lambda: ss.for_phase(phase(62)), MissingDataError, "space group 62"),
        (lambda: ss.for_phase(phase(None, group="m-3m")), MissingDataError, "no space group"),
        (lambda: ss.for_phase(Phase("bare", space_group=225)), MissingDataError, "lattice param"),
        (lambda: ss.for_lattice("diamond", 3.5), InputError, "fcc, bcc, hcp"),
        (lambda: ss.for_lattice("hcp", 3.2), InputError, "lattice parameter c"),
        (lambda: ss.for_lattice("fcc", 3.2, 3.9), InputError, "cubic"),
        (lambda: ss.for_lattice("fcc", -1), InputError, "six positive"),
        (lambda: ss.for_lattice("bcc", 2.87, families=["{111}"]), InputError, "families"),
        (lambda: ss.for_lattice("bcc", 2.87, poisson=1.5), InputError, "Poisson"),
        (
            lambda: ss.from_families(
                [ss.SlipFamily("x", (1, 0, 0), (1, 0, 0))], (3, 3, 3, 90, 90, 90), "m-3m"
            ),
            InputError,
            "does not lie in",
        ),
        (
            lambda: ss.from_families(
                [ss.SlipFamily("x", (1, 0, 0, 0), (0, 0, 1))], (3, 3, 3, 90, 90, 90), "m-3m"
            ),
            InputError,
            "Miller",
        ),
    ],
)
def test_errors(make, kind, word):
    with pytest.raises(kind, match=word) as error:
        make()
    assert isinstance(error.value, EbsdmlError)
