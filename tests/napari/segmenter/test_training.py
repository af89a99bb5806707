"""The dock "U-Net segmenter" in a real napari window: paint, train, cancel, correct, train on."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from orix.crystal_map import Phase, PhaseList
from qtpy.QtWidgets import QApplication

from napari_ebsdml import InputError, Scan, Segmenter, Source
from napari_ebsdml._napari.controls.settings import remembered
from napari_ebsdml._napari.segmenter import training_run
from napari_ebsdml._napari.segmenter.inputs import GND
from napari_ebsdml._napari.segmenter.training_form import (
    TrainingForm,
    to_train_on,
)
from napari_ebsdml._napari.segmenter.widget import SegmenterWidget
from napari_ebsdml.segmentation.models.ready_names import READY_TITLES
from tests.napari.docks import add_map, open_dock, run

TINY = {"epochs": 3, "steps": 3, "crop": 32, "batch": 4, "held_out": 0.2, "coarser": False}


def bands(name: str = "bands", seed: int = 0) -> tuple[Scan, np.ndarray]:
    """Two classes that differ in band contrast, in bands, and which is which."""
    rng = np.random.default_rng(seed)
    shape = (48, 64)
    truth = 1 + (np.arange(64) // 16 % 2)[None, :] * np.ones((48, 1), int)
    turned = np.zeros((*shape, 4))
    turned[..., 0] = 1.0
    turned[truth == 2] = (np.cos(0.2), 0, 0, np.sin(0.2))
    scan = Scan(
        quaternions=turned, phase_id=np.ones(shape, np.int32),
        phases=PhaseList({1: Phase("iron", space_group=229)}), step=(0.5, 0.5),
        prop={"BC": 100.0 + 50 * (truth == 2) + rng.normal(0, 8, shape),
              "MAD": rng.uniform(0.2, 1.0, shape)},
        source=Source(path=Path(f"{name}.ang")),
    )  # fmt: skip
    return scan, truth


def dock(viewer: Any) -> SegmenterWidget:
    widget = open_dock(viewer, "U-Net segmenter", SegmenterWidget)
    widget.state.channels = ("BC",)
    widget.channels.own_choice = True
    widget.state.settings = TINY
    return widget


def paint(widget: SegmenterWidget, truth: np.ndarray, rows: slice = slice(4, 44, 6)) -> None:
    """A few straight strokes of each class."""
    if widget.strokes.layer is None:
        widget.strokes.new_layer()
    layer = widget.strokes.layer
    strokes = np.zeros(truth.shape, int)
    strokes[rows] = truth[rows]
    for value in (1, 2):
        layer.data_setitem(np.nonzero(strokes == value), value)
    widget.strokes.painted.count()


def train(widget: SegmenterWidget, qtbot: Any, expect: str = "done", **options: Any) -> None:
    run(lambda: widget.training.train(**options), widget.tasks, qtbot, expect, timeout=120_000)


def names(viewer: Any) -> list[str]:
    return [layer.name for layer in viewer.layers]


def wait_for_epoch(widget: SegmenterWidget, qtbot: Any, epoch: int = 1) -> None:
    qtbot.waitUntil(lambda: widget.training.last_epoch >= epoch, timeout=120_000)


def test_paints_trains_cancels_corrects_trains_on_saves_loads(
    viewer: Any, qtbot: Any, tmp_path: Path
) -> None:
    scan, truth = bands()
    add_map(viewer, scan)
    widget = dock(viewer)
    state = widget.state
    assert not widget.tasks.run_button.isEnabled()
    state.change_class(2, name="bright")
    paint(widget, truth)
    strokes = widget.strokes.layer
    assert widget.tasks.run_button.isEnabled()
    assert widget.tasks.run_button.text() == "Train"

    # Cancelled before there is a model: nothing changes.
    widget.training.train()
    widget.tasks.cancel()
    qtbot.waitUntil(lambda: not widget.tasks.running and widget.training.keeper is None,
                    timeout=60_000)  # fmt: skip
    assert state.segmenter is None
    assert "nothing changed" in widget.tasks.status.text()

    # Trained: a preview comes before the end, and refreshes the same layers.
    previews: list[int] = []
    state.prediction_changed.connect(lambda scan: previews.append(len(viewer.layers)))
    train(widget, qtbot)
    assert isinstance(state.segmenter, Segmenter)
    assert len(previews) >= 3
    assert len(set(previews)) == 1
    assert names(viewer)[-3:] == ["segmentation · bands", "uncertainty · bands", "strokes · bands"]
    segmentation = viewer.layers["segmentation · bands"]
    uncertainty = viewer.layers["uncertainty · bands"]
    assert viewer.layers.selection.active is strokes
    assert str(strokes.mode) == "paint"
    assert not uncertainty.visible
    result = state.predictions[scan]
    np.testing.assert_array_equal(segmentation.data, result.labels)
    np.testing.assert_array_equal(uncertainty.data, result.uncertainty)
    assert (result.labels == truth).mean() > 0.9
    assert "bright" in segmentation.get_status((4.0, 12.0), world=True)["value"]
    expected = state.segmenter.predict(scan)
    np.testing.assert_array_equal(expected.labels, result.labels)
    table = widget.result.table.rows()
    assert [row[0] for row in table[1:]] == ["class 1", "bright"]
    assert table[2][1] == pytest.approx(100 * expected.fractions()[1].fraction)
    assert table[2][2] == pytest.approx(100 * expected.fractions()[1].low)
    curves = widget.training.curves.series
    assert [x for x, _ in curves["training"]] == [1, 2, 3]
    assert len(curves["held-out grains"]) == 3
    assert all(0 <= y <= 100 for _, y in curves["strokes"])
    assert "grains and blocks that were held out" in widget.training.model_text.text()

    # Cancelled in the middle: answers at once, and the best model so far is kept.
    first = state.segmenter
    state.settings = {**TINY, "epochs": 300}
    paint(widget, truth, slice(1, 47, 3))
    assert widget.tasks.run_button.text() == "Continue training"
    widget.training.train()
    wait_for_epoch(widget, qtbot)
    clicked = time.perf_counter()
    widget.tasks.cancel()
    qtbot.waitUntil(lambda: not widget.tasks.running, timeout=10_000)
    assert time.perf_counter() - clicked < 2.0
    qtbot.waitUntil(lambda: widget.training.keeper is None, timeout=60_000)
    assert state.segmenter is not first
    assert state.segmenter.record["before"]["data_sha256"] == first.record["data_sha256"]
    assert "best model so far is kept" in widget.tasks.status.text()

    # Corrected and trained on, then afresh.
    state.settings = TINY
    second = state.segmenter
    train(widget, qtbot)
    assert state.segmenter.record["before"]["curve"] == second.record["curve"]
    assert len(state.segmenter.record["curve"]) == 2
    train(widget, qtbot, afresh=True)
    assert state.segmenter.record["before"] is None

    # Saved and loaded: the same labels; then the present model segments a second map.
    state.segmenter.save(tmp_path / "bands")
    loaded = Segmenter.load(tmp_path / "bands")
    assert loaded.classes.names == ("class 1", "bright")
    np.testing.assert_array_equal(loaded.predict(scan).labels, state.predictions[scan].labels)
    other, _ = bands("other", seed=1)
    add_map(viewer, other)
    state.segmenter = loaded
    widget.chooser.scan = other
    with qtbot.waitSignal(widget.tasks.stopped, timeout=60_000):
        widget.result.button.click()
    np.testing.assert_array_equal(state.predictions[other].labels, loaded.predict(other).labels)
    assert "segmentation · other" in names(viewer)


def test_ready_models_are_told_in_their_turn(viewer: Any, qtbot: Any) -> None:
    add_map(viewer, bands()[0])
    widget = dock(viewer)
    titles = widget.model.ready_button.menu().actions()
    for title, action in zip(READY_TITLES.values(), titles, strict=True):
        run(action.trigger, widget.tasks, qtbot)
        told = widget.training.model_text.text()
        assert title.lower() in told
        assert "synthetic maps that were held out" in told
        assert "comes with the package" in widget.model.card.text()


def test_grain_vote_comes_and_goes(viewer: Any, qtbot: Any) -> None:
    scan, truth = bands()
    add_map(viewer, scan)
    widget = dock(viewer)
    widget.state.settings = {**TINY, "epochs": 1}
    paint(widget, truth)
    train(widget, qtbot)
    raw = widget.state.predictions[scan]
    with qtbot.waitSignal(widget.tasks.stopped, timeout=60_000):
        widget.result.form.set_values({"grain_vote": True})
    voted = widget.state.predictions[scan]
    np.testing.assert_array_equal(voted.labels, raw.grain_vote(scan).labels)
    assert (np.ptp(voted.labels[:, :16]), np.ptp(voted.labels[:, 16:32])) == (0, 0)
    np.testing.assert_array_equal(viewer.layers["segmentation · bands"].data, voted.labels)
    with qtbot.waitSignal(widget.tasks.stopped, timeout=60_000):
        widget.result.form.set_values({"grain_vote": False})
    assert widget.state.predictions[scan].labels is raw.labels
    widget.result.show_uncertainty.setChecked(True)
    assert viewer.layers["uncertainty · bands"].visible
    assert remembered("segmenter")["effort"] == "normal"


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Trainings that would take minutes."""
    monkeypatch.setitem(TINY, "epochs", 500)
    yield
    # Nobody waits for a worker that the test left behind: it ends at its next step.
    QApplication.processEvents()


