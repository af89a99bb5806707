"""What the tests of the segmenter's panels share: a steel, its strokes, a tiny model, a state."""

from __future__ import annotations

import dataclasses
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from napari_ebsdml import Segmenter, Source
from napari_ebsdml._napari.files.map_layers import map_layers
from napari_ebsdml._napari.layers.of_scans import add_result
from napari_ebsdml._napari.segmenter.prediction_layers import show_prediction
from napari_ebsdml._napari.segmenter.state import Pair, SegmentClass, SegmenterState
from napari_ebsdml.samples import dual_phase_steel

CLASSES = (SegmentClass(1, "ferrite", "#3182bd"), SegmentClass(2, "martensite", "#e6550d"))
QUICK: dict[str, Any] = {"epochs": 2, "steps": 6, "batch": 2, "crop": 32, "keep": "network"}


def steel(seed: int = 3) -> Any:
    """Sample whose scan has a name of its own; always the same object."""
    return _steel(seed)


@cache
def _steel(seed: int) -> Any:
    sample = dual_phase_steel((64, 80), 0.5, seed=seed)
    scan = dataclasses.replace(sample.scan, source=Source(path=Path(f"steel{seed}.ctf")))
    return SimpleNamespace(scan=scan, truth=sample.truth)


def strokes(seed: int = 3) -> np.ndarray:
    """Four lines of truth across the map."""
    labels = np.zeros(steel(seed).truth.shape, np.int32)
    labels[[8, 24, 40, 56]] = steel(seed).truth[[8, 24, 40, 56]]
    return labels


@cache
def model() -> Segmenter:
    return Segmenter.train(
        [(steel().scan, strokes())], ("BS", "KAM"), classes={c.value: c.name for c in CLASSES},
        colors={c.value: c.color for c in CLASSES}, n_threads=1, device="cpu", **QUICK,
    )  # fmt: skip


def make_state(viewer: Any, *seeds: int) -> SegmenterState:
    """State with the steels of the seeds open, each with an annotation layer."""
    for seed in seeds:
        data, options, kind = map_layers(steel(seed).scan)[0]
        getattr(viewer, f"add_{kind}")(data, **options)
    state = SegmenterState(viewer)
    state.classes = CLASSES
    state.channels = ("BS", "KAM")
    state.settings = QUICK
    for seed in seeds:
        scan = steel(seed).scan
        layer = add_result(
            state.viewer, scan, strokes(seed).copy(), "strokes", kind="labels",
            classes=state.label_classes(),
        )  # fmt: skip
        state.pairs = (*state.pairs, Pair(scan, layer))
    return state


def predict(state: SegmenterState, seed: int = 3) -> Any:
    """Take the model and show what it says about a steel."""
    state.segmenter = model()
    result = model().predict(steel(seed).scan, n_threads=1)
    show_prediction(state, steel(seed).scan, result)
    return result
