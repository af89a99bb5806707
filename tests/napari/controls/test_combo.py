"""Combo boxes that are narrower than their texts."""

from __future__ import annotations

from typing import Any

from napari_ebsdml._napari.controls.combo import narrow_combo, shown_text


def test_a_long_text_leaves_out_its_middle_and_draws(qtbot: Any) -> None:
    box = narrow_combo()
    qtbot.addWidget(box)
    box.addItems(["Ti", "a map whose name is long and ends in 200x200"])
    box.resize(150, 24)
    box.show()
    assert shown_text(box) == "Ti"
    short = box.grab().toImage()
    box.setCurrentIndex(1)
    assert "…" in shown_text(box)
    assert shown_text(box).endswith("200")
    assert box.grab().toImage() != short
    # What it means is not changed.
    assert box.currentText().endswith("200x200")
