"""Training, answers, files and explanations of raw-pattern classifiers."""

from __future__ import annotations

import dataclasses
import json

import dask.array as da
import imageio.v3 as iio
import numpy as np
import pytest
from orix.crystal_map import Phase, PhaseList
from scipy.signal import correlate2d

from napari_ebsdml._quaternions import multiply
from napari_ebsdml.errors import FileFormatError, InputError, MissingDataError, ModelError
from napari_ebsdml.patterns.classifier import SpaceGroupClassifier
from napari_ebsdml.patterns.raw import (
    LabelledPatterns,
    RawClassifier,
    RawRecipe,
    alike_filters,
    class_table,
    from_folder,
    from_scan,
    from_scans,
    material_table,
)
from napari_ebsdml.patterns.raw.data import group_of
from napari_ebsdml.patterns.raw.simulated_training import (
    StreamRecipe,
    simulate,
    stream_training,
    turned,
)
from napari_ebsdml.patterns.simulated.synthetic import (
    CLEAN,
    Reality,
    random_quaternions,
    small_turns,
    spoil,
)
from napari_ebsdml.scan import Scan
from tests.patterns.band_crystals import project

RECIPE = RawRecipe(size=40, epochs=12, patience=6, batch=16, seed=1)


@pytest.fixture(scope="module")
def labelled(library) -> LabelledPatterns:
    """Two materials of each of three space groups."""
    rng = np.random.default_rng(0)
    which = np.repeat([0, 1, 10, 11, 20, 21], 55)
    # Orientations near one: a small network then learns from few patterns what tells them apart.
    q = multiply(small_turns(rng, len(which), 4.0), random_quaternions(rng, 1))
    images = project(library, which, q)
    patterns = np.concatenate([spoil(images[k : k + 55], rng, CLEAN) for k in range(0, 330, 55)])
    return LabelledPatterns.of(
        patterns, library.space_groups[which], [library.names[k] for k in which],
        [library.families[k] for k in which],
    )  # fmt: skip


@pytest.fixture(scope="module")
def split(labelled):
    return labelled.split(70, 20, seed=3)


@pytest.fixture(scope="module")
def trained(split):
    training = RawClassifier.training(split.train, split.validation, RECIPE)
    events = list(training)
    return training.classifier, events


@pytest.fixture(scope="module")
def scan(labelled) -> Scan:
    """The patterns as a map with known phases; grains are columns of one orientation each."""
    rng = np.random.default_rng(5)
    place = np.concatenate([rng.permutation(np.flatnonzero(labelled.space_groups == g))[:20]
                            for g in (225, 229, 227)]).reshape(12, 5)  # fmt: skip
    phase = np.repeat([0, 1, 2], 4)[:, None] * np.ones(5, int)
    phases = PhaseList([Phase("fcc", space_group=225), Phase("bcc", space_group=229),
                        Phase("dia", space_group=227)])  # fmt: skip
    q = np.broadcast_to(random_quaternions(rng, 3)[phase], (12, 5, 4))
    return Scan(
        quaternions=q, phase_id=phase, phases=phases, step=(0.1, 0.1),
        patterns=da.from_array(labelled.patterns[place], chunks=(5, 5, 60, 60)),
    )  # fmt: skip


def test_few_patterns_teach_the_network(trained, split):
    model, events = trained
    answer = model.predict(split.test.patterns)
    right = answer.space_group == split.test.space_groups
    assert right.mean() > 0.85
    assert (answer.family == split.test.families).mean() > 0.85
    np.testing.assert_allclose(answer.probabilities.sum(axis=-1), 1, atol=1e-5)
    assert answer.is_known.mean() > 0.85
    epochs = [e for e in events if e.kind == "epoch"]
    assert {"loss", "cross entropy", "weight decay"} <= set(epochs[0].losses)
    assert {"validation", "accuracy"} <= set(epochs[0].metrics)
    assert epochs[-1].losses["cross entropy"] < 0.5 * epochs[0].losses["cross entropy"]
    assert events[-1].kind == "end"
    assert model.card.metrics["validation_patterns"] == len(split.validation)


def test_training_stops_when_nothing_is_gained(split):
    recipe = RawRecipe(size=32, epochs=9, patience=2, min_delta=100.0, seed=2)
    training = RawClassifier.training(split.train, split.validation, recipe)
    events = list(training)
    # The first epoch gains from nothing at all, two more gain too little.
    assert len(training.histories[0]) == 3
    assert events[-1].reason == "early stop"
    assert events[-1].best_epoch == 1


