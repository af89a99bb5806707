"""Models that need no stroke: trees as tables, training on a stream, adaptation, shipped ones."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

import napari_ebsdml as ebsdml
from napari_ebsdml.errors import InputError, ModelError
from napari_ebsdml.learning import hub
from napari_ebsdml.samples import FAMILIES, random_map
from napari_ebsdml.segmentation import Segmenter, read_model, write_report
from napari_ebsdml.segmentation.inputs.familiar import Familiar, Pixels, hard_to_tell
from napari_ebsdml.segmentation.learning.adapting import adapt
from napari_ebsdml.segmentation.models.boosted import BoostedTrees
from napari_ebsdml.segmentation.models.linear import Discriminant
from napari_ebsdml.segmentation.models.ready_names import READY
from napari_ebsdml.segmentation.ready import ReadyRecipe, train_ready
from napari_ebsdml.segmentation.segmenter import ModelWarning

CHANNELS = ("Quality", "KAM@grain", "GOS", "RelativeSize", "TwinPartner")


@pytest.fixture(scope="module")
def small() -> Segmenter:
    """Trained on five small maps."""
    maps = [random_map("recrystallised", n, (60, 80)) for n in range(7)]
    recipe = ReadyRecipe(pixels=800, rounds=8, leaves=8)
    return train_ready(maps[:5], maps[5:], FAMILIES["recrystallised"], recipe, CHANNELS)


@pytest.mark.parametrize("classes", [2, 3])
def test_tables_say_what_scikit_learn_says(classes: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 4)).astype(np.float32)
    y = np.digitize(x[:, 0] + 0.5 * x[:, 1] ** 2, [0.3, 1.2][: classes - 1])
    trees = BoostedTrees.fit(x, y, classes, rounds=12, leaves=6)
    trees.check()
    same = HistGradientBoostingClassifier(
        max_iter=12, max_leaf_nodes=6, min_samples_leaf=31, l2_regularization=1.0,
        learning_rate=0.1, early_stopping=False, random_state=0,
    ).fit(x, y)  # fmt: skip
    chance = np.exp(trees.at(x) - trees.at(x).max(axis=1, keepdims=True))
    chance /= chance.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(chance, same.predict_proba(x), atol=1e-4)
    image = x.T.reshape(4, 20, 30)
    np.testing.assert_allclose(
        trees.logits(image), trees.at(x).T.reshape(classes, 20, 30), atol=1e-5
    )
    with pytest.raises(InputError, match="every class"):
        BoostedTrees.fit(x, np.zeros(600, int), 2)
    with pytest.raises(InputError, match="no trees"):
        dataclasses.replace(trees, left=trees.left * 0).check()


def test_strokes_correct_and_do_not_replace() -> None:
    """Where the map is shifted against the training, some grains bring the model back."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(4000, 6)).astype(np.float32)
    y = (x.sum(axis=1) + 2 * rng.normal(size=4000) > 0).astype(int)
    trees = BoostedTrees.fit(x, y, 2, rounds=30, leaves=8)
    moved = x + np.float32(0.8)
    few = rng.permutation(4000)[:30]
    units = np.arange(30)
    adapted = trees.adapted(moved[few], y[few], units)
    right = [(t.at(moved).argmax(axis=1) == y).mean() for t in (trees, adapted)]
    assert right[0] < 0.6
    assert right[1] > right[0] + 0.08
    # Where it fits already, grains that agree leave it about as good as it was.
    same = trees.adapted(x[few], y[few], units)
    before, after = ((t.at(x).argmax(axis=1) == y).mean() for t in (trees, same))
    assert after > before - 0.06
    # Repeating a grain's pixels tells nothing new.
    twice = trees.adapted(
        np.repeat(moved[few], 3, axis=0), np.repeat(y[few], 3), np.repeat(units, 3)
    )
    np.testing.assert_allclose(twice.bias, adapted.bias, atol=0.02)
    with pytest.raises(InputError, match="no labelled pixel"):
        trees.adapted(x[:0], y[:0], y[:0])


