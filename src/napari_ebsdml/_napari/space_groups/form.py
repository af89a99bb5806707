"""What a user chooses: model, a second one, by pixel or grain, and the detector's geometry."""

from __future__ import annotations

from collections.abc import Mapping
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
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_ebsdml._napari.shell.fields import Choice, Field, Flag, Form, Number
from napari_ebsdml._napari.space_groups.cameras import (
    FILE,
    OWN,
    REFINED,
    SEARCH,
    CameraChoice,
    tells_centre,
)
from napari_ebsdml._napari.space_groups.models import ModelEntry, ModelStore
from napari_ebsdml.scan import Scan

_FROM_FILE = "file"


def _by_grain(values: Mapping[str, Any]) -> bool:
    return bool(values["by"] == "grain")


def _is_own(values: Mapping[str, Any]) -> bool:
    return bool(values["camera"] == OWN)


FIELDS: tuple[Field, ...] = (
    Choice(
        "by", "Answer for each", "pixel",
        (("pixel", "pixel"), ("grain", "grain (patterns averaged)"), ("map", "whole map")),
        "The patterns of a grain are averaged in the crystal's frame: much surer than one pattern",
    ),
    Number(
        "threshold", "Grain threshold", 5.0, 0.5, 60.0, "°", 1, 0.5,
        "Disorientation that parts two grains", _by_grain,
    ),
    Flag(
        "ambiguous", "Show what cannot be told apart as such", True,
        "Patterns of some space groups are too alike: “Pm-3m or Fm-3m” is then an answer of its "
        "own. Off: always the most probable one, as the paper counts",
    ),
)  # fmt: skip

CAMERA_FIELDS: tuple[Field, ...] = (
    Choice(
        "camera", "Geometry", FILE,
        ((FILE, "from the file"), (OWN, "enter it"), (SEARCH, "search for it")),
        "Where the pattern centre and the tilts come from. A search finds the pattern centre, and "
        "orientations with it, from the patterns alone",
    ),
    Choice(
        "convention", "Convention", "tsl",
        (("tsl", "EDAX TSL"), ("bruker", "Bruker"), ("oxford", "Oxford")),
        "How the vendor counts the pattern centre, as in kikuchipy", _is_own,
    ),
    Number("pcx", "Pattern centre x", 0.5, -2.0, 3.0, "", 4, 0.01, "", _is_own),
    Number("pcy", "Pattern centre y", 0.7, -2.0, 3.0, "", 4, 0.01, "", _is_own),
    Number("pcz", "Pattern centre z", 0.6, 0.05, 5.0, "", 4, 0.01, "Detector distance", _is_own),
    Number("sample_tilt", "Sample tilt", 70.0, 0.0, 90.0, "°", 1, 1.0, "", _is_own),
    Number("tilt", "Camera tilt", 0.0, -90.0, 90.0, "°", 1, 1.0, "", _is_own),
)  # fmt: skip


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
        # A long name must not make the dock wider.
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(8)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
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


class _Section(QWidget):
    """A heading that shows and hides what is below it; as high as its content at all times."""

    def __init__(self, title: str, content: QWidget) -> None:
        super().__init__()
        self._title, self._content = title, content
        self.button = QPushButton()
        self.button.setCheckable(True)
        self.button.setStyleSheet("text-align: left; padding: 3px 6px;")
        self.button.toggled.connect(self.set_open)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.button)
        layout.addWidget(content)
        self.set_open(False)

    def set_open(self, is_open: bool) -> None:
        """Show or hide the content."""
        self.button.setChecked(is_open)
        self.button.setText(f"{'▼' if is_open else '▶'} {self._title}")
        self._content.setVisible(is_open)


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
        self.fields = Form(FIELDS)
        self.camera = Form(CAMERA_FIELDS)
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
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        for widget in (self.camera, self.use_refined, self.refined_note, self.refine_button):
            column.addWidget(widget)
        self.detector = _Section("Detector", inside)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(models)
        layout.addWidget(self.fields)
        layout.addWidget(self.detector)

        self.model.entry_changed.connect(self.changed)
        self.second.entry_changed.connect(self.changed)
        self.camera.changed.connect(self.changed)
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
        values = self.camera.values()
        stored = self._refined.get(self._scan) if self._scan is not None else None
        source = values["camera"]
        geometry = None
        if refined and stored is not None and self.use_refined.isChecked():
            source, geometry = REFINED, stored[0]
        return CameraChoice(
            source, (values["pcx"], values["pcy"], values["pcz"]), values["convention"],
            values["sample_tilt"], values["tilt"], geometry,
        )  # fmt: skip

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
            self.detector.set_open(True)
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
    """Pattern centre that the header of an EDAX text map tells, as values of `CAMERA_FIELDS`."""
    names = {"pcx": "x-star", "pcy": "y-star", "pcz": "z-star"}
    header = scan.source.header
    found = {}
    for name, key in names.items():
        value = header.get(key)
        if not isinstance(value, int | float) or not 0 < float(value) < 3:
            return {}
        found[name] = float(value)
    return found
