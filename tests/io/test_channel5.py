"""CHANNEL5: every field type, wrong headers, damage."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_ebsdml.errors import FileFormatError, GridError
from napari_ebsdml.io._assemble import scan_from_raw
from napari_ebsdml.io._row_length import euler_channels, find_row_length
from napari_ebsdml.io.channel5 import FORMAT, read, sniff
from napari_ebsdml.scan import Scan
from tests.io.writers_channel5 import USUAL, Project, grains


def load(path: Path) -> Scan:
    return scan_from_raw(read(path, None))


@pytest.fixture(scope="module")
def values():
    return grains(30, 40)


def test_all_fields(tmp_path, values):
    path = Project((30, 40), values).write(tmp_path)
    for opened in (path, path.with_suffix(".crc")):
        scan = load(opened)
        assert scan.shape == (30, 40)
        assert scan.step == (0.25, 0.25)
        assert scan.source.reference_frame == "oxford"
        assert scan.source.path == opened
        assert scan.source.header["Job.kV"] == "20.00"
        assert scan.phases[1].name == "Nickel é"
        assert scan.phases[1].space_group.number == 225
        assert scan.phases[1].structure.lattice.a == pytest.approx(3.524)
        np.testing.assert_array_equal(scan.is_indexed.ravel(), values["Phase"] == 1)
        for name in ("BC", "BS", "Bands", "Error"):
            np.testing.assert_array_equal(scan.prop[name].ravel(), values[name].astype(np.uint8))
        np.testing.assert_allclose(scan.prop["MAD"].ravel(), values["MAD"], rtol=1e-6)
    assert not scan.source.warnings


def test_orientation_is_bunge_in_radians(tmp_path, values):
    from orix.quaternion import Rotation

    scan = load(Project((30, 40), values).write(tmp_path))
    angles = np.column_stack([values[k] for k in ("phi1", "Phi", "phi2")])
    got = scan.quaternions.reshape(-1, 4)
    indexed = scan.is_indexed.ravel()
    # Oxford's X, Y and Z on the map: to the right, up, and out of the screen. The file's angles
    # are in single precision.
    oxford_on_map = np.diag([1.0, -1.0, -1.0])
    expected = Rotation.from_euler(angles).to_matrix() @ oxford_on_map
    np.testing.assert_allclose(Rotation(got[indexed]).to_matrix(), expected[indexed], atol=1e-6)
    assert not got[~indexed].any()


def test_same_map_in_ctf(shared):
    """BC and BS are the same in both files, MAD is in degrees, Euler angles within 0.005."""
    folder = shared / "maps"
    raw = read(folder / "ni_small.cpr", None)
    ctf = np.loadtxt(folder / "ni_small.ctf", skiprows=15)
    assert raw.shape == (25, 25)
    np.testing.assert_array_equal(raw.prop["BC"], ctf[:, 9])
    np.testing.assert_array_equal(raw.prop["BS"], ctf[:, 10])
    np.testing.assert_array_equal(raw.prop["Error"], ctf[:, 4])
    np.testing.assert_allclose(raw.prop["MAD"], ctf[:, 8], atol=1e-4)
    np.testing.assert_allclose(np.degrees(raw.euler), ctf[:, 5:8], atol=0.005)
    assert any("ni_small" not in w and ".ctf of the same name" in w for w in raw.warnings)


def test_row_length_from_the_points_alone(shared, tmp_path):
    """The header of ni_small says 243 x 359; without the .ctf the points tell 25 x 25."""
    for suffix in (".cpr", ".crc"):
        shutil.copyfile(shared / "maps" / f"ni_small{suffix}", tmp_path / f"alone{suffix}")
    scan = load(tmp_path / "alone.crc")
    assert scan.shape == (25, 25)
    assert any("25 x 25 cells were found from the points" in w for w in scan.source.warnings)


def test_real_map_cut_in_a_row(shared, tmp_path):
    """A scan that stopped early keeps the header's row length and says so."""
    folder = shared / "maps"
    shutil.copyfile(folder / "ni_superalloy.cpr", tmp_path / "a.cpr")
    content = (folder / "ni_superalloy.crc").read_bytes()
    (tmp_path / "a.crc").write_bytes(content[: 25 * 20_000 + 7])
    whole, part = load(folder / "ni_superalloy.cpr"), load(tmp_path / "a.cpr")
    assert whole.shape == (243, 359)
    assert part.shape == (56, 359)
    assert part.is_measured.sum() == 20_000
    np.testing.assert_array_equal(part.get("BC")[:55], whole.get("BC")[:55])
    text = " ".join(part.source.warnings)
    assert "stopped early" in text
    assert "7 bytes" in text


