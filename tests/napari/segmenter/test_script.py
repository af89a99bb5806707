"""“Copy as Python”: the script is run, and must give the labels of the dock."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from napari.components import ViewerModel
from qtpy.QtWidgets import QApplication

import napari_ebsdml as ebsdml
from napari_ebsdml import Segmenter
from napari_ebsdml._napari.layers.of_scans import add_result
from napari_ebsdml._napari.segmenter.model_files import remember_file
from napari_ebsdml._napari.segmenter.prediction_layers import show_prediction
from napari_ebsdml._napari.segmenter.run_script import Run, write_script
from napari_ebsdml._napari.segmenter.script import ScriptButton
from napari_ebsdml._napari.segmenter.state import Pair
from napari_ebsdml.segmentation import PredictSettings
from tests.napari.segmenter.panels import QUICK, make_state, model, steel


def train_in_dock(state: Any, qtbot: Any, more: bool = False, stop_after: int = 0, **settings: Any):
    """A training as the dock runs it: in the background, on copies of the strokes."""
    pairs, names, colors = state.training_pairs(), state.names, state.colors

    def work() -> Segmenter:
        if more:
            training = state.segmenter.more_training(pairs, **settings)
        else:
            training = Segmenter.training(
                pairs, state.channels, classes=names, colors=colors, **QUICK | settings
            )
        for event in training:
            if stop_after and event.kind == "epoch" and event.epoch == stop_after:
                break
        training.close()
        return training.segmenter

    with qtbot.waitSignal(state.widget.tasks.stopped, timeout=60_000) as over:
        state.run((), work, on_result=lambda found: setattr(state, "segmenter", found))
    assert over.args == ["done"]
    return state.segmenter


def copied(button: Any, qtbot: Any) -> str:
    QApplication.clipboard().setText("")
    button.click()
    qtbot.waitUntil(lambda: not button.background.busy, timeout=20_000)
    return QApplication.clipboard().text()


def execute(script: str) -> str:
    """What the script prints, run with nothing but its own names."""
    # napari's first Labels layer resets the count that the fixture has set.
    torch.set_num_threads(1)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile(script, "pasted.py", "exec"), {"__name__": "__main__"})
    return printed.getvalue()


@pytest.fixture
def state(qtbot: Any, tmp_path: Path) -> Any:
    """State with one scan that was read from a file, and the threads that a script has."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    state = make_state(ViewerModel(), 3)
    ebsdml.write(tmp_path / "steel.ctf", steel().scan)
    scan = ebsdml.read(tmp_path / "steel.ctf")
    old = state.pairs[0].layer
    add_result(state.viewer, scan, scan.get("BC"), "BC")
    layer = add_result(state.viewer, scan, old.data.copy(), "strokes", kind="labels")
    state.pairs = (Pair(scan, layer),)
    qtbot.addWidget(state.widget)
    yield state
    torch.set_num_threads(before)


def test_script_repeats_training_and_correction(
    state: Any, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    button = ScriptButton(state)
    qtbot.addWidget(button)
    button.folder = tmp_path / "scripts"
    assert not button.isEnabled()
    first = train_in_dock(state, qtbot, seed=5)
    # A correction, then on with the same model; cancelled after its first epoch.
    layer = state.pairs[0].layer
    data = layer.data.copy()
    data[30] = steel().truth[30]
    layer.data = data
    trained = train_in_dock(state, qtbot, more=True, stop_after=1, steps=3, batch=2, crop=32)
    assert len(button.history) == 2
    scan = state.pairs[0].scan
    state.options = PredictSettings(grain_vote=True)
    result = trained.predict(scan, grain_vote=True)
    show_prediction(state, scan, result)
    # What is painted after the training does not belong to it.
    layer.data = np.zeros_like(data)

    script = copied(button, qtbot)
    assert "on the clipboard" in state.widget.tasks.status.text()
    assert repr(str(tmp_path / "steel.ctf")) in script
    assert "seed=5" in script
    printed = execute(script)
    assert "differ" not in printed
    assert f"steel: ferrite {100 * (result.labels == 1).mean():.1f} %" in printed
    (folder,) = (tmp_path / "scripts").iterdir()
    # Equal but for the rounding of sums, which hangs on the number of threads; at least as alike
    # as what the model said before it was corrected.
    alike = (np.load(folder / "steel-segmentation.npy") == result.labels).mean()
    assert alike > 0.998
    assert (first.predict(scan, grain_vote=True).labels == result.labels).mean() <= alike
    again = Segmenter.load(folder / "segmenter")
    assert again.record["data_sha256"] == trained.record["data_sha256"]
    assert (folder / "run.py").read_text("utf-8") == script
    # The script notices another file under the same name.
    other = dataclasses.replace(scan, quaternions=scan.quaternions[:, ::-1])
    ebsdml.write(tmp_path / "steel.ctf", other)
    assert "differ from those of the run" in execute(script)


def test_a_map_in_memory_and_a_model_from_a_file(state: Any, qtbot: Any, tmp_path: Path) -> None:
    button = ScriptButton(state)
    qtbot.addWidget(button)
    button.folder = tmp_path / "scripts"
    loaded = dataclasses.replace(model())
    loaded.save(tmp_path / "known")
    remember_file(loaded, tmp_path / "known")
    state.segmenter = loaded
    assert button.isEnabled()
    # steel3.ctf was never written: its map goes with the script.
    result = loaded.predict(steel().scan)
    show_prediction(state, steel().scan, result)
    script = copied(button, qtbot)
    assert "Segmenter.load" in script
    assert "steel3-1.h5" in script
    execute(script)
    (folder,) = (tmp_path / "scripts").iterdir()
    got = np.load(folder / "steel3-segmentation.npy")
    assert (got == result.labels).mean() > 0.999


def test_what_is_not_known_is_not_told(state: Any, qtbot: Any, tmp_path: Path) -> None:
    button = ScriptButton(state)
    qtbot.addWidget(button)
    state.segmenter = dataclasses.replace(model())
    assert not button.isEnabled()
    with pytest.raises(ebsdml.InputError, match="no run yet"):
        write_script(tmp_path / "a", [], [], {})
    button._busy_changed(True)
    (one,) = button._snapshot
    changed = dataclasses.replace(one, labels=one.labels.clip(0, 1))
    with pytest.raises(ebsdml.InputError, match="train again"):
        write_script(tmp_path / "b", [Run((changed,), model())], [], {})
    (tmp_path / "file").write_text("")
    with pytest.raises(ebsdml.WriteError, match="file"):
        write_script(tmp_path / "file" / "c", [Run((one,), model())], [], {})
