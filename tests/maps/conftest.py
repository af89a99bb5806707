"""Makers of small maps with known answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from orix.crystal_map import Phase, PhaseList
from orix.quaternion import Rotation

from napari_ebsdml.maps import laue_operators
from napari_ebsdml.scan import Scan


def _turn(axis: Any, degrees: Any) -> np.ndarray:
    """Quaternions of turns about `axis` (crystal -> specimen sense left to the caller)."""
    half = np.deg2rad(np.asarray(degrees, dtype=float)) / 2
    unit = np.asarray(axis, dtype=float) / np.linalg.norm(axis)
    return np.concatenate((np.cos(half)[..., None], np.sin(half)[..., None] * unit), axis=-1)


def _times(p: Any, q: Any) -> np.ndarray:
    p, q = np.broadcast_arrays(p, q)
    return (Rotation(p.reshape(-1, 4)) * Rotation(q.reshape(-1, 4))).data.reshape(p.shape)


def _random(rng: np.random.Generator, *shape: int) -> np.ndarray:
    q = rng.normal(size=(*shape, 4))
    return q / np.linalg.norm(q, axis=-1, keepdims=True)


def _make(
    quaternions: Any,
    groups: tuple[str, ...] = ("m-3m",),
    phase_id: Any = None,
    step: tuple[float, float] = (1.0, 1.0),
    **more: Any,
) -> Scan:
    q = np.array(quaternions, dtype=float)
    ids = np.zeros(q.shape[:2], dtype=np.int32) if phase_id is None else np.array(phase_id)
    q[ids < 0] = 0
    phases = PhaseList([Phase(name=f"p{n}", point_group=g) for n, g in enumerate(groups)])
    return Scan(quaternions=q, phase_id=ids, phases=phases, step=step, **more)


def _scramble(rng: np.random.Generator, quaternions: np.ndarray, group: str) -> np.ndarray:
    """Another equivalent, and sign, at every pixel."""
    operators = laue_operators(group)
    chosen = operators[rng.integers(len(operators), size=quaternions.shape[:-1])]
    return _times(chosen, quaternions) * rng.choice((-1, 1), size=(*quaternions.shape[:-1], 1))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240)


@pytest.fixture
def turn() -> Callable[..., np.ndarray]:
    return _turn


@pytest.fixture
def times() -> Callable[..., np.ndarray]:
    return _times


@pytest.fixture
def random_quaternions() -> Callable[..., np.ndarray]:
    return _random


@pytest.fixture
def make() -> Callable[..., Scan]:
    return _make


@pytest.fixture
def scramble() -> Callable[..., np.ndarray]:
    return _scramble
