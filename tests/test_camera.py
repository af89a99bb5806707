"""The camera as plain numbers, and as files tell it."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from napari_ebsdml import InputError, MissingDataError
from napari_ebsdml.camera import CONVENTIONS, Camera
from napari_ebsdml.io._detector import camera_of_file

PC = {"emsoft": (3.5, -12.0, 15_000.0), "other": (0.45, 0.65, 0.55)}


def camera(**changes) -> Camera:
    return Camera(**({"shape": (48, 60), "pc": (0.4, 0.3, 0.6), "tilt": 5} | changes))


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_conventions_are_kikuchipys(convention):
    pc = PC["emsoft" if convention.startswith("emsoft") else "other"]
    ours = camera(
        pc=pc, convention=convention, px_size=70, binning=8, azimuthal=2, twist=1, sample_tilt=69
    )
    theirs = ours.detector()
    np.testing.assert_allclose(theirs.pc.ravel(), ours.centre, atol=1e-12)
    for name in ("shape", "px_size", "binning", "tilt", "azimuthal", "twist", "sample_tilt"):
        assert getattr(theirs, name) == getattr(ours, name)
    back = Camera.of(theirs)
    np.testing.assert_allclose(back.centre, ours.centre, atol=1e-12)
    assert (back.shape, back.convention) == ((48, 60), "bruker")
    assert back.detector().sample_to_detector == theirs.sample_to_detector


def test_equality_is_by_value():
    assert camera() == camera()
    assert hash(camera()) == hash(camera())
    many = np.random.default_rng(0).uniform(0.3, 0.6, (3, 4, 3))
    assert camera(pc=many) == camera(pc=many.copy()) == pickle.loads(pickle.dumps(camera(pc=many)))
    for other in (
        camera(pc=None), camera(pc=(0.4, 0.3, 0.61)), camera(tilt=4), camera(pc=many),
        camera(source="file"), camera(convention="tsl"), None,
    ):  # fmt: skip
        assert camera() != other


def test_the_centre_cannot_be_written_to():
    given = np.array([0.4, 0.3, 0.6])
    made = camera(pc=given)
    given[:] = 0
    assert made == camera()
    with pytest.raises(ValueError, match="read-only"):
        made.pc[0] = 1


def test_crop():
    pc = np.random.default_rng(0).uniform(0.3, 0.6, (6, 8, 3))
    at = (slice(1, 3), slice(None, None, 2))
    np.testing.assert_array_equal(camera(pc=pc).crop(at).pc, pc[at])
    assert camera().crop(at) == camera()
    assert camera(pc=None).crop(at) == camera(pc=None)


def test_without_a_centre_there_is_no_detector():
    assert not camera(pc=None).tells_centre
    assert camera(pc=None).centre is None
    with pytest.raises(MissingDataError, match="pattern centre"):
        camera(pc=None).detector()


ODD = [
    (0, 0, 0), (1, 1, 1), (np.nan,) * 3, (0.5, np.nan, 0.6), (0.5, 0.5, 0), (0.5, 0.5, -0.6),
    (0.5, 0.5, np.inf), (0.5, 0.5, 1e9), (-7, 0.5, 0.6), (0.5, 400, 0.6),
]  # fmt: skip


@pytest.mark.parametrize("pc", ODD)
@pytest.mark.parametrize("convention", ["bruker", "tsl", "oxford", "emsoft"])
def test_no_detector_has_such_a_centre(pc, convention):
    with pytest.raises(InputError, match="pattern centre"):
        camera(pc=pc, convention=convention)
    warnings: list[str] = []
    for given in (pc, np.tile(pc, (5, 1))):
        told = camera_of_file((48, 60), warnings, given, convention, tilt=3.0)
        assert not told.tells_centre
        assert (told.tilt, told.shape, told.source) == (3, (48, 60), "file")
    assert len(warnings) == 2


@pytest.mark.parametrize(
    "changes",
    [{"shape": (0, 60)}, {"pc": (0.4, 0.3)}, {"pc": np.zeros((0, 3))}, {"tilt": np.nan},
     {"binning": 0}, {"px_size": -1}, {"convention": "vendor"}],
)  # fmt: skip
def test_what_cannot_be_is_refused(changes):
    with pytest.raises(InputError):
        camera(**changes)


def test_gaps_in_the_centres_of_a_file_are_filled():
    pc = np.random.default_rng(0).uniform(0.3, 0.6, (6, 3))
    pc[2] = np.nan
    pc[4, 1] = np.inf
    warnings: list[str] = []
    told = camera_of_file((48, 60), warnings, pc)
    mean = pc[[0, 1, 3, 5]].mean(axis=0)
    np.testing.assert_allclose(told.pc[[2, 4]], [mean, mean])
    np.testing.assert_array_equal(told.pc[[0, 1, 3, 5]], pc[[0, 1, 3, 5]])
    assert warnings == []


def test_odd_settings_of_a_file_are_left_out():
    warnings: list[str] = []
    told = camera_of_file(
        (48, 60), warnings, (0.4, 0.3, 0.6), tilt=np.nan, binning=0, px_size=None, sample_tilt=65
    )
    assert (told.tilt, told.binning, told.px_size, told.sample_tilt) == (0, 1, 1, 65)
    assert len(warnings) == 2
    assert camera_of_file(None, warnings, (0.4, 0.3, 0.6)) is None
