"""Classes of grains from a few named ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from orix.crystal_map import Phase, PhaseList

import napari_ebsdml as ebsdml
from napari_ebsdml.errors import InputError, MissingDataError, ModelError
from napari_ebsdml.grains import GrainClassifier, grain_features, islands_of
from napari_ebsdml.scan import Scan


@pytest.fixture(scope="module")
def steel() -> tuple[Scan, np.ndarray, np.ndarray]:
    """Dual-phase steel, its grains, and the true class of each (0: too mixed to tell)."""
    scan, truth, *_ = ebsdml.samples.dual_phase_steel((200, 260), 0.5, seed=2)
    grains = ebsdml.segment_grains(scan, 3.0, min_pixels=4)
    n = int(grains.max()) + 1
    pixels = np.bincount(grains.ravel(), minlength=n)
    martensite = np.bincount(grains.ravel(), truth.ravel() == 2, n) / np.maximum(pixels, 1)
    true = np.where(martensite > 0.9, 2, np.where(martensite < 0.1, 1, 0))
    true[0] = 0
    return scan, grains, true


def clicks(true: np.ndarray, pixels: np.ndarray, each: int, seed: int) -> dict[int, int]:
    rng = np.random.default_rng(seed)
    found = {}
    for number in (1, 2):
        at = np.flatnonzero((true == number) & (pixels >= 20))
        found |= {int(k): number for k in rng.choice(at, each, replace=False)}
    return found


@pytest.mark.parametrize("method", ["lda", "forest"])
def test_ten_clicks_give_a_map(steel: tuple, method: str) -> None:
    scan, grains, true = steel
    pixels = np.bincount(grains.ravel(), minlength=len(true))
    shares, told = [], []
    for seed in range(3):
        examples = clicks(true, pixels, 5, seed)
        model = GrainClassifier.train([(scan, grains, examples)], {1: "ferrite"}, method)
        found = model.predict(scan, grains)
        judged = (true > 0) & ~np.isin(np.arange(len(true)), list(examples))
        weight = pixels * judged
        shares.append(float((weight * (found.of_grain == true)).sum() / weight.sum()))
        best = np.nan_to_num(found.probability.max(axis=1))
        told.append(float((weight * best).sum() / weight.sum()))
    # Always the larger class would be right for about half of the area.
    assert np.mean(shares) > 0.9
    assert abs(np.mean(told) - np.mean(shares)) < 0.2
    assert found.names == {1: "ferrite", 2: "class 2"}


def test_strokes_are_votes_of_their_grain(steel: tuple) -> None:
    scan, grains, true = steel
    pixels = np.bincount(grains.ravel(), minlength=len(true))
    examples = clicks(true, pixels, 5, 0)
    painted = np.zeros(scan.shape, np.int32)
    for label, number in examples.items():
        at = np.argwhere(grains == label)
        painted[tuple(at[:9].T)] = number
        painted[tuple(at[9])] = 3 - number
    a = GrainClassifier.train([(scan, grains, examples)]).predict(scan, grains)
    b = GrainClassifier.train([(scan, grains, painted)]).predict(scan, grains)
    assert np.array_equal(a.of_grain, b.of_grain)


@pytest.mark.parametrize("method", ["lda", "forest"])
def test_save_and_load(steel: tuple, tmp_path: Path, method: str) -> None:
    scan, grains, true = steel
    pixels = np.bincount(grains.ravel(), minlength=len(true))
    model = GrainClassifier.train([(scan, grains, clicks(true, pixels, 5, 0))], method=method)
    model.save(tmp_path / "grains.json")
    again = GrainClassifier.load(tmp_path / "grains.json").predict(scan, grains)
    assert np.allclose(again.probability, model.predict(scan, grains).probability, equal_nan=True)
    (tmp_path / "bad.json").write_text('{"kind": "x"}')
    for name in ("bad.json", "absent.json"):
        with pytest.raises(ModelError):
            GrainClassifier.load(tmp_path / name)


def test_rename_merge_flip_and_table(steel: tuple) -> None:
    scan, grains, true = steel
    pixels = np.bincount(grains.ravel(), minlength=len(true))
    examples = clicks(true, pixels, 4, 1)
    third = int(np.flatnonzero((true == 1) & (pixels > 50))[0])
    found = GrainClassifier.train([(scan, grains, {**examples, third: 3})]).predict(scan, grains)
    assert list(found.names) == [1, 2, 3]
    assert sum(found.fractions.values()) == pytest.approx(1)
    merged = found.merged({3: 1}).renamed({1: "ferrite"})
    assert set(np.unique(merged.of_grain)) <= {0, 1, 2}
    own = merged.probability[merged.features.exists]
    assert np.allclose(own.sum(axis=1), 1)
    assert "ferrite" in merged.sentence
    flipped = merged.with_grain(third, 2)
    assert flipped.of_grain[third] == 2
    table = flipped.table
    assert len(table["id"]) == len(table["class"]) == merged.features.exists.sum()
    assert (merged.map > 0).sum() == (grains > 0).sum()
    for wrong in ({9: 1}, {3: 1, 1: 2}):
        with pytest.raises(InputError):
            found.merged(wrong)


def test_islands_and_contiguity() -> None:
    where = np.zeros((20, 40), bool)
    where[2:6, 2:6] = True
    where[10:12, 20:30] = True
    table = islands_of(where, (0.5, 0.5))
    assert table["pixels"].tolist() == [16, 20]
    assert table["area"].tolist() == [4.0, 5.0]
    assert table["aspect_ratio"] == pytest.approx([1.0, 5.0])
    distance = 0.5 * np.hypot(10.5 - 3.5, 24.5 - 3.5)
    assert table["nearest"] == pytest.approx([distance, distance])
    assert islands_of(np.zeros((3, 3), bool), (1, 1))["id"].size == 0
    # A row of four grains; the middle two are the class: one boundary inside, two outside.
    from napari_ebsdml.grains.classes.islands import contiguity

    labels = np.kron(np.array([[1, 2, 3, 4]]), np.ones((5, 5), int)).astype(np.int32)
    assert contiguity(labels, np.isin(np.arange(5), (2, 3))) == pytest.approx(0.5)
    assert contiguity(labels, np.isin(np.arange(5), (2, 4))) == 0
    assert np.isnan(contiguity(labels, np.zeros(5, bool)))


def test_features_of_known_grains() -> None:
    # Two grains of one phase, turned by 20 degrees, with different quality.
    q = np.zeros((10, 20, 4))
    q[..., 0] = 1
    half = np.radians(10)
    q[:, 10:] = (np.cos(half), 0, 0, np.sin(half))
    bc = np.full((10, 20), 100.0)
    bc[:, 10:] = 50
    scan = Scan(
        quaternions=q, phase_id=np.zeros((10, 20), int), step=(1, 1), prop={"BC": bc},
        phases=PhaseList([Phase("iron", space_group=229)]),
    )  # fmt: skip
    found = grain_features(scan, ebsdml.segment_grains(scan))
    column = {name: found.values[1:, i] for i, name in enumerate(found.names)}
    assert column["BC"].tolist() == [100, 50]
    assert column["neighbours' BC"].tolist() == [50, 100]
    assert column["boundary angle"] == pytest.approx([20, 20])
    assert column["low-angle boundary"].tolist() == [0, 0]
    assert column["log diameter"] == pytest.approx(np.log(np.sqrt(400 / np.pi)))
    with pytest.raises(MissingDataError):
        grain_features(scan, np.zeros((10, 20), int))


def test_wrong_examples(steel: tuple) -> None:
    scan, grains, _ = steel
    for examples in ({1: 1}, {10**7: 1, 1: 2}, {1: 0, 2: 1}, np.zeros(scan.shape, int), [1, 2]):
        with pytest.raises(InputError):
            GrainClassifier.train([(scan, grains, examples)])
    with pytest.raises(InputError, match="method"):
        GrainClassifier.train([(scan, grains, {1: 1, 2: 2})], method="svm")
    model = GrainClassifier.train([(scan, grains, {1: 1, 2: 2})])
    other = Scan(
        quaternions=scan.quaternions, phase_id=scan.phase_id, phases=scan.phases, step=scan.step
    )
    with pytest.raises(ModelError, match="BC"):
        model.predict(other, grains)
