"""Twin boundaries of the parent: where they run, and what that says where orientations do not."""

from __future__ import annotations

import numpy as np
import pytest

import napari_ebsdml as ebsdml
from napari_ebsdml import samples
from napari_ebsdml._quaternions import multiply, to_matrix
from napari_ebsdml.grains.adjacency import facing, neighbours
from napari_ebsdml.grains.parents.twins import (
    TWINS,
    saved,
    saved_between,
    trace_of,
    traces,
    twin_pairs,
)
from napari_ebsdml.maps import disorientation_angle


def random_orientations(n: int) -> np.ndarray:
    q = np.random.default_rng(3).normal(size=(n, 4))
    return q / np.linalg.norm(q, axis=1, keepdims=True)


@pytest.mark.parametrize("degrees", [0.0, 20.0, 45.0, 70.0, 90.0, 130.0])
@pytest.mark.parametrize("step", [(1.0, 1.0), (0.866, 0.5)])
def test_a_straight_boundary_faces_along_its_normal(
    degrees: float, step: tuple[float, float]
) -> None:
    normal = np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
    y, x = np.indices((80, 90)).astype(float)
    distance = (x - 45) * step[1] * normal[0] + (y - 40) * step[0] * normal[1]
    labels = np.where(distance > 0, 2, 1).astype(np.int32)
    pairs, _ = neighbours(labels, 3)
    found = facing(labels, pairs, 3, step)
    # From the first grain to the second.
    assert found[0] @ normal > np.cos(np.radians(2))
    assert np.linalg.norm(found[0]) == pytest.approx(1)


def test_the_plane_that_twins_share_is_the_same_in_both() -> None:
    parents = random_orientations(50)
    for number, twin in enumerate(TWINS):
        others = multiply(twin, parents)
        # The twin's own axes, in another of its 24 descriptions.
        turned = multiply(np.array([np.sqrt(0.5), np.sqrt(0.5), 0, 0]), others)
        found = traces(parents, turned)
        back = traces(turned, parents)
        axis = twin[1:] / np.linalg.norm(twin[1:])
        normal = np.einsum("nji,j->ni", to_matrix(parents), axis)
        steep = np.linalg.norm(normal[:, :2], axis=1) > 0.3
        flat = normal[steep, :2] / np.linalg.norm(normal[steep, :2], axis=1, keepdims=True)
        assert np.abs((found[steep] * flat).sum(axis=1)) == pytest.approx(1, abs=1e-6)
        assert np.abs((found * back).sum(axis=1))[steep] == pytest.approx(1, abs=1e-6)
        assert trace_of(parents[0], number) == pytest.approx(found[0])
    # Others are no twins.
    assert not traces(parents[:25], parents[25:]).any(axis=1).all()
    assert (traces(parents, parents) == 0).all()


def test_boundaries_along_the_trace_cost_less() -> None:
    normal = np.array([[1.0, 0.0]])
    assert saved(normal, normal)[0] == pytest.approx(0.9)
    assert saved(np.array([[0.0, 1.0]]), normal)[0] == pytest.approx(0)
    assert saved(normal, np.zeros((1, 2)))[0] == 0
    parents = np.zeros((4, 4))
    parents[1:] = random_orientations(3)
    parents[3] = multiply(TWINS[2], parents[1])
    pairs = np.array([[1, 2], [2, 3], [1, 3]], dtype=np.int32)
    keys, normals = twin_pairs(np.array([0, 1, 2, 3], dtype=np.int32), pairs, parents)
    assert list(keys) == [1 * 4 + 3]
    x, y = normals[0]
    assert saved_between(3, 1, 4, keys, normals, x, y) == pytest.approx(saved(normals, normals)[0])
    assert saved_between(1, 2, 4, keys, normals, x, y) == 0.0


def test_a_lamella_whose_packets_are_also_those_of_its_parent_is_found() -> None:
    sample = samples.martensite((200, 250), seed=58, relationship="Greninger-Troiano")
    found = ebsdml.parent_grains(sample.scan)
    angle = disorientation_angle(found.parent_quaternions, sample.parent_quaternions, "m-3m")
    assert (np.nan_to_num(angle, nan=180.0) < 5).mean() > 0.99
