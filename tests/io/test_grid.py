"""Points to grid: right or refused, whatever the file says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_ebsdml.errors import GridError
from napari_ebsdml.io._grid import grid_from_coordinates, raster_grid

FILE = Path("map.ang")


def points(rows: int, columns: int, dy: float = 0.5, dx: float = 0.25):
    y, x = np.mgrid[:rows, :columns]
    return x.ravel() * dx, y.ravel() * dy


def hexagonal(rows: int, columns: int, dx: float = 0.2):
    """Rows alternate `columns` and `columns - 1` points, as EDAX writes them."""
    xs, ys = [], []
    for row in range(rows):
        odd = row % 2
        xs.append((np.arange(columns - odd) + 0.5 * odd) * dx)
        ys.append(np.full(columns - odd, row * dx * np.sqrt(0.75)))
    return np.round(np.concatenate(xs), 5), np.round(np.concatenate(ys), 5)


def test_a_complete_raster_is_taken_as_it_stands():
    x, y = points(4, 7)
    grid = grid_from_coordinates(FILE, x, y, shape=(4, 7), step=(0.5, 0.25))
    assert grid.shape == (4, 7)
    assert grid.step == (0.5, 0.25)
    assert grid.point_of_pixel is None
    assert grid.warnings == []


def test_coordinates_win_over_a_wrong_header():
    x, y = points(40, 35, 0.4, 0.4)
    grid = grid_from_coordinates(FILE, x, y, shape=(160, 140), step=(0.1, 0.1))
    assert grid.shape == (40, 35)
    assert grid.step == (0.4, 0.4)
    assert len(grid.warnings) == 3
    assert "0.1" in grid.warnings[0]
    assert "0.4" in grid.warnings[0]


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 12),
    columns=st.integers(1, 12),
    dx=st.floats(0.02, 50),
    ratio=st.floats(0.3, 3),
    seed=st.integers(0, 2**31),
    drop=st.floats(0, 0.4),
    shift=st.floats(-1e3, 1e3),
)
def test_points_in_any_order_with_holes_land_in_their_cells(
    rows, columns, dx, ratio, seed, drop, shift
):
    rng = np.random.default_rng(seed)
    dy = dx * ratio
    x, y = points(rows, columns, dy, dx)
    cell = np.arange(x.size)
    keep = rng.random(x.size) >= drop
    # Corners fix the extent; a row and a column stay whole so that the steps can be told.
    keep[:columns] = keep[::columns] = keep[-1] = True
    order = rng.permutation(np.flatnonzero(keep))
    grid = grid_from_coordinates(FILE, x[order] + shift, y[order] + shift, step=(dy, dx))
    assert grid.shape == (rows, columns)
    if rows > 1:
        assert grid.step[0] == pytest.approx(dy, rel=1e-4)
    if columns > 1:
        assert grid.step[1] == pytest.approx(dx, rel=1e-4)
    where = grid.point_of_pixel
    if where is None:
        where = np.arange(order.size).reshape(grid.shape)
    found = np.full(x.size, -1)
    found[order] = np.arange(order.size)
    np.testing.assert_array_equal(where.ravel(), np.where(keep[cell], found, -1))


def test_rounded_coordinates_are_placed_by_index():
    # Steps of 0.0743 um written with two decimals, as some instruments do.
    x, y = points(60, 80, 0.0743, 0.0743)
    order = np.random.default_rng(0).permutation(x.size)
    x, y = np.round(x, 2), np.round(y, 2)
    for at in (slice(None), order):
        grid = grid_from_coordinates(FILE, x[at], y[at], step=(0.0743, 0.0743))
        assert grid.shape == (60, 80)
        assert grid.step == pytest.approx((0.0743, 0.0743), rel=2e-3)


def test_a_header_step_that_divides_the_true_one_does_not_blow_up_the_grid():
    x, y = points(20, 30, 0.4, 0.4)
    order = np.random.default_rng(1).permutation(x.size)
    grid = grid_from_coordinates(FILE, x[order], y[order], step=(0.1, 0.1))
    assert grid.shape == (20, 30)


def test_scattered_points_are_refused():
    rng = np.random.default_rng(2)
    with pytest.raises(GridError, match=r"grid|no map"):
        grid_from_coordinates(FILE, rng.random(617) * 1000, rng.random(617) * 1000)


def test_a_sparse_grid_is_refused_and_not_allocated():
    x = np.array([0, 1, 1e5, 2e5]) * 1.0
    y = np.array([0, 1, 1e5, 2e5]) * 1.0
    with pytest.raises(GridError, match="no map"):
        grid_from_coordinates(FILE, x, y, step=(1, 1))


def test_coordinates_that_are_no_numbers_are_refused():
    x, y = points(3, 3)
    x[4] = np.nan
    with pytest.raises(GridError, match="1 of 9"):
        grid_from_coordinates(FILE, x, y)


def test_repeated_points_are_dropped_with_a_word():
    x, y = points(5, 5)
    x, y = np.append(x, x[7]), np.append(y, y[7])
    grid = grid_from_coordinates(FILE, x, y)
    assert grid.shape == (5, 5)
    assert grid.point_of_pixel[1, 2] == 7
    assert any("1 points repeat" in warning for warning in grid.warnings)


@pytest.mark.parametrize("shift_even_rows", [False, True])
def test_hexagonal_grid_becomes_square_pixels_without_repeats(shift_even_rows):
    x, y = hexagonal(21, 30)
    if shift_even_rows:
        y = y.max() - y + 0.0
        x, y = x[y > 0.1], y[y > 0.1]
    grid = grid_from_coordinates(FILE, x, y)
    assert grid.hexagonal_step == pytest.approx((0.2 * np.sqrt(0.75), 0.2), rel=1e-3)
    assert grid.step == (0.2, 0.2)
    # Short rows end half a step early; elsewhere no point is shown twice and no pixel is empty.
    inside = grid.point_of_pixel[:, 1:-1]
    assert inside.min() >= 0
    assert np.unique(inside).size == inside.size
    rows, columns = np.indices(grid.shape)
    distance = np.hypot(
        x[grid.point_of_pixel] - x.min() - columns * 0.2,
        y[grid.point_of_pixel] - y.min() - rows * 0.2,
    )[grid.point_of_pixel >= 0]
    # Half a step within the row, half a row distance across.
    assert distance.max() < np.hypot(0.1, 0.1 * np.sqrt(0.75)) + 2e-3
    assert any("hexagonal" in warning for warning in grid.warnings)


def test_a_square_grid_is_not_taken_for_a_hexagonal_one():
    x, y = points(12, 12, np.sqrt(0.75), 1.0)
    order = np.random.default_rng(3).permutation(x.size)
    assert grid_from_coordinates(FILE, x[order], y[order]).hexagonal_step is None


def test_raster_without_coordinates():
    assert raster_grid(FILE, 12, (3, 4), (1, 2)).point_of_pixel is None
    early = raster_grid(FILE, 10, (5, 4), (1, 1))
    assert early.shape == (3, 4)
    np.testing.assert_array_equal(early.point_of_pixel.ravel()[-3:], [9, -1, -1])
    assert "stopped early" in early.warnings[0]
    with pytest.raises(GridError, match="do not fit"):
        raster_grid(FILE, 13, (3, 4), (1, 1))
    with pytest.raises(GridError, match="no map size"):
        raster_grid(FILE, 13, None, (1, 1))


@pytest.mark.parametrize("by_row", [False, True])
@pytest.mark.parametrize("header", [(0.2, 0.2 * np.sqrt(0.75)), (0.2 * np.sqrt(0.75), 0.2)])
def test_staggered_columns_are_a_turned_hexagonal_grid(by_row, header):
    y, x = hexagonal(21, 30)
    if by_row:
        order = np.lexsort((x, y))
        x, y = x[order], y[order]
    grid = grid_from_coordinates(FILE, x, y, step=header, hexagonal=True)
    other = grid_from_coordinates(FILE, y, x)
    assert grid.hexagonal_step == pytest.approx((0.2, 0.2 * np.sqrt(0.75)), rel=1e-3)
    np.testing.assert_array_equal(grid.point_of_pixel, other.point_of_pixel.T)
    assert grid.point_of_pixel[1:-1].min() >= 0
    assert len(grid.warnings) == 1
    assert "columns" in grid.warnings[0]
