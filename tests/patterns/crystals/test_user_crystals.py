from __future__ import annotations

import numpy as np
import pytest

from napari_ebsdml.errors import FileFormatError, InputError
from napari_ebsdml.patterns.crystals.library import Library
from napari_ebsdml.patterns.crystals.master import lambert_directions
from napari_ebsdml.patterns.crystals.user_crystals import add_files, add_to_library, read_cif
from napari_ebsdml.patterns.simulated.synthetic import CLEAN, random_quaternions, spoil
from tests.patterns.band_crystals import CAMERA, FCC, bands, project
from tests.patterns.crystals.crystal_files import cif, write_emsoft_master


def test_a_cif_becomes_a_structure(tmp_path):
    pytest.importorskip("de_ebsd", reason="de-ebsd (extra simulate) is not installed")
    silicon = read_cif(cif(tmp_path / "silicon.cif"))
    assert (silicon.name, silicon.space_group) == ("silicon", 227)
    assert silicon.a == pytest.approx(5.431)
    assert silicon.sites[0].element == "Si"
    # B = 8 pi^2 U
    assert silicon.sites[0].b_factor == pytest.approx(0.5, abs=1e-3)
    # The file does not say which origin: the special position tells.
    assert silicon.origin == 2
    assert read_cif(cif(tmp_path / "first.cif", x=0.0)).origin == 1
    with pytest.raises(FileFormatError, match="no such file"):
        read_cif(tmp_path / "absent.cif")
    (tmp_path / "bad.cif").write_text("nothing")
    with pytest.raises(FileFormatError, match="not a crystal"):
        read_cif(tmp_path / "bad.cif")
    with pytest.raises(InputError, match="m-3m"):
        read_cif(cif(tmp_path / "flat.cif", group=123, symbol="P 4/m m m", b=5.431, x=0))


def test_a_cif_is_simulated_into_a_library(tmp_path):
    pytest.importorskip("de_ebsd", reason="de-ebsd (extra simulate) is not installed")
    path = cif(tmp_path / "iron.cif", a=2.8665, b=2.8665, group=229, symbol="I m -3 m",
               element="Fe", x=0.0)  # fmt: skip
    shipped = Library.load()
    made = add_files(shipped.take(shipped.is_real), [path])
    assert made.names[-1] == "iron"
    assert made.families[-1] == "bcc"
    assert made.space_groups[-1] == 229
    own = made.masters[made.names.index("Fe")]
    assert np.corrcoef(made.masters[-1], own)[0, 1] > 0.99


def test_an_emsoft_master_pattern_joins_the_same_way(tmp_path, library):
    grid = lambert_directions(60)
    right = bands(3.6, FCC, grid)
    wrong = np.zeros_like(right)
    path = tmp_path / "alloy.h5"
    write_emsoft_master(path, np.stack([wrong, right]), (15, 20))
    made = add_files(library, [path])
    assert made.names[-1] == "alloy"
    assert made.space_groups[-1] == 225
    assert made.families[-1] == "fcc"
    assert np.corrcoef(made.masters[-1], bands(3.6, FCC))[0, 1] > 0.95
    with pytest.raises(InputError, match="no new name"):
        add_files(made, [path])
    with pytest.raises(InputError, match="as many space groups"):
        add_files(library, [path], [])
    with pytest.raises(InputError, match="Laue group"):
        add_to_library(library, "ti", np.stack([right, right]), 194)
    with pytest.raises(InputError, match="shape"):
        add_to_library(library, "flat", right[0], 225)


@pytest.mark.long
def test_a_model_learns_the_own_crystal(widened_model):
    made, model = widened_model
    rng = np.random.default_rng(2)
    q = random_quaternions(rng, 20)
    patterns = spoil(project(made, np.full(20, 30), q), rng, CLEAN)
    result = model.predict(patterns, q, CAMERA)
    assert made.names[30] == "mine"
    assert (result.space_group == 221).mean() >= 0.9
    assert (result.family == "mine").mean() >= 0.9


def test_rhombohedral_crystals_are_simulated_on_hexagonal_axes():
    pytest.importorskip("de_ebsd", reason="de-ebsd (extra simulate) is not installed")
    from de_ebsd import Crystal
    from de_ebsd.crystal.lattice import AtomSite

    from napari_ebsdml.patterns.crystals.simulate import simulate_directions
    from napari_ebsdml.patterns.crystals.table import Site, Structure, find

    calcite = find("calcite")
    whole = Crystal(
        0.49896, 0.49896, 1.7061, 90, 90, 120, 167,
        [AtomSite(s.element, s.position) for s in calcite.sites],
    )  # fmt: skip
    # The same crystal without any symmetry: all thirty atoms written out.
    sites = tuple(
        Site(site.element, tuple(float(x) for x in spot), 1.0, site.b_factor)
        for site, spots in zip(calcite.sites, whole.positions, strict=True)
        for spot in spots
    )
    assert len(sites) == 30
    plain = Structure("plain", 1, "other", calcite.a, sites, calcite.c, 120.0)
    rays = np.random.default_rng(0).normal(size=(24, 3))
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    one, two = (simulate_directions(s, rays, d_min=1.6) for s in (calcite, plain))
    assert one.std() > 1e-3 * one.mean()
    assert np.corrcoef(one, two)[0, 1] > 0.999
    # R-3c has a threefold axis along c.
    c, s = -0.5, np.sqrt(0.75)
    turned = rays @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]).T
    np.testing.assert_allclose(simulate_directions(calcite, turned, d_min=1.6), one, rtol=2e-3)
