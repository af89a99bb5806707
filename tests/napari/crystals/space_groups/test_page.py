"""The page "Name the space groups" in a real napari window, on small synthetic pattern maps."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_ebsdml import Scan, Source
from napari_ebsdml._napari.crystals.space_groups import classify as work
from napari_ebsdml._napari.crystals.space_groups.cameras import REFINED
from napari_ebsdml._napari.crystals.space_groups.classify import Classified
from napari_ebsdml._napari.crystals.space_groups.page import SpaceGroupsPage
from napari_ebsdml._napari.crystals.space_groups.pixel_panel import HEAT, LINES
from napari_ebsdml._napari.files.map_layers import map_layers
from napari_ebsdml._napari.layers.of_scans import result_of
from napari_ebsdml._napari.pattern_viewer.viewer import PatternViewer
from napari_ebsdml.patterns.answers.compare import answers_of
from napari_ebsdml.patterns.classifier import SpaceGroupClassifier
from napari_ebsdml.patterns.crystal_frame.classifier import CrystalFrameClassifier
from tests.napari.crystals.space_groups.docks import (
    CAMERA,
    PC,
    TILT,
    classify,
    open_page,
    three_phase_map,
)
from tests.napari.docks import layer, run


@pytest.fixture(scope="module")
def three_phases() -> Scan:
    return three_phase_map()


def train(page: SpaceGroupsPage, qtbot: Any, expect: str = "done") -> None:
    run(page.train_panel.train, page.tasks, qtbot, expect)


def test_answers_become_layers_and_a_tally(viewer: Any, qtbot: Any, three_phases: Scan) -> None:
    page = open_page(viewer, three_phases)
    assert page.dock.hint.isHidden()
    classify(page, qtbot)
    expected = SpaceGroupClassifier.load().predict_scan(three_phases)
    answers = answers_of(expected)
    shown = layer(viewer, "crystal frame: space group")
    plain = (expected.is_known & np.array([not o for o in expected.ambiguous_with.flat]).reshape(
        expected.shape))  # fmt: skip
    assert plain.any()
    np.testing.assert_array_equal(shown.data[plain], expected.space_group[plain])
    assert (shown.data[-1] == 0).all()
    assert (shown.data[:-1, :4] != shown.data[0, 4]).all()  # silicon is not taken for iron
    # The status bar names the answer.
    status = shown.get_status((0.0, 0.0), view_direction=None, dims_displayed=[0, 1])
    name = str(shown.features.set_index("index").iloc[:, 0][shown.data[0, 0]])
    assert name in status["value"] or name in status["coordinates"]
    confidence = layer(viewer, "space-group probability")
    assert np.isnan(confidence.data[-1]).all()
    np.testing.assert_allclose(confidence.data[:-1], expected.probability[:-1], atol=1e-5)
    unknown = layer(viewer, "unknown patterns")
    np.testing.assert_array_equal(
        unknown.data == 1, (expected.space_group > 0) & ~expected.is_known
    )
    table = page.tally.rows()
    assert sum(row[1] for row in table[1:]) == 96
    assert {row[0]: row[1] for row in table[1:]}["not indexed"] == 12
    assert table[0][-3:] == ["silicon", "iron", "nickel"]
    assert len(table) - 1 == (answers.count() > 0).sum()
    assert "Against the phases in the file" in page.message.text()
    info = shown.metadata["ebsdml"]
    assert info["model"] == "crystal frame"
    assert info["settings"]["by"] == "pixel"

    # By grain every grain has one answer, in the same layers.
    count = len(viewer.layers)
    page.classify_form.answers.set_values({"by": "grain", "ambiguous": False})
    classify(page, qtbot)
    assert len(viewer.layers) == count
    parts = [shown.data[:4, a : a + 4] for a in (0, 4, 8)] + [
        shown.data[4:7, a : a + 4] for a in (0, 4, 8)
    ]
    assert all(len(np.unique(part)) == 1 for part in parts)
    assert [int(part[0, 0]) for part in parts[:2]] == [227, 229]
    one = result_of(shown, Classified)
    assert one.by == "grain"
    assert page.again_button.isHidden()

    # Where most are unknown the answer begins with why, and one button does what helps.
    unknown = dataclasses.replace(one.result, is_known=np.zeros_like(one.result.is_known))
    shown.metadata["ebsdml"]["result"] = dataclasses.replace(one, result=unknown)
    page._show_results()
    assert page.message.text().startswith("<b>100 % are unknown:</b> most often the pattern centre")
    assert not page.again_button.isHidden()
    run(page.again_button.click, page.tasks, qtbot)
    qtbot.waitUntil(lambda: not page.adding, timeout=20_000)
    again = result_of(layer(viewer, "crystal frame: space group"), Classified)
    assert again.settings["refine"]
    assert again.result.is_known.any()
    assert page.again_button.isHidden()


def test_a_click_is_explained_on_the_pattern(viewer: Any, qtbot: Any, three_phases: Scan) -> None:
    page = open_page(viewer, three_phases)
    panel = page.pixel_panel
    assert "Classify the map first" in panel.title.text()
    classify(page, qtbot)
    panel.open_button.click()
    patterns = page._find_viewer()
    assert isinstance(patterns, PatternViewer)
    patterns.show_pixel(three_phases, 1, 5)
    qtbot.waitUntil(lambda: panel.explanation is not None, timeout=30_000)
    assert "row 1, column 5" in panel.title.text()
    model = SpaceGroupClassifier.load()
    assert three_phases.patterns is not None
    pattern = np.asarray(three_phases.patterns[1, 5])
    expected = model.explain(pattern, three_phases.quaternions[1, 5], CAMERA)
    found = panel.explanation
    assert found is not None
    np.testing.assert_allclose(found.images[229], expected.images[model.space_groups.index(229)],
                               atol=1e-4)  # fmt: skip
    assert dict(found.bands[229]) == pytest.approx(dict(expected.bands[229]), abs=1e-3)
    result = result_of(layer(viewer, "crystal frame: space group"), Classified).result
    shown = {bar.space_group: bar.values[0] for bar in panel.bars.bars}
    assert shown == pytest.approx(
        dict(zip(result.space_groups, result.probabilities[1, 5].tolist(), strict=True))
    )
    assert set(patterns.canvas.overlays()) == {HEAT, LINES}
    panel.lines.setChecked(False)
    assert patterns.canvas.overlays() == [HEAT]
    panel.bars.clicked.emit(225)
    assert "(225)" in panel.reason.text()

    # Where there is no orientation there is nothing to explain, and the old picture goes.
    patterns.show_pixel(three_phases, 7, 5)
    assert patterns.canvas.overlays() == []
    assert "not indexed" in panel.title.text()
    # A click while one is being explained: the last one counts.
    for column in (1, 2, 3):
        patterns.show_pixel(three_phases, 2, column)
    qtbot.waitUntil(lambda: panel.explanation is not None, timeout=30_000)
    assert panel.explanation is not None
    assert panel.explanation.at == (2, 3)
    # Without the layer there is no answer, and closing the pattern viewer is no harm.
    viewer.layers.remove(layer(viewer, "crystal frame: space group"))
    assert "Classify the map first" in panel.title.text()
    viewer.window.remove_dock_widget(patterns.parent())
    page._show_results()
    assert not panel.open_button.isHidden()


@pytest.mark.long
def test_training_saving_loading_and_comparing(
    viewer: Any, qtbot: Any, three_phases: Scan, tmp_path: Path
) -> None:
    page = open_page(viewer, three_phases)
    panel = page.train_panel
    page.tabs.setCurrentIndex(3)
    assert not panel.train_button.isEnabled()
    panel.tick(three_phases)
    assert "Im-3m (229): 28" in panel.counts.text()
    panel.form.set_values({"epochs": 2, "patterns": 20, "validation": 5})
    train(page, qtbot)
    assert set(panel.curves.series) == {"training loss", "held-out loss", "simulated", "measured"}
    assert len(panel.curves.series["held-out loss"]) == 6  # three networks, two epochs each
    assert "Held-out patterns of these maps" in panel.outcome.text()
    entry = page.classify_form.model.entry
    assert entry is not None
    assert entry.name == "crystal frame, fine-tuned"

    # Save, load, and the loaded model gives the same answers.
    path = tmp_path / "mine.safetensors"
    page.tabs.setCurrentIndex(4)
    qtbot.waitUntil(lambda: "fine tuned on" in page.model_panel.card.toPlainText(), timeout=20_000)
    run(lambda: page.model_panel.save(path), page.tasks, qtbot)
    assert str(path) in page.tasks.status.text()
    loaded = page.store.add("mine", path)
    assert page.store.add("again", path) is loaded
    page.classify_form.second.entry = loaded
    classify(page, qtbot)
    names = [one.name for one in viewer.layers]
    one, two = (layer(viewer, f"{name}: space group").data for name in (entry.name, "mine"))
    assert (one == two).mean() > 0.97  # weights are saved in half precision
    assert layer(viewer, "agreement") is not None, names
    assert "% same" in page.compare_panel.message.text()
    table = page.compare_panel.table.rows()
    assert table[-1][-1] == 84
    page.compare_panel.what.setCurrentIndex(1)
    assert [row[0] for row in page.compare_panel.table.rows()[1:]] == [entry.name, "mine"]
    page.compare_panel.map_button.click()
    assert layer(viewer, "agreement").visible
    assert not layer(viewer, "mine: space group").visible
    assert [len(bar.values) for bar in page.pixel_panel.bars.bars] == []


def test_a_raw_network_is_trained_and_cancelled(
    viewer: Any, qtbot: Any, three_phases: Scan
) -> None:
    page = open_page(viewer, three_phases)
    panel = page.train_panel
    panel.tick(three_phases)
    panel.form.set_values({"kind": "small", "epochs": 1, "patterns": 12, "validation": 4})
    train(page, qtbot)
    entry = page.classify_form.model.entry
    assert entry is not None
    assert entry.name == "small raw network"
    assert not entry.needs_orientations
    assert page.classify_form.detector.isHidden()
    classify(page, qtbot)
    shown = layer(viewer, "small raw network: space group")
    assert (shown.data > 0).all()  # pixels without orientation have an answer too
    patterns = page.open_pattern_viewer()
    assert patterns is not None
    patterns.show_pixel(three_phases, 7, 2)
    pixel = page.pixel_panel
    qtbot.waitUntil(lambda: pixel.explanation is not None, timeout=60_000)
    assert patterns.canvas.overlays() == [HEAT]
    pixel.filters_button.click()
    window = pixel.filters
    assert window is not None
    qtbot.waitUntil(lambda: window.view is not None, timeout=30_000)
    assert window.view is not None
    assert three_phases.patterns is not None
    maps = entry.load().feature_maps(np.asarray(three_phases.patterns[7, 2]))
    number = int(window.view.columns[0].removeprefix("no. "))
    np.testing.assert_allclose(window.view.rows[1][0], maps[number], atol=1e-5)
    strength = maps.std(axis=(1, 2))
    assert strength[number] == strength.max()
    # Cancelled in its first epochs, a training leaves what it has, or nothing.
    panel.form.set_values({"epochs": 1000})
    before = len(page.store.entries)
    with qtbot.waitSignal(page.tasks.stopped, timeout=60_000) as over:
        panel.train()
        qtbot.waitUntil(lambda: len(panel.curves.series.get("held out", [])) > 1, timeout=60_000)
        page.tasks.cancel()
    assert over.args == ["cancelled"]
    assert len(page.store.entries) == before + 1
    assert "best so far" in panel.outcome.text()
    # Models outlive the dock.
    viewer.window.remove_dock_widget(page.dock)
    again = open_page(viewer)
    assert again is not page
    assert again.store.find("small raw network") is entry
    again.classify_form.model.entry = entry
    assert again.classify_form.entries == [entry]


def test_what_is_missing_is_said_before_and_after(
    viewer: Any, qtbot: Any, three_phases: Scan, tmp_path: Path
) -> None:
    page = open_page(viewer)
    assert not page.tasks.run_button.isEnabled()
    cases = {
        "no patterns": dataclasses.replace(three_phases, patterns=None),
        "does not tell the pattern centre": dataclasses.replace(three_phases, camera=None),
    }
    for text, scan in cases.items():
        viewer.layers.clear()
        for data, options, kind in map_layers(scan):
            getattr(viewer, f"add_{kind}")(data, **options)
        assert not page.dock.hint.isHidden()
        assert text in page.dock.hint.text()
        assert not page.tasks.run_button.isEnabled()
    # It may be searched for, or be entered by hand.
    page.dock.remedy_button.click()
    assert page.classify_form.camera.values()["camera"] == "search"
    assert page.tasks.run_button.isEnabled()
    assert page.dock.remedy_button.isHidden()
    viewer.layers.clear()
    for data, options, kind in map_layers(cases["does not tell the pattern centre"]):
        getattr(viewer, f"add_{kind}")(data, **options)
    page.classify_form.camera.set_values(
        {"camera": "own", "convention": "bruker", "pcx": PC[0], "pcy": PC[1], "pcz": PC[2],
         "tilt": TILT}
    )  # fmt: skip
    assert page.dock.hint.isHidden()
    classify(page, qtbot)
    own = layer(viewer, "crystal frame: space group").data
    expected = SpaceGroupClassifier.load().predict_scan(three_phases, detector=CAMERA)
    assert (own[:-1] == 0).sum() == 0
    np.testing.assert_array_equal(own == 1, (expected.space_group > 0) & ~expected.is_known)
    # A damaged model file is one clear message.
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"no")
    (tmp_path / "bad.json").write_text("{}")
    page.classify_form.model.entry = page.store.add("bad", bad)
    classify(page, qtbot, "failed")
    assert "bad.json" in page.tasks.status.text()


def test_geometry_from_the_header_and_refined(
    viewer: Any, qtbot: Any, three_phases: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "REFINE_PATTERNS", 16)
    header = {"x-star": PC[0], "y-star": 1 - PC[1], "z-star": PC[2]}
    scan = dataclasses.replace(
        three_phases, camera=None, source=Source(path=Path("a.ang"), header=header)
    )
    page = open_page(viewer, scan)
    form = page.classify_form
    assert form.camera.values()["camera"] == "own"
    assert form.camera.values()["pcy"] == pytest.approx(0.75)
    with qtbot.waitSignal(page.tasks.stopped, timeout=300_000) as over:
        page.refine()
    assert over.args == ["done"]
    assert form.use_refined.isChecked()
    assert f"tilted by +{TILT:.0f}" in form.refined_note.text() or "+4." in form.refined_note.text()
    assert form.camera_setting().source == REFINED


def test_jobs_end_with_their_layers_and_their_dock(
    viewer: Any, qtbot: Any, three_phases: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = open_page(viewer, three_phases)
    begun, go = threading.Event(), threading.Event()

    def slow(self: Any, *arguments: Any, progress: Any, **options: Any) -> Any:
        begun.set()
        for step in range(2000):
            go.wait(0.005)
            progress(step / 2000)
        raise AssertionError("nobody stopped it")

    monkeypatch.setattr(CrystalFrameClassifier, "predict_scan", slow)
    with qtbot.waitSignal(page.tasks.stopped, timeout=30_000) as over:
        page.compute()
        qtbot.waitUntil(begun.is_set, timeout=20_000)
        page.tasks.cancel()
    assert over.args == ["cancelled"]
    begun.clear()
    with qtbot.waitSignal(page.tasks.stopped, timeout=30_000) as over:
        page.compute()
        qtbot.waitUntil(begun.is_set, timeout=20_000)
        viewer.layers.clear()
    assert over.args == ["dropped"]
    assert "were removed" in page.tasks.status.text()
    for data, options, kind in map_layers(three_phases):
        getattr(viewer, f"add_{kind}")(data, **options)
    begun.clear()
    page.compute()
    qtbot.waitUntil(begun.is_set, timeout=20_000)
    viewer.window.remove_dock_widget(page.dock)
    assert not page.tasks.running
    # Layers may still come and go.
    viewer.layers.pop()
