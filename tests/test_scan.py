"""The data type itself."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from orix.crystal_map import Phase, PhaseList
from orix.quaternion import Rotation

from napari_ebsdml import InputError, MissingDataError, Scan
from napari_ebsdml.camera import Camera
from napari_ebsdml.io import from_xmap


def make_scan(rows: int = 6, columns: int = 8, **changes) -> Scan:
    phase_id = np.zeros((rows, columns), dtype=int)
    phase_id[1, 2] = -1
    quaternions = Rotation.random((rows, columns)).data
    quaternions[1, 2] = 0
    fields = {
        "quaternions": quaternions,
        "phase_id": phase_id,
        "phases": PhaseList({0: Phase("nickel", space_group=225)}),
        "step": (0.5, 0.25),
        "prop": {"BC": np.arange(rows * columns).reshape(rows, columns)},
    }
    return Scan(**(fields | changes))


def test_members():
    scan = make_scan()
    assert scan.shape == (6, 8)
    assert scan.is_indexed.sum() == 47
    assert scan.name == "scan"
    assert "97.9 % indexed" in repr(scan)
    assert scan.detector is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"quaternions": np.zeros((6, 8, 3))}, "quaternions"),
        ({"step": (0, 1)}, "step"),
        ({"step": (np.nan, 1)}, "step"),
        ({"prop": {"IQ": np.zeros((8, 6))}}, "IQ"),
        ({"phase_id": np.full((6, 8), 3)}, r"\[3\]"),
        ({"phase_id": np.zeros((0, 8), int), "quaternions": np.zeros((0, 8, 4))}, "one pixel"),
        ({"is_measured": np.ones((2, 2), bool)}, "is_measured"),
        ({"patterns": np.zeros((6, 7, 4, 4))}, "patterns"),
    ],
)
def test_what_does_not_fit_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        make_scan(**changes)


def test_properties_by_any_case():
    scan = make_scan()
    assert scan.get("bc") is scan.prop["BC"]
    with pytest.raises(MissingDataError, match="BC"):
        scan.get("IQ")


def test_crop_keeps_step_and_thinning_doubles_it():
    scan = make_scan()
    part = scan.crop(slice(1, 4), slice(2, None))
    assert part.shape == (3, 6)
    assert part.step == scan.step
    assert part.prop["BC"][0, 0] == scan.prop["BC"][1, 2]
    thin = scan.crop(slice(None, None, 2), slice(None, None, 2))
    assert thin.shape == (3, 4)
    assert thin.step == (1.0, 0.5)


def test_crop_takes_the_pattern_centres_along():
    import dask.array as da

    pc = np.random.default_rng(0).random((6, 8, 3))
    scan = make_scan(patterns=da.zeros((6, 8, 4, 4)), camera=Camera(shape=(4, 4), pc=pc))
    part = scan.crop(slice(2, 5))
    np.testing.assert_allclose(part.detector.pc, pc[2:5])
    assert part.patterns.shape == (3, 8, 4, 4)


@pytest.mark.parametrize("pc", [(0.5, 0.3, 0.6), np.full((6, 8, 3), 0.4), None])
def test_a_cropped_scan_can_be_pickled(pc):
    import dask.array as da

    scan = make_scan(patterns=da.zeros((6, 8, 4, 4)), camera=Camera(shape=(4, 4), pc=pc))
    for part in (scan, scan.crop(slice(2, 5)), scan.crop(slice(2, 5)).crop(slice(0, 2))):
        # What is made at first use does not go along.
        assert part.xmap.size == part.phase_id.size
        back = pickle.loads(pickle.dumps(part))
        assert back.camera == part.camera
        assert back.camera.tells_centre == (pc is not None)
        assert back.shape == part.shape
        assert "xmap" not in vars(back)
        np.testing.assert_array_equal(back.quaternions, part.quaternions)
        if pc is None:
            assert back.detector is None
        else:
            np.testing.assert_allclose(back.detector.pc, part.detector.pc)


def test_a_camera_that_does_not_fit_is_refused():
    pc = np.full((5, 8, 3), 0.4)
    with pytest.raises(InputError, match="pattern centres"):
        make_scan(camera=Camera(shape=(4, 4), pc=pc))
    with pytest.raises(InputError, match="not str"):
        make_scan(camera="camera")


def test_a_kikuchipy_detector_becomes_a_camera():
    from kikuchipy.detectors import EBSDDetector

    pc = np.random.default_rng(0).uniform(0.3, 0.6, (48, 3))
    scan = make_scan(camera=EBSDDetector(shape=(4, 4), pc=pc, tilt=5))
    assert isinstance(scan.camera, Camera)
    assert scan.camera.tilt == 5
    np.testing.assert_allclose(scan.crop(slice(1, 2)).detector.pc, pc.reshape(6, 8, 3)[1:2])
    # kikuchipy's own default is nobody's calibration.
    assert not make_scan(camera=EBSDDetector(shape=(4, 4))).camera.tells_centre


def test_with_property():
    scan = make_scan()
    more = scan.with_property("KAM", np.ones((6, 8)))
    assert list(more.prop) == ["BC", "KAM"]
    assert list(scan.prop) == ["BC"]
    flags = more.with_property("bc", np.zeros((6, 8), bool))
    assert list(flags.prop) == ["bc", "KAM"]
    assert flags.get("BC").dtype == bool
    np.testing.assert_array_equal(flags.quaternions, scan.quaternions)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        (None, np.ones((6, 8))),
        (3, np.ones((6, 8))),
        ("", np.ones((6, 8))),
        ("  ", np.ones((6, 8))),
        ("a\nb", np.ones((6, 8))),
        ("a" * 101, np.ones((6, 8))),
        ("a", np.ones((8, 6))),
        ("a", 1.0),
        ("a", None),
        ("a", np.full((6, 8), "text")),
        ("a", np.full((6, 8), None)),
        ("a", np.ones((6, 8), complex)),
    ],
)
def test_odd_properties_are_refused(name, values):
    with pytest.raises(InputError):
        make_scan().with_property(name, values)


def test_properties_are_numbers():
    with pytest.raises(InputError, match="BC"):
        make_scan(prop={"BC": np.full((6, 8), "text")})


def test_without_masks_pixels():
    scan = make_scan()
    masked = scan.without(scan.get("BC") < 5)
    assert masked.is_indexed.sum() == 42
    assert (masked.quaternions[0, :5] == 0).all()
    assert scan.is_indexed[0, 0]
    with pytest.raises(InputError, match="mask"):
        scan.without(np.zeros((2, 2), bool))


def test_from_xmap_is_the_inverse_of_xmap():
    scan = make_scan()
    back = from_xmap(scan.xmap)
    assert back.step == scan.step
    np.testing.assert_array_equal(back.phase_id, scan.phase_id)
    np.testing.assert_allclose(
        np.abs((back.quaternions * scan.quaternions).sum(-1))[scan.is_indexed], 1, atol=1e-12
    )
    assert (back.quaternions[1, 2] == 0).all()
