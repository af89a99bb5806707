"""The dock "Crystals" in a real napari window."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.components import ViewerModel

from napari_ebsdml._napari.crystals.phases.stereogram import axes_of
from napari_ebsdml._napari.crystals.phases.widget import FOUND, PhasesWidget
from napari_ebsdml._napari.layers.of_scans import scans_in
from tests.napari.docks import add_map, layer, run
from tests.patterns.symmetry.test_phases import two_phase_map


def test_what_is_in_this_map(model: ViewerModel, qtbot: Any) -> None:
    scan, phase, _ = two_phase_map()
    add_map(model, scan)
    dock = PhasesWidget(model)
    qtbot.addWidget(dock)
    dock.show()
    assert "without being told" in dock.text.text()
    assert not dock.table.isVisible()
    run(dock.compute, dock.tasks, qtbot, timeout=240_000)
    assert dock.text.text().replace("\n", " ") == dock.found.sentence
    groups = [row[1] for row in dock.table.rows()[1:]]
    assert sorted(groups) == ["6/mmm", "m-3m"]
    labels = layer(model, f"{FOUND} ·").data
    # Each half is one phase, all but the pixel of noise and a few.
    for half in (~phase, phase):
        counts = np.bincount(labels[half], minlength=3)[1:]
        assert counts.max() > 0.85 * half.sum()
    assert {"2", "3", "4"} <= {text.get_text() for text in dock.plot.drawn.axes[0].texts}
    dock.add_button.click()
    assert scans_in(model)[-1] is dock.found.scan
    assert any("225" in str(cell) for row in dock.table.rows() for cell in row)
    assert dock.name_button.isEnabled()
    dock.name_space_groups()  # The map is there already; this model has no window.
    assert sum(one is dock.found.scan for one in scans_in(model)) == 1
    assert dock.folder_button.isVisible()
    # Without patterns it says what to do.
    rest = scan.crop(slice(0, 3))
    bare = type(scan)(
        quaternions=rest.quaternions, phase_id=rest.phase_id, phases=rest.phases, step=rest.step
    )
    add_map(model, bare)
    dock.chooser.scan = bare
    assert "no patterns" in dock.text.text()
    assert not dock.tasks.run_button.isEnabled()


def test_axes_of_a_group() -> None:
    orders = sorted(order for _, order in axes_of("m-3m"))
    # Six twofold, four threefold, three fourfold axes.
    assert orders == [0] * 6 + [1] * 4 + [2] * 3
    assert len(axes_of("6/mmm")) == 7
