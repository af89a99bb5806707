"""Channels around each pixel, and what they are for: parts of one grain."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from orix.crystal_map import Phase, PhaseList

from napari_ebsdml._quaternions import multiply
from napari_ebsdml.errors import InputError
from napari_ebsdml.scan import Scan
from napari_ebsdml.segmentation import Segmenter, compute_channels


def indent(seed=0, size=120, radius=35.0):
    """A crystal around an indent: it bends near the middle, every orientation is a bit off."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((size, size)) - size / 2
    distance = np.hypot(y, x)
    angle = np.radians(10) * np.exp(-((distance / (0.6 * radius)) ** 2)) / 2
    around = np.arctan2(y, x)
    bend = np.stack(
        (np.cos(angle), -np.sin(angle) * np.sin(around), np.sin(angle) * np.cos(around), 0 * angle),
        axis=-1,
    )
    noise = np.concatenate(
        (np.ones((size, size, 1)), rng.normal(0, np.radians(0.25) / 2, (size, size, 3))), axis=-1
    )
    q = multiply(noise / np.linalg.norm(noise, axis=-1, keepdims=True), bend)
    quality = 150 - 8 * np.exp(-((distance / radius) ** 2)) + rng.normal(0, 15, distance.shape)
    scan = Scan(
        quaternions=q, phase_id=np.ones((size, size), np.int32),
        phases=PhaseList({1: Phase("iron", space_group=229)}), step=(0.2, 0.2),
        prop={"BC": quality},
    )  # fmt: skip
    return scan, np.where(distance < radius, 2, 1).astype(np.uint8)


def test_means_are_of_what_is_there(steel):
    scan = steel.scan
    stack = compute_channels(scan, ("BC@near", "KAM@far"))
    assert [p.name for p in stack.planes] == ["BC@near", "KAM@far", "indexed"]
    flat = dataclasses.replace(scan, prop={"BC": np.full(scan.shape, 7.0)})
    np.testing.assert_allclose(compute_channels(flat, ("BC@near",)).values[0], 7, rtol=1e-5)
    holes = np.full(scan.shape, 7.0)
    holes[::3] = np.nan
    gaps = dataclasses.replace(scan, prop={"BC": holes})
    np.testing.assert_allclose(compute_channels(gaps, ("BC@near",)).values[0], 7, rtol=1e-4)
    nothing = dataclasses.replace(scan, prop={"BC": np.full(scan.shape, np.nan)})
    assert not compute_channels(nothing, ("BC@near",)).values[0].any()
    for bad in ("BC@here", "Quaternions@near"):
        with pytest.raises(InputError, match="Channel"):
            compute_channels(scan, (bad,))


def test_parts_of_one_grain_can_be_told():
    scan, truth = indent()
    rng = np.random.default_rng(1)
    labels = np.where(rng.random(truth.shape) < 0.02, truth, 0)
    right = {}
    for channels in (("BC", "KAM"), ("BC", "KAM", "BC@near", "KAM@near", "KAM@far")):
        model = Segmenter.train([(scan, labels)], channels, epochs=0)
        # Who paints parts of one grain is told which channels see them, unless they are there.
        (told,) = (note for note in model.notes if "strokes of two classes" in note)
        assert ("KAM@near" in told) == (len(channels) == 2)
        other, other_truth = indent(seed=5)
        right[len(channels)] = (model.predict(other).labels == other_truth).mean()
    assert right[5] > right[2] + 0.05
    assert right[5] > 0.9
