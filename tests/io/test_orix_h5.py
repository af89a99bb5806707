"""orix HDF5: read, write, and orix maps in memory."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from orix import io as orix_io
from orix.crystal_map import CrystalMap, Phase, PhaseList, create_coordinate_arrays
from orix.quaternion import Rotation

from napari_ebsdml.errors import EbsdmlError, FileFormatError, GridError, WriteError
from napari_ebsdml.io._assemble import scan_from_raw
from napari_ebsdml.io.orix_h5 import FORMAT, raw_from_xmap, read, sniff, write
from napari_ebsdml.scan import Scan

SHAPE = (7, 9)


def make_xmap(seed: int = 0, per_point: int = 1, **options) -> CrystalMap:
    rng = np.random.default_rng(seed)
    coordinates, n = create_coordinate_arrays(SHAPE, (0.5, 0.25))
    phase_id = rng.choice([0, 1, -1], n, p=[0.6, 0.3, 0.1])
    size = (n, per_point) if per_point > 1 else (n,)
    rotations = Rotation(rng.normal(size=(*size, 4))).unit
    phases = PhaseList(
        {
            0: Phase(name="ferrite", space_group=229),
            1: Phase(name="Ti", space_group=194),
        }
    )
    return CrystalMap(
        rotations=rotations,
        phase_id=phase_id,
        x=coordinates["x"],
        y=coordinates["y"],
        phase_list=phases,
        prop={"iq": rng.random(n), "bands": rng.integers(0, 12, n)},
        scan_unit="um",
        **options,
    )


def save(path: Path, xmap: CrystalMap) -> Path:
    orix_io.save(str(path), xmap, overwrite=True)
    return path


def load(path: Path) -> Scan:
    return scan_from_raw(read(path, None))


def same_rotation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.abs(np.abs((a * b).sum(axis=-1)) - 1) < 1e-12


def test_file_of_orix(tmp_path):
    xmap = make_xmap()
    scan = load(save(tmp_path / "a.h5", xmap))
    assert scan.shape == SHAPE
    assert scan.step == (0.5, 0.25)
    assert scan.source.reference_frame == "map"
    np.testing.assert_array_equal(scan.phase_id.ravel(), xmap.phase_id)
    indexed = scan.is_indexed.ravel()
    assert 0 < indexed.sum() < indexed.size
    assert same_rotation(scan.quaternions.reshape(-1, 4), xmap.rotations.data)[indexed].all()
    np.testing.assert_array_equal(scan.prop["iq"].ravel(), xmap.prop["iq"])
    assert [scan.phases[i].name for i in (0, 1)] == ["ferrite", "Ti"]
    assert scan.phases[1].space_group.number == 194


def test_map_in_memory_equals_the_file(tmp_path):
    xmap = make_xmap()
    from_file = load(save(tmp_path / "a.h5", xmap))
    in_memory = scan_from_raw(raw_from_xmap(xmap, Path("memory")))
    np.testing.assert_allclose(in_memory.phase_id, from_file.phase_id)
    at = from_file.is_indexed
    assert same_rotation(in_memory.quaternions[at], from_file.quaternions[at]).all()
    np.testing.assert_array_equal(in_memory.prop["bands"], from_file.prop["bands"])
    assert in_memory.step == from_file.step


def test_orix_reads_back_what_was_written(tmp_path):
    scan = load(save(tmp_path / "a.h5", make_xmap(3)))
    path = tmp_path / "b.h5"
    write(path, scan)
    back = orix_io.load(str(path))
    xmap = scan.xmap
    assert back.shape == SHAPE
    np.testing.assert_array_equal(back.phase_id, xmap.phase_id)
    assert same_rotation(back.rotations.data, xmap.rotations.data).all()
    np.testing.assert_array_equal(back.prop["iq"], xmap.prop["iq"])
    assert back.phases[1].name == "Ti"
    assert back.phases[1].space_group.number == 194
    again = load(path)
    np.testing.assert_allclose(again.quaternions, scan.quaternions, atol=1e-12)
    assert list(tmp_path.glob(".*")) == []


def test_unmeasured_pixels_survive(tmp_path):
    coordinates, n = create_coordinate_arrays(SHAPE, (0.5, 0.25))
    del coordinates
    inside = np.ones(n, bool)
    inside[[12, 13, 30]] = False
    scan = load(save(tmp_path / "a.h5", make_xmap(is_in_data=inside)))
    np.testing.assert_array_equal(scan.is_measured.ravel(), inside)
    write(tmp_path / "b.h5", scan)
    again = load(tmp_path / "b.h5")
    np.testing.assert_array_equal(again.is_measured, scan.is_measured)
    in_memory = scan_from_raw(raw_from_xmap(make_xmap(is_in_data=inside), Path("m")))
    np.testing.assert_array_equal(in_memory.is_measured, scan.is_measured)


def test_several_rotations_per_point(tmp_path):
    xmap = make_xmap(per_point=4)
    for raw in (read(save(tmp_path / "a.h5", xmap), None), raw_from_xmap(xmap, Path("m"))):
        scan = scan_from_raw(raw)
        best = xmap.rotations.data[:, 0].reshape(*SHAPE, 4)
        assert same_rotation(scan.quaternions, best)[scan.is_indexed].all()
        assert any("4 orientations per point" in w for w in scan.source.warnings)


def test_real_map_whose_y_is_wrong(shared):
    """Header 4125 x 4125 and a y that runs as fast as x: the map is 55 x 75."""
    path = shared / "maps" / "ni_recrystallised_orix.h5"
    scan = load(path)
    assert scan.shape == (55, 75)
    assert scan.step == (1.5, 1.5)
    assert scan.is_indexed.all()
    assert any("55 rows of 75" in w for w in scan.source.warnings)
    # EMsoft's lattice in nm would make Burgers vectors ten times too short.
    assert scan.phases[0].structure.lattice.a == pytest.approx(3.5236)
    # Most neighbours of a recrystallised map are alike, in both directions.
    q = scan.quaternions
    for a, b in ((q[1:], q[:-1]), (q[:, 1:], q[:, :-1])):
        assert (np.abs((a * b).sum(-1)) > 0.999).mean() > 0.5
    xmap = orix_io.load(str(path))
    np.testing.assert_allclose(scan_from_raw(raw_from_xmap(xmap, path)).quaternions, q, atol=1e-12)


def test_one_row(tmp_path):
    xmap = make_xmap()[2, :]
    scan = scan_from_raw(raw_from_xmap(xmap, Path("m")))
    assert scan.shape == (1, 9)


def test_units(tmp_path):
    path = save(tmp_path / "a.h5", make_xmap())
    with h5py.File(path, "r+") as file:
        file["crystal_map/header/scan_unit"][...] = b"nm"
    assert load(path).step == pytest.approx((0.0005, 0.00025))
    with h5py.File(path, "r+") as file:
        file["crystal_map/header/scan_unit"][...] = b"px"
    assert any("um are assumed" in w for w in load(path).source.warnings)


def test_properties_named_like_coordinates(tmp_path):
    scan = scan_from_raw(raw_from_xmap(make_xmap(), Path("m")))
    scan.prop["x"] = scan.prop["a/b"] = scan.prop["iq"]
    write(tmp_path / "a.h5", scan)
    again = load(tmp_path / "a.h5")
    assert again.step == scan.step
    assert {"x_", "a_b", "iq"} <= set(again.prop)


def test_unwritable_places(tmp_path):
    scan = scan_from_raw(raw_from_xmap(make_xmap(), Path("m")))
    with pytest.raises(WriteError, match="could not be written"):
        write(tmp_path / "no folder" / "a.h5", scan)
    folder = tmp_path / "a.h5"
    folder.mkdir()
    with pytest.raises(WriteError, match="could not be written"):
        write(folder, scan)
    assert [p.name for p in tmp_path.iterdir()] == ["a.h5"]


def test_three_dimensions_are_refused(tmp_path):
    path = save(tmp_path / "a.h5", make_xmap())
    with h5py.File(path, "r+") as file:
        file["crystal_map/data/z"] = np.arange(63.0)
    with pytest.raises(GridError, match="three dimensions"):
        read(path, None)


@pytest.mark.parametrize("name", ["x", "y"])
def test_points_that_coincide_without_a_coordinate(tmp_path, name):
    path = save(tmp_path / "a.h5", make_xmap())
    with h5py.File(path, "r+") as file:
        del file[f"crystal_map/data/{name}"]
    with pytest.raises(FileFormatError, match=f"data/{name}: .* missing"):
        read(path, None)


def test_names_that_differ_in_case_only(tmp_path):
    xmap = make_xmap()
    xmap.prop["IQ"] = xmap.prop["iq"] + 1
    scan = load(save(tmp_path / "a.h5", xmap))
    np.testing.assert_array_equal(scan.prop["IQ"], scan.prop["iq"] + 1)


@pytest.mark.parametrize(("a", "inm"), [(0.35236, True), (1.06, True), (1.0, False), (2.87, False)])
def test_lattice_in_nanometres(tmp_path, a, inm):
    """M23C6 has an edge of 1.06 nm; edges of 1 stand for an unknown lattice."""
    xmap = make_xmap()
    path = save(tmp_path / "a.h5", xmap)
    with h5py.File(path, "r+") as file:
        lattice = file["crystal_map/header/phases/0/structure/lattice/abcABG"]
        lattice[...] = (a, a, a, 90, 90, 90)
    scan = load(path)
    assert scan.phases[0].structure.lattice.a == pytest.approx(10 * a if inm else a)
    assert any("nanometres" in w for w in scan.source.warnings) == inm


@pytest.mark.parametrize(
    "name", ["phi1", "Phi", "phase_id", "../header", "../data", "../header/phases"]
)
def test_missing_dataset_is_named(tmp_path, name):
    path = save(tmp_path / "a.h5", make_xmap())
    with h5py.File(path, "r+") as file:
        del file["crystal_map/data"].file[
            f"crystal_map/{name[3:]}" if name.startswith("..") else f"crystal_map/data/{name}"
        ]
    with pytest.raises(FileFormatError, match=f"/{Path(name).name}: .* missing"):
        read(path, None)


def test_wrong_length_is_named(tmp_path):
    path = save(tmp_path / "a.h5", make_xmap())
    with h5py.File(path, "r+") as file:
        data = file["crystal_map/data"]
        del data["Phi"]
        data["Phi"] = np.zeros(10)
    with pytest.raises(FileFormatError, match=r"data/Phi: shape \(10,\) does not fit 63 points"):
        read(path, None)


def test_sniff(tmp_path):
    path = save(tmp_path / "a.h5", make_xmap())
    assert sniff(path, path.read_bytes()[:4096])
    assert not sniff(path, b"text")
    path.write_bytes(path.read_bytes()[:600])
    assert not sniff(path, path.read_bytes())
    assert FORMAT.write is write


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> tuple[bytes, Scan]:
    path = save(tmp_path_factory.mktemp("sound") / "a.h5", make_xmap())
    return path.read_bytes(), load(path)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_damage_gives_one_error(sound, tmp_path_factory, data):
    """Files cut at any byte and files with any dataset gone or replaced."""
    content, good = sound
    path = tmp_path_factory.mktemp("damaged") / "a.h5"
    path.write_bytes(content)
    if data.draw(st.booleans()):
        path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    else:
        with h5py.File(path, "r+") as file:
            names: list[str] = []
            file["crystal_map"].visit(names.append)
            name = f"crystal_map/{data.draw(st.sampled_from(names))}"
            del file[name]
            new = data.draw(st.sampled_from([None, "text", [1.5, 2.5], np.nan, 5, "group"]))
            if new == "group":
                file.create_group(name)
            elif new is not None:
                file[name] = new
    try:
        scan = load(path)
    except EbsdmlError as error:
        message = str(error)
    else:
        assert scan.shape == good.shape
        np.testing.assert_array_equal(scan.phase_id, good.phase_id)
        message = str(path)
    assert str(path) in message


def test_whole_way_through_the_public_api(tmp_path):
    ebsdml = pytest.importorskip("napari_ebsdml")
    path = save(tmp_path / "a.h5", make_xmap())
    scan = ebsdml.read(path)
    target = tmp_path / "copy.h5"
    ebsdml.write(target, scan)
    assert ebsdml.read(target).shape == SHAPE
    shutil.copyfile(target, tmp_path / "renamed.hdf5")
    assert ebsdml.read(tmp_path / "renamed.hdf5").source.format == "orix"
