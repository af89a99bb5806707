"""The page "What is in this map?" on a small simulated map of nickel and titanium."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtWidgets import QApplication

import napari_ebsdml as ebsdml
from napari_ebsdml import Scan
from napari_ebsdml._napari.crystals.phases import display
from napari_ebsdml._napari.crystals.phases import page as phases_page
from napari_ebsdml._napari.crystals.phases.page import PhasesPage
from napari_ebsdml._napari.crystals.phases.pictures import axes_of
from napari_ebsdml._napari.crystals.phases.script import phases_script
from napari_ebsdml._napari.crystals.phases.work import COLORS, FOUND, axes_on_pattern
from napari_ebsdml._napari.crystals.widget import CrystalsWidget
from napari_ebsdml._napari.layers.of_scans import scans_in
from napari_ebsdml._quaternions import to_matrix
from napari_ebsdml.patterns.frame.geometry import Geometry, to_kikuchipy
from napari_ebsdml.patterns.phases import find as phases
from napari_ebsdml.patterns.phases.find import FoundPhases
from napari_ebsdml.patterns.settings import PhasesSettings
from tests.napari.docks import add_map, layer, run
from tests.patterns.phases.maps import CAMERA, two_phases

Asked = list[dict[str, Any]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """What `find_phases` was asked; its answer on the map is that of `two_phases`."""
    calls: Asked = []
    answers = [two_phases().found]

    def find(scan: Scan, *, progress: Callable[[float], None], **settings: Any) -> FoundPhases:
        calls.append({"scan": scan, **settings})
        progress(0.5)
        return answers[0]

    monkeypatch.setattr(phases, "find_phases", find)
    return calls


@pytest.fixture
def page(model: ViewerModel, qtbot: Any) -> PhasesPage:
    add_map(model, two_phases().scan)
    dock = CrystalsWidget(model)
    qtbot.addWidget(dock)
    dock.show()
    return dock.phases


def marks(page: PhasesPage) -> list[str]:
    """Orders of the axes that are drawn."""
    return [text.get_text() for axes in page.plot.drawn.axes for text in axes.texts]


def test_what_is_in_this_map(page: PhasesPage, asked: Asked, qtbot: Any) -> None:
    model, dock, found = page.viewer, page.dock, two_phases().found
    assert "from the patterns alone" in page.text.text()
    assert not page.tabs.isVisible()
    page.settings_form.set_values({"sample": 40, "energy": 15.0})
    run(page.compute, page.tasks, qtbot)
    assert asked == [{"scan": two_phases().scan, "sample": 40, "energy": 15.0, "chemistry": "auto"}]
    assert page.found is found
    # The first lines say what the table says, and the notes all.
    for part in ("cubic", "hexagonal", "Laue group m-3m", "6/mmm", "Å", "% of the indexed"):
        assert part in page.text.text()
    assert not page.again_button.isVisible()
    groups = [row[1] for row in page.table.rows()[1:]]
    assert sorted(groups) == ["6/mmm", "m-3m"]
    assert any("225" in str(cell) for row in page.table.rows() for cell in row)
    for one in found.clusters:
        assert one.sentence[:60] in page.notes.text()
    assert not layer(model, COLORS).visible
    labels, phase = layer(model, f"{FOUND} ·").data, two_phases().phase
    # Each half is one phase, all but the pixel of noise and a few.
    for half in (~phase, phase):
        counts = np.bincount(labels[half], minlength=3)[1:]
        assert counts.max() > 0.85 * half.sum()
    page.choice.setCurrentIndex(groups.index("m-3m"))
    assert {"2", "3", "4"} == set(marks(page))
    assert "stereogram" in page.plot.drawn.axes[0].get_title()
    page.view.setCurrentIndex(1)
    qtbot.waitUntil(lambda: "pattern at" in page.plot.drawn.axes[0].get_title(), timeout=10_000)
    assert len(marks(page)) == len(axes_on_pattern(found, groups.index("m-3m")).axes) > 1

    # The map indexed with them comes once, and has its space groups named.
    page.add_button.click()
    assert scans_in(model)[-1] is found.scan
    dock.chooser.scan = two_phases().scan
    assert page.name_button.isEnabled()
    page.name_button.click()
    assert sum(one is found.scan for one in scans_in(model)) == 1
    assert dock.scan is found.scan
    assert dock.page is dock.space_groups
    # Its own phases are not known before they are asked for.
    assert page.found is None
    dock.chooser.scan = two_phases().scan
    assert page.found is found
    # Without its layer there is no answer.
    model.layers.remove(layer(model, f"{FOUND} ·"))
    assert page.found is None
    assert "from the patterns alone" in page.text.text()


def test_a_map_without_patterns_says_what_to_open(page: PhasesPage) -> None:
    rest = two_phases().scan.crop(slice(0, 3))
    bare = dataclasses.replace(rest, patterns=None, camera=None)
    add_map(page.viewer, bare)
    page.dock.chooser.scan = bare
    assert "no patterns" in page.dock.hint.text()
    assert page.dock.hint.isVisible()
    assert not page.tasks.run_button.isEnabled()
    page.dock.chooser.scan = two_phases().scan
    assert "no patterns" not in page.dock.hint.text()
    assert page.tasks.run_button.isEnabled()


def test_element_counts_are_asked_for_where_the_map_has_them(
    page: PhasesPage, asked: Asked, qtbot: Any
) -> None:
    box = page.settings_form.chemistry
    assert not box.native.isVisible()
    scan = two_phases().scan
    for line, value in (("Ni Ka1", 30), ("Ti Ka1", 5)):
        scan = scan.with_property(f"Window Integral {line}", np.full(scan.shape, value))
    add_map(page.viewer, scan)
    page.dock.chooser.scan = scan
    assert box.native.isVisible()
    box.value = False
    run(page.compute, page.tasks, qtbot)
    assert asked[-1]["chemistry"] is None
    # A map of one element has no shares to tell.
    page.dock.chooser.scan = two_phases().scan
    assert not box.native.isVisible()


def test_shares_of_elements_are_told() -> None:
    found = two_phases().found
    first = dataclasses.replace(found.clusters[0], elements={"Ni K": 0.75, "Ti K": 0.25})
    both = dataclasses.replace(found, clusters=(first, *found.clusters[1:]))
    assert "Ni K 75, Ti K 25" in display.headline(both)
    assert display.columns_of(both)["elements %"] == ["Ni K 75, Ti K 25", ""]
    assert "elements %" not in display.columns_of(found)


def test_the_time_it_takes_is_told_before_and_learned(
    page: PhasesPage, asked: Asked, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phases_page, "expected_seconds", lambda number, sample, *_: 0.1 * sample)
    page.changed.emit()
    assert page.dock.hint.text().startswith("Takes about 20 s")
    page.settings_form.set_values({"sample": 400})
    assert page.dock.hint.text().startswith("Takes about 40 s")
    # A machine that takes twice as long.
    monkeypatch.setattr(phases_page, "speed_from", lambda expected, seconds: 0.5)
    run(page.compute, page.tasks, qtbot)
    assert page.dock.hint.text().startswith("Takes about 1 min")


def test_where_most_fits_no_phase_the_reason_and_one_button(
    page: PhasesPage, asked: Asked, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = two_phases().found
    ids = found.scan.phase_id.copy()
    ids[:4] = -1
    lost = dataclasses.replace(found, scan=dataclasses.replace(found.scan, phase_id=ids))
    monkeypatch.setattr(
        phases, "find_phases", lambda scan, *, progress, **given: asked.append(given) or lost
    )
    page.settings_form.set_values({"sample": 10})
    run(page.compute, page.tasks, qtbot)
    assert "% of the pixels fit no phase" in page.text.text()
    assert page.again_button.isVisible()
    run(page.again_button.click, page.tasks, qtbot)
    assert [given["sample"] for given in asked] == [10, 40]
    # All patterns were searched: what is left is the pattern centre.
    monkeypatch.setattr(
        phases, "find_phases",
        lambda scan, *, progress, **given: asked.append({"scan": scan}) or found,
    )  # fmt: skip
    assert "pattern centre" in page.again_button.text()
    run(page.again_button.click, page.tasks, qtbot)
    assert asked[-1]["scan"].camera.pc is None
    assert asked[-1]["scan"].camera.tilt == CAMERA.tilt
    assert not page.again_button.isVisible()


def test_nothing_found_says_why(model: ViewerModel, qtbot: Any) -> None:
    noise = np.random.default_rng(0).normal(100, 5, (2, 3, 60, 60))
    scan = dataclasses.replace(two_phases().scan.crop(slice(0, 2), slice(0, 3)),
                               patterns=da.from_array(noise))  # fmt: skip
    add_map(model, scan)
    dock = CrystalsWidget(model)
    qtbot.addWidget(dock)
    page = dock.phases
    count = len(model.layers)
    run(page.compute, page.tasks, qtbot)
    assert "No phase found" in page.text.text()
    assert "pattern centre" in page.again_button.text()
    assert not page.again_button.isHidden()
    assert page.tabs.isHidden()
    assert len(model.layers) == count


def test_a_session_brings_the_answer_back(
    page: PhasesPage, asked: Asked, qtbot: Any, tmp_path: Path
) -> None:
    run(page.compute, page.tasks, qtbot)
    path = ebsdml.save_session(page.viewer, tmp_path / "found")
    back = CrystalsWidget(ebsdml.open_session(path))
    qtbot.addWidget(back)
    again, found = back.phases.found, two_phases().found
    assert again is not None
    assert back.phases.text.text() == page.text.text()
    assert back.phases.table.rows() == page.table.rows()
    np.testing.assert_array_equal(again.scan.quaternions, found.scan.quaternions)
    assert [p.name for _, p in again.scan.phases] == [p.name for _, p in found.scan.phases]
    assert "2" in marks(back.phases)


def test_axes_are_drawn_where_the_crystals_are() -> None:
    made = two_phases()
    number = [one.laue.best for one in made.found.clusters].index("m-3m")
    shown = axes_on_pattern(made.found, number)
    assert not made.phase[shown.at]
    geometry = Geometry.of(CAMERA)
    turn = to_matrix(to_kikuchipy(made.quaternions[shown.at])) @ geometry.to_sample
    x0, x1, y0, y1 = geometry.bounds[0]
    fours = turn.T @ np.eye(3)
    fours = fours[:, np.abs(fours[2]) > 1e-6]
    x, y = fours[:2] / fours[2]
    true = np.stack([(x - x0) / (x1 - x0), (y1 - y) / (y1 - y0)], axis=1)
    drawn = np.array([axis[:2] for axis in shown.axes if axis[2] == 4])
    inside = ((true > 0.02) & (true < 0.98)).all(axis=1)
    assert inside.sum() <= len(drawn)
    assert len(shown.axes) > len(drawn)
    for place in drawn:
        assert np.hypot(*(true - place).T).min() < 0.03


def test_the_script_does_the_same(tmp_path: Path, asked: Asked, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ebsdml, "find_phases", lambda scan, **given: phases.find_phases(
        scan, progress=lambda part: None, **given), raising=False)  # fmt: skip
    sample = ebsdml.samples.dual_phase_steel((8, 10), 0.5, seed=1)
    ebsdml.write(tmp_path / "steel.ctf", sample.scan)
    scan = ebsdml.read(tmp_path / "steel.ctf")
    exec(compile(phases_script(scan, PhasesSettings(energy=15.0)), "script.py", "exec"), {})
    assert [(one["scan"].shape, one["energy"]) for one in asked] == [((8, 10), 15.0)]
    assert "sample" not in asked[0]
    found = two_phases().found.scan
    assert ebsdml.read(tmp_path / "steel-phases.h5").phases.names == found.phases.names


def test_the_button_copies_the_script(page: PhasesPage, tmp_path: Path) -> None:
    page.dock.script_button.click()
    assert "save it" in page.tasks.status.text()  # the map is in no file
    scan = two_phases().scan
    path = tmp_path / "a.ctf"
    ebsdml.write(path, scan)
    read = ebsdml.read(path)
    add_map(page.viewer, read)
    page.dock.chooser.scan = read
    page.dock.script_button.click()
    assert QApplication.clipboard().text() == phases_script(read, PhasesSettings())


def test_axes_of_a_group() -> None:
    orders = sorted(order for _, order in axes_of("m-3m"))
    # Six twofold, four threefold, three fourfold axes.
    assert orders == [2] * 6 + [3] * 4 + [4] * 3
    assert len(axes_of("6/mmm")) == 7
