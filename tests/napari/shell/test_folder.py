"""What a dock does with one map, done with all of a folder."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel

import napari_ebsdml as ebsdml
from napari_ebsdml import Scan
from napari_ebsdml._napari.crystals.widget import SPACE_GROUPS, CrystalsWidget
from napari_ebsdml._napari.grain_classes.widget import GrainClassesWidget
from napari_ebsdml._napari.maps.widget import MapsWidget
from napari_ebsdml._napari.parent_grains.widget import ParentGrainsWidget
from napari_ebsdml.batching.step import bind
from tests.napari.docks import add_map, run


@pytest.fixture
def maps(tmp_path: Path) -> Path:
    folder = tmp_path / "maps"
    folder.mkdir()
    for seed in range(2):
        sample = ebsdml.samples.dual_phase_steel((16, 20), 0.5, seed=seed)
        ebsdml.write(folder / f"steel{seed}.ctf", sample.scan)
    return folder


def test_a_dock_applied_to_a_folder(
    qtbot: Any, model: ViewerModel, make_scan: Callable[..., Scan], maps: Path, tmp_path: Path
) -> None:
    add_map(model, make_scan())
    widget = MapsWidget(model)
    qtbot.addWidget(widget)
    widget.settings_form["kam_order"].value = 2
    results = tmp_path / "results"
    step = lambda: ("maps", [widget.settings, {"gnd": False}])  # noqa: E731
    run(lambda: widget.apply_to_folder(maps, results, step), widget.tasks, qtbot)
    qtbot.waitUntil(lambda: "2 maps are in" in widget.tasks.status.text())
    rows = list(csv.DictReader((results / "summary.csv").read_text("utf-8").splitlines()))
    assert [row["map"] for row in rows] == ["steel0", "steel1"]
    with np.load(results / "steel0.npz") as found:
        want = ebsdml.kam(ebsdml.read(maps / "steel0.ctf"), 2)
        np.testing.assert_array_equal(found["kam"], want)
    assert widget.folder_button.isEnabled()

    # A map that fails is told; what the others gave stays.
    (maps / "bad.ctf").write_text("Channel Text File\nnonsense")
    run(lambda: widget.apply_to_folder(maps, results, step), widget.tasks, qtbot)
    qtbot.waitUntil(lambda: "1 failed" in widget.tasks.status.text())

    def broken() -> Any:
        raise ebsdml.InputError("Train or load a model first.")

    widget.apply_to_folder(maps, results, broken)
    assert "Train or load" in widget.tasks.status.text()


def test_docks_with_models_apply_them(qtbot: Any, model: ViewerModel) -> None:
    """What the buttons ask for are steps with settings that they know."""
    sample = ebsdml.samples.dual_phase_steel((20, 24), 0.5, seed=1)
    add_map(model, sample.scan)
    parents, groups, grains = (
        kind(model) for kind in (ParentGrainsWidget, CrystalsWidget, GrainClassesWidget)
    )
    for widget in (parents, groups, grains):
        qtbot.addWidget(widget)
        assert widget.folder_button.text().startswith("Apply to a folder")
    groups.show_part(SPACE_GROUPS)
    steps: list[Any] = []
    for widget in (parents, groups):
        widget.apply_to_folder = lambda maps, results, step, *_: steps.append(step())
        widget.folder_button._chosen(Path("maps"), Path("results"))
    assert [step.name for step in bind(steps)] == ["parents", "spacegroups"]
    grains.folder_button._chosen(Path("maps"), Path("results"))
    assert "Click on grains" in grains.tasks.status.text()
