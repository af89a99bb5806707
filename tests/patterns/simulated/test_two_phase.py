from __future__ import annotations

import numpy as np
import pytest

from napari_ebsdml._quaternions import multiply
from napari_ebsdml.errors import InputError, MissingDataError
from napari_ebsdml.patterns import refine_scan
from napari_ebsdml.patterns.simulated.two_phase import two_phase_map


@pytest.fixture(scope="module")
def made(library):
    return two_phase_map(
        (16, 20), ("fcc", "bcc"), 0.25, seed=3, library=library, grains=3, radius=3
    )


def angle(one, two):
    q = multiply(one, two * (1, -1, -1, -1))
    return np.rad2deg(2 * np.arccos(np.clip(np.abs(q[..., 0]), 0, 1)))


def test_the_map_knows_its_truth(made, model):
    scan = made.scan
    assert scan.patterns.shape == (16, 20, 60, 60)
    assert scan.phases[0].space_group.number == 225
    np.testing.assert_array_equal(made.truth, np.where(made.material == 1, 229, 225))
    assert made.material.mean() == pytest.approx(0.25, abs=0.08)
    # A model that knows both crystals finds the truth where patterns are pure.
    result = model.predict_scan(scan)
    pure = made.purity == 1
    assert pure.mean() > 0.5
    assert (result.space_group == made.truth)[pure].mean() > 0.95
    # Boundaries lie between pixels of different grains.
    assert (made.purity[~pure] >= 0.34).all()
    away = made.purity < 1
    assert 0 < away.mean() < 0.5


def test_indexing_errors_are_as_asked_for(made, library):
    exact = two_phase_map(
        (16, 20), ("fcc", "bcc"), 0.25, 3, library=library, grains=3, radius=3,
        orientation_error=0.0,
    )  # fmt: skip
    np.testing.assert_array_equal(exact.grain, made.grain)
    for label in np.unique(exact.grain):
        mine = exact.scan.quaternions[exact.grain == label]
        assert angle(mine, mine[:1]).max() < 1e-5
    off = angle(made.scan.quaternions, exact.scan.quaternions)
    # Three axes of 0.3 degrees each.
    assert np.sqrt((off**2).mean()) == pytest.approx(0.3 * np.sqrt(3), rel=0.1)


def test_coherent_precipitates_share_their_grains_orientation(library):
    sample = two_phase_map(
        (16, 20), ("fcc", "bcc"), 0.3, 3, library=library, grains=1, radius=3,
        orientation_error=0.0, coherent=True, circular=True,
    )  # fmt: skip
    assert len(np.unique(sample.grain)) > 2
    assert angle(sample.scan.quaternions, sample.scan.quaternions[0, 0]).max() < 1e-5
    assert (np.asarray(sample.scan.patterns)[:, :, 0, 0] == 0).all()


def test_the_same_seed_gives_the_same_map(made, library):
    again, other = (
        two_phase_map((16, 20), ("fcc", "bcc"), 0.25, s, library=library, grains=3, radius=3)
        for s in (3, 4)
    )
    np.testing.assert_array_equal(again.scan.patterns, made.scan.patterns)
    assert (np.asarray(other.scan.patterns) != np.asarray(made.scan.patterns)).mean() > 0.5


def test_arguments_out_of_range_are_named(library):
    with pytest.raises(InputError, match="4 x 4"):
        two_phase_map((2, 20), ("fcc", "bcc"), library=library)
    with pytest.raises(InputError, match="no gold"):
        two_phase_map((8, 8), ("fcc", "gold"), library=library)


@pytest.mark.long
def test_a_maps_camera_is_refined(library, model):
    from napari_ebsdml.patterns.frame.geometry import Geometry

    sample = two_phase_map((12, 16), ("fcc", "bcc"), 0.5, 5, library=library, grains=8, radius=1.5)
    right = Geometry.of(sample.scan.detector)
    wrong = right.moved(0.02, 0.0, -0.02)
    done = []
    found, report = refine_scan(sample.scan, wrong, 24, progress=done.append)
    assert report["sharpness_after"] > report["sharpness_before"]

    def off(camera):
        dots = (camera.directions() * right.directions()).sum(axis=-1)
        return np.rad2deg(np.arccos(np.clip(dots, -1, 1))).mean()

    assert off(found) < 0.5 * off(wrong)
    assert done[-1] == 1.0
    with pytest.raises(InputError, match="four"):
        refine_scan(sample.scan, number=2)
    import dataclasses

    with pytest.raises(MissingDataError, match="no patterns"):
        refine_scan(dataclasses.replace(sample.scan, patterns=None))
