"""The dock "Crystals": two pages that share a map, a task bar and keys."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from napari.components import ViewerModel
from qtpy.QtCore import Qt

import napari_ebsdml as ebsdml
from napari_ebsdml._napari.crystals.phases import work
from napari_ebsdml._napari.crystals.space_groups import classify
from napari_ebsdml._napari.crystals.widget import PHASES, SPACE_GROUPS, CrystalsWidget
from napari_ebsdml._napari.files import session
from tests.napari.docks import add_map, open_dock
from tests.patterns.phases.maps import two_phase_map


@pytest.fixture
def dock(model: ViewerModel, qtbot: Any) -> CrystalsWidget:
    add_map(model, two_phase_map((2, 3))[0])
    made = CrystalsWidget(model)
    qtbot.addWidget(made)
    made.show()
    return made


class Slow:
    """A job that waits until it is let go, or cancelled."""

    def __init__(self) -> None:
        self.go = threading.Event()

    def __call__(self, *_: Any, progress: Any) -> Any:
        while not self.go.wait(0.01):
            progress(0.1)
        return []


def test_a_page_is_made_when_it_is_opened() -> None:
    code = (
        "import sys\n"
        "from napari.components import ViewerModel\n"
        "from qtpy.QtWidgets import QApplication\n"
        "app = QApplication([])\n"
        "from napari_ebsdml._napari.crystals.widget import CrystalsWidget\n"
        "dock = CrystalsWidget(ViewerModel())\n"
        "pages = 'napari_ebsdml._napari.crystals.space_groups.page'\n"
        "print('torch' in sys.modules, pages in sys.modules)\n"
        "dock.show_part('space_groups')\n"
        "print('torch' in sys.modules, pages in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.stdout.split() == ["False", "False", "False", "True"], done.stderr


def test_pages_share_the_dock(dock: CrystalsWidget) -> None:
    assert list(dock.parts()) == [PHASES]
    assert dock.tasks.run_button.text() == "Find phases"
    first, second = dock.phases, dock.space_groups
    assert dock.page is first
    assert first.inputs.isVisible()
    assert second.inputs.isHidden()
    steps = {page.HELP.steps for page in (first, second)}
    dock.tasks.say("Done in 3 s.")
    dock.bar.setCurrentIndex(1)
    assert dock.page is second
    assert dock.tasks.run_button.text() == "Classify"
    assert dock.tasks.status.text() == ""
    assert (first.inputs.isHidden(), first.outputs.isHidden()) == (True, True)
    assert second.outputs.isVisible()
    assert dock.help is second.HELP
    titles = [action.text() for action in dock.help_button.menu().actions()]
    assert any("Kaufmann" in title for title in titles)
    assert len(steps) == 2
    assert list(dock.parts()) == [PHASES, SPACE_GROUPS]
    # Each asks a batch for its own step.
    asked: list[Any] = []
    dock.apply_to_folder = lambda maps, results, step, *torch: asked.append((step(), *torch))
    dock.folder_button._chosen(Path("a"), Path("b"))
    dock.show_part(PHASES)
    dock.folder_button._chosen(Path("a"), Path("b"))
    assert [(step[0], torch) for step, torch in asked] == [("spacegroups", True),
                                                           ("crystals", False)]  # fmt: skip
    dock.show_part("what another version had")
    assert dock.page is first


def test_a_result_lands_on_the_page_that_began(
    dock: CrystalsWidget, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow()
    monkeypatch.setattr(classify, "classify", slow)
    landed: list[Any] = []
    page = dock.space_groups
    monkeypatch.setattr(page, "_show", lambda scan, found: landed.append(scan))
    monkeypatch.setattr(page, "_problem", lambda: "")
    dock.show_part(SPACE_GROUPS)
    scan = dock.scan
    dock.tasks.run_button.click()
    assert dock.tasks.running
    dock.show_part(PHASES)
    # What is under way is still told, and the button of the other page waits.
    assert "Classifying" in dock.tasks.status.text()
    assert not dock.tasks.run_button.isEnabled()
    with qtbot.waitSignal(dock.tasks.stopped, timeout=60_000):
        slow.go.set()
    assert landed == [scan]
    assert dock.tasks.run_button.isEnabled()


@pytest.mark.parametrize("part", [PHASES, SPACE_GROUPS])
def test_enter_computes_and_escape_cancels(
    dock: CrystalsWidget, qtbot: Any, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    monkeypatch.setattr(work, "find", Slow())
    monkeypatch.setattr(classify, "classify", Slow())
    dock.show_part(part)
    monkeypatch.setattr(dock.page, "ready", lambda: True)
    qtbot.keyClick(dock, Qt.Key.Key_Return)
    assert dock.tasks.running
    with qtbot.waitSignal(dock.tasks.stopped, timeout=10_000) as over:
        qtbot.keyClick(dock, Qt.Key.Key_Escape)
    assert over.args == ["cancelled"]


def test_a_session_brings_both_pages_back(viewer: Any, qtbot: Any, tmp_path: Path) -> None:
    add_map(viewer, two_phase_map((2, 3))[0])
    dock = open_dock(viewer, "Crystals", CrystalsWidget)
    dock.phases.settings_form.set_values({"sample": 321})
    dock.show_part(SPACE_GROUPS)
    dock.space_groups.classify_form.answers.set_values({"by": "map", "ambiguous": False})
    dock.space_groups.train_panel.form.set_values({"epochs": 7})
    path = ebsdml.save_session(viewer, tmp_path / "both")
    viewer.window.remove_dock_widget(dock)
    viewer.layers.clear()
    ebsdml.open_session(path, viewer)
    (again,) = [one for _, one in session._scan_widgets(viewer)]
    assert again is not dock
    assert again.page is again.space_groups
    assert again.phases.settings_form.values()["sample"] == 321
    answers = again.space_groups.classify_form.answers.values()
    assert (answers["by"], answers["ambiguous"]) == ("map", False)
    assert again.space_groups.train_panel.form.values()["epochs"] == 7
    # What was a dock of its own is a page now.
    viewer.window.remove_dock_widget(again)
    told = {
        "name": "Space groups", "scan": None, "forms": {"!": "dict", "items": [
            ["classify_form.answers", {"!": "dict", "items": [["by", "pixel"]]}]]},
    }  # fmt: skip
    session._open_dock(viewer, told, session.Reader(None, []), [])
    (third,) = [one for _, one in session._scan_widgets(viewer)]
    assert third.page is third.space_groups
    assert third.space_groups.classify_form.answers.values()["by"] == "pixel"