def test_layers_that_go_or_are_renamed_while_training(viewer: Any, qtbot: Any, slow: None) -> None:
    scan, truth = bands()
    second, _ = bands("second", seed=1)
    add_map(viewer, scan)
    add_map(viewer, second)
    widget = dock(viewer)
    paint(widget, truth)
    widget.chooser.scan = second
    paint(widget, truth)
    assert widget.strokes.pairs.rows() == [("strokes · bands", "448 px"),
                                           ("strokes · second", "448 px")]  # fmt: skip
    widget.training.train()
    wait_for_epoch(widget, qtbot)
    # The map in sight is the one that is refreshed; renaming and removing do no harm.
    viewer.layers["segmentation · second"].name = "mine"
    viewer.layers.remove("strokes · bands")
    epoch = widget.training.last_epoch
    wait_for_epoch(widget, qtbot, epoch + 3)
    assert widget.tasks.running
    viewer.layers.remove("mine")
    epoch = widget.training.last_epoch
    wait_for_epoch(widget, qtbot, epoch + 3)
    assert "segmentation · second" in names(viewer)
    # One of the two maps is closed: the training goes on. Both: it stops and says so.
    for layer in [one for one in viewer.layers if one.name.startswith("bands")]:
        viewer.layers.remove(layer)
    assert widget.tasks.running
    with qtbot.waitSignal(widget.tasks.stopped, timeout=30_000) as over:
        viewer.layers.clear()
    assert over.args == ["dropped"]
    assert "maps of the training were closed" in widget.tasks.status.text()
    qtbot.waitUntil(lambda: widget.training.keeper is None, timeout=60_000)
    assert not viewer.layers


