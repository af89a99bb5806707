"""OpenXY's files of patterns and .ang columns, and HDF5 files that no reader knows."""

from __future__ import annotations

import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
from orix.quaternion import Rotation

from napari_ebsdml.errors import FileFormatError, UnsupportedFormatError
from napari_ebsdml.io import read
from napari_ebsdml.io.frames import FRAMES, multiply

ROWS, COLUMNS = 4, 6


def made(path: Path, chunks: tuple[int, ...] | None = None) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    y, x = np.indices((ROWS, COLUMNS)) * 0.1
    ang = np.zeros((ROWS, COLUMNS, 10))
    ang[..., :3] = rng.uniform(0, (6.28, 3.14, 6.28), (ROWS, COLUMNS, 3))
    ang[..., 3], ang[..., 4] = x, y
    ang[..., 5] = rng.uniform(10, 90, (ROWS, COLUMNS))
    ang[..., 6], ang[..., 9] = 0.7, 1.1
    ang[1, 2, :3], ang[1, 2, 6], ang[1, 2, 9] = 4 * np.pi, -1, 180
    patterns = rng.integers(0, 255, (ROWS, COLUMNS, 5, 7), dtype=np.uint8)
    with h5py.File(path, "w") as file:
        file["ang"] = ang
        file.create_dataset("patterns", data=patterns, chunks=chunks)
    return ang, patterns


@pytest.mark.parametrize("chunks", [None, (2, 3, 5, 7)])
def test_read_as_written(tmp_path, chunks):
    ang, patterns = made(tmp_path / "map.h5", chunks)
    scan = read(tmp_path / "map.h5")
    assert (scan.source.format, scan.shape, scan.step) == ("openxy", (ROWS, COLUMNS), (0.1, 0.1))
    assert list(zip(*np.nonzero(~scan.is_indexed), strict=True)) == [(1, 2)]
    expected = multiply(
        Rotation.from_euler(ang[..., :3].reshape(-1, 3)).data,
        np.array(FRAMES["edax"].specimen_turn),
    ).reshape(ROWS, COLUMNS, 4)
    at = scan.is_indexed
    np.testing.assert_allclose(np.abs((scan.quaternions * expected).sum(-1))[at], 1, atol=1e-12)
    np.testing.assert_array_equal(scan.get("IQ"), ang[..., 5])
    np.testing.assert_array_equal(scan.patterns.compute(), patterns)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(scan.patterns))[3, 1], patterns[3, 1])


def test_parts_that_do_not_fit_are_named(tmp_path):
    path = tmp_path / "map.h5"
    _, patterns = made(path)
    with h5py.File(path, "r+") as file:
        del file["patterns"]
        file["patterns"] = patterns[:3]
    with pytest.raises(FileFormatError, match=r"/patterns: it has 18 patterns; the map has 24"):
        read(path)
    with h5py.File(path, "r+") as file:
        del file["ang"]
        file["ang"] = np.zeros((4, 6, 3))
    with pytest.raises(FileFormatError, match=r"/ang: its shape is \(4, 6, 3\)"):
        read(path)


def test_an_unknown_layout_says_what_is_inside(tmp_path):
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as file:
        file["run/orientations"] = np.zeros((30, 40, 3), "f4")
        file["run/scale"] = 0.5
        for k in range(20):
            file[f"more/{k}"] = [1]
    with pytest.raises(UnsupportedFormatError) as caught:
        read(path)
    text = str(caught.value)
    assert "more/0 (1, int64)" in text
    assert "and more" in text
    with h5py.File(path, "r+") as file:
        del file["more"]
    with pytest.raises(UnsupportedFormatError, match=r"run/orientations \(30 x 40 x 3, float32\)"):
        read(path)


def test_real_patterns(shared):
    scan = read(shared / "patterns" / "dual_phase_steel_rows00-14.h5")
    assert (scan.shape, scan.step) == ((15, 29), (0.1, 0.1))
    assert scan.patterns.shape == (15, 29, 60, 60)
    whole = read(shared / "patterns" / "dual_phase_steel.ang")
    dots = np.abs((scan.quaternions * whole.quaternions[:15]).sum(-1))
    assert np.median(dots) > 1 - 1e-9
