"""A map that follows the brush."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from napari_ebsdml.errors import InputError
from napari_ebsdml.segmentation import Segmenter
from napari_ebsdml.segmentation.labels.data import Classes
from napari_ebsdml.segmentation.models.live import LiveMap
from tests.segmentation.segmentation_data import stroke_labels

CLASSES = Classes.of((1, 2))


def test_says_what_a_training_without_epochs_says(steel):
    labels = stroke_labels(steel.truth, 0.02)
    live = LiveMap.prepare(steel.scan, ("BS", "KAM"))
    found = live.answer(live.fit(labels, CLASSES), CLASSES)
    model = Segmenter.train([(steel.scan, labels)], ("BS", "KAM"), epochs=0)
    want = model.predict(steel.scan)
    assert (found.labels == want.labels).mean() > 0.995
    np.testing.assert_allclose(found.probability.sum(-1), 1, atol=1e-5)
    window = slice(20, 50), slice(30, 77)
    part = live.answer(live.fit(labels, CLASSES), CLASSES, window)
    np.testing.assert_array_equal(part.labels, found.labels[window])


def test_maps_without_orientations_and_of_one_row(steel):
    scan = steel.scan.crop(slice(40, 41), slice(None))
    truth = steel.truth[40:41]
    live = LiveMap.prepare(scan, ("BS",))
    assert live.answer(live.fit(truth, CLASSES), CLASSES).labels.shape == scan.shape
    with pytest.raises(InputError, match="none of the classes"):
        live.fit(truth * 5, CLASSES)
    with pytest.raises(InputError, match="at least one"):
        live.fit(np.zeros_like(truth), CLASSES)


def test_loads_no_torch():
    code = "import sys, napari_ebsdml.segmentation.models.live; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
