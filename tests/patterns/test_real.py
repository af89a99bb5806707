"""Measured patterns with the shipped model."""

from __future__ import annotations

import dataclasses

import dask.array as da
import h5py
import numpy as np
import pytest

from napari_ebsdml import read
from napari_ebsdml.errors import InputError
from napari_ebsdml.patterns.classifier import SpaceGroupClassifier
from napari_ebsdml.patterns.frame.geometry import from_kikuchipy


@pytest.fixture(scope="module")
def shipped() -> SpaceGroupClassifier:
    return SpaceGroupClassifier.load("default")


def test_nickel_is_face_centred(shipped):
    import kikuchipy

    signal = kikuchipy.data.nickel_ebsd_small()
    q = from_kikuchipy(signal.xmap.rotations.data).reshape(3, 3, 4)
    result = shipped.predict(signal.data, q, signal.detector)
    assert (result.family == "fcc").all()
    # Ni3Al's and Fe3Ni's patterns are nearly those of nickel: at the least it says so.
    for group, other in zip(result.space_group.flat, result.ambiguous_with.flat, strict=True):
        assert group == 225 or 225 in other
    assert result.is_known.mean() > 0.7


def test_kikuchipys_own_rotations_are_taken_as_they_are(shipped):
    import kikuchipy

    signal = kikuchipy.data.nickel_ebsd_small()
    want = shipped.predict(
        signal.data, from_kikuchipy(signal.xmap.rotations.data).reshape(3, 3, 4), signal.detector
    )
    for given in (signal.xmap, signal.xmap.rotations, signal.xmap.orientations):
        result = shipped.predict(signal.data, given, signal.detector)
        assert (result.space_group == 225).all()
        assert result.is_known.all()
        np.testing.assert_allclose(result.probabilities, want.probabilities, atol=1e-5)
    array = signal.xmap.rotations.data.reshape(3, 3, 4)
    with pytest.raises(InputError, match="Give frame='kikuchipy', or frame='map'"):
        shipped.predict(signal.data, array, signal.detector)
    named = shipped.predict(signal.data, array, signal.detector, frame="kikuchipy")
    np.testing.assert_allclose(named.probabilities, want.probabilities, atol=1e-5)
    one = shipped.explain(signal.data[0, 0], signal.xmap.rotations[0], signal.detector, samples=2)
    two = shipped.explain(signal.data[0, 0], array[0, 0], signal.detector, 2, frame="kikuchipy")
    np.testing.assert_allclose(one.images, two.images, atol=1e-5)


def test_steel_is_body_centred(shipped, shared):
    from kikuchipy.detectors import EBSDDetector

    scan = read(shared / "patterns" / "dual_phase_steel.ang").crop(slice(0, 15))
    with h5py.File(shared / "patterns" / "dual_phase_steel_rows00-14.h5") as file:
        patterns = da.from_array(file["patterns"][()], chunks=(5, 29, 60, 60))
    scan = dataclasses.replace(scan, patterns=patterns)
    camera = EBSDDetector(
        shape=(60, 60), pc=(0.5017, 0.7189, 0.5342), convention="tsl", sample_tilt=70, tilt=5
    )
    result = shipped.predict_scan(scan, detector=camera)
    asked = result.space_group > 0
    assert (result.space_group[asked] == 229).mean() > 0.9
    whole = shipped.predict_scan(scan, by="map", detector=camera)
    assert (whole.space_group[asked] == 229).all()
    assert whole.is_known[asked].all()
    assert whole.warnings == ()
    tilted_wrong = EBSDDetector(
        shape=(60, 60), pc=(0.5017, 0.7189, 0.5342), convention="tsl", sample_tilt=70, tilt=-15
    )
    lost = shipped.predict_scan(scan, detector=tilted_wrong)
    assert lost.is_known[asked].mean() < 0.2
    assert np.isfinite(lost.probability).all()


def steel(shared, change=None):
    scan = read(shared / "patterns" / "dual_phase_steel.ang").crop(slice(0, 15))
    with h5py.File(shared / "patterns" / "dual_phase_steel_rows00-14.h5") as file:
        patterns = file["patterns"][()]
    patterns = patterns if change is None else change(patterns.astype(np.float32))
    lazy = da.from_array(patterns, chunks=(5, 29, 60, 60))
    return dataclasses.replace(scan, patterns=lazy, camera=None), scan.get("CI") > 0.3


def hot(patterns):
    at = np.random.default_rng(1).choice(3600, 20, replace=False)
    patterns.reshape(-1, 3600)[:, at] = 20 * 255
    return patterns


def half_black(patterns):
    patterns[..., 30:, :] = 0
    return patterns


def shadowed(patterns):
    patterns[..., :12, :] *= 0.3
    return patterns


def camera(**changes):
    from kikuchipy.detectors import EBSDDetector

    settings = {"pc": (0.5017, 0.7189, 0.5342), "convention": "tsl", "tilt": 5, **changes}
    return EBSDDetector(shape=(60, 60), sample_tilt=70, **settings)


@pytest.mark.parametrize(
    ("fault", "told"),
    [(hot, "20 pixels are hot"), (half_black, "50 % of the screen"), (shadowed, "in shadow")],
)
def test_faults_of_the_screen_cost_nothing_and_are_told(shipped, shared, fault, told):
    scan, good = steel(shared, fault)
    result = shipped.predict_scan(scan, detector=camera())
    assert (result.space_group[good] == 229).mean() > 0.97
    assert result.is_known[good].mean() > 0.97
    assert told in result.warnings[0]


@pytest.mark.long
@pytest.mark.parametrize(
    "wrong",
    [{"tilt": 0}, {"pc": (0.5317, 0.7189, 0.5342)}, {"convention": "bruker"}],
    ids=["tilt 0 for 5", "centre off by 3 %", "TSL for Bruker"],
)
def test_a_geometry_that_does_not_fit_is_told_and_refined_on_request(shipped, shared, wrong):
    scan, good = steel(shared)
    told = shipped.predict_scan(scan, detector=camera(**wrong))
    assert len(told.warnings) == 1
    assert "geometry does not fit" in told.warnings[0]
    assert told.geometry is None
    mended = shipped.predict_scan(scan, detector=camera(**wrong), refine="auto")
    assert "geometry was refined" in mended.warnings[0]
    assert (mended.space_group[good] == 229).mean() > 0.97
    assert mended.is_known[good].mean() > 0.97
    assert mended.geometry.centre == pytest.approx((0.502, 0.281, 0.534), abs=0.03)
    with pytest.raises(InputError, match="refine must be"):
        shipped.predict_scan(scan, detector=camera(), refine="yes")
