from __future__ import annotations

import dataclasses

import dask.array as da
import numpy as np
import pytest
from orix.crystal_map import Phase, PhaseList

from napari_ebsdml.errors import InputError, MissingDataError
from napari_ebsdml.patterns.classifier import SpaceGroupClassifier
from napari_ebsdml.patterns.crystal_frame.fine_tune import FineTuneRecipe, FineTuning
from napari_ebsdml.patterns.crystal_frame.measured import fold_scan
from napari_ebsdml.patterns.crystals.library import Library
from napari_ebsdml.patterns.simulated.synthetic import CLEAN, random_quaternions, spoil
from napari_ebsdml.scan import Scan
from tests.patterns.band_crystals import CAMERA, bands, project

# Half way between the diamond and the bcc crystals of the library, in a size of its own.
ODD = {(1, 1, 0): 0.5, (1, 1, 1): 0.35, (2, 2, 0): 0.5, (2, 1, 1): 0.25, (3, 1, 1): 0.25}
RECIPE = FineTuneRecipe(patterns=60, epochs=6, batch=32, replay=10)


@pytest.fixture(scope="module")
def odd() -> Scan:
    """Forty grains of two pixels of a crystal that the model does not know, and one of none."""
    rng = np.random.default_rng(6)
    q = np.repeat(random_quaternions(rng, 40).reshape(8, 5, 1, 4), 2, axis=2).reshape(8, 10, 4)
    one = Library(("odd",), ("bcc",), np.array([229]), np.array([20.0]), bands(4.1, ODD)[None])
    images = project(one, np.zeros(80, int), q.reshape(-1, 4))
    patterns = spoil(images, rng, CLEAN).reshape(8, 10, 60, 60)
    return Scan(
        quaternions=q, phase_id=np.zeros((8, 10), int),
        phases=PhaseList(Phase("odd steel", space_group=229)), step=(1, 1),
        patterns=da.from_array(patterns, chunks=(3, 10, 60, 60)),
    )  # fmt: skip


def test_whole_grains_are_held_out(odd):
    (phase,) = fold_scan(odd, 60, 0.2, 0, CAMERA)
    assert (phase.name, phase.space_group) == ("odd steel", 229)
    assert 0.15 <= phase.held.mean() <= 0.3
    assert len(phase.folded) == 75
    # The two pixels of a grain have one orientation: their weights are the same.
    weights = phase.folded.weights.reshape(75, -1)
    twins = [(a, a + 1) for a in range(74) if np.array_equal(weights[a], weights[a + 1])]
    assert len(twins) > 20
    assert all(phase.held[a] == phase.held[b] for a, b in twins)


@pytest.mark.long
def test_fine_tuning_learns_a_measured_phase_and_forgets_nothing(model, library, odd):
    before = model.predict_scan(odd, detector=CAMERA)
    assert (before.space_group == 229).mean() < 0.7
    tuning = FineTuning(model, [(odd, CAMERA)], RECIPE, library)
    events = [event for event in tuning if event.kind != "note"]
    assert tuning.events == [event for event in events if event.kind != "step"]
    after = tuning.classifier
    assert after is not None
    result = after.predict_scan(odd, detector=CAMERA)
    assert (result.space_group == 229).mean() > 0.95
    assert result.is_known.mean() > 0.9
    fractions = [event.fraction for event in events]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    assert after.card is not None
    figures = after.card.metrics
    assert figures["measured_held_out_accuracy"] > 0.9
    assert figures["measured_held_out_accuracy_before"] < 0.7
    rng = np.random.default_rng(9)
    which, q = rng.integers(0, 30, 90), random_quaternions(rng, 90)
    known = spoil(project(library, which, q), rng, CLEAN)
    truth = library.space_groups[which]
    old, new = (m.predict(known, q, CAMERA).space_group for m in (model, after))
    assert (new == truth).mean() >= (old == truth).mean() - 0.05


@pytest.mark.long
def test_cancelled_fine_tuning_keeps_the_best_so_far_or_nothing(model, library, odd, tmp_path):
    tuning = FineTuning(model, [(odd, CAMERA)], RECIPE, library)
    first = next(tuning)
    assert first.kind == "note"
    assert "Folding patterns" in first.reason
    tuning.close()
    assert tuning.classifier is None
    tuning = FineTuning(model, [(odd, CAMERA)], RECIPE, library)
    for event in tuning:
        if event.kind == "epoch":
            break
    tuning.close()
    made = tuning.classifier
    assert made is not None
    made.save(tmp_path / "tuned")
    again = SpaceGroupClassifier.load(tmp_path / "tuned")
    assert "odd steel (229)" in again.card.training["fine_tuned_on"]["phases"]


def test_what_cannot_be_learned_is_said(model, library, odd):
    with pytest.raises(InputError, match="at least one scan"):
        FineTuning(model, [])
    with pytest.raises(InputError, match="needs a model of the crystal frame"):
        FineTuning(SpaceGroupClassifier.load("raw"), [(odd, CAMERA)])
    hexagonal = dataclasses.replace(odd, phases=PhaseList(Phase("Ti", space_group=194)))
    with pytest.raises(InputError, match="194, which this model has no class for"):
        list(FineTuning(model, [(hexagonal, CAMERA)], RECIPE, library))
    nameless = dataclasses.replace(odd, phases=PhaseList(Phase("x", point_group="m-3m")))
    with pytest.raises(MissingDataError, match="no labels"):
        fold_scan(nameless, 60, 0.2, 0, CAMERA)
    with pytest.raises(MissingDataError, match="detector geometry"):
        fold_scan(odd, 60, 0.2, 0)
    with pytest.raises(MissingDataError, match="no patterns"):
        fold_scan(dataclasses.replace(odd, patterns=None), 60, 0.2, 0, CAMERA)
