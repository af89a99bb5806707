"""Background, averaging and grey levels of single patterns, against kikuchipy and NumPy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest

import napari_ebsdml as ebsdml
from napari_ebsdml import Cancelled, FileFormatError, InputError, MissingDataError, Scan
from napari_ebsdml._napari.pattern_viewer.processing import (
    Processing,
    background_of,
    grey_levels,
    load_pattern,
    mean_pattern,
    process,
)
from napari_ebsdml._napari.pattern_viewer.virtual import VirtualSettings, rgb_of, virtual_images
from napari_ebsdml.io.static_background import static_background
from napari_ebsdml.maps import virtual_backscatter, virtual_backscatter_grid
from napari_ebsdml.samples import fetch

MakeScan = Callable[..., Scan]


@pytest.fixture(scope="module")
def nickel() -> Scan:
    return ebsdml.read(fetch("nickel_patterns"))


@pytest.fixture(scope="module")
def signal() -> Any:
    """The same nine patterns by kikuchipy, in float32."""
    import kikuchipy as kp

    signal = kp.data.nickel_ebsd_small()
    signal.change_dtype("float32")
    return signal


@pytest.fixture
def scan(make_scan: MakeScan) -> Scan:
    """A map of 6 x 8 noisy patterns of 10 x 12 pixels."""
    rng = np.random.default_rng(1)
    patterns = rng.integers(0, 200, (6, 8, 10, 12)).astype(np.uint8)
    return make_scan(patterns=da.from_array(patterns, chunks=(2, 8, 10, 12)))


@pytest.mark.long
def test_corrections_are_those_of_kikuchipy(nickel: Scan, signal: Any) -> None:
    corrected = {
        "static": signal.remove_static_background(inplace=False, show_progressbar=False),
        "dynamic": signal.remove_dynamic_background(inplace=False, show_progressbar=False),
    }
    both = corrected["static"].remove_dynamic_background(inplace=False, show_progressbar=False)
    corrected["both"] = both
    for row, column in ((0, 0), (1, 2), (2, 1)):
        pattern = load_pattern(nickel, row, column)
        np.testing.assert_array_equal(pattern.raw, signal.data[row, column])
        for name, wanted in (
            ("static", Processing(static=True)),
            ("dynamic", Processing(dynamic=True)),
            ("both", Processing(static=True, dynamic=True)),
        ):
            done = process(pattern, wanted)
            np.testing.assert_allclose(
                done.image, corrected[name].data[row, column], atol=1e-4, err_msg=name
            )
            assert done.processing == wanted
            assert done.background == ("file" if wanted.static else "")
    # Nothing was done to the pattern itself.
    np.testing.assert_array_equal(pattern.raw, signal.data[2, 1])


def test_static_background_of_files(nickel: Scan, signal: Any, shared: Path) -> None:
    np.testing.assert_array_equal(static_background(nickel), signal.static_background)
    bruker = ebsdml.read(shared / "patterns" / "bruker_layout_ni.h5")
    np.testing.assert_array_equal(static_background(bruker), signal.static_background)


def test_static_background_of_nordif(signal: Any) -> None:
    # kikuchipy installs the same nine patterns in this format too.
    scan = ebsdml.read(fetch("nickel_patterns").parents[1] / "nordif" / "Pattern.dat")
    np.testing.assert_array_equal(static_background(scan), signal.static_background)


def test_scans_without_a_background_use_the_mean(
    make_scan: MakeScan, tmp_path: Path, scan: Scan
) -> None:
    assert static_background(make_scan()) is None
    assert static_background(scan) is None  # steel.ang does not exist
    broken = tmp_path / "broken.h5"
    broken.write_bytes(b"\x89HDF\r\n\x1a\n and nothing else")
    assert static_background(make_scan(path=broken, patterns=scan.patterns)) is None
    background = background_of(scan)
    assert background.origin == "mean"
    np.testing.assert_allclose(background.image, scan.patterns.mean(axis=(0, 1)), rtol=1e-5)
    assert background_of(scan) is background


def test_mean_leaves_out_what_was_not_measured(make_scan: MakeScan, scan: Scan) -> None:
    measured = np.zeros(scan.shape, dtype=bool)
    measured[2:4, 3] = True
    part = make_scan(patterns=scan.patterns, is_measured=measured)
    np.testing.assert_allclose(
        mean_pattern(part), np.asarray(scan.patterns[2:4, 3]).mean(axis=0), rtol=1e-5
    )


def test_mean_of_a_large_file_reads_a_part_and_can_be_cancelled(
    make_scan: MakeScan, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_ebsdml._napari.pattern_viewer import processing as pattern_processing

    monkeypatch.setattr(pattern_processing, "_MEAN_BYTES", 32 * 1000)
    patterns = np.random.default_rng(0).normal(100, 5, (40, 60, 10, 12)).astype(np.float32)
    read: list[int] = []

    def note(block: Any) -> Any:
        read.append(block.size)
        return block

    blocks = da.from_array(patterns, chunks=(1, 10, 10, 12)).map_blocks(note, dtype=np.float32)
    scan = make_scan(shape=(40, 60), patterns=blocks)
    read.clear()
    fractions: list[float] = []
    mean = mean_pattern(scan, fractions.append)
    assert sum(read) < patterns.size / 4
    assert fractions[-1] == 1
    assert np.abs(mean - 100).max() < 5

    def cancel(fraction: float) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        background_of(scan, cancel)
    assert background_of(scan).origin == "mean"


def test_average_of_neighbours(make_scan: MakeScan, scan: Scan) -> None:
    values = np.asarray(scan.patterns)
    inner = load_pattern(scan, 2, 3, average=True)
    assert (inner.averaged, inner.processing) == (9, Processing(average=True))
    expected = values[1:4, 2:5].reshape(9, 10, 12).mean(axis=0)
    np.testing.assert_allclose(inner.image, expected, rtol=1e-6)
    corner = load_pattern(scan, 5, 7, average=True)
    assert corner.averaged == 4
    np.testing.assert_allclose(corner.raw, values[4:, 6:].mean(axis=(0, 1)), rtol=1e-6)

    measured = np.ones(scan.shape, dtype=bool)
    measured[1, 2] = False
    part = make_scan(patterns=scan.patterns, is_measured=measured)
    left = load_pattern(part, 2, 3, average=True)
    assert left.averaged == 8
    np.testing.assert_allclose(left.raw, (expected * 9 - values[1, 2]) / 8, rtol=1e-5)
    with pytest.raises(MissingDataError, match="row 1, column 2"):
        load_pattern(part, 1, 2)


def test_patterns_without_contrast_do_not_end_in_noise(make_scan: MakeScan) -> None:
    flat = make_scan(patterns=da.full((6, 8, 10, 12), 7, dtype=np.uint8))
    done = process(load_pattern(flat, 1, 1), Processing(static=True, dynamic=True))
    assert np.ptp(done.image) == 0
    assert set(np.unique(grey_levels(done.image))) == {127}
    # All patterns of the map alike: the mean takes everything.
    one = np.arange(120, dtype=np.float32).reshape(10, 12)
    alike = make_scan(patterns=da.from_array(np.broadcast_to(one, (6, 8, 10, 12)).copy()))
    done = process(load_pattern(alike, 1, 1), Processing(static=True))
    assert np.isfinite(done.image).all()


def test_a_file_that_is_gone_is_one_clear_error(make_scan: MakeScan) -> None:
    def vanish(block: Any) -> Any:
        raise OSError("No such file or directory")

    zeros = da.zeros((6, 8, 10, 12), dtype=np.uint8)
    lost = zeros.map_blocks(vanish, dtype=np.uint8, meta=np.empty((0,) * 4, np.uint8))
    with pytest.raises(FileFormatError, match=r"steel\.ang: patterns could not be read: No such"):
        load_pattern(make_scan(patterns=lost), 0, 0)


def test_grey_levels() -> None:
    ramp = np.arange(1001, dtype=np.uint16).reshape(7, 143)
    levels = grey_levels(ramp)
    assert (levels.min(), levels.max(), levels.dtype) == (0, 255, np.uint8)
    np.testing.assert_array_equal(levels, np.rint(ramp * (255 / 1000)))
    clipped = grey_levels(ramp, clip=10)
    # A tenth at each end, and the one or two next to it that are rounded.
    assert 100 <= (clipped == 0).sum() <= 103
    assert 100 <= (clipped == 255).sum() <= 103
    assert grey_levels(ramp, gamma=0.5).mean() > levels.mean() > grey_levels(ramp, gamma=2).mean()
    assert set(np.unique(grey_levels(np.full((3, 3), np.nan)))) == {0}


def test_virtual_images_are_those_of_kikuchipy(nickel: Scan, signal: Any) -> None:
    import kikuchipy as kp

    imager = kp.imaging.VirtualBSEImager(signal)
    imager.grid_shape = (5, 5)
    theirs = imager.get_images_from_grid().data.reshape(5, 5, 3, 3)
    ours = virtual_backscatter_grid(nickel, (5, 5))
    # kikuchipy adds grey levels up; a cell has 12 x 12 of them.
    np.testing.assert_allclose(ours, theirs / 144, rtol=1e-5)
    np.testing.assert_allclose(
        virtual_backscatter(nickel, (12, 24, 36, 48)), theirs[1, 3] / 144, rtol=1e-5
    )
    images = virtual_images(nickel, VirtualSettings("grid", 5, 5))
    assert [image.visible for image in images].index(True) == 12
    np.testing.assert_array_equal(images[7].data, ours[1, 2])
    assert images[7].quantity == "virtual backscatter, cell 2,3 of 5 × 5"


def test_virtual_images_of_real_steel_show_its_grains(shared: Path, make_scan: MakeScan) -> None:
    import h5py

    with h5py.File(shared / "patterns" / "dual_phase_steel_rows00-14.h5") as file:
        patterns = file["patterns"][:]
    lazy = da.from_array(patterns, chunks=(4, 9, 60, 60))
    scan = make_scan(shape=patterns.shape[:2], patterns=lazy)
    (image,) = virtual_images(scan, VirtualSettings("across"))
    assert image.kind == "rgb"
    assert image.data.shape == (15, 29, 3)
    red = patterns[..., :20].mean(axis=(2, 3))
    order = np.argsort(red, axis=None)
    # Stretching keeps the order of grey levels.
    assert (np.diff(image.data[..., 0].reshape(-1)[order]) >= -1e-6).all()
    (one,) = virtual_images(scan, VirtualSettings("region"), region=(5, 17, 40, 51))
    np.testing.assert_allclose(one.data, patterns[:, :, 5:17, 40:51].mean(axis=(2, 3)), rtol=1e-5)
    assert one.quantity == "virtual backscatter, detector rows 5–16, columns 40–50"
    with pytest.raises(InputError, match="Draw a region first"):
        virtual_images(scan, VirtualSettings("region"))


def test_virtual_rgb_is_transparent_where_nothing_was_measured(
    make_scan: MakeScan, scan: Scan
) -> None:
    measured = np.ones(scan.shape, dtype=bool)
    measured[3, 4] = False
    part = make_scan(patterns=scan.patterns, is_measured=measured)
    colors = rgb_of(part, np.random.default_rng(0).random((3, 6, 8)).astype(np.float32))
    assert np.isnan(colors[3, 4]).all()
    assert np.isfinite(colors[measured]).all()


def test_virtual_images_stream(make_scan: MakeScan) -> None:
    """Bands of rows are read one after the other, never the whole stack at once."""
    read = 0

    def block(levels: Any) -> Any:
        nonlocal read
        read += len(levels)
        return np.broadcast_to(levels, (len(levels), 40, 64, 64)).copy()

    rows = da.arange(400, dtype=np.float32, chunks=10)[:, None, None, None]
    patterns = rows.map_blocks(
        block, dtype=np.float32, chunks=(rows.chunks[0], (40,), (64,), (64,)),
        meta=np.empty((0,) * 4, np.float32),
    )  # fmt: skip
    scan = make_scan(shape=(400, 40), patterns=patterns)
    bands: list[int] = []
    images = virtual_backscatter_grid(scan, (1, 3), lambda fraction: bands.append(read))
    np.testing.assert_array_equal(images[0, 1, :, 7], np.arange(400))
    # The stack has 262 MB, a band at most 64 MB (102 rows) and what its blocks hold beyond it.
    assert np.diff([0, *bands]).max() <= 120
    assert bands[-1] >= 400
