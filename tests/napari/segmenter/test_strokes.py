"""Classes and strokes: counts that follow every edit, colours, saving and restoring."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QColorDialog

from napari_ebsdml import InputError, Scan
from napari_ebsdml._napari.layers.of_scans import add_result
from napari_ebsdml._napari.segmenter.state import Pair, SegmentClass, SegmenterState
from napari_ebsdml._napari.segmenter.strokes import annotation_layers as strokes_layers
from napari_ebsdml._napari.segmenter.strokes.annotations_store import AnnotationsStore
from napari_ebsdml._napari.segmenter.strokes.class_table import advice
from napari_ebsdml._napari.segmenter.strokes.strokes_panel import StrokesPanel


@pytest.fixture
def scan(make_scan: Callable[..., Scan]) -> Scan:
    return make_scan((30, 40), path=Path("steel.ang"))


@pytest.fixture
def viewer(scan: Scan) -> ViewerModel:
    viewer = ViewerModel()
    add_result(viewer, scan, scan.prop["BC"], "BC")
    return viewer


@pytest.fixture
def make_panel(viewer: ViewerModel, qtbot: Any, tmp_path: Path) -> Any:
    made: list[StrokesPanel] = []

    def make(session: str = "one") -> StrokesPanel:
        state = SegmenterState(viewer)
        qtbot.addWidget(state.widget)
        panel = StrokesPanel(state, AnnotationsStore(tmp_path, session))
        state.widget.form.addWidget(panel)
        made.append(panel)
        return panel

    yield make
    for panel in made:
        panel.autosave.close()


def counts(panel: StrokesPanel, qtbot: Any) -> dict[int, int]:
    """Counts once the events of the last edit have been handled."""
    qtbot.wait(panel.painted.timer.interval() + 60)
    return panel.painted.total()


def test_counts_follow_every_way_to_edit(make_panel: Any, qtbot: Any) -> None:
    panel = make_panel()
    panel.new_layer()
    layer = panel.layer
    assert layer.mode == "paint"
    assert panel.state.viewer.layers.selection.active is layer
    assert tuple(layer.scale) == (0.5, 0.25)
    layer.brush_size = 1
    for column in range(5):
        layer.paint((3, column), 1)
    assert counts(panel, qtbot) == {1: 5, 2: 0}
    layer.paint((3, 0), 0)
    assert counts(panel, qtbot) == {1: 4, 2: 0}
    layer.undo()
    assert counts(panel, qtbot) == {1: 5, 2: 0}
    layer.redo()
    assert counts(panel, qtbot) == {1: 4, 2: 0}
    layer.fill((3, 2), 2)
    assert counts(panel, qtbot) == {1: 0, 2: 4}
    layer.data = np.ones_like(layer.data)
    assert counts(panel, qtbot) == {1: 1200, 2: 0}
    assert panel.table.text(0, 2).startswith("1\u202f200")
    assert panel.pairs.rows() == [("strokes · steel", "1\u202f200 px")]


def test_classes_dress_the_layer(
    make_panel: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = make_panel()
    panel.paint(2)  # makes the layer first
    layer = panel.layer
    assert layer.selected_label == 2
    panel.table.view.item(1, 1).setText("martensite")
    monkeypatch.setattr(QColorDialog, "getColor", lambda *_: QColor("#00ff00"))
    panel.table.view.cellClicked.emit(1, 0)
    assert panel.state.classes[1] == SegmentClass(2, "martensite", "#00ff00")
    np.testing.assert_allclose(layer.get_color(2), (0, 1, 0, 1))
    layer.data_setitem((np.array([4]), np.array([4])), 2)
    assert "martensite" in layer.get_status((4 * 0.5, 4 * 0.25), world=True)["value"]
    # A name that is taken, or none, is refused.
    for name in ("class 1", " "):
        panel.table.view.item(1, 1).setText(name)
        assert panel.table.text(1, 1) == "martensite"
    panel.table.add_button.click()
    assert [c.value for c in panel.state.classes] == [1, 2, 3]
    assert layer.selected_label == 3
    with pytest.raises(InputError, match="different whole numbers"):
        panel.state.classes = [*panel.state.classes, SegmentClass(3, "again", "#000000")]
    with pytest.raises(InputError, match="too many"):
        panel.state.classes = [SegmentClass(n, f"{n}", "#000000") for n in range(1, 30)]


def test_removed_class_comes_back_with_undo(make_panel: Any, qtbot: Any) -> None:
    panel = make_panel()
    panel.table.add_button.click()
    panel.state.change_class(3, name="bainite")
    panel.layer.data_setitem((np.arange(4), np.arange(4)), 3)
    panel.layer.data_setitem((np.arange(3), np.arange(1, 4)), 1)
    assert counts(panel, qtbot) == {1: 3, 2: 0, 3: 4}
    panel.table.select(3)
    panel.table.remove_button.click()
    assert counts(panel, qtbot) == {1: 3, 2: 0}
    assert not (panel.layer.data == 3).any()
    panel.layer.undo()
    assert counts(panel, qtbot) == {1: 3, 2: 0, 3: 4}
    ((_, labels),) = panel.state.training_pairs()
    assert set(np.unique(labels)) == {0, 1, 3}


def test_tools_follow_the_layer_and_back(make_panel: Any, qtbot: Any) -> None:
    panel = make_panel()
    panel.tools["paint"].click()
    layer = panel.layer
    assert (str(layer.mode), panel.tools["paint"].isChecked()) == ("paint", True)
    panel.tools["erase"].click()
    assert str(layer.mode) == "erase"
    layer.mode = "fill"
    assert [n for n, b in panel.tools.items() if b.isChecked()] == ["fill"]
    layer.selected_label = 2
    assert panel.table.selected == 2
    panel.state.viewer.layers.selection.active = panel.state.viewer.layers[0]
    assert not any(b.isChecked() for b in panel.tools.values())
    panel.table.view.cellClicked.emit(0, 1)
    assert (layer.selected_label, str(layer.mode)) == (1, "paint")
    assert panel.state.viewer.layers.selection.active is layer
    layer.brush_size = 1
    layer.paint((5, 5), 1)
    panel.undo_button.click()
    assert not layer.data.any()


def test_advice_says_what_to_do_next(make_panel: Any, qtbot: Any) -> None:
    panel = make_panel()
    state = panel.state

    def told(first: int, second: int) -> tuple[str, bool]:
        layer = panel.layer
        data = np.zeros_like(layer.data)
        data.flat[:first] = 1
        data.flat[first : first + second] = 2
        layer.data = data
        counts(panel, qtbot)
        return advice(state, panel.painted)

    panel.new_layer()
    assert told(0, 0) == (
        "Double-click a class to name it. Choose a class in the table and paint a few strokes of "
        "it on the map.", False,
    )  # fmt: skip
    state.change_class(1, name="ferrite")
    assert told(0, 0)[0].startswith("Choose a class")
    state.change_class(1, name="class 1")
    text, ready = told(50, 0)
    assert (text, ready) == ("Now paint some strokes of class 2.", False)
    text, ready = told(50, 5)
    assert ready
    assert "Paint more of class 2: 5 pixels" in text
    text, ready = told(800, 40)
    assert ready
    assert "20 times as many" in text
    assert told(300, 200) == ("", True)
    state.add_class("bainite")
    text, ready = advice(state, panel.painted)
    assert ready
    assert "Nothing is painted of bainite" in text


def test_other_layers_can_hold_strokes(
    make_panel: Any, viewer: Any, scan: Scan, qtbot: Any
) -> None:
    panel = make_panel()
    own = np.zeros(scan.shape, np.uint8)
    own[2:5, 2:5] = 7
    viewer.add_labels(own, name="drawn elsewhere")
    viewer.add_labels(np.ones((3, 3), int), name="too small")
    grains = viewer.add_labels(np.arange(scan.shape[0] * scan.shape[1]).reshape(scan.shape))
    offered = [panel.use_box.itemText(n) for n in range(panel.use_box.count())]
    assert offered == ["Use a layer …", "drawn elsewhere", "Labels"]
    panel.use_box.activated.emit(1)
    assert counts(panel, qtbot) == {1: 0, 2: 0, 7: 9}
    assert panel.state.names[7] == "class 7"
    ((trained_on, labels),) = panel.state.training_pairs()
    assert trained_on is scan
    assert (labels == own).all()
    # A map of grains is no strokes.
    panel.state.pairs = (*panel.state.pairs, Pair(scan, grains))
    counts(panel, qtbot)
    text, ready = advice(panel.state, panel.painted)
    assert not ready
    assert "holds more labels" in text
    panel.pairs.remove(1)
    counts(panel, qtbot)
    assert [pair.layer.name for pair in panel.state.pairs] == ["drawn elsewhere"]
    viewer.layers.remove("drawn elsewhere")
    assert panel.state.pairs == ()


def test_layer_taken_out_of_the_list_stays_out(make_panel: Any, viewer: Any, scan: Scan) -> None:
    panel = make_panel()
    panel.new_layer()
    panel.pairs.remove(0)
    viewer.add_labels(np.zeros(scan.shape, int))
    assert panel.state.pairs == ()
    offered = [panel.use_box.itemText(n) for n in range(panel.use_box.count())]
    assert "strokes · steel" in offered


def test_sections_of_a_stack(make_panel: Any, viewer: Any, make_scan: Callable[..., Scan]) -> None:
    sections = [make_scan((30, 40), path=Path(f"s{n}.ang"), seed=n) for n in range(3)]
    add_result(viewer, sections, np.stack([s.prop["BC"] for s in sections]), "BC")
    panel = make_panel()
    panel.state.widget.chooser.scan = sections[1]
    panel.new_layer()
    layer = panel.layer
    assert layer.data.shape == (1, 30, 40)
    layer.data_setitem((np.zeros(2, int), np.array([3, 4]), np.array([5, 5])), 1)
    panel.painted.count()
    ((scan, labels),) = panel.state.training_pairs()
    assert scan is sections[1]
    assert np.argwhere(labels).tolist() == [[3, 5], [4, 5]]
    whole = viewer.add_labels(np.stack([np.full((30, 40), n) for n in range(3)]))
    whole.metadata = viewer.layers[1].metadata
    assert (Pair(sections[2], whole).labels() == 2).all()


def test_strokes_are_saved_and_offered_again(
    make_panel: Any, viewer: Any, scan: Scan, qtbot: Any, tmp_path: Path
) -> None:
    panel = make_panel()
    assert panel.offer.isHidden()
    panel.new_layer()
    panel.state.change_class(2, name="martensite")
    panel.layer.data_setitem((np.arange(6), np.arange(6)), 2)
    qtbot.waitUntil(lambda: len(list(tmp_path.glob("*_one-0.npz"))) == 1, timeout=5000)
    painted = np.array(panel.layer.data)
    # Painted just before the layer goes: saved all the same, and offered at once.
    panel.layer.data_setitem((np.arange(6), np.arange(1, 7)), 1)
    panel.painted.count()
    painted = np.array(panel.layer.data)
    viewer.layers.remove(panel.layer)
    qtbot.waitUntil(lambda: not panel.offer.isHidden(), timeout=5000)
    assert "12 pixels" in panel.offer_text.text()

    # Another session, in which classes have other names.
    later = make_panel("two")
    qtbot.waitUntil(lambda: not later.offer.isHidden(), timeout=5000)
    later.restore_button.click()
    np.testing.assert_array_equal(later.layer.data, painted)
    assert later.state.names == {1: "class 1", 2: "martensite"}
    qtbot.waitUntil(later.offer.isHidden, timeout=5000)
    assert counts(later, qtbot) == {1: 6, 2: 6}


def test_offer_can_be_put_off(make_panel: Any, scan: Scan, qtbot: Any, tmp_path: Path) -> None:
    from napari_ebsdml._napari.segmenter.strokes.annotations_store import Annotations, scan_key

    labels = np.eye(30, 40, dtype=np.int32)
    store = AnnotationsStore(tmp_path, "before")
    path = store.save(scan_key(scan), Annotations((("a", labels),), ((1, "x", "#123456"),)))
    panel = make_panel()
    qtbot.waitUntil(lambda: not panel.offer.isHidden(), timeout=5000)
    panel.dismiss_button.click()
    assert panel.offer.isHidden()
    assert path.exists()
    # A file that breaks between offer and click is told, not thrown.
    other = make_panel("three")
    qtbot.waitUntil(lambda: not other.offer.isHidden(), timeout=5000)
    path.write_bytes(b"broken")
    other.restore_button.click()
    assert other.offer.isHidden()
    assert not other.state.pairs


def test_saving_that_fails_is_told_once(
    make_panel: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari.utils.notifications import notification_manager

    panel = make_panel()
    panel.new_layer()
    panel.autosave.store.folder = Path(__file__) / "no folder"
    notification_manager.records.clear()
    for value in (1, 2):
        panel.layer.data_setitem((np.arange(4), np.arange(4)), value)
        panel.painted.count()
        panel.autosave.flush()
        qtbot.wait(20)
    told = [str(record.message) for record in notification_manager.records]
    assert len(told) == 1
    assert "could not be saved" in told[0]


def test_brush_suits_the_map(make_scan: Callable[..., Scan]) -> None:
    sizes = [strokes_layers.brush_size(make_scan(shape)) for shape in ((20, 30), (428, 570))]
    assert sizes == [3, 7]
    assert strokes_layers.count_labels(np.array([[0, 5, 5], [20_000, 0, 5]])) == {5: 3, 20_000: 1}
