"""EMsoft HDF5: dot-product files, simulated patterns, master patterns."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest
from orix import io as orix_io

from napari_ebsdml.errors import FileFormatError, UnsupportedFormatError
from napari_ebsdml.io._assemble import scan_from_raw
from napari_ebsdml.io.emsoft_h5 import read, sniff
from napari_ebsdml.io.frames import FRAMES, multiply
from tests.io.writers_hdf5 import EMSOFT_SHAPE, write_emsoft

ROWS, COLUMNS = EMSOFT_SHAPE


@pytest.fixture(scope="module")
def data_folder(kp) -> Path:
    return Path(kp.__file__).parent / "data"


@pytest.mark.parametrize("refined", [False, True])
def test_dot_products_equal_orix(tmp_path, refined):
    from orix.io.plugins.emsoft_h5ebsd import file_reader

    path = write_emsoft(tmp_path / "dp.h5", refined=refined)
    assert sniff(path, path.read_bytes()[:4096])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        xmap = file_reader(str(path), refined=refined)
    scan = scan_from_raw(read(path, None))
    assert scan.shape == xmap.shape == (ROWS, COLUMNS)
    assert scan.step == (1.5, 1.5)
    rotations = xmap.rotations.data.reshape(ROWS * COLUMNS, -1, 4)[:, 0]
    expected = multiply(rotations, np.array(FRAMES["edax"].specimen_turn))
    overlap = np.abs((expected * scan.quaternions.reshape(-1, 4)).sum(-1))
    np.testing.assert_allclose(overlap, 1, atol=1e-9)
    assert scan.phases[1].name == "ni"
    assert scan.phases[1].point_group.name == "m-3m"
    np.testing.assert_array_equal(scan.get("CI").ravel(), xmap.prop["CI"])
    assert "AvDotProductMap" in scan.prop


def test_through_the_registry(tmp_path):
    from napari_ebsdml.io import sniff as which

    assert which(write_emsoft(tmp_path / "dp.h5")).name == "emsoft"


def test_simulated_patterns_equal_kikuchipy(kp, data_folder):
    path = data_folder / "emsoft_ebsd" / "EBSD_TEST_Ni.h5"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        signal = kp.load(path)
    scan = scan_from_raw(read(path, None))
    assert scan.shape == (1, 1)
    np.testing.assert_array_equal(scan.patterns[0, 0].compute(), np.squeeze(signal.data))
    expected = multiply(signal.xmap.rotations.data, np.array(FRAMES["edax"].specimen_turn))
    assert abs((expected[0] * scan.quaternions[0, 0]).sum()) == pytest.approx(1)
    assert scan.phases[1].space_group.number == 225
    assert scan.phases[1].structure.lattice.a == pytest.approx(3.5236, abs=1e-3)
    assert scan.phases[1].structure[0].element == "Ni"
    np.testing.assert_allclose(scan.detector.pc, signal.detector.pc)


@pytest.mark.parametrize("name", ["master_patterns.h5", "ni_mc_mp_20kv_uint8_gzip_opts9.h5"])
def test_master_patterns_are_refused(data_folder, name):
    path = data_folder / "emsoft_ebsd_master_pattern" / name
    assert sniff(path, path.read_bytes()[:4096])
    with pytest.raises(UnsupportedFormatError, match="master pattern"):
        read(path, None)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Data/TopMatchIndices", "TopMatchIndices: the dataset is missing"),
        ("Header/nRows", "nRows: the dataset is missing"),
        ("Header/Phase", "Phase/1: the group is missing"),
        ("Data", "neither indexing results"),
    ],
)
def test_missing_parts_are_named(tmp_path, name, said):
    path = write_emsoft(tmp_path / "dp.h5")
    with h5py.File(path, "r+") as file:
        del file["Scan 1/EBSD"][name]
    with pytest.raises(FileFormatError, match=said):
        read(path, None)


def test_matches_outside_the_dictionary(tmp_path):
    path = write_emsoft(tmp_path / "dp.h5")
    with h5py.File(path, "r+") as file:
        file["Scan 1/EBSD/Data/TopMatchIndices"][3, 0] = 0
    with pytest.raises(FileFormatError, match="matches run from 0"):
        read(path, None)


def test_fewer_angles_than_patterns(data_folder, tmp_path):
    path = Path(
        shutil.copyfile(data_folder / "emsoft_ebsd" / "simulated_ebsd.h5", tmp_path / "a.h5")
    )
    with h5py.File(path, "r+") as file:
        del file["EMData/EBSD/EulerAngles"]
        file["EMData/EBSD/EulerAngles"] = np.zeros((3, 3))
    with pytest.raises(FileFormatError, match="does not fit 10 patterns"):
        read(path, None)


def test_orix_cannot_be_confused(tmp_path):
    """A file of orix is no file of EMsoft."""
    from orix.crystal_map import CrystalMap

    path = tmp_path / "a.h5"
    orix_io.save(str(path), CrystalMap.empty((2, 2)), overwrite=True)
    assert not sniff(path, path.read_bytes()[:4096])
