"""The data type itself."""

from __future__ import annotations

import numpy as np
import pytest
from orix.crystal_map import Phase, PhaseList
from orix.quaternion import Rotation

from napari_ebsdml import InputError, MissingDataError, Scan


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
    from kikuchipy.detectors import EBSDDetector

    pc = np.random.default_rng(0).random((6, 8, 3))
    made = []

    def make():
        made.append(1)
        return EBSDDetector(shape=(4, 4), pc=pc)

    scan = make_scan(patterns=da.zeros((6, 8, 4, 4)), detector_or_maker=make)
    part = scan.crop(slice(2, 5))
    assert made == []
    np.testing.assert_allclose(part.detector.pc, pc[2:5])
    assert part.patterns.shape == (3, 8, 4, 4)


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
    back = Scan.from_xmap(scan.xmap)
    assert back.step == scan.step
    np.testing.assert_array_equal(back.phase_id, scan.phase_id)
    np.testing.assert_allclose(
        np.abs((back.quaternions * scan.quaternions).sum(-1))[scan.is_indexed], 1, atol=1e-12
    )
    assert (back.quaternions[1, 2] == 0).all()
