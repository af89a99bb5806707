"""Twins of hexagonal metals against published angles, and on a real map."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import napari_ebsdml as ebsdml
from napari_ebsdml._quaternions import multiply
from napari_ebsdml.maps.symmetry import laue_operators
from napari_ebsdml.maps.twins import (
    HCP_TWIN_PLANES,
    USUAL_RATIO,
    are_twins,
    axial_ratio,
    hcp_twin,
    twin_forms,
)
from napari_ebsdml.segmentation.inputs.channels import compute_channels

TWINS = Path(__file__).parents[3] / "shared/data/maps/mg_twins.ctf"


def angle_and_axis(plane, ratio):
    """Disorientation in degrees, and the angle of its axis to c."""
    operators = laue_operators("6/mmm")
    q = multiply(multiply(operators[:, None], hcp_twin(plane, ratio)), operators).reshape(-1, 4)
    q = q[np.abs(q[:, 0]).argmax()]
    axis = q[1:] / np.linalg.norm(q[1:])
    return np.degrees(2 * np.arccos(min(abs(q[0]), 1.0))), np.degrees(np.arccos(abs(axis[2])))


@pytest.mark.parametrize(
    ("plane", "ratio", "angle"),
    [
        # Ti (1.587): Bozzolo et al., J. Appl. Cryst. 43 (2010) 596; Mg (1.624): Nave and
        # Barnett, Scr. Mater. 51 (2004) 881.
        ("{10-12}", 1.587, 85.0), ("{11-21}", 1.587, 34.9), ("{11-22}", 1.587, 64.4),
        ("{11-24}", 1.587, 76.9), ("{10-11}", 1.587, 57.2), ("{10-12}", 1.624, 86.3),
        ("{10-11}", 1.624, 56.2), ("{10-13}", 1.624, 64.0),
    ],
)  # fmt: skip
def test_published_angles(plane, ratio, angle):
    got, tilt = angle_and_axis(HCP_TWIN_PLANES[plane], ratio)
    assert got == pytest.approx(angle, abs=0.3)
    # All turn about an axis in the basal plane.
    assert tilt == pytest.approx(90, abs=0.1)


def test_twins_are_found_in_any_form_and_others_are_not():
    rng = np.random.default_rng(0)
    first = rng.normal(size=(60, 4))
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    operators = laue_operators("6/mmm")
    twins = np.stack([hcp_twin(p, 1.624) for p in HCP_TWIN_PLANES.values()])
    second = multiply(twins[rng.integers(0, 6, 60)], first)
    second = multiply(operators[rng.integers(0, 12, 60)], second)
    again = multiply(operators[rng.integers(0, 12, 60)], first)
    assert are_twins(again, second, 1.624, 0.5).all()
    assert are_twins(second, again, 1.624, 0.5).all()
    off = multiply(np.array([np.cos(0.04), np.sin(0.04), 0, 0]), second)
    assert not are_twins(again, off, 1.624, 2.0).any()
    assert len(twin_forms(1.624)) < 6 * 144


def test_ratio_of_the_file(steel):
    assert axial_ratio(steel.scan, int(steel.scan.phase_id.max())) == USUAL_RATIO


@pytest.mark.skipif(not TWINS.exists(), reason="the map of twinned magnesium is not there")
def test_a_map_of_twinned_magnesium():
    scan = ebsdml.read(TWINS)
    stack = compute_channels(scan, ("Twins",))
    part = stack.values[0][scan.is_indexed]
    assert (part > 0.5).mean() > 0.1
