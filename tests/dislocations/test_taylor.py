"""Taylor's formula against the article's Table 2 and Figure 6."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.spatial.transform import Rotation

from napari_ebsdml.dislocations.slip_systems import for_lattice
from napari_ebsdml.dislocations.taylor import (
    MATERIALS,
    TaylorMaterial,
    stress_increment,
    taylor_material,
    taylor_stress,
)
from napari_ebsdml.errors import InputError


def test_article():
    assert taylor_stress(1e12) == pytest.approx(13.39, abs=0.01)
    # Figure 6: increments of Table 2's densities, network and GND.
    density = {"4": 9.28e14, "10": 1.16e15, "1b": 8.80e14, "6b": 1.17e15, "10b": 1.26e15}
    gnd = {"4": 1.81e14, "10": 2.85e14, "1b": 1.50e14, "6b": 2.48e14, "10b": 2.98e14}
    for table, want in ((density, (48.1, 60.8, 78.1)), (gnd, (45.9, 46.9, 67.1))):
        pairs = (("4", "10"), ("1b", "6b"), ("1b", "10b"))
        got = [stress_increment(table[a], table[b]) for a, b in pairs]
        assert got == pytest.approx(want, abs=0.1)


def test_arrays_and_changes():
    values = np.array([[0.0, 1e14], [np.nan, 4e14]])
    stress = taylor_stress(values, friction=10)
    assert stress[0, 0] == 10
    assert np.isnan(stress[1, 0])
    assert stress[1, 1] - 10 == pytest.approx(2 * (stress[0, 1] - 10))
    assert isinstance(taylor_stress(1e14), float)
    assert taylor_stress(1e14, "Copper") == taylor_stress(1e14, "cu")
    assert taylor_stress(1e14, taylor_factor=5.72) == pytest.approx(2 * taylor_stress(1e14))
    own = TaylorMaterial(0.3, 50.0, 2.5, 3.0, "test")
    assert taylor_stress(1e14, own) == pytest.approx(3 * 0.3 * 50e9 * 2.5e-10 * 1e7 / 1e6)
    for name, material in MATERIALS.items():
        assert material.source, name
        assert 1 < material.factor * 1e6 < 40, name


# Single-crystal elastic constants C11, C12, C44 in GPa and lattice parameters in angstrom at room
# temperature (Simmons and Wang, Single Crystal Elastic Constants, 1971).
CRYSTALS = {
    "nickel": (246.5, 147.3, 124.7, 3.524), "copper": (168.4, 121.4, 75.4, 3.615),
    "aluminium": (107.3, 60.9, 28.3, 4.050), "silver": (124.0, 93.4, 46.1, 4.086),
    "tungsten": (522.4, 204.4, 160.8, 3.165), "molybdenum": (463.7, 157.8, 109.2, 3.147),
    "tantalum": (260.2, 154.5, 82.6, 3.303), "niobium": (245.6, 138.7, 29.3, 3.301),
}  # fmt: skip


@pytest.mark.parametrize("name", CRYSTALS)
def test_constants_follow_from_the_crystal(name):
    c11, c12, c44, a = CRYSTALS[name]
    metal = MATERIALS[name]
    # Shear modulus of glide as Frost and Ashby define it, sqrt(C44 (C11 - C12) / 2); they took
    # their constants from other measurements, for niobium 12 % apart.
    assert metal.shear_modulus == pytest.approx(np.sqrt(c44 * (c11 - c12) / 2), rel=0.13)
    fcc = metal.taylor_factor > 3
    assert metal.burgers == pytest.approx(a / np.sqrt(2) if fcc else a * np.sqrt(3) / 2, rel=0.012)


@pytest.mark.parametrize(("lattice", "name"), [("fcc", "copper"), ("bcc", "tungsten")])
def test_taylor_factor_of_a_random_polycrystal(lattice, name):
    systems = for_lattice(lattice, 3.0).select(slice(0, 12 if lattice == "fcc" else 48))
    slip = systems.burgers / systems.burgers_lengths[:, None]
    factors = []
    for turn in Rotation.random(60, random_state=3).as_matrix():
        tensor = np.einsum("si,sj->sij", slip @ turn.T, systems.normals @ turn.T)
        tensor = (tensor + tensor.transpose(0, 2, 1)) / 2
        rows = np.stack([tensor[:, i, j] for i, j in ((0, 0), (1, 1), (0, 1), (0, 2), (1, 2))])
        # Uniaxial elongation by 1; the least sum of slips that makes it.
        strain = [-0.5, -0.5, 0.0, 0.0, 0.0]
        costs = np.ones(2 * len(slip))
        factors.append(linprog(costs, A_eq=np.hstack((rows, -rows)), b_eq=strain).fun)
    error = np.std(factors) / np.sqrt(len(factors))
    assert abs(np.mean(factors) - MATERIALS[name].taylor_factor) < 3 * error + 0.01
    assert error < 0.07


def test_assumed_constants_are_marked():
    assert MATERIALS["alpha-iron"].assumed == ()
    for name, metal in MATERIALS.items():
        if name != "alpha-iron":
            assert metal.assumed == ("alpha",), name
            assert "ASSUMED" in metal.source, name


def test_errors():
    with pytest.raises(InputError, match="alpha-iron"):
        taylor_stress(1e14, "unobtainium")
    with pytest.raises(InputError, match="negative"):
        taylor_stress([-1.0, 1.0])
    with pytest.raises(InputError, match="str"):
        taylor_stress("much")
    with pytest.raises(InputError, match="colour"):
        taylor_material("copper", colour=1)
    with pytest.raises(InputError, match="burgers"):
        taylor_material("copper", burgers=0)
    with pytest.raises(InputError, match="do not fit"):
        stress_increment(np.zeros(3), np.zeros(2))
    with pytest.raises(InputError, match="friction"):
        taylor_stress(1.0, friction=float("nan"))
