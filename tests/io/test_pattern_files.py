"""Pattern files and folders of images, compared with kikuchipy where it reads them."""

from __future__ import annotations

import gc
import pickle
import shutil
import struct
import warnings
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_ebsdml.errors import EbsdmlError, FileFormatError, UnsupportedFormatError
from napari_ebsdml.io import _ebsp, pattern_files, pattern_folder, read
from napari_ebsdml.io._assemble import scan_from_raw
from napari_ebsdml.io._companion import map_beside
from tests.io.writers_hdf5 import write_edax, write_h5oina
from tests.io.writers_patterns import make_patterns, write_ebsp, write_up
from tests.io.writers_text import ang_edax, make_points


@pytest.fixture(scope="module")
def folder(kp) -> Path:
    return Path(kp.__file__).parent / "data"


def kp_data(kp, path: Path) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(kp.load(path).data)


@pytest.mark.parametrize(
    "name", ["edax_binary/edax_binary.up1", "edax_binary/edax_binary.up2",
             "oxford_binary/patterns.ebsp", "nordif/Pattern.dat"]
)  # fmt: skip
def test_equals_kikuchipy(kp, folder, name):
    path = folder / name
    expected = kp_data(kp, path)
    assert pattern_files.sniff(path, path.read_bytes()[:4096])
    raw = pattern_files.read(path, None)
    scan = scan_from_raw(raw)
    got = scan.patterns.compute()
    np.testing.assert_array_equal(got.reshape(expected.shape), expected)
    assert not scan.is_indexed.any()
    assert scan.camera.shape == (60, 60)
    assert scan.detector is None
    if path.suffix in {".ebsp", ".dat"}:
        assert scan.shape == (3, 3)
        assert scan.step == (1.5, 1.5)


def test_nordif_detector(kp, folder):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = kp.load(folder / "nordif" / "Pattern.dat", lazy=True).detector
    got = scan_from_raw(pattern_files.read(folder / "nordif" / "Pattern.dat", None)).camera
    assert not got.tells_centre
    for name in ("shape", "sample_tilt", "tilt", "azimuthal"):
        assert getattr(got, name) == getattr(expected, name)


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_up_version_3(kp, tmp_path, dtype):
    patterns = make_patterns(12, dtype=dtype)
    path = write_up(tmp_path / f"a.up{dtype[1]}", patterns, step=(0.5, 0.25))
    scan = scan_from_raw(pattern_files.read(path, None))
    assert scan.shape == (3, 4)
    assert scan.step == (0.5, 0.25)
    np.testing.assert_array_equal(scan.patterns.compute().reshape(patterns.shape), patterns)
    np.testing.assert_array_equal(kp_data(kp, path).reshape(patterns.shape), patterns)


def test_up_on_a_hexagonal_grid(tmp_path):
    rows, columns = 9, 8
    n = rows * columns - rows // 2
    patterns = make_patterns(n)
    path = write_up(
        tmp_path / "a.up1", patterns, grid=(rows, columns), step=(0.866025, 1.0), hexagonal=True
    )
    raw = pattern_files.read(path, None)
    assert raw.x[columns] == 0.5
    scan = scan_from_raw(raw)
    assert scan.source.hexagonal is not None
    np.testing.assert_array_equal(scan.patterns[0, 3].compute(), patterns[3])


def test_a_damaged_hexagonal_header_costs_no_memory(tmp_path):
    patterns = make_patterns(12)
    path = write_up(tmp_path / "a.up1", patterns, grid=(2**32 - 1, 8), hexagonal=True)
    raw = pattern_files.read(path, None)
    assert raw.shape == (1, 12)
    assert any("hexagonal grid of 4294967295 rows" in w for w in raw.layout_warnings)


def test_up_cut_off(tmp_path):
    path = write_up(tmp_path / "a.up1", make_patterns(12))
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(FileFormatError, match=r"pattern 12: .*announces 12 .* only 11"):
        pattern_files.read(path, None)
    path.write_bytes(struct.pack("<4I", 2, 10, 12, 42) + bytes(2000))
    with pytest.raises(UnsupportedFormatError, match="version 2"):
        pattern_files.read(path, None)


