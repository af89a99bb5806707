"""The tab "Pixel": probabilities at the clicked pixel, and why, drawn on its pattern."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_ebsdml._napari.controls.theme import is_light
from napari_ebsdml._napari.crystals.space_groups.bars import Bar, ProbabilityBars
from napari_ebsdml._napari.crystals.space_groups.classify import Classified, PixelExplanation
from napari_ebsdml._napari.crystals.space_groups.display import color_of, full_name, kind_name
from napari_ebsdml._napari.crystals.space_groups.explainer import Explainer
from napari_ebsdml._napari.crystals.space_groups.filters import FilterWindow
from napari_ebsdml._napari.crystals.space_groups.overlay import (
    AGAINST,
    FOR,
    band_name,
    band_picture,
    heat_map,
)
from napari_ebsdml.scan import Scan

if TYPE_CHECKING:
    from napari_ebsdml._napari.crystals.space_groups.models import ModelEntry
    from napari_ebsdml._napari.pattern_viewer.viewer import PatternViewer

HEAT, LINES = "space group: evidence", "space group: bands"
"""Names of the overlays in the pattern viewer."""

_INK_ON_LIGHT = ("#a85500", "#1763b8")

_CLOSED = "Open the pattern viewer, then click on the map: every click is explained here."
_CLICK = "Click on the map: the answer for that pixel is explained here."
_NO_RESULT = "Classify the map first; then every click on it is explained here."


class PixelPanel(QWidget):
    """Follows the pattern viewer.

    Signals
    -------
    open_clicked
        The user wants to see the pattern viewer.
    """

    open_clicked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._viewer: PatternViewer | None = None
        self._shown: list[Classified] = []
        self._scan: Scan | None = None
        self._pixel: tuple[int, int] | None = None
        self._group = 0
        self.explanation: PixelExplanation | None = None
        self.explainer = Explainer(self)
        self.explainer.explained.connect(self._explained)
        self.explainer.failed.connect(self._failed)

        self.title = QLabel()
        self.title.setWordWrap(True)
        self.title.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.bars = ProbabilityBars()
        self.bars.setToolTip("Click a space group to see what speaks for it and against it")
        self.bars.clicked.connect(self._choose)
        self.heat = QCheckBox("Evidence")
        self.heat.setToolTip("Shapley values: orange speaks for the space group, blue against it")
        self.lines = QCheckBox("Bands {hkl}")
        self.lines.setToolTip("The bands of low indices that decided most, with their indices")
        for box in (self.heat, self.lines):
            box.setChecked(True)
            box.toggled.connect(self._draw)
        self.reason = QLabel()
        self.reason.setWordWrap(True)
        self.reason.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.filters_button = QPushButton("First-layer filters …")
        self.filters_button.setToolTip(
            "Filters of the raw-pattern network and what they make of this pattern; of two such "
            "networks the filters that they have in common"
        )
        self.filters_button.clicked.connect(self.show_filters)
        self.filters: FilterWindow | None = None
        self.open_button = QPushButton("Open the pattern viewer")
        self.open_button.clicked.connect(lambda: self.open_clicked.emit())

        checks = QHBoxLayout()
        self.drawn = QLabel("On the pattern:")
        checks.addWidget(self.drawn)
        checks.addWidget(self.heat)
        checks.addWidget(self.lines)
        checks.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.title)
        layout.addWidget(self.bars)
        layout.addLayout(checks)
        layout.addWidget(self.reason)
        layout.addWidget(self.filters_button)
        layout.addWidget(self.open_button)
        layout.addStretch(1)
        self._refresh()

    def connect_viewer(self, viewer: PatternViewer | None) -> None:
        """Follow a pattern viewer; None: it was closed."""
        if viewer is self._viewer:
            return
        if self._viewer is not None:
            self._viewer.pixel_changed.disconnect(self._pixel_changed)
            self._viewer.destroyed.disconnect(self._viewer_gone)
            self._clear_overlays()
        self._viewer = viewer
        if viewer is not None:
            viewer.pixel_changed.connect(self._pixel_changed)
            viewer.destroyed.connect(self._viewer_gone)
            if viewer.pixel is not None:
                self._pixel_changed(*viewer.pixel)
        self._refresh()

    def show_results(self, scan: Scan | None, results: list[Classified]) -> None:
        """Explain these answers from now on; the first one's evidence is drawn."""
        if scan is not self._scan:
            self._pixel = None
        self._scan, self._shown = scan, list(results)
        viewer = self._viewer
        if viewer is not None and viewer.pixel is not None and viewer.pixel.scan is scan:
            self._pixel = (viewer.pixel.row, viewer.pixel.column)
        self._ask()

    def show_filters(self) -> None:
        """Open the window with the filters of the raw-pattern networks that are shown."""
        if self._scan is None or self._pixel is None or not self._raw_entries():
            return
        if self.filters is None:
            self.filters = FilterWindow(self)
        self.filters.show()
        self.filters.raise_()
        self.filters.explain(self._scan, *self._pixel, self._raw_entries())

    def closing(self) -> None:
        """Let go of the pattern viewer."""
        self.explainer.forget()
        if self.filters is not None:
            self.filters.tasks.stop()
            self.filters.close()
        self.connect_viewer(None)

    def _viewer_gone(self, *_: Any) -> None:
        self._viewer = None
        self._refresh()

    def _pixel_changed(self, scan: Scan, row: int, column: int) -> None:
        self._pixel = (row, column) if scan is self._scan else None
        self._ask()

    def _ask(self) -> None:
        self.explainer.forget()
        self.explanation = None
        self._group = 0
        self._clear_overlays()
        if self._pixel is not None and self._shown and self._scan is not None:
            first = self._shown[0]
            self._group = int(first.result.space_group[self._pixel])
            if self._group:
                self.explainer.ask((self._scan, *self._pixel, first))
        self._refresh()

    def _choose(self, space_group: int) -> None:
        self._group = space_group
        self._refresh()
        self._draw()

    def _explained(self, found: PixelExplanation) -> None:
        if found.at == self._pixel and self._shown and found.name == self._shown[0].name:
            self.explanation = found
            self._refresh()
            self._draw()

    def _failed(self, text: str) -> None:
        self.reason.setText(text)

    def _draw(self, *_: Any) -> None:
        """Lay the evidence for the chosen space group over the pattern."""
        viewer, found = self._viewer, self.explanation
        if viewer is None:
            return
        self._clear_overlays()
        if found is None or self._group not in found.images:
            return
        if self.heat.isChecked():
            viewer.set_overlay(HEAT, heat_map(found.images[self._group]))
        if self.lines.isChecked() and found.bands:
            viewer.set_overlay(LINES, band_picture(found, self._group))

    def _clear_overlays(self) -> None:
        if self._viewer is not None:
            for name in (HEAT, LINES):
                self._viewer.set_overlay(name, None)

    def _refresh(self) -> None:
        self.open_button.setVisible(self._viewer is None)
        ready = self._pixel is not None and bool(self._shown)
        self.filters_button.setVisible(ready and bool(self._raw_entries()))
        for widget in (self.bars, self.drawn, self.heat, self.lines, self.reason):
            widget.setVisible(ready)
        knows_bands = bool(self._shown) and self._shown[0].entry.needs_orientations
        self.lines.setVisible(ready and knows_bands)
        if not ready or self._pixel is None:
            hint = _CLICK if self._viewer is not None else _CLOSED
            self.title.setText(hint if self._shown else _NO_RESULT)
            self.bars.show_bars([])
            return
        self.title.setText("<br>".join(self._sentence(one) for one in self._shown))
        self.bars.show_bars(self._rows(), self._group)
        self.reason.setText(self._reason())

    def _raw_entries(self) -> list[ModelEntry]:
        return [one.entry for one in self._shown if not one.entry.needs_orientations]

    def _sentence(self, one: Classified) -> str:
        at = self._pixel
        assert at is not None
        result = one.result
        row, column = at
        where = f"row {row}, column {column}"
        if one.by == "grain" and result.labels is not None and result.labels[at]:
            where += f", grain {int(result.labels[at])}"
        name = f"{escape(one.name)}: " if len(self._shown) > 1 else ""
        if result.fit is not None:
            where += f", fit of its orientation {float(result.fit[at]):.2f}"
        if not result.space_group[at]:
            what = "not indexed" if result.fit is None else "no orientation fits"
            what = "unknown: no camera fits" if result.reason else what
            return f"{name}{what} ({where})"
        kind = one.answers.kinds[int(one.answers.number[at])]
        group = int(result.space_group[at])
        answer = kind_name(kind)
        if not result.is_known[at]:
            answer = f"unknown; the nearest is {full_name(group)}"
        elif len(kind) > 1:
            answer += ": cannot be told apart"
        family = str(result.family[at])
        lattice = f", lattice {family}" if family else ""
        return f"<b>{name}{answer}</b>{lattice} ({where})"

    def _rows(self) -> list[Bar]:
        assert self._pixel is not None
        chances: list[dict[int, float]] = [
            dict(
                zip(one.result.space_groups, one.result.probabilities[self._pixel].tolist(),
                    strict=True)
            )
            for one in self._shown
        ]  # fmt: skip
        groups = sorted({group for one in chances for group in one})
        return [
            Bar(
                group, full_name(group), color_of(group),
                tuple(one.get(group, float("nan")) for one in chances),
            )
            for group in groups
        ]  # fmt: skip

    def _reason(self) -> str:
        found = self.explanation
        if not self._group:
            return ""
        if found is None:
            return "Explaining …" if self.explainer.busy else ""
        group = full_name(self._group)
        text = (
            f"<span style='color: {FOR}'>■</span> for, <span style='color: {AGAINST}'>■</span> "
            f"against {group}"
        )
        if len(self._shown) > 1:
            text += f" ({escape(found.name)})"
        bands = found.bands.get(self._group, [])[:3]
        if bands:
            # As on the pattern, but dark enough for small print.
            plus, minus = _INK_ON_LIGHT if is_light(self) else (FOR, AGAINST)
            parts = (
                f"<span style='color: {plus if value >= 0 else minus}'>{band_name(hkl)} "
                f"{value:+.1f}</span>"
                for hkl, value in bands
            )
            text += ". Bands: " + ", ".join(parts)
        if found.patterns > 1:
            text += f". Mean of {found.patterns} patterns of the grain"
        return text
