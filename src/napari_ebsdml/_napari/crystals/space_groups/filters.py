"""A window with the first-layer filters of raw-pattern networks and what they make of a pattern."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from qtpy.QtWidgets import QDialog, QLabel, QVBoxLayout, QWidget

from napari_ebsdml._napari.shell.task_bar import TaskBar
from napari_ebsdml.scan import Scan

if TYPE_CHECKING:
    from napari_ebsdml._napari.crystals.space_groups.models import ModelEntry

_PAIRS = 4
_FILTERS = 8


@dataclass(frozen=True, eq=False)
class FilterView:
    """Filters and feature maps as columns of a picture.

    Attributes
    ----------
    titles
        Of the rows, top to bottom.
    rows : list of lists of (rows, columns) arrays
    columns
        Of the columns: numbers of the filters, or distances of pairs.
    """

    titles: list[str]
    rows: list[list[NDArray[np.floating[Any]]]]
    columns: list[str]


def filter_view(scan: Scan, row: int, column: int, entries: list[ModelEntry]) -> FilterView:
    """Filters of one model, or the most alike ones of two, with their maps of a pattern.

    Raises
    ------
    InputError
        When the networks of two models are of different kinds.
    """
    from napari_ebsdml.patterns.raw import RawClassifier, alike_filters

    assert scan.patterns is not None
    pattern = np.asarray(scan.patterns[row, column])
    models = [RawClassifier.required(entry.load(), "This window") for entry in entries[:2]]
    names = [entry.name for entry in entries[:2]]
    if len(models) == 1:
        (model,) = models
        kernels = model.filters().sum(axis=1)
        # Those that answer to the pattern most.
        maps = model.feature_maps(pattern)
        which = np.argsort(-maps.std(axis=(1, 2)), kind="stable")[:_FILTERS]
        return FilterView(
            [f"{names[0]}: filters", "feature maps"],
            [[kernels[n] for n in which], [maps[n] for n in which]],
            [f"no. {n}" for n in which],
        )
    pairs = alike_filters(models[0], models[1], _PAIRS)
    rows: list[list[NDArray[np.floating[Any]]]] = []
    titles = []
    for number, (name, model) in enumerate(zip(names, models, strict=True)):
        chosen = [(pair.first, pair.second)[number] for pair in pairs]
        maps = model.feature_maps(pattern, which=chosen)
        rows += [[pair.filters[number] for pair in pairs], list(maps)]
        titles += [f"{name}: filters", "feature maps"]
    return FilterView(titles, rows, [f"distance {pair.distance:.2f}" for pair in pairs])


class FilterWindow(QDialog):
    """Shows a `FilterView`, computed in the background."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("First-layer filters")
        self.view: FilterView | None = None
        self._figure = Figure(figsize=(7, 4), layout="constrained")
        self._figure.patch.set_alpha(0.0)
        self.canvas = FigureCanvasQTAgg(self._figure)
        self.canvas.setStyleSheet("background: transparent;")
        self.note = QLabel()
        self.note.setWordWrap(True)
        self.tasks = TaskBar("")
        for widget in (self.tasks.run_button, self.tasks.cancel_button, self.tasks.progress_bar):
            widget.setVisible(False)
        self.tasks.stopped.connect(lambda how: self.tasks.say("") if how == "done" else None)
        layout = QVBoxLayout(self)
        layout.addWidget(self.note)
        layout.addWidget(self.canvas, 1)
        layout.addWidget(self.tasks)
        self.resize(760, 480)

    def explain(self, scan: Scan, row: int, column: int, entries: list[ModelEntry]) -> None:
        """Show the filters of one or two models of raw patterns, and their maps of a pattern."""
        if self.tasks.running:
            return
        what = (
            "The filters that the two models' first layers have most in common, and what each "
            "makes of the pattern"
            if len(entries) > 1
            else "The filters of the first layer that answer most to the pattern, and what they "
            "make of it"
        )
        self.note.setText(f"{what} (row {row}, column {column}).")
        self.tasks.start(
            filter_view, scan, row, column, entries, label="Looking at the filters",
            on_result=self._show, uses_torch=True,
        )  # fmt: skip

    def _show(self, view: FilterView) -> None:
        self.view = view
        ink = str(self.palette().windowText().color().name())
        self.resize(self.width(), 110 + 120 * len(view.rows))
        self._figure.clear()
        every = self._figure.subplots(len(view.rows), len(view.columns), squeeze=False)
        for number, (title, images) in enumerate(zip(view.titles, view.rows, strict=True)):
            for axes, image, name in zip(every[number], images, view.columns, strict=True):
                most = float(np.abs(image).max()) or 1.0
                axes.imshow(image, cmap="gray", vmin=-most, vmax=most, interpolation="nearest")
                axes.set_xticks([])
                axes.set_yticks([])
                if number == 0:
                    axes.set_title(name, color=ink, fontsize=8)
            every[number][0].set_ylabel(title, color=ink, fontsize=8)
        self.canvas.draw_idle()
