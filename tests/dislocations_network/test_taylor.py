"""Taylor's formula against the article's Table 2 and Figure 6."""

from __future__ import annotations

import numpy as np
import pytest

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
