"""Names that are offered for classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari.components import ViewerModel
from orix.crystal_map import Phase, PhaseList
from qtpy.QtWidgets import QComboBox, QStyleOptionViewItem

from napari_ebsdml import Scan
from napari_ebsdml._napari.segmenter.state import SegmenterState
from napari_ebsdml._napari.segmenter.strokes.class_names import offered
from napari_ebsdml._napari.segmenter.strokes.class_table import ClassTable
from napari_ebsdml._napari.segmenter.strokes.painted import PaintedPixels


def test_phases_of_the_map_come_first_and_names_in_use_are_left_out(
    make_scan: Callable[..., Scan],
) -> None:
    scan = make_scan((4, 5))
    phases = PhaseList({1: Phase("Austenite/austenite", space_group=225), 2: Phase("Sigma")})
    scan = scan.crop()
    object.__setattr__(scan, "phases", phases)
    assert offered(scan, set())[:3] == ["Austenite", "Sigma", "ferrite"]
    assert "austenite" not in offered(scan, set())[1:]
    assert offered(scan, {"sigma"})[:2] == ["Austenite", "ferrite"]
    assert offered(None, set())[0] == "ferrite"


def test_a_name_is_chosen_in_the_table(qtbot: Any) -> None:
    state = SegmenterState(ViewerModel())
    qtbot.addWidget(state.widget)
    table = ClassTable(state, PaintedPixels(state))
    qtbot.addWidget(table)
    delegate = table.view.itemDelegateForColumn(1)
    index = table.view.model().index(0, 1)
    box = delegate.createEditor(table.view, QStyleOptionViewItem(), index)
    assert isinstance(box, QComboBox)
    delegate.setEditorData(box, index)
    assert box.currentText() == "class 1"
    box.setCurrentText(" martensite ")
    delegate.setModelData(box, table.view.model(), index)
    assert state.names[1] == "martensite"
