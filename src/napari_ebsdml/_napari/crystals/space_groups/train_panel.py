"""The tab "Train": fine-tune a model, or train a new one, on maps whose phases are known."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QFileDialog,
    QFrame,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from napari_ebsdml._napari.controls.curves import CurvesWidget
from napari_ebsdml._napari.controls.form import SettingsForm
from napari_ebsdml._napari.crystals.space_groups.cameras import CameraChoice
from napari_ebsdml._napari.crystals.space_groups.display import full_name
from napari_ebsdml._napari.crystals.space_groups.models import ModelEntry, ModelStore
from napari_ebsdml._napari.crystals.space_groups.training_work import (
    FINE_TUNE,
    IMAGENET,
    SMALL,
    XCEPTION,
    PatternTraining,
    Trainee,
    TrainingPlan,
    run_training,
)
from napari_ebsdml.errors import InputError
from napari_ebsdml.scan import Scan

if TYPE_CHECKING:
    from napari_ebsdml._napari.shell.scan_widget import ScanWidget

_ACCURACY, _LOSS = "accuracy", "loss"
_HELP = (
    "Tick maps with patterns whose phases are right: each phase's space group is the label of its "
    "pixels."
)


def labels_in(scan: Scan) -> dict[int, int]:
    """Space group -> number of its pixels, of a map's phases that have one."""
    found: dict[int, int] = {}
    for number, phase in scan.phases:
        count = int(np.count_nonzero(scan.phase_id == number)) if number >= 0 else 0
        if count and phase.space_group is not None:
            group = int(phase.space_group.number)
            found[group] = found.get(group, 0) + count
    return found


