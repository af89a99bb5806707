"""Forests as tables: the same answers as scikit-learn's, saved without pickle."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from napari_ebsdml.errors import InputError, ModelError
from napari_ebsdml.segmentation import ForestSegmenter, Segmenter, read_model
from napari_ebsdml.segmentation.models.forest import Trees
from tests.segmentation.segmentation_data import stroke_labels


def test_tables_say_what_the_forest_says():
    from sklearn.ensemble import RandomForestClassifier

    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 7)).astype(np.float32)
    y = (x[:, 0] + x[:, 1] ** 2 > 0.5).astype(int) * 2
    forest = RandomForestClassifier(12, random_state=0, class_weight="balanced").fit(x, y)
    trees = Trees.of(forest, 4)
    trees.check()
    fresh = rng.normal(size=(5000, 7)).astype(np.float32)
    got = trees.probability(fresh)
    np.testing.assert_allclose(got[:, [0, 2]], forest.predict_proba(fresh), atol=1e-5)
    assert not got[:, [1, 3]].any()
    endless = dataclasses.replace(trees, left=np.zeros_like(trees.left))
    with pytest.raises(InputError, match="no trees"):
        endless.check()


def test_save_and_load(steel, other_steel, tmp_path):
    labels = stroke_labels(steel.truth, 0.02)
    forest = ForestSegmenter.train(
        [(steel.scan, labels)], ("BS", "KAM"), trees=10, n_jobs=1, classes=("soft", "hard")
    )
    forest.save(tmp_path / "forest.safetensors")
    loaded = ForestSegmenter.load(tmp_path / "forest")
    want, got = forest.predict(other_steel.scan), loaded.predict(other_steel.scan)
    np.testing.assert_array_equal(got.probability, want.probability)
    assert got.classes == want.classes
    assert isinstance(read_model(tmp_path / "forest"), ForestSegmenter)
    with pytest.raises(ModelError, match="random forest"):
        Segmenter.load(tmp_path / "forest")
    card = json.loads((tmp_path / "forest.json").read_text())
    assert card["network"] == "Forest"
    card["settings"]["scales"] = [1]
    (tmp_path / "forest.json").write_text(json.dumps(card))
    with pytest.raises(ModelError):
        ForestSegmenter.load(tmp_path / "forest")


def test_models_of_all_kinds_are_found(steel, model, tmp_path):
    model.save(tmp_path / "net")
    assert isinstance(read_model(tmp_path / "net"), Segmenter)
    with pytest.raises(ModelError, match="no such file"):
        read_model(tmp_path / "none")
    with pytest.raises(ModelError, match="forest"):
        ForestSegmenter.load(tmp_path / "net")
