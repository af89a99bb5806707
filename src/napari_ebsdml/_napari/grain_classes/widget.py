"""Widget "Grain classes": click on a few grains, and every grain gets a class."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSpinBox,
    QTabWidget,
    QWidget,
)

from napari_ebsdml._napari.controls.combo import narrow_combo
from napari_ebsdml._napari.controls.tab_page import tab_page
from napari_ebsdml._napari.controls.table import DataTable
from napari_ebsdml._napari.grain_classes.work import (
    class_table,
    classified,
    grain_rows,
    measured,
)
from napari_ebsdml._napari.layers.classes import LabelClass
from napari_ebsdml._napari.layers.clicks import MapClicks
from napari_ebsdml._napari.layers.of_scans import Level, info_of, layers_of, show_alone
from napari_ebsdml._napari.shell.help import Help
from napari_ebsdml._napari.shell.scan_widget import ScanWidget
from napari_ebsdml._palette import LABEL_COLORS
from napari_ebsdml.errors import InputError
from napari_ebsdml.maps.settings import GRAIN_THRESHOLD
from napari_ebsdml.scan import Scan

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_ebsdml.grains import GrainClasses, GrainClassifier, GrainFeatures

CLICKED = "named grains"
CLASSES = "grain classes"
PROBABILITY = "grain class probability"


class GrainClassesWidget(ScanWidget):
    """Learns classes of grains from clicks; see `GrainClassifier`.

    Attributes
    ----------
    examples : dict of int -> int
        Grain -> class, as clicked.
    names : dict of int -> str
        Class -> name.
    found : GrainClasses or None
    classifier : GrainClassifier or None
    """

    HELP = Help(
        "Classes of grains from a few that you name: recrystallised, ferrite, bainite ...",
        ("Find grains. Choose a class, then click on some grains of it in the map.",
         "Choose another class and click again: from two classes on, every grain gets one.",
         "Click again to take a click back. Doubtful grains come first in the table."),
        "how-to/grain_classes.md",
    )  # fmt: skip

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__(napari_viewer, "Find grains")
        self.features: GrainFeatures | None = None
        self.examples: dict[int, int] = {}
        self.names: dict[int, str] = {}
        self.found: GrainClasses | None = None
        self.classifier: GrainClassifier | None = None
        self._again = False

        self.threshold = QDoubleSpinBox()
        self.threshold.setRange(0.5, 60)
        self.threshold.setValue(GRAIN_THRESHOLD)
        self.threshold.setSuffix("°")
        self.smallest = QSpinBox()
        self.smallest.setRange(1, 100_000)
        self.smallest.setValue(4)
        self.smallest.setSuffix(" px")
        for number in (self.threshold, self.smallest):
            number.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.threshold.setDecimals(1)
        self.class_box = narrow_combo()
        self.class_box.setEditable(True)
        self.class_box.setToolTip("Class of the grains that you click; type to rename it")
        self.add_button = QPushButton("New class")
        self.clear_button = QPushButton("Forget clicks")
        self.method_box = narrow_combo()
        self.method_box.addItem("linear discriminant", "lda")
        self.method_box.addItem("forest", "forest")
        rows = QFormLayout()
        rows.addRow("Grain threshold", self.threshold)
        rows.addRow("Smallest grain", self.smallest)
        rows.addRow("Method", self.method_box)
        rows.addRow("Class to click", self.class_box)
        self.form.addLayout(rows)
        buttons = QHBoxLayout()
        buttons.addWidget(self.add_button)
        buttons.addWidget(self.clear_button)
        self.form.addLayout(buttons)
        self.told = QLabel()
        self.told.setWordWrap(True)
        self.form.addWidget(self.told)
        self.offer_batch(self._step)
        self.form.addStretch(1)

        self.class_table, self.grain_table = DataTable(), DataTable()
        self.tabs = QTabWidget()
        self.tabs.addTab(tab_page(self.class_table), "Classes")
        self.tabs.addTab(tab_page(self.grain_table), "Grains")
        self.tabs.setVisible(False)
        self.below.addWidget(self.tabs)

        for _ in range(2):
            self.add_class()
        self.class_box.setCurrentIndex(0)
        self.add_button.clicked.connect(lambda: self.add_class())
        self.clear_button.clicked.connect(self.forget)
        self.class_box.editTextChanged.connect(self._rename)
        self.method_box.currentIndexChanged.connect(lambda _: self.classify())
        self.tasks.run_clicked.connect(self.compute)
        self._clicks = MapClicks(
            self.viewer, lambda: self.scan if self.features is not None else None, self.choose
        )
        self.begin()

    def add_class(self) -> None:
        """Add a class, and choose it."""
        number = max(self.names, default=0) + 1
        self.names[number] = f"class {number}"
        self.class_box.addItem(self.names[number], number)
        self.class_box.setCurrentIndex(self.class_box.count() - 1)

    def compute(self) -> None:
        """Find the grains of the chosen scan; clicks are forgotten."""
        scan = self.scan
        if scan is None or self.tasks.running:
            return
        self._reset()
        self.run(
            scan, measured, scan, self.threshold.value(), self.smallest.value(),
            label="Finding grains", on_result=self._grains_found,
        )  # fmt: skip

    def choose(self, row: int, column: int) -> None:
        """Name the grain at a pixel, or take its name back."""
        if self.features is None:
            return
        label = int(self.features.labels[row, column])
        if label == 0:
            self.told.setText("No grain there: not indexed, or smaller than asked for.")
            return
        number = int(self.class_box.currentData())
        if self.examples.get(label) == number:
            del self.examples[label]
        else:
            self.examples[label] = number
        self._show_clicked()
        self.classify()

    def classify(self) -> None:
        """Tell the class of every grain, if two classes have been clicked."""
        scan, features = self.scan, self.features
        if scan is None or features is None or len(set(self.examples.values())) < 2:
            return
        if self.tasks.running:
            self._again = True
            return
        used = sorted(set(self.examples.values()))
        names = {number: self.names[number] for number in used}
        self.run(
            scan, classified, scan, features, dict(self.examples), names,
            str(self.method_box.currentData()), label="Classifying grains",
            on_result=self._classified,
        )  # fmt: skip

    def _step(self) -> tuple[str, dict[str, Any]]:
        """What the classifier of the clicks does with other maps."""
        if self.classifier is None:
            raise InputError("Click on grains of two classes first: they are what is learned from.")
        return "grain-classes", {
            "model": self.classifier, "threshold": self.threshold.value(),
            "min_pixels": self.smallest.value(),
        }  # fmt: skip

    def forget(self) -> None:
        """Forget all clicks."""
        self.examples = {}
        self._show_clicked()

    def scan_chosen(self, scan: Scan | None) -> None:
        """Forget what belongs to another scan."""
        self._reset()
        self.told.setText("" if scan is None else "Find grains, then click on some of each class.")

    def tour_actions(self) -> dict[int, Callable[[], object]]:
        """The first step presses the button."""
        return {2: self.tasks.run_button.click}

    def tour_target(self, step: int) -> QWidget | None:
        """The button, then the dock."""
        return self.tasks if step == 2 else self

    def closing(self) -> None:
        """Let go of the mouse."""
        self._clicks.stop()

    def _reset(self) -> None:
        self.features, self.examples = None, {}
        self.found, self.classifier = None, None
        self.tabs.setVisible(False)

    def _grains_found(self, features: GrainFeatures) -> None:
        self.features = features
        count = int(features.exists.sum())
        self.told.setText(f"{count} grains. Click on some of {self.class_box.currentText()!r}.")

    def _show_clicked(self) -> None:
        scan = self.scan
        if scan is None or self.features is None:
            return
        table = np.zeros(len(self.features.pixels), dtype=np.int32)
        for label, number in self.examples.items():
            table[label] = number
        active = self.viewer.layers.selection.active
        layer = self.add_result(
            scan, table[self.features.labels], CLICKED, kind="labels", classes=self._classes(),
            level=Level.LINES,
        )  # fmt: skip
        layer.contour = 1
        self.viewer.layers.selection.active = active
        self.told.setText(f"{len(self.examples)} grains named.")

    def _classes(self) -> list[LabelClass]:
        return [
            LabelClass(number, name, LABEL_COLORS[(number - 1) % len(LABEL_COLORS)])
            for number, name in self.names.items()
        ]

    def _classified(self, made: tuple[GrainClassifier, GrainClasses]) -> None:
        self.classifier, self.found = made
        found, scan = self.found, self.found.scan
        active = self.viewer.layers.selection.active
        best = np.nan_to_num(found.probability).max(axis=1)[found.features.labels]
        where = found.features.labels > 0
        self.add_result(
            scan, np.where(where, best, np.nan).astype(np.float32), PROBABILITY,
            colormap="viridis", contrast_limits=(0.0, 1.0), visible=False, result=found,
        )  # fmt: skip
        before = set(self.viewer.layers)
        classes = self.add_result(
            scan, found.map, CLASSES, kind="labels", classes=self._classes(), opacity=0.5,
            result=found,
        )  # fmt: skip
        if classes not in before:
            # On other colours those of the classes cannot be told; what was clicked stays.
            show_alone(self.viewer, scan, classes)
            for layer in layers_of(self.viewer, scan):
                if (info_of(layer) or {}).get("quantity") == CLICKED:
                    layer.visible = True
        self.viewer.layers.selection.active = active
        held = ""
        if self.classifier.n_held_out:
            held = (
                f" Of {self.classifier.n_held_out} named grains that were left out, "
                f"{100 * self.classifier.held_out:.0f} % were right."
            )
        self.told.setText(found.sentence + held)
        self.class_table.set_columns(class_table(found, self.examples))
        self.grain_table.set_columns(grain_rows(found))
        self.tabs.setVisible(True)
        if self._again:
            self._again = False
            from qtpy.QtCore import QTimer

            QTimer.singleShot(0, self.classify)

    def _rename(self, text: str) -> None:
        number = self.class_box.currentData()
        at = self.class_box.currentIndex()
        if number is None or at < 0 or not text.strip():
            return
        self.names[int(number)] = text.strip()
        self.class_box.setItemText(at, text)
