"""Page "Train and check" of the segmenter: settings, learning curves, and what the model is."""

from __future__ import annotations

from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_ebsdml._napari.controls.curves import CurvesWidget
from napari_ebsdml._napari.layers.of_scans import layers_of
from napari_ebsdml._napari.segmenter.channels_panel import ChannelsPanel
from napari_ebsdml._napari.segmenter.result_panel import ResultPanel
from napari_ebsdml._napari.segmenter.state import SegmenterState
from napari_ebsdml._napari.segmenter.strokes.class_table import advice
from napari_ebsdml._napari.segmenter.strokes.painted import PaintedPixels
from napari_ebsdml._napari.segmenter.time_told import TrainingTime
from napari_ebsdml._napari.segmenter.training_form import TrainingForm, to_train_on
from napari_ebsdml._napari.segmenter.training_run import (
    Curve,
    Keeper,
    Predicted,
    Request,
    Target,
    Trained,
    train,
)
from napari_ebsdml.scan import Scan

if TYPE_CHECKING:
    from napari_ebsdml.segmentation import Segmenter

_PANEL_HEIGHT = 85
_LOSS, _ACCURACY = "loss", "accuracy [%]"
_REASONS = {
    "finished": "all epochs done",
    "early stop": "the held-out grains got no better",
    "time": "the time was up",
}