@pytest.mark.parametrize("version", [0, 1, 2, 4, 5])
def test_ebsp_versions(tmp_path, version):
    patterns = make_patterns(12, shape=(40, 50), dtype="u2" if version == 4 else "u1")
    places = [(0.2 * (k % 4), 0.2 * (k // 4)) for k in range(12)]
    order = [1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10]
    path = write_ebsp(tmp_path / "a.ebsp", patterns, places, order, version=version)
    assert pattern_files.sniff(path, path.read_bytes()[:4096])
    scan = scan_from_raw(pattern_files.read(path, None))
    assert scan.shape == ((1, 12) if version == 0 else (3, 4))
    np.testing.assert_array_equal(scan.patterns.compute().reshape(patterns.shape), patterns)


def test_ebsp_with_patterns_left_out(tmp_path):
    patterns = make_patterns(12, shape=(40, 50))
    places = [(0.2 * (k % 4), 0.2 * (k // 4)) for k in range(12)]
    path = write_ebsp(tmp_path / "a.ebsp", patterns, places, range(12), missing=(5, 9))
    scan = scan_from_raw(pattern_files.read(path, None))
    assert scan.shape == (3, 4)
    assert scan.is_measured.sum() == 10
    got = scan.patterns.compute().reshape(patterns.shape)
    np.testing.assert_array_equal(got[scan.is_measured.ravel()], np.delete(patterns, (5, 9), 0))
    assert not got[5].any()


def test_large_ebsp_needs_few_positions(tmp_path, monkeypatch):
    """On a complete grid a sample of the beam positions is read, not a page for each pattern."""
    rows, columns = 40, 50
    patterns = make_patterns(rows * columns, shape=(40, 41))
    places = [(0.1 * (k % columns), 0.1 * (k // columns)) for k in range(rows * columns)]
    path = write_ebsp(tmp_path / "a.ebsp", patterns, places, range(rows * columns))
    asked = []
    at = _ebsp._Beam.at
    monkeypatch.setattr(
        _ebsp._Beam, "at", lambda self, points: asked.append(len(points)) or at(self, points)
    )
    scan = scan_from_raw(pattern_files.read(path, None))
    assert scan.shape == (rows, columns)
    assert sum(asked) < 600
    np.testing.assert_array_equal(scan.patterns[17, 23].compute(), patterns[17 * columns + 23])


def test_compressed_ebsp(tmp_path, folder):
    content = bytearray((folder / "oxford_binary" / "patterns.ebsp").read_bytes())
    start = struct.unpack("<q", content[16:24])[0]
    content[start : start + 4] = struct.pack("<i", 1)
    path = tmp_path / "a.ebsp"
    path.write_bytes(content)
    with pytest.raises(UnsupportedFormatError, match="compressed"):
        pattern_files.read(path, None)


def test_nordif_settings(folder, tmp_path):
    shutil.copyfile(folder / "nordif" / "Pattern.dat", tmp_path / "Pattern.dat")
    head = (tmp_path / "Pattern.dat").read_bytes()[:4096]
    assert not pattern_files.sniff(tmp_path / "Pattern.dat", head)
    with pytest.raises(FileFormatError, match=r"no Setting\.txt"):
        pattern_files.read(tmp_path / "Pattern.dat", None)
    setting = (folder / "nordif" / "Setting.txt").read_text(encoding="latin-1")
    (tmp_path / "Setting.txt").write_text(
        setting.replace("Number of samples\t3x3", "Number of samples\t30x3"), encoding="latin-1"
    )
    with pytest.raises(FileFormatError, match=r"announces 90 patterns .* only 9"):
        pattern_files.read(tmp_path / "Pattern.dat", None)
    (tmp_path / "Setting.txt").write_text(setting.replace("60x60", "60"), encoding="latin-1")
    with pytest.raises(FileFormatError, match="two numbers"):
        pattern_files.read(tmp_path / "Pattern.dat", None)


def test_arrays_outlive_the_reader(folder):
    patterns = pattern_files.read(folder / "oxford_binary" / "patterns.ebsp", None).patterns
    gc.collect()
    again = pickle.loads(pickle.dumps(patterns))
    np.testing.assert_array_equal(patterns[4].compute(), again[4].compute())
    np.testing.assert_array_equal(patterns[2:7, 10:20].compute(), patterns.compute()[2:7, 10:20])


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_damaged_files_give_patterns_or_one_error(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("damaged")
    kind = data.draw(st.sampled_from(["up1", "up2", "ebsp"]))
    path = folder / f"a.{kind}"
    patterns = make_patterns(12, shape=(40, 41), dtype="u2" if kind == "up2" else "u1")
    if kind == "ebsp":
        places = [(0.2 * (k % 4), 0.2 * (k // 4)) for k in range(12)]
        write_ebsp(path, patterns, places, range(12))
    else:
        write_up(path, patterns, version=data.draw(st.sampled_from([1, 3])))
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        at = data.draw(st.integers(0, 160))
        content[at : at + 4] = data.draw(st.binary(min_size=4, max_size=4))
    path.write_bytes(content)
    try:
        scan = scan_from_raw(pattern_files.read(path, None))
        if scan.patterns.nbytes < 1 << 24:
            scan.patterns.compute()
    except EbsdmlError as error:
        message = str(error)
    else:
        message = str(path)
    assert str(path) in message


# Images


def write_images(folder: Path, names: dict[str, np.ndarray]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, image in names.items():
        iio.imwrite(folder / name, image)
    return folder


@pytest.mark.parametrize(
    "name",
    ["p_x{x}y{y}.png", "p-{x}-{y}.bmp", "p_r{y:03d}_c{x:03d}.tif", "row{y}col{x}.tiff",
     "a_{x}_{y}.png", "y{y}_x{x}.png"],
)  # fmt: skip
def test_places_from_names(tmp_path, name):
    patterns = make_patterns(15 * 11, shape=(6, 7))
    images = {
        name.format(x=k % 15 + 1, y=k // 15 + 1): pattern for k, pattern in enumerate(patterns)
    }
    scan = scan_from_raw(pattern_folder.read(write_images(tmp_path / "p", images), None))
    assert scan.shape == (11, 15)
    np.testing.assert_array_equal(scan.patterns.compute().reshape(patterns.shape), patterns)
    assert any("file names" in w for w in scan.source.warnings)


def test_names_as_kikuchipy_reads_them(kp, tmp_path):
    patterns = make_patterns(6, shape=(6, 7))
    images = {f"p_x{k % 3}y{k // 3}.tif": pattern for k, pattern in enumerate(patterns)}
    folder = write_images(tmp_path / "p", images)
    expected = kp_data(kp, folder / "*.tif")
    scan = scan_from_raw(pattern_folder.read(folder, None))
    np.testing.assert_array_equal(scan.patterns.compute(), expected)


def test_holes_and_offsets_in_names(tmp_path):
    patterns = make_patterns(12, shape=(6, 7))
    images = {
        f"p_x{100 + 5 * (k % 4)}y{40 + 5 * (k // 4)}.png": pattern
        for k, pattern in enumerate(patterns)
        if k != 6
    }
    scan = scan_from_raw(pattern_folder.read(write_images(tmp_path / "p", images), None))
    assert scan.shape == (3, 4)
    assert not scan.is_measured[1, 2]
    np.testing.assert_array_equal(scan.patterns[2, 3].compute(), patterns[11])


def test_running_numbers(tmp_path):
    patterns = make_patterns(12, shape=(6, 7))
    images = {f"pattern {k}.png": pattern for k, pattern in enumerate(patterns)}
    folder = write_images(tmp_path / "p", images)
    assert pattern_folder.sniff(folder, b"")
    scan = scan_from_raw(pattern_folder.read(folder, None))
    assert scan.shape == (1, 12)
    np.testing.assert_array_equal(scan.patterns[0].compute(), patterns)


def test_one_image_and_colors(tmp_path):
    grey = make_patterns(1, shape=(6, 7))[0]
    iio.imwrite(tmp_path / "a.png", np.stack([grey] * 3, axis=-1))
    raw = pattern_folder.read(tmp_path / "a.png", None)
    scan = scan_from_raw(raw)
    assert scan.shape == (1, 1)
    np.testing.assert_array_equal(scan.patterns[0, 0].compute(), grey)


def test_images_that_cannot_be(tmp_path):
    images = {f"p_x{k}y0.png": p for k, p in enumerate(make_patterns(3, shape=(6, 7)))}
    folder = write_images(tmp_path / "p", images)
    iio.imwrite(folder / "p_x1y0.png", np.zeros((3, 3), np.uint8))
    scan = scan_from_raw(pattern_folder.read(folder, None))
    with pytest.raises(FileFormatError, match=r"p_x1y0\.png: the image has 3 x 3 pixels"):
        scan.patterns.compute()
    (folder / "p_x0y0.png").write_bytes(b"text")
    with pytest.raises(FileFormatError, match="cannot be decoded"):
        pattern_folder.read(folder, None)
    same = dict(zip(("a_1_2.png", "b_1_2.png"), images.values(), strict=False))
    write_images(tmp_path / "q", same)
    with pytest.raises(FileFormatError, match="claim the same point"):
        pattern_folder.read(tmp_path / "q", None)


def test_folders_that_are_not_patterns(tmp_path, folder):
    assert not pattern_folder.sniff(tmp_path, b"")
    assert not pattern_folder.sniff(folder / "nordif", b"")
    assert not pattern_folder.sniff(tmp_path / "absent", b"")


def test_real_images(shared):
    scan = scan_from_raw(pattern_folder.read(shared / "patterns" / "single", None))
    assert scan.patterns.shape == (1, 6, 460, 460)
    single = pattern_folder.read(shared / "patterns" / "single" / "Si_BAM.png", None)
    assert single.patterns.shape == (1, 600, 800)


# Maps beside patterns


def test_map_beside(tmp_path):
    pattern = tmp_path / "Scan.up1"
    pattern.write_bytes(b"0")
    assert map_beside(pattern) is None
    (tmp_path / "scan.CTF").write_text("x")
    assert map_beside(pattern) == tmp_path / "scan.CTF"
    (tmp_path / "scan.ang").write_text("x")
    (tmp_path / "other.ang").write_text("x")
    (tmp_path / "scan.h5").write_bytes(b"not hdf5")
    assert map_beside(pattern) == tmp_path / "scan.ang"
    oxford = tmp_path / "Scan.ebsp"
    oxford.write_bytes(b"0")
    assert map_beside(oxford) == tmp_path / "scan.CTF"
    images = tmp_path / "scan"
    images.mkdir()
    assert map_beside(images) == tmp_path / "scan.ang"


def test_map_beside_is_attached(tmp_path):
    from tests.io.writers_channel5 import Project, grains

    ebsdml = pytest.importorskip("napari_ebsdml")
    Project((3, 4), grains(3, 4)).write(tmp_path, "map")
    patterns = make_patterns(12)
    path = write_up(tmp_path / "map.up1", patterns)
    scan = ebsdml.read(path)
    assert scan.shape == (3, 4)
    assert scan.is_indexed.any()
    np.testing.assert_array_equal(scan.patterns[2, 1].compute(), patterns[9])


@pytest.mark.parametrize("suffix", [".oh5", ".edaxh5", ".h5"])
def test_edax_maps_beside_their_patterns(tmp_path, suffix):
    """EDAX's detector writes .up1 and its software the map, in a file of several scans."""
    truth = write_edax(tmp_path / f"scan{suffix}", patterns=False, scans=("area", "map"))
    patterns = make_patterns(30)
    scan = read(write_up(tmp_path / "scan.up1", patterns, version=1))
    assert scan.shape == (5, 6)
    assert scan.is_indexed.all()
    np.testing.assert_array_equal(scan.get("IQ").ravel(), truth["IQ"])
    np.testing.assert_array_equal(scan.patterns[3, 2].compute(), patterns[20])
    assert scan.source.warnings == (f"Orientations come from scan{suffix}.",)


def test_oxford_maps_beside_their_patterns(tmp_path):
    write_h5oina(tmp_path / "scan.h5oina", patterns=())
    patterns = make_patterns(20)
    places = [(0.25 * (k % 5), 0.25 * (k // 5)) for k in range(20)]
    for suffix in (".ebsp", ".uebsp"):
        path = write_ebsp(tmp_path / f"scan{suffix}", patterns, places, range(20))
        scan = read(path)
        assert scan.shape == (4, 5)
        assert scan.is_indexed.mean() > 0.8
        np.testing.assert_array_equal(scan.patterns[2, 1].compute(), patterns[11])


def test_a_map_that_does_not_fit_is_told_and_the_next_one_taken(tmp_path):
    (tmp_path / "scan.ang").write_text(ang_edax(make_points((3, 3))))
    write_edax(tmp_path / "scan.oh5", patterns=False)
    path = write_up(tmp_path / "scan.up1", make_patterns(30), version=1)
    assert "Orientations come from scan.oh5." in read(path).source.warnings
    (tmp_path / "scan.oh5").unlink()
    alone = read(path)
    assert alone.shape == (1, 30)
    assert any("scan.ang beside the patterns has 9 points" in w for w in alone.source.warnings)
    assert any("stand in one row" in w for w in alone.source.warnings)