def test_cancelling_keeps_the_best_network(split):
    training = RawClassifier.training(split.train, split.validation, RECIPE)
    assert training.classifier is None
    next(event for event in training if event.kind == "epoch")
    training.close()
    assert training.classifier.predict(split.test.patterns[:3]).shape == (3,)
    again = RawClassifier.training(split.train, split.validation, RECIPE)
    next(again)
    again.close()
    assert again.classifier is None

    def stop(event):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        RawClassifier.train(split.train, split.validation, RECIPE, on_event=stop)


def test_a_saved_model_answers_the_same(trained, split, tmp_path):
    model, _ = trained
    model.save(tmp_path / "mine")
    again = SpaceGroupClassifier.load(tmp_path / "mine.safetensors")
    assert isinstance(again, RawClassifier)
    assert not again.needs_orientations
    one, two = (m.predict(split.test.patterns) for m in (model, again))
    assert (one.space_group == two.space_group).mean() > 0.98
    np.testing.assert_allclose(one.probabilities, two.probabilities, atol=0.05)
    assert again.classes == model.classes
    np.testing.assert_allclose(again.background, model.background, atol=0.02)
    card = json.loads((tmp_path / "mine.json").read_text())
    del card["extra"]["unknown"]
    (tmp_path / "mine.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match="unknown"):
        RawClassifier.load(tmp_path / "mine")


def test_patterns_of_every_shape_and_kind_are_answered_alike(trained, split):
    model, _ = trained
    patterns = split.test.patterns[:12]
    plain = model.predict(patterns)
    done = []
    lazy = model.predict(
        da.from_array(patterns.reshape(3, 4, 60, 60), chunks=(1, 4, 60, 60)), progress=done.append
    )
    np.testing.assert_array_equal(lazy.space_group.ravel(), plain.space_group)
    assert done[-1] == 1.0
    one = model.predict(patterns[0])
    assert one.shape == ()
    assert one.space_group == plain.space_group[0]
    scaled = model.predict(patterns.astype(np.float32) * 7 + 50)
    np.testing.assert_array_equal(scaled.space_group, plain.space_group)
    assert model.predict(np.zeros((0, 60, 60))).shape == (0,)
    with pytest.raises(InputError, match="rows, columns"):
        model.predict(np.zeros(7))
    with pytest.raises(InputError, match="16 x 16"):
        model.predict(np.zeros((1, 12, 60)))
    with pytest.raises(InputError, match="16 x 16"):
        RawClassifier.train(LabelledPatterns.of(np.zeros((4, 12, 60)), [225, 225, 229, 229]))
    with pytest.raises(InputError, match="mask has shape"):
        model.predict(patterns, mask=np.ones((3, 3), bool))
    with pytest.raises(InputError, match="voting"):
        model.predict(patterns, voting="loudest")


def test_noise_looks_less_known(trained, split):
    model, _ = trained
    noise = np.random.default_rng(0).integers(90, 160, (60, 60, 60), dtype=np.uint8)
    known = model.predict(split.test.patterns)
    assert model.predict(noise).known_score.mean() < known.known_score.mean() - 0.2


def test_members_vote(split, trained):
    recipe = RawRecipe(size=32, epochs=3, members=2, seed=4)
    training = RawClassifier.training(split.train, split.validation, recipe)
    events = list(training)
    two = training.classifier
    assert len(two.members) == len(training.histories) == 2
    assert [e.kind for e in events].count("end") == 1
    assert events[-1].fraction == 1.0
    parts = [
        RawClassifier(dataclasses.replace(two.model, members=(m,))).predict(split.test.patterns)
        for m in two.members
    ]
    both = two.predict(split.test.patterns)
    mean = (parts[0].probabilities + parts[1].probabilities) / 2
    np.testing.assert_allclose(both.probabilities, mean, atol=1e-6)
    all_three = RawClassifier.ensemble([two, trained[0]])
    votes = all_three.predict(split.test.patterns, voting="majority")
    last = trained[0].predict(split.test.patterns)
    same = parts[0].space_group == parts[1].space_group
    np.testing.assert_array_equal(votes.space_group[same], parts[0].space_group[same])
    agree = ~same & (last.space_group == parts[1].space_group)
    np.testing.assert_array_equal(votes.space_group[agree], last.space_group[agree])
    with pytest.raises(InputError, match="at least one"):
        RawClassifier.ensemble([])


def test_transfer_takes_weights_over(trained, split):
    model, _ = trained
    recipe = RawRecipe(size=40, epochs=1, learning_rate=1e-9, patience=0)
    again = RawClassifier.train(split.train, split.validation, recipe, start=model)
    np.testing.assert_allclose(again.filters(), model.filters(), atol=1e-6)
    plain = LabelledPatterns.of(
        split.train.patterns, split.train.space_groups, split.train.materials
    )
    other = RawClassifier.train(plain, None, recipe, start=model)
    np.testing.assert_allclose(other.filters(), model.filters(), atol=1e-6)
    assert other.classes == (("", 225), ("", 227), ("", 229))
    assert (other.predict(split.test.patterns[:2]).family == "").all()
    with pytest.raises(InputError, match="'small' network"):
        RawClassifier.train(split.train, recipe=RawRecipe("xception"), start=model)
    with pytest.raises(InputError, match="network='efficientnet' and 'xception'"):
        RawClassifier.train(split.train, recipe=RawRecipe(), start="imagenet")


def test_one_door_for_both_kinds_of_model(split, library):
    recipe = RawRecipe(size=32, epochs=1)
    assert isinstance(SpaceGroupClassifier.train(split.train, recipe), RawClassifier)
    with pytest.raises(InputError, match="RawRecipe"):
        SpaceGroupClassifier.train(library, recipe)


def test_one_class_is_too_few(labelled):
    one = labelled.take(labelled.space_groups == 225)
    with pytest.raises(InputError, match="two space groups"):
        RawClassifier.train(one)


def test_maps_are_answered_by_pixel_grain_and_whole(trained, scan):
    model, _ = trained
    truth = np.repeat([225, 229, 227], 4)[:, None] * np.ones(5, int)
    pixel = model.predict_scan(scan)
    assert (pixel.space_group == truth).mean() > 0.85
    grain = model.predict_scan(scan, by="grain")
    np.testing.assert_array_equal(grain.space_group, truth)
    assert len(np.unique(grain.labels)) == 3
    means = pixel.probabilities[:4].reshape(-1, 3).mean(axis=0)
    np.testing.assert_allclose(grain.probabilities[0, 0], means, atol=1e-5)
    whole = model.predict_scan(scan, by="map")
    assert len(np.unique(whole.space_group)) == 1
    bare = scan.without(np.ones(scan.shape, bool))
    assert (model.predict_scan(bare).space_group > 0).all()
    with pytest.raises(MissingDataError, match="no orientations"):
        model.predict_scan(bare, by="grain")
    with pytest.raises(InputError, match="by must be"):
        model.predict_scan(scan, by="row")


# -- data --------------------------------------------------------------------------------------


def dummy(numbers: dict[str, tuple[int, int]]) -> LabelledPatterns:
    groups = [g for g, n in numbers.values() for _ in range(n)]
    names = [name for name, (_, n) in numbers.items() for _ in range(n)]
    patterns = np.arange(len(groups))[:, None, None] * np.ones((1, 16, 16))
    return LabelledPatterns.of(patterns, groups, names)


def test_the_papers_split():
    data = dummy({"Ni": (225, 500), "Al": (225, 300), "TiC": (225, 90), "W": (229, 700)})
    split = data.split(400, 100, seed=5)
    counts = [
        {row["material"]: row["number"] for row in part.counts()}
        for part in (split.train, split.validation, split.test)
    ]
    assert counts[0]["W"] == 400
    assert counts[1]["W"] == 100
    assert sum(counts[0][n] for n in ("Ni", "Al", "TiC")) == 400
    assert sum(counts[1][n] for n in ("Ni", "Al", "TiC")) == 100
    assert counts[0]["TiC"] + counts[1]["TiC"] == 90  # all it has; the others fill up
    assert abs(counts[0]["Ni"] - counts[0]["Al"]) <= 1
    whole = [p for s in (split.train, split.validation, split.test) for p in s.patterns[:, 0, 0]]
    assert sorted(whole) == list(range(1590))
    again = data.split(400, 100, seed=5)
    np.testing.assert_array_equal(again.train.patterns, split.train.patterns)
    few = dummy({"Ni": (225, 20), "W": (229, 5)}).split()
    assert len(few.test) >= 4
    assert set(few.validation.space_groups) == {225, 229}
    with pytest.raises(InputError, match="2 patterns"):
        dummy({"Ni": (225, 2)}).split()


def test_folders_name_their_classes(tmp_path):
    rng = np.random.default_rng(0)
    for place, shape in (("225 Ni", (40, 40)), ("Im-3m/Fe", (40, 50)), ("Im-3m/W", (40, 40))):
        (tmp_path / place).mkdir(parents=True)
        for k in range(3):
            image = rng.integers(0, 255, shape, dtype=np.uint8)
            iio.imwrite(tmp_path / place / f"{k}.png", image)
    data = from_folder(tmp_path)
    assert {(r["space_group"], r["material"], r["number"]) for r in data.counts()} == {
        (225, "225 Ni", 3), (229, "Fe", 3), (229, "W", 3),
    }  # fmt: skip
    (tmp_path / "other").mkdir()
    with pytest.raises(FileFormatError, match="tells no space group"):
        from_folder(tmp_path)
    with pytest.raises(FileFormatError, match="no folder for each"):
        from_folder(tmp_path / "other")
    with pytest.raises(FileFormatError, match="no such folder"):
        from_folder(tmp_path / "absent")


def test_names_of_space_groups():
    names = ("225", "225 Ni", "sg_229", "Fm-3m", "0221", "Ni", "999")
    assert [group_of(n) for n in names] == [225, 225, 229, 225, 221, None, None]


def test_large_images_are_stored_small(tmp_path):
    for group in ("225", "229"):
        (tmp_path / group).mkdir()
        image = np.random.default_rng(1).integers(0, 255, (300, 400), dtype=np.uint8)
        iio.imwrite(tmp_path / group / "a.png", image)
    assert from_folder(tmp_path).patterns.shape == (2, 128, 128)


def test_scans_with_known_phases(scan, labelled):
    data = from_scan(scan, per_class=7, seed=1)
    assert {(r["space_group"], r["material"], r["number"]) for r in data.counts()} == {
        (225, "fcc", 7), (229, "bcc", 7), (227, "dia", 7),
    }  # fmt: skip
    everything = np.asarray(scan.patterns)
    for pattern, group in zip(data.patterns, data.space_groups, strict=True):
        rows = np.flatnonzero((everything == pattern).all(axis=(2, 3)).any(axis=-1))
        expected = {225: range(4), 229: range(4, 8), 227: range(8, 12)}[int(group)]
        assert rows.size
        assert set(rows) <= set(expected)
    assert len(from_scans([scan, scan], per_class=3)) == 18
    import dataclasses

    with pytest.raises(MissingDataError, match="no patterns"):
        from_scan(dataclasses.replace(scan, patterns=None))
    with pytest.raises(InputError, match="no scan"):
        from_scans([])


def test_labels_must_fit():
    with pytest.raises(InputError, match="n labels"):
        LabelledPatterns.of(np.zeros((3, 20, 20)), [225, 229])
    with pytest.raises(InputError, match=r"1\.\.230"):
        LabelledPatterns.of(np.zeros((1, 20, 20)), [231])


def test_scores_agree_with_scikit_learn():
    from sklearn.metrics import precision_recall_fscore_support

    rng = np.random.default_rng(0)
    truth = rng.choice([221, 225, 229], 300, p=[0.2, 0.5, 0.3])
    answer = np.where(rng.random(300) < 0.7, truth, rng.choice([221, 225, 229], 300))
    rows = {row.name: row for row in class_table(truth, answer)}
    expected = precision_recall_fscore_support(truth, answer)
    for k, name in enumerate(("221", "225", "229")):
        row = rows[name]
        np.testing.assert_allclose(
            (row.precision, row.recall, row.f1, row.number), [part[k] for part in expected]
        )
    for name in ("macro", "weighted"):
        mean = precision_recall_fscore_support(truth, answer, average=name)[:3]
        np.testing.assert_allclose((rows[name].precision, rows[name].recall, rows[name].f1), mean)
    by = material_table(truth, answer, np.where(truth == 221, "A", "B"))
    assert by[0].recall == pytest.approx(rows["221"].recall)


# -- explanations ------------------------------------------------------------------------------


def test_feature_maps_are_the_filters_at_work(trained, split):
    model, _ = trained
    pattern = split.test.patterns[0]
    maps = model.feature_maps(pattern, which=[3, 0])
    prepared = model.members[0].inputs(pattern[None])[0] / 3.5
    expected = correlate2d(np.pad(prepared, 2), model.filters()[3, 0], "valid")[::2, ::2]
    np.testing.assert_allclose(maps[0], expected, atol=1e-4)
    with pytest.raises(InputError, match="numbered"):
        model.feature_maps(pattern, which=[99])
    with pytest.raises(InputError, match="member"):
        model.filters(5)


def test_shapley_values_add_up(trained, split):
    """Efficiency: the sum is the score less its mean over the background set."""
    model, _ = trained
    done = []
    found = model.shapley(split.test.patterns[5], split.train.patterns[::12], done.append)
    assert found.images.shape == (3, 60, 60)
    difference = found.score - found.expected
    scale = np.abs(difference).max()
    np.testing.assert_allclose(found.images.sum(axis=(1, 2)), difference, atol=0.02 * scale)
    assert done[-1] == 1.0
    own = model.explain(split.test.patterns[5])
    best = int(model.predict(split.test.patterns[5]).space_group)
    k = found.space_groups.index(best)
    assert own.score.argmax() == k
    assert own.images[k].sum() == max(image.sum() for image in own.images)
    with pytest.raises(InputError, match="one pattern"):
        model.shapley(split.test.patterns[:2])
    with pytest.raises(InputError, match="background"):
        model.shapley(split.test.patterns[0], split.train.patterns[0])


def test_alike_filters_find_a_permutation(trained):
    model, _ = trained
    import copy

    other = copy.deepcopy(model)
    order = np.random.default_rng(0).permutation(32)
    weight = other.members[0].network.first.weight
    weight.data = 2.5 * weight.data[order] + 0.3  # contrast and brightness do not count
    pairs = alike_filters(model, other, 32)
    assert [order[p.second] for p in pairs] == [p.first for p in pairs]
    assert max(p.distance for p in pairs) < 1e-5
    with pytest.raises(InputError, match="number"):
        alike_filters(model, other, 33)


# -- simulated streams -------------------------------------------------------------------------


def test_simulated_patterns_are_repeatable(library):
    which = np.array([0, 10, 20, -1])
    reality = Reality((40,), circular=1.0)
    one, _ = simulate(library.masters, which, 7, reality)
    two, _ = simulate(library.masters, which, 7, reality)
    np.testing.assert_array_equal(one, two)
    masks = []
    for seed in range(12):
        patterns, mask = simulate(library.masters, which, seed, reality)
        assert (patterns[:, ~mask] == 0).all()
        masks.append(mask.all())
        corners = patterns[:, [0, 0, -1, -1], [0, -1, 0, -1]]
        assert (corners == corners[:, :1]).all()  # masked, or one grey
    assert 0 < sum(masks) < 12
    other, _ = simulate(library.masters, which, 8, reality)
    assert (one != other).mean() > 0.5


def test_turned_copies_are_symmetric_ones():
    rng = np.random.default_rng(0)
    x = np.repeat(rng.integers(-100, 100, (1, 5, 5)).astype(np.int8), 200, axis=0)
    eight = {np.rot90(m, k).tobytes() for m in (x[0], x[0].T) for k in range(4)}
    assert {image.tobytes() for image in turned(x, rng)} == eight


@pytest.mark.long
def test_a_stream_teaches_and_can_be_stopped_and_started(library, tmp_path):
    recipe = StreamRecipe(
        patterns=600, repeats=4, epochs=4, batch=16, size=32, bfloat16=False, validation=0.2,
        reality=Reality((40,), (0.05, 0.1), circular=0.3),
    )  # fmt: skip
    checkpoint = tmp_path / "half.checkpoint"
    training = stream_training(library, None, recipe, checkpoint=checkpoint)
    for event in training:
        if event.kind == "epoch" and event.epoch == 2:
            break
    first = training.histories[0][0].losses["loss"]
    training.close()
    again = stream_training(library, None, recipe, checkpoint=checkpoint)
    epochs = [event for event in again if event.kind == "epoch"]
    assert [event.epoch for event in epochs] == [3, 4]
    assert epochs[-1].losses["loss"] < first - 0.05
    made = again.classifier
    assert made.members[0].has_other
    assert made.families == ("bcc", "diamond", "fcc")
    assert made.card.metrics["held_out_patterns"] == 6 * 40
    answer = made.predict(simulate(library.masters, np.arange(30), 4, recipe.reality)[0])
    assert answer.probabilities.shape == (30, 3)
    few = library.take(np.arange(1, 3))
    with pytest.raises(InputError, match="too few"):
        stream_training(few, None, recipe)


def test_the_shipped_model_is_at_hand():
    model = SpaceGroupClassifier.load("raw")
    assert isinstance(model, RawClassifier)
    assert model.space_groups == (221, 223, 225, 227, 229, 230)
    patterns = np.random.default_rng(0).integers(0, 255, (3, 60, 60), dtype=np.uint8)
    assert not SpaceGroupClassifier.load("default").predict(patterns).space_group.any()
    assert (model.predict(patterns).space_group > 0).all()
