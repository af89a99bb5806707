"""Maps that do not look like those of the training: told, and mended where that can be done."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from napari_ebsdml.errors import InputError, ModelError
from napari_ebsdml.samples import VARIANTS, dual_phase_steel
from napari_ebsdml.segmentation import ModelWarning, Segmenter, evaluate, with_property
from tests.segmentation.segmentation_data import stroke_labels


@pytest.fixture(scope="module")
def bc_model():
    sample = dual_phase_steel((160, 200), VARIANTS["T2"], seed=7)
    items = [(sample.scan, stroke_labels(sample.truth, 0.02))]
    return Segmenter.train(items, ("BC", "KAM"), epochs=0)


@pytest.fixture(scope="module")
def other():
    return dual_phase_steel((160, 200), VARIANTS["T2"], seed=8)


def dimmed(sample, factor, shift=0.0):
    return with_property(sample.scan, "BC", sample.scan.get("BC") * factor + shift)


def test_another_setting_of_the_camera_is_told_and_mended(bc_model, other):
    as_is = evaluate(bc_model.predict(other.scan).labels, other.truth).accuracy
    scan = dimmed(other, 0.6)
    with pytest.warns(ModelWarning, match=r"BC is low for \d+ % of the pixels"):
        wrong = bc_model.predict(scan)
    assert evaluate(wrong.labels, other.truth).accuracy < as_is - 0.2
    mended = bc_model.predict(scan, standardise="this_map")
    assert mended.warnings == ()
    assert evaluate(mended.labels, other.truth).accuracy > as_is - 0.01
    bright = bc_model.predict(dimmed(other, 1.0, 60.0), warn=False)
    assert "BC is high" in bright.warnings[0]


def test_other_steels_are_nothing_to_warn_of(bc_model):
    for name in VARIANTS:
        sample = dual_phase_steel((160, 200), VARIANTS[name], seed=9)
        assert bc_model.predict(sample.scan).warnings == ()


def test_the_ranges_are_saved(bc_model, other, tmp_path):
    bc_model.save(tmp_path / "bc")
    loaded = Segmenter.load(tmp_path / "bc")
    scan = dimmed(other, 0.6)
    for way in ("as_trained", "this_map"):
        a, b = (m.predict(scan, standardise=way, warn=False) for m in (bc_model, loaded))
        np.testing.assert_array_equal(a.labels, b.labels)
        assert a.warnings == b.warnings


def test_maps_and_models_that_cannot_be_matched(bc_model, other):
    flat = with_property(other.scan, "BC", np.full(other.scan.shape, 10.0))
    assert bc_model.predict(flat, standardise="this_map", warn=False).labels.any()
    nothing = with_property(other.scan, "BC", np.full(other.scan.shape, np.nan))
    assert bc_model.predict(nothing, standardise="this_map", warn=False).labels.any()
    old = dataclasses.replace(bc_model, ranges=None)
    with pytest.raises(ModelError, match="earlier version"):
        old.predict(other.scan, standardise="this_map")
    with pytest.raises(InputError, match="standardise must be"):
        bc_model.predict(other.scan, standardise="mine")
