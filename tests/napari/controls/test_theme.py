"""Docks in napari's light and dark themes: what is drawn by hand must stay readable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QLabel

from napari_ebsdml._napari.controls.curves import CurvesWidget
from napari_ebsdml._napari.controls.histogram import DensityHistogram
from napari_ebsdml._napari.controls.theme import is_light, muted, shades


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours, 1 to 21 (WCAG 2.1)."""

    def luminance(name: str) -> float:
        parts = np.array(QColor(name).getRgbF()[:3])
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def line_color(curves: CurvesWidget) -> str:
    """Colour of the first line as it was drawn last, "" before."""
    return str(curves.figure.axes[0].lines[0].get_color()) if curves.figure.axes else ""


@pytest.fixture
def viewer(registered: None, make_napari_viewer: Callable[..., Any]) -> Any:
    return make_napari_viewer(show=True)


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_colors_stand_out_from_the_ground(viewer: Any, qtbot: Any, theme: str) -> None:
    from napari.utils.theme import get_theme

    curves, histogram, label = CurvesWidget(), DensityHistogram(), QLabel("text")
    for widget in (curves, histogram, label):
        viewer.window.add_dock_widget(widget)
    curves.add_point("loss", 1, 2.0)
    histogram.show_values("density", {"a": np.array([1e14, 2e14]), "b": np.array([3e14])})
    for _ in range(2):  # there, and back and there again while the docks are open
        viewer.theme = "light" if theme == "dark" else "dark"
        qtbot.wait(20)
        viewer.theme = theme
        qtbot.waitUntil(lambda: is_light(label) == (theme == "light"), timeout=5000)
        ground = get_theme(theme).background.as_hex()
        for widget in (curves, histogram, label):
            assert is_light(widget) == (theme == "light")
            assert contrast(muted(widget), ground) > 4.5
            for shade in shades(widget):
                assert contrast(shade, ground) > 3
        qtbot.waitUntil(lambda: line_color(curves) == shades(curves)[0], timeout=5000)
        drawn = histogram.figure.axes[0].patches[1].get_facecolor()
        assert QColor.fromRgbF(*drawn[:3]).name() == shades(histogram)[0]