class TrainingPanel(QWidget):
    """Trains in the background with live curves and a map that refreshes.

    Signals
    -------
    started
        A training begins.
    trained : Scan
        There is a new model, which was trained on this scan and perhaps on others.

    Attributes
    ----------
    form : TrainingForm
    curves : CurvesWidget
    """

    started = Signal()
    trained = Signal(object)

    def __init__(
        self,
        state: SegmenterState,
        painted: PaintedPixels,
        channels: ChannelsPanel,
        result: ResultPanel,
    ) -> None:
        super().__init__()
        self.state, self._painted = state, painted
        self._channels, self._result = channels, result
        self.form = TrainingForm()
        self.time = TrainingTime(state, painted)
        self.time_text = QLabel()
        self.time_text.setWordWrap(True)
        self.curves = CurvesWidget("epoch", panel_height=_PANEL_HEIGHT)
        self.curves.setVisible(False)
        self.curves_button = QPushButton("Learning curves")
        self.curves_button.setToolTip("Show how the last training went, epoch by epoch")
        self.curves_button.setCheckable(True)
        self.curves_button.setVisible(False)
        self.model_text = QLabel()
        self._described: Segmenter | None = None
        self.model_text.setWordWrap(True)
        self.hint = QLabel()
        self.hint.setWordWrap(True)
        self.afresh_button = QPushButton("Start over")
        self.afresh_button.setToolTip(
            "Train a new model; the button below goes on with the present one"
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for part in (self.form, self.time_text, self.hint, self.curves, self.model_text):
            layout.addWidget(part)
        row = QHBoxLayout()
        row.addWidget(self.afresh_button)
        row.addWidget(self.curves_button)
        layout.addLayout(row)
        # While the last step of a cancelled training ends, another one would be in its way.
        self.keeper: Keeper | None = None
        self._answered = False
        self._scans: tuple[Scan, ...] = ()
        self.last_epoch = 0
        self.form.changed.connect(self._settings_changed)
        self.curves_button.toggled.connect(self.curves.setVisible)
        self.afresh_button.clicked.connect(partial(self.train, afresh=True))
        for signal in (
            state.classes_changed, state.pairs_changed, state.channels_changed,
            state.model_changed, state.busy_changed, painted.counted,
            state.widget.chooser.scan_changed,
        ):  # fmt: skip
            signal.connect(self._refresh)
        state.widget.chooser.scans_changed.connect(self._scans_changed)
        self._settings_changed()

    def train(self, checked: bool = False, *, afresh: bool = False) -> None:
        """Train on the present strokes: on with the present model where there is one."""
        if self.state.busy or self.keeper is not None or not self._ready()[1]:
            return
        model = None if afresh or self._cannot_go_on() else self.state.segmenter
        request = self._request(model)
        self.curves.clear()
        self.curves_button.setChecked(False)
        self.time.begin(model is not None, self.form.preview_every)
        self.last_epoch = 0
        self._answered = False
        keeper = Keeper()
        keeper.kept.connect(self._kept)
        self.keeper = keeper
        self._scans = tuple(dict.fromkeys(target.scan for target in request.targets))
        # No scan is bound: a training survives when one of several maps is closed.
        self.state.run(
            (), train, request, keeper, label="Training", uses_torch=True,
            on_event=self._event, on_result=self._done, on_cancel=self._cancelled,
        )  # fmt: skip
        self.started.emit()
        self._refresh()

    def stop(self) -> None:
        """Let go of a training that may be under way."""
        self.keeper = None

    def _request(self, model: Any) -> Request:
        pairs = self.state.training_pairs()
        known = {c.value for c in self.state.classes}
        scans = list(dict.fromkeys(p.scan for p in self.state.pairs if self._painted.of(p)))
        if self.state.scan is not None and self.state.scan in scans:
            # The map that the user looks at comes first: it is the one to be refreshed.
            scans.remove(self.state.scan)
            scans.insert(0, self.state.scan)
        targets = []
        for scan in scans:
            prepared = self.state.prepared(scan)
            strokes = next(labels for one, labels in pairs if one is prepared)
            targets.append(Target(scan, prepared, strokes))
        settings = self.state.settings
        values = {v for v in known if self._painted.total().get(v)}
        return Request(
            pairs, targets,
            {v: n for v, n in self.state.names.items() if v in values},
            {v: c for v, c in self.state.colors.items() if v in values},
            self.state.channels,
            settings if model is None else to_train_on(settings), self.state.network,
            self.state.options, model, self.form.preview_every,
        )  # fmt: skip

    def _event(self, event: Any) -> None:
        if isinstance(event, Curve):
            self._draw(event)
        elif isinstance(event, Predicted):
            self._result.show_result(event)
        elif isinstance(event, Trained):
            self.time.ended(event.reason)
            self.state.segmenter = event.model
            self._describe(event.reason)
            # What the model is and what it says of the map take the place of the curves.
            self.curves_button.setChecked(False)
            if self._scans:
                self.trained.emit(self._scans[0])

    def _draw(self, point: Curve) -> None:
        event = point.event
        if event.kind != "epoch":
            return
        if not self.last_epoch:
            # An empty picture tells nothing until now.
            self.curves_button.setChecked(True)
        self.last_epoch = event.epoch
        self.curves.add_point(
            "training", event.epoch, event.losses.get("loss", float("nan")), _LOSS
        )
        metrics = event.metrics
        nan = float("nan")
        self.curves.add_point("held out", event.epoch, metrics.get("held_out_loss", nan), _LOSS)
        right = {"strokes": point.on_strokes, "held-out grains": metrics.get("accuracy", nan)}
        for name, value in right.items():
            self.curves.add_point(name, event.epoch, 100 * value, _ACCURACY)
        if event.best_epoch:
            self.curves.mark("best", event.best_epoch)

    def _done(self, trained: Trained) -> None:
        self.keeper = None
        self._refresh()

    def _kept(self, model: Any, problem: Any) -> None:
        """The best model of a training that was cancelled or failed has arrived."""
        if self.sender() is not self.keeper and self.sender() is not None:
            return
        self.keeper = None
        if model is not None:
            self.state.segmenter = model
            self._describe("cancelled")
        if self._answered or not self.state.busy:
            self._tell_kept(model is not None, problem)
        self._refresh()

    def _cancelled(self) -> None:
        self._answered = True
        if self.keeper is not None and not self.keeper.began:
            self.keeper = None
        if self.keeper is None:
            self._tell_kept(self.state.segmenter is not None, None)
        else:
            self.state.widget.tasks.say("Cancelled; the best model so far is being kept …")
        self._refresh()

    def _tell_kept(self, kept: bool, problem: Any) -> None:
        if problem is not None:
            text = f"Cancelled; the model could not be kept: {problem}"
        elif kept and self.last_epoch:
            text = f"Cancelled after epoch {self.last_epoch}; the best model so far is kept."
        else:
            text = "Cancelled before the first epoch was complete; nothing changed."
        self.state.widget.tasks.say(text, "info" if problem is None else "error")

    def _scans_changed(self) -> None:
        viewer = self.state.viewer
        if not self.state.busy:
            self._scans = tuple(scan for scan in self._scans if layers_of(viewer, scan))
        elif self._scans and not any(layers_of(viewer, scan) for scan in self._scans):
            self.state.widget.tasks.drop("The maps of the training were closed, so it was stopped.")

    def _settings_changed(self) -> None:
        self.state.network = self.form.network
        self.state.settings = self.form.settings()
        self._refresh()

    def _cannot_go_on(self) -> str:
        """Why the present model cannot be trained on; empty when it can."""
        model = self.state.segmenter
        if model is None:
            return "there is no model"
        channels = {name.casefold() for name in self.state.channels} | {"indexed"}
        if channels != {name.casefold() for name in model.channels}:
            return "the channels were changed"
        painted = {v for v, number in self._painted.total().items() if number}
        if painted - set(model.classes.values):
            new = self.state.names[min(painted - set(model.classes.values))]
            return f"the model does not know {new}"
        return ""

    def _ready(self) -> tuple[str, bool]:
        text, ready = advice(self.state, self._painted)
        if not ready:
            return f"To train: {text[0].lower()}{text[1:]}", False
        problem = self._channels.problem
        return problem, not problem

    def _refresh(self, *_: Any) -> None:
        text, ready = self._ready()
        waiting = self.keeper is not None and not self.state.busy
        tasks = self.state.widget.tasks
        model = self.state.segmenter
        reason = self._cannot_go_on()
        tasks.allow(self.state.scan is not None and ready and not waiting)
        tasks.run_button.setText("Train" if reason else "Continue training")
        told = self.time.text(not reason, self.form.preview_every) if ready else ""
        self.time_text.setText(told)
        self.time_text.setVisible(bool(told) and not self.state.busy)
        self.curves_button.setVisible(bool(self.curves.series))
        self.afresh_button.setVisible(model is not None and not reason)
        self.afresh_button.setEnabled(ready and not self.state.busy and not waiting)
        if model is not None and reason and ready:
            text = f"A new model is trained: {reason}."
        self.hint.setText(text)
        self.hint.setVisible(bool(text) and self.state.scan is not None)
        self.model_text.setVisible(model is not None)
        if model is not None and model is not self._described:
            self._describe("")

    def _describe(self, reason: str) -> None:
        model = self.state.segmenter
        if model is None:
            return
        from napari_ebsdml.segmentation.results.judging import held_out_in_words

        self._described = model
        held_out = held_out_in_words(model.metrics)
        parts = [f"<b>Model:</b> {escape(', '.join(model.classes.names))}"]
        if held_out:
            parts.append(f"{held_out} that were held out are right")
        expected = model.metrics.get("expected_accuracy")
        if expected is not None:
            parts.append(f"{100 * expected:.0f} % of the map expected to be right")
        if reason in _REASONS:
            parts.append(_REASONS[reason])
        text = escape("; ".join(parts[1:]) + "." if len(parts) > 1 else "")
        notes = "".join(f"<br>{escape(note)}" for note in (model.answer, *model.notes) if note)
        self.model_text.setText(f"{parts[0]}; {text}{notes}" if text else f"{parts[0]}.{notes}")