def test_strokes_are_weighed_against_what_is_known() -> None:
    """Where the model fits it stays; where it is of no use, the strokes decide."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(4000, 6)).astype(np.float32)
    y = (x[:, :3].sum(axis=1) + 0.3 * rng.normal(size=4000) > 0).astype(int)
    trees = BoostedTrees.fit(x, y, 2, rounds=30, leaves=8)
    few, units = rng.permutation(4000)[:30], np.arange(30)

    def right(model: BoostedTrees | Discriminant, truth: np.ndarray) -> float:
        return float((model.at(x).argmax(axis=1) == truth).mean())

    fits = adapt(trees, x[few], y[few], units)
    assert right(fits, y) > right(trees, y) - 0.02
    # Classes the other way round: the model is wrong everywhere.
    other = 1 - y
    strokes = Discriminant.fit(x[few], other[few], 2, units)
    turned = adapt(trees, x[few], other[few], units)
    assert right(trees, other) < 0.2
    assert right(turned, other) > right(strokes, other) - 0.05
    # A single stroke tells no weights; a class without one stays possible.
    one = adapt(trees, x[few[:1]], y[few[:1]], units[:1])
    assert set(one.at(x).argmax(axis=1)) == {0, 1}
    one.check()


def test_a_foreign_map_is_told_first(small: Segmenter, tmp_path: Path) -> None:
    scan, truth = random_map("recrystallised", 41, (80, 100))
    assert small.familiar is not None
    # Every pixel an orientation of its own: no metal looks like this.
    rng = np.random.default_rng(0)
    q = rng.normal(size=scan.quaternions.shape)
    noise = dataclasses.replace(scan, quaternions=q / np.linalg.norm(q, axis=-1, keepdims=True),
                                phase_id=np.zeros_like(scan.phase_id))  # fmt: skip
    with pytest.warns(ModelWarning, match="Not like the training maps"):
        found = small.predict(noise)
    assert found.foreign
    assert found.warnings[0].startswith("Not like the training maps")
    assert "Paint five strokes" in found.warnings[0]
    for one in found.fractions():
        assert np.isnan(one.fraction)
        assert (one.low, one.high) == (0, 1)
    page = write_report(tmp_path / "r.html", noise, found, small).read_text()
    assert page.index("Not like the training maps") < page.index("Fractions")
    assert "not told" in page
    small.save(tmp_path / "small")
    again = Segmenter.load(tmp_path / "small")
    assert again.predict(noise, warn=False).warnings == found.warnings
    # Once it is corrected there, the strokes vouch for it.
    labels = np.zeros(truth.shape, np.uint8)
    labels[20:23, 20:40], labels[60:63, 20:40] = 1, 3
    adapted = small.train_more([(noise, labels)])
    assert adapted.familiar is None
    assert "only the strokes vouch" in adapted.answer
    assert not adapted.predict(noise, warn=False).foreign
    tables = small.familiar.as_tables()
    with pytest.raises(ModelError, match="does not fit"):
        Familiar.of_tables({**tables, "limit": -tables["limit"]}, small.normaliser, 3, "x")


def test_classes_that_are_seldom_found_are_told(small: Segmenter) -> None:
    scan, _ = random_map("recrystallised", 3, (60, 80))
    table = [[90, 5, 5], [20, 60, 20], [50, 10, 40]]
    model = dataclasses.replace(small, metrics={**small.metrics, "confusion": table})
    assert model.familiar is not None
    told = model.predict(scan, warn=False)
    # A map that is told as foreign has its own sentence.
    hard = [note for note in told.warnings if note.startswith("Hard to tell")]
    assert bool(hard) == (not told.foreign)
    labels = np.zeros(scan.shape, np.uint8)
    labels[10:14, 10:30], labels[40:44, 10:30] = 1, 3
    adapted = model.train_more([(scan, labels)])
    assert not any("Hard" in note for note in adapted.predict(scan, warn=False).warnings)
    said = hard_to_tell(model.metrics, ("a", "b", "c"))
    assert "60 % of b is found and 20 % called a, 80 % of what is called b is; 40 % of c" in said
    assert "40 % of c is found and 50 % called a, 62 %" in said
    assert " of a is found" not in said
    assert "ten strokes" in said
    assert hard_to_tell({"confusion": [[9, 1], [2, 8]]}, ("a", "b")) == ""
    assert hard_to_tell({}, ("a", "b")) == ""


def test_maps_of_the_family_are_familiar(small: Segmenter) -> None:
    """The limit is what 95 % of held-out maps keep, each class by itself and all together."""
    rng = np.random.default_rng(0)
    planes = len(small.normaliser.planes)

    def maps(number: int, shift: float = 0.0) -> list:
        out = []
        for _ in range(number):
            middle = rng.normal(size=planes) + shift
            values = middle + rng.normal(size=(300, planes))
            chance = rng.uniform(0.7, 1.0, len(values))
            out.append(Pixels(values, (values[:, 0] > middle[0]).astype(int), chance))
        return out

    known = Familiar.fit(small.normaliser, 2, maps(80), maps(80))
    assert np.mean([known.distance(one)[0] > 1 for one in maps(200)]) < 0.15
    assert np.mean([known.distance(one)[0] > 1 for one in maps(50, 4.0)]) > 0.95
    # The whole is as usual; what is called the second class is not.
    values, best, chance = maps(1)[0]
    odd = values.copy()
    odd[best == 1] += np.where(np.arange(planes) % 2, 6, -6)
    odd[best == 0] -= np.where(np.arange(planes) % 2, 6, -6)
    assert known.distance(Pixels(odd, best, chance))[0] > 1
    # Like the others, but the model is less sure of it than of them.
    one = next(one for one in maps(20) if known.distance(one)[0] < 1)
    assert not known.said(one, small.normaliser, ("a", "b"))
    unsure = one._replace(chance=0.7 * one.chance)
    assert known.said(unsure, small.normaliser, ("a", "b")).startswith("Not decided: ")
    # What is called two classes is one: their pixels differ by chance alone.
    assert np.mean([bool(known.alike(one)[1]) for one in maps(100)]) < 0.1
    mixed = one._replace(best=rng.permutation(one.best))
    assert known.alike(mixed)[1] == (0, 1)
    assert known.alike(mixed)[0] < 0.2
    assert "a and what is called b differ by" in known.said(mixed, small.normaliser, ("a", "b"))


def test_training_saving_and_adapting(small: Segmenter, tmp_path) -> None:
    scan, truth = random_map("recrystallised", 40, (60, 80))
    before = small.predict(scan, warn=False)
    assert (before.labels == truth).mean() > 0.5
    assert small.metrics["maps"] == 2
    assert 0 <= small.metrics["calibration_error"] < 0.5
    small.save(tmp_path / "small")
    again = Segmenter.load(tmp_path / "small")
    np.testing.assert_array_equal(again.predict(scan, warn=False).probability, before.probability)
    assert read_model(tmp_path / "small.safetensors").classes == small.classes
    labels = np.zeros(truth.shape, np.uint8)
    for c in np.unique(truth):
        for i, j in np.random.default_rng(0).permutation(np.argwhere(truth == c))[:5]:
            labels[i, j] = c
    adapted = small.train_more([(scan, labels)])
    assert adapted.network is None
    assert "corrected by strokes" in adapted.answer
    right = [(m.predict(scan, warn=False).labels == truth).mean() for m in (small, adapted)]
    assert right[1] > right[0] - 0.03
    adapted.save(tmp_path / "adapted")
    kept = Segmenter.load(tmp_path / "adapted").predict(scan, warn=False)
    np.testing.assert_allclose(
        kept.probability, adapted.predict(scan, warn=False).probability, atol=1e-6
    )
    card = json.loads((tmp_path / "small.json").read_text())
    card["settings"]["scale"] = 0
    (tmp_path / "small.json").write_text(json.dumps(card))
    with pytest.raises(ModelError):
        Segmenter.load(tmp_path / "small")


def test_wrong_streams() -> None:
    scan, truth = random_map("twins", 1, (30, 40))
    with pytest.raises(InputError, match="maps to train on"):
        train_ready([], [(scan, truth)], ("matrix", "twin"))
    with pytest.raises(InputError, match="values 1 to 2"):
        train_ready([(scan, truth * 0 + 1)], [(scan, truth)], ("matrix", "twin"), None, ("GOS",))


@pytest.mark.parametrize("family", READY)
def test_shipped_models_need_no_stroke(family: str) -> None:
    """Better than their rival of one threshold on maps that nothing has seen; see the benchmark."""
    model = Segmenter.ready(family)
    assert model.classes.names == FAMILIES[family]
    assert READY[family] in hub.shipped()
    assert model.metrics["accuracy"] > 0.75
    right = []
    for seed in (50_001, 50_003):
        scan, truth = random_map(family, seed, (90, 110))
        right.append((model.predict(scan, warn=False).labels == truth).mean())
        assert model.familiar is not None
    assert np.mean(right) > 0.7


@pytest.mark.parametrize("family", FAMILIES)
def test_a_map_of_one_class_alone(family: str) -> None:
    for value, name in enumerate(FAMILIES[family], 1):
        if name != "twin":
            scan, truth = random_map(family, 3, (40, 50), name)
            assert (truth == value).all()
            assert len(np.unique(ebsdml.segment_grains(scan, 3.0))) > 1
    with pytest.raises(InputError, match="only must be one of"):
        random_map(family, 3, (40, 50), "twin")


def test_a_map_without_quality_and_an_odd_name(tmp_path: Path) -> None:
    scan = ebsdml.samples.dual_phase_steel((50, 60), 0.5, seed=2).scan
    bare = dataclasses.replace(scan, prop={})
    model = Segmenter.ready("martensite")
    result = model.predict(bare, warn=False)
    assert set(np.unique(result.labels)) <= {1, 2, 3}
    page = write_report(tmp_path / "r.html", bare, result, model).read_text()
    assert f"{model.metrics['pixels']} pixels in {model.metrics['maps']} synthetic maps" in page
    with pytest.raises(InputError, match="martensite"):
        Segmenter.ready("glass")