def test_points_filled_by_noise_reduction_are_told(shared):
    scan = load(shared / "maps" / "ni_superalloy.crc")
    assert any(w.startswith("5199 points had no solution") for w in scan.source.warnings)


@pytest.mark.parametrize("suffix", [".CPR", ".Crc"])
def test_case_of_names(tmp_path, values, suffix):
    path = Project((30, 40), values).write(tmp_path)
    upper = tmp_path / "other"
    upper.mkdir()
    (upper / "MAP.CPR").write_bytes(path.read_bytes())
    (upper / "map.Crc").write_bytes(path.with_suffix(".crc").read_bytes())
    opened = upper / ("MAP.CPR" if suffix == ".CPR" else "map.Crc")
    assert load(opened).shape == (30, 40)


def test_header_too_large_without_anything_else(tmp_path):
    part = grains(25, 30, seed=3)
    scan = load(Project((25, 30), part, header_shape=(100, 77)).write(tmp_path))
    assert scan.shape == (25, 30)


@pytest.mark.parametrize("seed", range(4))
def test_row_length_of_made_maps(seed):
    rows, columns = np.random.default_rng(seed).integers(20, 60, 2)
    values = grains(int(rows), int(columns), seed)
    angles = euler_channels(*(values[k] for k in ("phi1", "Phi", "phi2")))
    found = find_row_length([values["BC"], *angles])
    assert found is not None
    assert found.is_clear
    assert found.columns == columns


def test_noise_tells_no_row_length(tmp_path):
    """A map without structure and without a right header is refused, not sheared."""
    rng = np.random.default_rng(0)
    values = {name: rng.permutation(v) for name, v in grains(30, 40).items()}
    path = Project((30, 40), values, header_shape=(100, 100)).write(tmp_path)
    with pytest.raises(FileFormatError, match="do not tell how long a row is"):
        read(path, None)


def test_wrong_header_of_the_right_size_is_doubted(tmp_path, values):
    scan = load(Project((30, 40), values, header_shape=(40, 30)).write(tmp_path))
    assert scan.shape == (40, 30)
    assert any("rows of 40 would fit" in w for w in scan.source.warnings)


def test_interactive_points_with_coordinates(tmp_path, values):
    fields = (1, 2, *USUAL)
    order = np.random.default_rng(1).permutation(1200)
    shuffled = {name: v[order] for name, v in values.items()}
    project = Project((30, 40), shuffled, fields=fields, header_shape=(0, 0), job="Interactive")
    scan = load(project.write(tmp_path))
    assert scan.shape == (30, 40)
    np.testing.assert_array_equal(scan.get("BC").ravel(), values["BC"].astype(np.uint8))
    assert "X" not in scan.prop


def test_edx_counts(tmp_path, values):
    rng = np.random.default_rng(5)
    counts = {"Ni K": rng.random(1200), "Cr K": rng.random(1200)}
    project = Project(
        (30, 40),
        {**values, **counts},
        fields=(*USUAL, 13, 14),
        windows=("Ni K", "Cr K"),
        extra={13: "Ni K", 14: "Cr K"},
    )
    scan = load(project.write(tmp_path))
    np.testing.assert_allclose(scan.prop["Cr K"].ravel(), counts["Cr K"], rtol=1e-6)


def test_decimal_comma_and_trailing_bytes(tmp_path, values):
    project = Project((30, 40), values, step="0,2500", trailing=b"end")
    scan = load(project.write(tmp_path))
    assert scan.step == (0.25, 0.25)
    assert any("3 bytes" in w for w in scan.source.warnings)


