"""The table of Laue groups, against orix."""

from __future__ import annotations

import numpy as np
import pytest
from orix.quaternion import symmetry

from napari_ebsdml.patterns.symmetry._kernels import turn_by
from napari_ebsdml.patterns.symmetry.decision import maximal, pairs
from napari_ebsdml.patterns.symmetry.groups import GROUPS, HOLOHEDRY, SYSTEMS, turn

NAMES = {
    "-1": "Ci", "2/m": "C2h", "mmm": "D2h", "4/m": "C4h", "4/mmm": "D4h", "-3": "S6", "-3m": "D3d",
    "6/m": "C6h", "6/mmm": "D6h", "m-3": "Th", "m-3m": "Oh",
}  # fmt: skip


@pytest.mark.parametrize("name", GROUPS)
def test_rotations_are_orixs(name):
    group = GROUPS[name]
    theirs = getattr(symmetry, NAMES[name]).laue_proper_subgroup
    assert group.order == theirs.size
    matrices = theirs.to_matrix()
    for matrix in group.rotations:
        assert np.abs(matrices - matrix).max(axis=(1, 2)).min() < 1e-6


@pytest.mark.parametrize("name", GROUPS)
def test_operations_and_their_inverses_are_all_rotations(name):
    group = GROUPS[name]
    axes, turns = group.operations
    made = [np.eye(3)]
    for axis, which in zip(axes, turns, strict=True):
        angle = (180, 120, 90, 60)[which]
        made.append(turn(axis, angle))
        if angle != 180:
            made.append(turn(axis, -angle))
    assert len(made) == group.order
    for matrix in group.rotations:
        assert np.abs(np.array(made) - matrix).max(axis=(1, 2)).min() < 1e-6


def test_subgroups():
    assert GROUPS["m-3m"].contains(GROUPS["4/mmm"])
    assert GROUPS["6/mmm"].contains(GROUPS["-3m"])
    assert not GROUPS["4/mmm"].contains(GROUPS["-3"])
    assert all(GROUPS[big].contains(GROUPS[small]) for small, big in HOLOHEDRY.items())
    assert all(SYSTEMS[big] == SYSTEMS[small] for small, big in HOLOHEDRY.items())
    assert ("m-3m", "mmm") in pairs()
    assert ("m-3m", "mmm") not in maximal()
    assert set(maximal()) >= {("m-3m", "m-3"), ("m-3m", "4/mmm"), ("6/mmm", "-3m")}


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_small_turns_are_about_the_frames_own_axes(axis):
    frame = turn(np.array([0.6, 0.0, 0.8]), 40.0)
    out = np.empty((3, 3))
    turn_by(frame, axis, np.deg2rad(7.0), out)
    assert out == pytest.approx(frame @ turn(np.eye(3)[axis], 7.0))
