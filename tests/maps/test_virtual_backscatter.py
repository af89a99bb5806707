from __future__ import annotations

import dask.array as da
import numpy as np
import pytest

from napari_ebsdml.errors import Cancelled, InputError, MissingDataError
from napari_ebsdml.maps import virtual_backscatter, virtual_backscatter_grid


@pytest.fixture
def scan(make, rng):
    patterns = rng.integers(0, 256, size=(4, 5, 12, 15), dtype=np.uint8)
    return make(np.ones((4, 5, 4)) / 2, patterns=da.from_array(patterns, chunks=(2, 3, 12, 15)))


def test_whole_detector_and_region(scan):
    values = np.asarray(scan.patterns).astype(float)
    np.testing.assert_allclose(virtual_backscatter(scan), values.mean(axis=(2, 3)), rtol=1e-6)
    part = virtual_backscatter(scan, (2, 5, 0, 15))
    np.testing.assert_allclose(part, values[:, :, 2:5].mean(axis=(2, 3)), rtol=1e-6)


def test_grid_of_cells(scan):
    values = np.asarray(scan.patterns).astype(float)
    grid = virtual_backscatter_grid(scan, (5, 3))
    assert grid.shape == (5, 3, 4, 5)
    # 12 detector rows in five cells: 0-2, 2-4, 4-7, 7-9, 9-12.
    np.testing.assert_allclose(grid[2, 1], values[:, :, 4:7, 5:10].mean(axis=(2, 3)), rtol=1e-6)
    one = virtual_backscatter_grid(scan, (1, 1))[0, 0]
    np.testing.assert_allclose(one, virtual_backscatter(scan), rtol=1e-6)


def test_errors(scan, make):
    with pytest.raises(MissingDataError, match="no patterns"):
        virtual_backscatter(make(np.ones((1, 1, 4)) / 2))
    for region in ((0, 13, 0, 5), (3, 3, 0, 5), (-1, 3, 0, 5), (0, 3), "all"):
        with pytest.raises(InputError, match="region"):
            virtual_backscatter(scan, region)
    for grid in ((13, 1), (0, 1), 5):
        with pytest.raises(InputError, match="grid"):
            virtual_backscatter_grid(scan, grid)

    def stop(fraction: float) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        virtual_backscatter(scan, progress=stop)
