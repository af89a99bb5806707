"""Crystals that the classifier does not know: outside Laue group m-3m."""

from __future__ import annotations

from napari_ebsdml.patterns.crystals.structure import Site, Structure

_O = (0.0, 0.0, 0.0)


def _hexagonal(name: str, a: float, c: float, element: str, b: float = 0.5) -> Structure:
    site = Site(element, (1 / 3, 2 / 3, 0.25), 1, b)
    return Structure(name, 194, "other", a, (site,), c, 120.0)


STRANGERS: tuple[Structure, ...] = (
    _hexagonal("Ti", 2.9505, 4.6826, "Ti"),
    _hexagonal("Mg", 3.2094, 5.2108, "Mg", 1.5),
    _hexagonal("Zn", 2.6649, 4.9468, "Zn", 1.0),
    _hexagonal("Zr", 3.2316, 5.1475, "Zr"),
    _hexagonal("Co", 2.5071, 4.0695, "Co"),
    Structure(
        "TiB2", 191, "other", 3.0303,
        (Site("Ti", _O, 1, 0.3), Site("B", (1 / 3, 2 / 3, 0.5), 1, 0.3)), 3.2295, 120.0,
    ),
    Structure(
        "WC", 187, "other", 2.906,
        (Site("W", _O, 1, 0.2), Site("C", (1 / 3, 2 / 3, 0.5), 1, 0.3)), 2.837, 120.0,
    ),
    Structure(
        "GaN", 186, "other", 3.1890,
        (Site("Ga", (1 / 3, 2 / 3, 0.0), 1, 0.3), Site("N", (1 / 3, 2 / 3, 0.377), 1, 0.4)),
        5.1864, 120.0,
    ),
    Structure(
        "rutile", 136, "other", 4.5937,
        (Site("Ti", _O, 1, 0.4), Site("O", (0.3053, 0.3053, 0.0), 1, 0.5)), 2.9587,
    ),
    Structure(
        "calcite", 167, "other", 4.9896,
        (Site("Ca", _O, 1, 0.5), Site("C", (0.0, 0.0, 0.25), 1, 0.5),
         Site("O", (0.2568, 0.0, 0.25), 1, 0.9)), 17.061, 120.0,
    ),
    Structure("Bi", 166, "other", 4.546, (Site("Bi", (0.0, 0.0, 0.2339), 1, 1.0),), 11.862, 120.0),
    Structure(
        "quartz", 152, "other", 4.9134,
        (Site("Si", (0.4697, 0.0, 1 / 3), 1, 0.5),
         Site("O", (0.4135, 0.2669, 0.1191 + 1 / 3), 1, 0.9)), 5.4052, 120.0,
    ),
    Structure("tin", 141, "other", 5.8318, (Site("Sn", (0.0, 0.25, 0.125), 1, 0.8),), 3.1819),
    Structure(
        "zirconia", 137, "other", 3.605,
        (Site("Zr", (0.75, 0.25, 0.75), 1, 0.4), Site("O", (0.25, 0.25, 0.4640), 1, 0.7)), 5.180,
    ),
    Structure(
        "cementite", 62, "other", 5.089,
        (Site("Fe", (0.036, 0.25, 0.852), 1, 0.4), Site("Fe", (0.186, 0.063, 0.328), 1, 0.4),
         Site("C", (0.890, 0.25, 0.450), 1, 0.4)), 4.5235, 90.0, 6.7433,
    ),
    Structure(
        "pyrite", 205, "other", 5.4166,
        (Site("Fe", _O, 1, 0.3), Site("S", (0.3850, 0.3850, 0.3850), 1, 0.4)),
    ),
    # From here on: to fit the score on, `train.FITTED_STRANGERS`.
    Structure(
        "PbO", 129, "other", 3.96,
        (Site("Pb", (0.25, 0.25, 0.237), 1, 1.2), Site("O", (0.75, 0.25, 0.0), 1, 1.4)), 5.01,
    ),
    Structure(
        "MoSi2", 139, "other", 3.2056,
        (Site("Mo", _O, 1, 0.3), Site("Si", (0.0, 0.0, 0.3353), 1, 0.4)), 7.845,
    ),
    Structure(
        "anatase", 141, "other", 3.7842,
        (Site("Ti", _O, 1, 0.51), Site("O", (0.0, 0.0, 0.2081), 1, 0.63)), 9.5146, origin=1,
    ),
    Structure(
        "CuAl2", 140, "other", 6.052,
        (Site("Cu", (0.0, 0.0, 0.25), 1, 0.5), Site("Al", (0.158, 0.658, 0.0), 1, 0.7)), 4.878,
    ),
    Structure(
        "CoSb3", 204, "other", 9.04,
        (Site("Co", (0.25, 0.25, 0.25), 1, 0.4), Site("Sb", (0.0, 0.335, 0.158), 1, 0.5)),
    ),
    Structure(
        "MnS2", 205, "other", 6.1008,
        (Site("Mn", _O, 1, 0.4), Site("S", (0.4012, 0.4012, 0.4012), 1, 0.5)),
    ),
    Structure(
        "PtAs2", 205, "other", 5.9665,
        (Site("Pt", _O, 1, 0.3), Site("As", (0.383, 0.383, 0.383), 1, 0.4)),
    ),
)  # fmt: skip
"""Crystals outside m-3m, to test that the classifier calls them unknown. Pyrite is cubic, but of
Laue group m-3. Zincblende-like crystals (-43m) are left out of every list: their Laue group is
m-3m too.

Sources of those to fit on: PbO and anatase: NCrystal's tables (Leciejewicz 1961; Horn 1972). MoSi2:
AFLOW's AB2_tI6_139_a_e (Harada 1998). CuAl2: cell of doi:10.3390/met9101037. CoSb3: ASE's manual.
MnS2, PtAs2: cmsos.github.io/crystr (C2). B factors are rough but for anatase."""
