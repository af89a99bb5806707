"""What a user chooses: model, a second one, by pixel or grain, and the detector's geometry."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QGridLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_ebsdml._napari.controls.combo import narrow
from napari_ebsdml._napari.controls.form import SettingsForm
from napari_ebsdml._napari.controls.section import Section
from napari_ebsdml._napari.crystals.space_groups.cameras import (
    FILE,
    OWN,
    SEARCH,
    CameraChoice,
    GeometrySettings,
    tells_centre,
)
from napari_ebsdml._napari.crystals.space_groups.models import ModelEntry, ModelStore
from napari_ebsdml.patterns.settings import ClassifySettings
from napari_ebsdml.scan import Scan

_FROM_FILE = "file"


class ModelBox(QComboBox):
    """Chooses one of the models of a store, or a file.

    Signals
    -------
    entry_changed
        Another model is chosen.

    Parameters
    ----------
    store
    nothing
        Text of the first item that stands for no model; "": there is none.
    """

    entry_changed = Signal()

    def __init__(self, store: ModelStore, nothing: str = "") -> None:
        super().__init__()
        self._store = store
        self._nothing = nothing
        narrow(self)
        self._chosen: ModelEntry | None = None
        self._fill()
        store.changed.connect(self._fill)
        self.activated.connect(self._picked)

    @property
    def entry(self) -> ModelEntry | None:
        """The chosen model."""
        return self._chosen

    @entry.setter
    def entry(self, entry: ModelEntry | None) -> None:
        changed = entry is not self._chosen
        self._chosen = entry
        names = [self.itemData(n) for n in range(self.count())]
        self.setCurrentIndex(names.index(entry.name) if entry is not None else 0)
        self.setToolTip(entry.tip if entry is not None else "")
        if changed:
            self.entry_changed.emit()

    def ask_for_file(self) -> ModelEntry | None:
        """Let the user choose a model file; None when they did not."""
        path, _ = QFileDialog.getOpenFileName(self, "Model", "", "Models (*.safetensors)")
        if not path:
            return None
        return self._store.add(Path(path).stem, Path(path), f"From {path}")

    def _fill(self) -> None:
        self.blockSignals(True)
        self.clear()
        if self._nothing:
            self.addItem(self._nothing, None)
        for entry in self._store.entries:
            self.addItem(entry.name, entry.name)
            self.setItemData(self.count() - 1, entry.tip, 3)  # 3: Qt.ToolTipRole
        self.addItem("from a file …", _FROM_FILE)
        self.blockSignals(False)
        if self._chosen is None and not self._nothing and self._store.entries:
            self._chosen = self._store.entries[0]
        self.entry = self._chosen

    def _picked(self, index: int) -> None:
        data = self.itemData(index)
        if data == _FROM_FILE:
            self.entry = self.ask_for_file() or self._chosen
        else:
            self.entry = self._store.find(data) if data is not None else None


class ClassifyForm(QWidget):
    """Models, what to answer for, and the geometry.

    Signals
    -------
    changed
        Something was changed.
    refine_clicked
        The user wants the geometry refined.
    """

    changed = Signal()
    refine_clicked = Signal()

    def __init__(self, store: ModelStore) -> None:
        super().__init__()
        self._scan: Scan | None = None
        self._refined: WeakKeyDictionary[Scan, tuple[Any, dict[str, float]]] = WeakKeyDictionary()
        self.model = ModelBox(store)
        self.second = ModelBox(store, "nothing")
        self.answers = SettingsForm(ClassifySettings)
        self.camera = SettingsForm(GeometrySettings)
        self.refine_button = QPushButton("Refine on this map")
        self.refine_button.setToolTip(
            "Move the pattern centre and tilt the camera until the average of some patterns, "
            "folded into the crystal's frame, is sharpest"
        )
        self.use_refined = QCheckBox("Use the refined geometry")
        self.use_refined.setVisible(False)
        self.refined_note = QLabel()
        self.refined_note.setWordWrap(True)
        self.refined_note.setVisible(False)

        models = QGridLayout()
        models.setVerticalSpacing(4)
        models.setColumnStretch(1, 1)
        for row, (text, box) in enumerate((("Model", self.model), ("Compare with", self.second))):
            models.addWidget(QLabel(text), row, 0)
            models.addWidget(box, row, 1)
        self.detector = Section("Detector", unfolded=False)
        for widget in (
            self.camera.native, self.use_refined, self.refined_note, self.refine_button,
        ):  # fmt: skip
            self.detector.body.addWidget(widget)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(models)
        layout.addWidget(self.answers.native)
        layout.addWidget(self.detector)

        self.model.entry_changed.connect(self.changed)
        self.second.entry_changed.connect(self.changed)
        self.camera.changed.connect(lambda: self.changed.emit())
        self.use_refined.toggled.connect(lambda: self.changed.emit())
        self.refine_button.clicked.connect(lambda: self.refine_clicked.emit())
        self.changed.connect(self._show_detector)
        self._show_detector()

    @property
    def entries(self) -> list[ModelEntry]:
        """The chosen models, one or two different ones."""
        both = (self.model.entry, self.second.entry)
        return list(dict.fromkeys(entry for entry in both if entry is not None))

    def camera_setting(self, refined: bool = True) -> CameraChoice:
        """The geometry that the form says; `refined` False: what the refinement starts from."""
        stored = self._refined.get(self._scan) if self._scan is not None else None
        geometry = None
        if refined and stored is not None and self.use_refined.isChecked():
            geometry = stored[0]
        return self.camera.settings().choice(geometry)

    def show_scan(self, scan: Scan | None) -> None:
        """Take over what the scan's file tells of the geometry."""
        self._scan = scan
        if scan is None:
            return
        told = header_camera(scan)
        own = not tells_centre(scan)
        source = FILE
        if own:
            source = OWN if told else FILE if scan.is_indexed.any() else SEARCH
        self.camera.set_values({"camera": source, **told})
        if own and scan.patterns is not None:
            self.detector.unfold()
        self._show_refined()

    def set_refined(self, scan: Scan, geometry: Any, found: dict[str, float]) -> None:
        """Keep a refined geometry and use it."""
        self._refined[scan] = (geometry, found)
        self.use_refined.setChecked(True)
        self._show_refined()
        self.changed.emit()

    def _show_refined(self) -> None:
        stored = self._refined.get(self._scan) if self._scan is not None else None
        self.use_refined.setVisible(stored is not None)
        self.refined_note.setVisible(stored is not None)
        if stored is not None:
            found = stored[1]
            self.refined_note.setText(
                f"Moved by {100 * found['dx']:+.1f}, {100 * found['dy']:+.1f}, "
                f"{100 * found['dz']:+.1f} % of the height, tilted by {found['tilt']:+.1f}°; "
                f"sharpness {found['sharpness_before']:.2f} → {found['sharpness_after']:.2f}"
            )

    def _show_detector(self) -> None:
        """Models of raw patterns need no geometry, and grains only where they are averaged."""
        self.detector.setVisible(any(entry.needs_orientations for entry in self.entries))


def header_camera(scan: Scan) -> dict[str, float]:
    """Pattern centre that the header of an EDAX text map tells, as values of `GeometrySettings`."""
    names = {"pcx": "x-star", "pcy": "y-star", "pcz": "z-star"}
    header = scan.source.header
    found = {}
    for name, key in names.items():
        value = header.get(key)
        if not isinstance(value, int | float) or not 0 < float(value) < 3:
            return {}
        found[name] = float(value)
    return found