def test_closing_the_dock_ends_a_training(viewer: Any, qtbot: Any, slow: None) -> None:
    scan, truth = bands()
    add_map(viewer, scan)
    widget = dock(viewer)
    paint(widget, truth)
    widget.training.train()
    wait_for_epoch(widget, qtbot)
    key = widget.strokes.autosave.key(scan)
    store = widget.strokes.autosave.store
    viewer.window.remove_dock_widget(widget)
    assert not widget.tasks.running
    assert [saved.pixels for saved in store.saved(key)] == [448]
    # Painting goes on without it, and a new dock takes the strokes in.
    viewer.layers["strokes · bands"].data_setitem((np.array([0]), np.array([0])), 1)
    again = dock(viewer)
    again.strokes.painted.count()
    assert again.strokes.painted.total() == {1: 225, 2: 224}


def test_closing_napari_saves_the_last_stroke(viewer: Any, qtbot: Any) -> None:
    scan, truth = bands()
    add_map(viewer, scan)
    widget = dock(viewer)
    viewer.window._qt_window.show()
    paint(widget, truth)
    key, autosave = widget.strokes.autosave.key(scan), widget.strokes.autosave
    viewer.close()
    autosave._thread.shutdown()
    assert [saved.pixels for saved in autosave.store.saved(key)] == [448]


def test_errors_are_one_sentence(viewer: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    scan, truth = bands()
    add_map(viewer, scan)
    widget = dock(viewer)
    paint(widget, truth)
    widget.state.settings = {"epochs": -1}
    train(widget, qtbot, "failed")
    assert widget.tasks.status.text() == "epochs must be at least 0, not -1."
    qtbot.waitUntil(lambda: widget.training.keeper is None, timeout=10_000)
    assert widget.tasks.run_button.isEnabled()
    # A training that fails half-way leaves its best model.
    widget.state.settings = TINY
    real = training_run._status

    def broken(event: Any) -> str:
        if event.epoch == 2:
            raise InputError("The second epoch is broken.")
        return real(event)

    monkeypatch.setattr(training_run, "_status", broken)
    train(widget, qtbot, "failed")
    assert "second epoch is broken" in widget.tasks.status.text()
    qtbot.waitUntil(lambda: widget.state.segmenter is not None, timeout=30_000)


def test_form_makes_settings_of_the_core(qtbot: Any) -> None:
    from napari_ebsdml.segmentation import TrainingSettings, UNetSettings

    form = TrainingForm()
    qtbot.addWidget(form)
    assert TrainingSettings(**form.settings()) == TrainingSettings()
    assert form.network == {}
    for steps in (3, 5, 7):
        form.set_saved({"depth": f"paper{steps}"})
        assert UNetSettings(**form.network) == UNetSettings.paper(steps)
    kept = {"effort": "thorough", "minutes": 2, "held_out": 0, "depth": "2"}
    form.set_saved(kept)
    assert UNetSettings(**form.network) == UNetSettings(depth=2)
    changed = TrainingSettings(**form.settings())
    assert (changed.epochs, changed.seconds, changed.held_out) == (40, 120.0, 0.0)
    assert {name: form.saved()[name] for name in kept} == kept
    assert to_train_on(TrainingForm().settings())["epochs"] == 4


def test_dock_opens_without_torch() -> None:
    code = (
        "import sys, napari_ebsdml._napari.segmenter.widget as w; "
        "from napari_ebsdml.segmentation.inputs.channels import default_channels; "
        "assert 'torch' not in sys.modules, 'torch'; assert w.SegmenterWidget"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=60)


def test_gnd_density_becomes_a_channel(viewer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from types import SimpleNamespace

    scan, _ = bands()
    add_map(viewer, scan)
    widget = dock(viewer)
    assert widget.state.prepared(scan) is scan
    density: Any = SimpleNamespace(total=np.full(scan.shape, 1e14))
    monkeypatch.setattr(widget.state.inputs, "gnd", lambda scan: density)
    prepared = widget.state.prepared(scan)
    assert prepared is widget.state.prepared(scan)
    assert prepared.get(GND) is density.total
    widget.channels.refresh()
    assert GND in widget.channels.offers
