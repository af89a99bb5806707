"""The dock "Parent grains"."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel

import napari_ebsdml as ebsdml
from napari_ebsdml import Scan, samples
from napari_ebsdml._napari.layers.ipf_keys import keys_of
from napari_ebsdml._napari.layers.layer_figure import content_of
from napari_ebsdml._napari.layers.of_scans import add_result, layers_of
from napari_ebsdml._napari.parent_grains.results import layers_of_parents
from napari_ebsdml._napari.parent_grains.widget import ParentGrainsWidget
from tests.napari.docks import add_map, compute, layer, open_dock


@pytest.fixture(scope="module")
def scan() -> Scan:
    return samples.martensite((100, 140), 3, retained=0.08).scan


@pytest.fixture
def widget(qtbot: Any, model: ViewerModel, scan: Scan) -> Any:
    add_map(model, scan)
    widget = ParentGrainsWidget(model)
    qtbot.addWidget(widget)
    widget.show()
    yield widget
    widget.tasks.stop()


def test_layers_and_table(widget: ParentGrainsWidget, model: ViewerModel, qtbot: Any) -> None:
    compute(widget, qtbot)
    names = [one.name for one in layers_of(model, widget.scan)]
    for part in ("parent IPF-Z", "parent grains", "variant", "packet", "block", "misfit"):
        assert any(part in name for name in names), part
    assert "parents" in widget.told.text() or "parent " in widget.told.text()
    parents = np.asarray(layer(model, "parent grains").data)
    assert len(widget.table.rows()) == 1 + parents.max()
    assert layer(model, "parent IPF-Z").visible
    # Again: the layers are replaced.
    compute(widget, qtbot)
    assert [one.name for one in layers_of(model, widget.scan)] == names


def test_colour_key_is_that_of_the_parents(widget: ParentGrainsWidget, model: ViewerModel) -> None:
    found = ebsdml.parent_grains(samples.alpha_titanium((60, 80), 1).scan)
    for data, options in layers_of_parents(found):
        if options["quantity"] == "parent IPF-Z":
            ipf = add_result(model, found.scan, data, **options)
    ((key, (_, names)),) = keys_of(ipf).items()
    assert key == ("m-3m",)
    assert names == ["parent of Titanium alpha"]
    assert content_of(ipf)[1].keys == keys_of(ipf)


def test_child_phase_and_cancel(widget: ParentGrainsWidget, qtbot: Any) -> None:
    assert [widget.child_box.itemText(n) for n in range(widget.child_box.count())] == [
        "automatic", "Iron bcc", "Iron fcc",
    ]  # fmt: skip
    widget.compute()
    with qtbot.waitSignal(widget.tasks.stopped, timeout=20_000) as over:
        widget.tasks.cancel()
    assert over.args == ["cancelled"]
    widget.settings_form.set_values({"orientation_relationship": "Burgers"})
    compute(widget, qtbot, "failed")
    assert "Burgers" in widget.tasks.status.text()


def test_script(widget: ParentGrainsWidget, tmp_path: Any) -> None:
    from napari_ebsdml._napari.parent_grains.script import parents_script

    widget.settings_form.set_values({"threshold": 2.5})
    ebsdml.write(tmp_path / "steel.ctf", widget.scan)
    read = ebsdml.read(tmp_path / "steel.ctf")
    text = parents_script(read, widget.settings, 1)
    assert "threshold=2.5" in text
    assert "child_phase=1" in text
    compile(text, "script", "exec")


def test_in_the_menu(viewer: Any, scan: Scan) -> None:
    add_map(viewer, scan)
    assert open_dock(viewer, "Parent grains", ParentGrainsWidget).scan is scan