class TrainPanel(QWidget):
    """Maps to learn from, settings, live curves; the dock's task bar tells how far it is.

    Signals
    -------
    trained : ModelEntry
        A new model is in the store.
    """

    trained = Signal(object)

    def __init__(self, store: ModelStore, dock: ScanWidget) -> None:
        super().__init__()
        self._store, self._dock = store, dock
        self._entry: ModelEntry | None = None
        self._cameras: dict[Scan, CameraChoice] = {}
        self.weights: Path | None = None
        self.maps = QListWidget()
        self.maps.itemChanged.connect(self._count)
        self.counts = QLabel(_HELP)
        self.counts.setWordWrap(True)
        self.form = SettingsForm(PatternTraining)
        self.form.changed.connect(self._kind_changed)
        self.train_button = QPushButton("Train")
        self.train_button.clicked.connect(self.train)
        self._trainable = False
        for signal in (dock.tasks.started, dock.tasks.stopped):
            signal.connect(self._refresh)
        self.curves = CurvesWidget("epoch")

        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(0, 4, 0, 0)
        column.setSpacing(4)
        self.outcome = QLabel()
        self.outcome.setWordWrap(True)
        self.outcome.setVisible(False)
        for widget in (self.maps, self.counts, self.form.native, self.train_button, self.outcome):
            column.addWidget(widget)
        column.addWidget(self.curves, 1)
        self.curves.setVisible(False)
        column.addStretch(0)
        scroll = QScrollArea()
        scroll.setWidget(inside)
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(scroll)
        self._count()

    def show_entry(self, entry: ModelEntry | None) -> None:
        """Model that further training starts from."""
        self._entry = entry
        self._count()

    def show_scans(self, scans: list[Scan], cameras: dict[Scan, CameraChoice]) -> None:
        """Offer the maps of the viewer; what is ticked stays so."""
        self._cameras = cameras
        ticked = set(self.scans)
        self.maps.blockSignals(True)
        self.maps.clear()
        for scan in scans:
            if scan.patterns is None:
                continue
            item = QListWidgetItem(scan.name)
            item.setData(Qt.ItemDataRole.UserRole, scan)
            item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable)
            on = scan in ticked
            item.setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)
            if not labels_in(scan):
                item.setFlags(Qt.ItemFlag.NoItemFlags)
                item.setToolTip("No phase of this map has a space group, so it has no labels.")
            self.maps.addItem(item)
        self.maps.blockSignals(False)
        rows = min(max(self.maps.count(), 1), 4)
        self.maps.setFixedHeight(22 * rows + 8)
        self._count()

    @property
    def scans(self) -> list[Scan]:
        """The ticked maps."""
        items = (self.maps.item(n) for n in range(self.maps.count()))
        return [
            item.data(Qt.ItemDataRole.UserRole) for item in items
            if item is not None and item.checkState() == Qt.CheckState.Checked
        ]  # fmt: skip

    def tick(self, scan: Scan, on: bool = True) -> None:
        """Tick a map, or take the tick away.

        Raises
        ------
        InputError
            When the map is not in the list.
        """
        for n in range(self.maps.count()):
            item = self.maps.item(n)
            if item is not None and item.data(Qt.ItemDataRole.UserRole) is scan:
                item.setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)
                return
        raise InputError(f"{scan.name} is not among the maps with patterns.")

    def plan(self) -> TrainingPlan:
        """What the form says."""
        return TrainingPlan(
            self.form.settings(),
            tuple((scan, self._cameras.get(scan, CameraChoice())) for scan in self.scans),
            self._entry, self.weights,
        )  # fmt: skip

    def train(self) -> None:
        """Begin."""
        if self._dock.tasks.running:
            return
        plan, left = self.plan(), Trainee()
        self._say("")
        self.curves.clear()
        self.curves.setVisible(True)
        name = _name(plan)
        self._dock.run(
            self.scans, run_training, plan, left, label="Training", uses_torch=True, patient=True,
            on_event=lambda event: self._event(event, plan.how.epochs),
            on_result=lambda classifier: self._finished(name, classifier, "Trained"),
            on_cancel=lambda: self._cancelled(name, left),
        )  # fmt: skip

    def _event(self, event: Any, epochs: int) -> None:
        if event.kind == "step":
            x = event.fraction * event.epochs
            self.curves.add_point("training loss", x, event.losses.get("loss", np.nan), _LOSS)
        elif event.kind == "epoch":
            if event.losses:
                loss = event.losses.get("loss", np.nan)
                self.curves.add_point("training loss", event.epoch, loss, _LOSS)
            for name, value in event.metrics.items():
                is_loss = name == "validation"
                label = "held-out loss" if is_loss else name.replace("accuracy ", "")
                label = "held out" if label == "accuracy" else label
                self.curves.add_point(label, event.epoch, value, _LOSS if is_loss else _ACCURACY)
            self.curves.mark("best", event.best_epoch or None)
            if event.epoch % epochs == 0 and event.epoch < event.epochs:
                self.curves.gap()  # the next network of an ensemble begins

    def _finished(self, name: str, classifier: Any, how: str) -> None:
        if classifier is None:
            return
        entry = self._store.add(name, classifier, f"{how} in this session; save it under Model")
        self._say(f"{how}: <b>{entry.name}</b> is now the chosen model. {_shown(entry)}")
        self.trained.emit(entry)

    def _cancelled(self, name: str, left: Trainee) -> None:
        if left.classifier is None:
            self._say("Cancelled before the first epoch ended: no model was made.")
        else:
            self._finished(name, left.classifier, "Cancelled, best so far")

    def _say(self, text: str) -> None:
        self.outcome.setText(text)
        self.outcome.setVisible(bool(text))

    def _kind_changed(self) -> None:
        if self.form.kind.value == IMAGENET and self.weights is None:
            path, _ = QFileDialog.getOpenFileName(
                self, "ImageNet weights of Xception", "", "Weights (*.h5 *.safetensors)"
            )
            self.weights = Path(path) if path else None
            if self.weights is None:
                self.form.set_values({"kind": XCEPTION})
        self._count()

    def _count(self, *_: Any) -> None:
        """Say what would be learned."""
        total: dict[int, int] = {}
        for scan in self.scans:
            for group, number in labels_in(scan).items():
                total[group] = total.get(group, 0) + number
        text = ", ".join(f"{full_name(g)}: {n}" for g, n in sorted(total.items()))
        kind = self.form.kind.value
        entry = self._entry
        least = 1 if kind == FINE_TUNE and entry is not None and entry.needs_orientations else 2
        if not self.maps.count():
            text = "No open map has patterns. " + _HELP
        elif not total:
            text = _HELP
        elif len(total) < least:
            text += ". A raw-pattern network needs maps of at least two space groups."
        else:
            text = f"Labelled patterns: {text}"
        self.counts.setText(text)
        self._trainable = len(total) >= least and (kind != FINE_TUNE or entry is not None)
        self._refresh()

    def _refresh(self, *_: Any) -> None:
        self.train_button.setEnabled(self._trainable and not self._dock.tasks.running)


def _name(plan: TrainingPlan) -> str:
    if plan.how.kind == FINE_TUNE and plan.entry is not None:
        base = plan.entry.name
        return base if base.endswith("fine-tuned") else f"{base}, fine-tuned"
    return {SMALL: "small raw network", XCEPTION: "Xception"}.get(
        plan.how.kind, "Xception, transfer"
    )


def _shown(entry: ModelEntry) -> str:
    """Figures of a new model's card in a sentence."""
    card = getattr(entry.source, "card", None)
    figures = dict(card.metrics) if card is not None else {}
    before = figures.get("measured_held_out_accuracy_before")
    after = figures.get("measured_held_out_accuracy")
    if before is not None and after is not None:
        return (
            f"Held-out patterns of these maps: {100 * before:.1f} % right before, "
            f"now {100 * after:.1f} %."
        )
    shares = [value for key, value in figures.items() if key.endswith("_f1")]
    if not shares:
        return ""
    return (
        f"Mean F1 on held-out patterns: {np.mean(shares):.3f}. They are of the same grains as "
        "those trained on, so that other maps will do worse."
    )
