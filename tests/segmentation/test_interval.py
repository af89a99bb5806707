"""Intervals of phase fractions against cases that can be worked out by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.stats import t as student

from napari_ebsdml.errors import InputError
from napari_ebsdml.segmentation import Segmenter
from napari_ebsdml.segmentation.labels.data import Classes
from napari_ebsdml.segmentation.results.interval import phase_fractions
from napari_ebsdml.segmentation.results.result import SegmentationResult
from tests.segmentation.segmentation_data import stroke_labels

CLASSES = Classes.of((1, 2))


def sure(labels, errors=(0.0, 0.0)):
    chance = np.stack([labels == 1, labels == 2], axis=-1).astype(np.float32)
    return SegmentationResult(labels.astype(np.uint8), chance, CLASSES, (), errors)


def random_map(fraction, seed, shape=(120, 120)):
    return 1 + (np.random.default_rng(seed).random(shape) < fraction)


def test_several_maps_are_the_sample():
    parts = (0.2, 0.25, 0.35, 0.3)
    results = []
    for part in parts:
        labels = np.ones((10, 20), int)
        labels.ravel()[: round(200 * part)] = 2
        results.append(sure(labels))
    found = phase_fractions(results)[1]
    assert found.fraction == pytest.approx(0.275)
    want = student.ppf(0.975, 3) * np.std(parts, ddof=1) / 2
    assert found.sampling == pytest.approx(want)
    assert found.high - found.fraction == pytest.approx(want)
    # What is misjudged is the same in all maps and adds as a square.
    worse = phase_fractions([dataclasses.replace(r, fraction_errors=(0.1, 0.1)) for r in results])
    assert worse[1].classifier == pytest.approx(0.196)
    assert worse[1].high - 0.275 == pytest.approx(np.hypot(want, 0.196))


def test_fields_of_one_map_without_structure_cover_the_truth():
    held = 0
    for seed in range(200):
        found = sure(random_map(0.3, seed)).fractions()[1]
        held += found.low <= 0.3 <= found.high
    assert 0.92 <= held / 200 <= 1.0


def test_a_class_that_the_interval_does_not_vouch_for():
    labels = np.ones((60, 60), int)
    labels[:2, :3] = 2
    few = sure(labels, (0.05, 0.05)).fractions()
    assert [f.may_be_none for f in few] == [False, True]
    # Enough of it; none of it, which is no news; a map that nothing is told of.
    assert not sure(random_map(0.5, 0), (0.05, 0.05)).fractions()[1].may_be_none
    assert not sure(np.ones((5, 6), int), (0.05, 0.05)).fractions()[1].may_be_none
    foreign = dataclasses.replace(sure(labels), foreign=True)
    assert not any(f.may_be_none for f in foreign.fractions())


def test_edges():
    nothing = sure(np.zeros((5, 6), int))
    assert np.isnan(nothing.fractions()[0].fraction)
    one = sure(np.ones((1, 1), int)).fractions()
    assert (one[0].fraction, one[1].fraction) == (1.0, 0.0)
    # A map without a classified pixel is no sample.
    both = phase_fractions([nothing, sure(random_map(0.5, 0))])
    assert both[0].sampling == pytest.approx(sure(random_map(0.5, 0)).fractions()[0].sampling)
    with pytest.raises(InputError, match="at least one"):
        phase_fractions([])
    other = dataclasses.replace(nothing, classes=Classes.of((1, 3)))
    with pytest.raises(InputError, match="different classes"):
        phase_fractions([nothing, other])


def test_a_model_brings_its_error_along(steel, other_steel):
    labels = stroke_labels(steel.truth, 0.05)
    model = Segmenter.train([(steel.scan, labels)], ("BS", "KAM"), epochs=0)
    result = model.predict(other_steel.scan)
    assert len(result.fraction_errors) == 2
    found = result.fractions()[1]
    assert 0 < found.classifier < 0.2
    true = float((other_steel.truth == 2).mean())
    assert found.low <= true <= found.high
    # Nothing known of the errors: half of what the model is unsure of.
    bare = dataclasses.replace(result, fraction_errors=())
    want = 1.96 * 0.5 * float(result.uncertainty.mean())
    assert bare.fractions()[1].classifier == pytest.approx(want, rel=1e-4)
