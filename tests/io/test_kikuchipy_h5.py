"""kikuchipy HDF5, compared with kikuchipy's own reader."""

from __future__ import annotations

import gc
import pickle
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_ebsdml.errors import EbsdmlError, FileFormatError
from napari_ebsdml.io._assemble import scan_from_raw
from napari_ebsdml.io.frames import FRAMES, multiply
from napari_ebsdml.io.kikuchipy_h5 import FORMAT, read, scans, sniff


@pytest.fixture(scope="module")
def original(kp) -> Path:
    return Path(kp.__file__).parent / "data" / "kikuchipy_h5ebsd" / "patterns.h5"


@pytest.fixture
def copy(original, tmp_path) -> Path:
    return Path(shutil.copyfile(original, tmp_path / "patterns.h5"))


def test_equals_kikuchipy(kp, original):
    signal = kp.load(original, lazy=False)
    raw = read(original, None)
    scan = scan_from_raw(raw)
    assert scan.shape == (3, 3)
    assert scan.step == (1.5, 1.5)
    np.testing.assert_array_equal(scan.patterns.compute(), signal.data)
    edax = np.array(FRAMES["edax"].specimen_turn)
    expected = multiply(signal.xmap.rotations.data, edax)
    overlap = np.abs((expected * scan.quaternions.reshape(-1, 4)).sum(-1))
    np.testing.assert_allclose(overlap, 1, atol=1e-12)
    np.testing.assert_array_equal(scan.get("scores").ravel(), signal.xmap.prop["scores"])
    detector = scan.detector
    np.testing.assert_allclose(detector.pc, signal.detector.pc)
    assert detector.navigation_shape == (3, 3)
    assert detector.sample_tilt == signal.detector.sample_tilt
    assert scan.phases[0].space_group.number == 225
    assert scan.source.header["beam_energy"] == 20


def test_patterns_stay_lazy_and_valid(copy):
    raw = read(copy, None)
    patterns = scan_from_raw(raw).patterns
    del raw
    gc.collect()
    # No file stays open: it can be written again, and the array can travel.
    with h5py.File(copy, "r+") as file:
        file["Scan 1/EBSD/Data/patterns"][4] = 7
    assert (patterns[1, 1].compute() == 7).all()
    assert (pickle.loads(pickle.dumps(patterns))[1, 1].compute() == 7).all()
    copy.unlink()
    with pytest.raises(FileFormatError, match="patterns could not be read"):
        patterns[0, 0].compute()


def test_scans_by_name(copy):
    assert scans(copy) == ["Scan 1", "Scan 2"]
    assert read(copy, "Scan 2").scan_name == "Scan 2"
    assert FORMAT.scans is scans


def test_placeholder_map_gives_patterns_only(kp, original, tmp_path):
    signal = kp.load(original, lazy=False)
    signal.xmap = signal.xmap.__class__.empty(shape=(3, 3), step_sizes=(1.5, 1.5))
    path = tmp_path / "plain.h5"
    signal.save(str(path))
    raw = read(path, None)
    assert raw.euler is None
    assert raw.phase is None
    scan = scan_from_raw(raw)
    assert scan.shape == (3, 3)
    assert not scan.is_indexed.any()
    assert scan.patterns.shape == (3, 3, 60, 60)
    assert scan.step == (1.5, 1.5)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("EBSD/Data/patterns", "patterns: the dataset is missing"),
        ("EBSD/Header/n_rows", "n_rows: the dataset is missing"),
        ("EBSD/Header", "Header: the group is missing"),
        ("EBSD/CrystalMap/crystal_map/data/phi1", "phi1: the dataset is missing"),
    ],
)
def test_missing_parts_are_named(copy, name, said):
    with h5py.File(copy, "r+") as file:
        del file["Scan 1"][name]
    with pytest.raises(FileFormatError, match=said):
        read(copy, "Scan 1")


def test_patterns_that_do_not_fill_the_map(copy):
    with h5py.File(copy, "r+") as file:
        file["Scan 1/EBSD/Header/n_rows"][...] = 4
    with pytest.raises(FileFormatError, match="9 patterns do not fill 4 x 3 points"):
        read(copy, None)


def test_sniff(original, tmp_path):
    assert sniff(original, original.read_bytes()[:4096])
    other = tmp_path / "a.h5"
    with h5py.File(other, "w") as file:
        file["manufacturer"] = "orix"
    assert not sniff(other, other.read_bytes()[:4096])


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(share=st.floats(0, 0.999))
def test_cut_files_give_one_error(original, tmp_path_factory, share):
    path = tmp_path_factory.mktemp("cut") / "a.h5"
    content = original.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(EbsdmlError) as caught:
        scan_from_raw(read(path, None))
    assert str(path) in str(caught.value)


def test_kikuchipys_default_centre_is_not_told(copy):
    with h5py.File(copy, "r+") as file:
        header = file["Scan 1/EBSD/Header"]
        for name in ("pcx", "pcy", "pcz"):
            header[name][...] = 0.5
    scan = scan_from_raw(read(copy, None))
    assert scan.camera.sample_tilt == 70
    assert not scan.camera.tells_centre
    assert scan.detector is None