def edited(tmp_path: Path, values, old: str, new: str) -> Path:
    path = Project((30, 40), values).write(tmp_path)
    text = path.read_bytes().decode("latin-1")
    assert old in text
    path.write_bytes(text.replace(old, new).encode("latin-1"))
    return path


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("Field9=12", "Field9=99", r"Field9=99 is no field type"),
        ("Field9=12", "Field9=0", r"line \d+: Field9=0 is no field type"),
        ("Field9=12", "Field9=x", r"line \d+: \[fields\] field9 is 'x', not a number"),
        ("Field9=12", "", "no Field9"),
        ("Field4=6", "Field4=3", "listed twice"),
        ("Field1=3", "Field1=6\r\nField4=3", "twice|make no sense|has Euler angles"),
        ("Count=9", "Count=8", "record"),
        ("[Fields]", "[Other]", r"no \[Fields\]"),
        ("[Job]", "[Jxb]", r"no \[Job\]"),
        ("Count=1\r\n[Phase1]", "Count=0\r\n[PhaseX]", "phase 1"),
        ("xCells=40", "xCells=forty", "'forty', not a number"),
    ],
)
def test_wrong_header(tmp_path, values, old, new, said):
    path = edited(tmp_path, values, old, new)
    with pytest.raises(FileFormatError, match=said) as caught:
        load(path)
    assert "map.c" in str(caught.value)


def test_missing_partner(tmp_path, values, shared):
    with pytest.raises(FileFormatError, match=r"no no_crc_beside\.crc beside it"):
        read(shared / "malformed" / "no_crc_beside.cpr", None)
    path = Project((30, 40), values).write(tmp_path)
    path.unlink()
    with pytest.raises(FileFormatError, match=r"no map\.cpr beside it"):
        read(path.with_suffix(".crc"), None)


def test_empty_crc_and_text_instead(tmp_path, values):
    path = Project((30, 40), values).write(tmp_path)
    crc = path.with_suffix(".crc")
    crc.write_bytes(b"")
    with pytest.raises(FileFormatError, match="less than one record"):
        read(path, None)
    crc.write_text("Phase X Y\n" * 4000)
    with pytest.raises(FileFormatError, match="record 1"):
        read(path, None)


def test_a_few_impossible_angles_are_not_indexed(tmp_path, values):
    project = Project((30, 40), dict(values))
    project.values["phi1"] = values["phi1"].copy()
    project.values["phi1"][7] = np.nan
    project.values["phi1"][9] = 1e30
    at = [k for k in (7, 9) if values["Phase"][k]]
    scan = load(project.write(tmp_path))
    assert not scan.is_indexed.ravel()[at].any()
    assert any(f"{len(at)} records hold no possible Euler" in w for w in scan.source.warnings)


def test_sniff(tmp_path, values):
    path = Project((30, 40), values).write(tmp_path)
    assert sniff(path, path.read_bytes()[:4096])
    assert not sniff(path, b"\x00\x01\x02" * 100)
    assert not sniff(tmp_path / "a.txt", b"[General]\nhello")
    assert FORMAT.extensions == (".cpr", ".crc")


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_mangled_files_give_a_right_map_or_one_error(tmp_path_factory, data):
    """Whatever is cut, changed or inserted: pixels are where they belong, or one error."""
    folder = tmp_path_factory.mktemp("mangled")
    values = grains(20, 24)
    path = Project((20, 24), values).write(folder)
    good = load(path)
    target = data.draw(st.sampled_from([path, path.with_suffix(".crc")]))
    content = bytearray(target.read_bytes())
    action = data.draw(st.sampled_from(["cut", "flip", "insert", "delete"]))
    at = data.draw(st.integers(0, len(content) - 1))
    if action == "cut":
        del content[at:]
    elif action == "flip":
        content[at] ^= data.draw(st.integers(1, 255))
    elif action == "insert":
        content[at:at] = data.draw(st.binary(min_size=1, max_size=60))
    else:
        del content[at : at + data.draw(st.integers(1, 60))]
    target.write_bytes(bytes(content))
    try:
        scan = load(path)
    except (FileFormatError, GridError) as error:
        message = str(error)
        assert str(folder) in message
        return
    if target == path:
        return
    if action == "cut":
        there = measured(scan)
        np.testing.assert_array_equal(scan.get("BC")[there], good.get("BC")[: len(there)][there])
    if action != "flip" and len(content) != 480 * 25:
        assert scan.source.warnings


def measured(scan: Scan) -> np.ndarray:
    return np.ones(scan.shape, bool) if scan.is_measured is None else scan.is_measured


def test_a_list_of_points_is_no_map(tmp_path, values):
    places = np.random.default_rng(1).uniform(0, 1000, (2, 1200))
    scattered = {**values, "X": places[0], "Y": places[1]}
    fields = (1, 2, *USUAL)
    project = Project((30, 40), scattered, fields=fields, header_shape=(0, 0), job="Interactive")
    with pytest.raises(GridError, match="list of 1200 single points"):
        load(project.write(tmp_path))
