"""Widget "U-Net segmenter": strokes, channels, training and result, from top to bottom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtGui import QHideEvent
from qtpy.QtWidgets import QWidget

from napari_ebsdml._napari.segmenter.annotations_store import AnnotationsStore
from napari_ebsdml._napari.segmenter.channels_panel import ChannelsPanel
from napari_ebsdml._napari.segmenter.comparison import ComparisonPanel
from napari_ebsdml._napari.segmenter.evaluation_panel import EvaluationPanel
from napari_ebsdml._napari.segmenter.kept import keep, kept_of
from napari_ebsdml._napari.segmenter.live import LivePanel
from napari_ebsdml._napari.segmenter.model_panel import ModelPanel
from napari_ebsdml._napari.segmenter.result_panel import ResultPanel
from napari_ebsdml._napari.segmenter.script import ScriptButton
from napari_ebsdml._napari.segmenter.state import SegmenterState
from napari_ebsdml._napari.segmenter.strokes_panel import StrokesPanel
from napari_ebsdml._napari.segmenter.training_panel import TrainingPanel
from napari_ebsdml._napari.segmenter.uncertain import UncertainPanel
from napari_ebsdml._napari.shell.help import Help
from napari_ebsdml._napari.shell.scan_widget import ScanWidget
from napari_ebsdml._napari.shell.section import Section
from napari_ebsdml._napari.shell.settings import remember, remembered
from napari_ebsdml.errors import InputError

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_ebsdml.scan import Scan

SECTION = "segmenter"
"""Where napari keeps the settings of this widget."""


class SegmenterWidget(ScanWidget):
    """Trains a U-Net on painted strokes and segments maps with it.

    Attributes
    ----------
    state : SegmenterState
    strokes : StrokesPanel
    live : LivePanel
    channels : ChannelsPanel
    training : TrainingPanel
    result : ResultPanel
    uncertain : UncertainPanel
    comparison : ComparisonPanel
    evaluation : EvaluationPanel
    model : ModelPanel
    script_button : ScriptButton
    sections : dict
        Name -> `Section`.
    """

    HELP = Help(
        "Segments maps into the classes that you paint.",
        ("Name the classes and paint a few strokes of each, on grains that are typical.",
         "Train. The map is segmented while it learns.",
         "Correct with more strokes where it is unsure, and train on; apply it to other maps."),
        "tutorials/segment.md",
    )  # fmt: skip

    def __init__(self, napari_viewer: ViewerModel, store: AnnotationsStore | None = None) -> None:
        super().__init__(napari_viewer, "Train")
        self.state = SegmenterState(self.viewer, self)
        kept = kept_of(self.viewer)
        if kept is not None:
            self.state.classes = kept.classes
        self.strokes = StrokesPanel(self.state, store)
        self.live = LivePanel(self.state, self.strokes.painted)
        self.channels = ChannelsPanel(self.state)
        self.result = ResultPanel(self.state)
        self.training = TrainingPanel(self.state, self.strokes.painted, self.channels, self.result)
        settings = remembered(SECTION)
        self.training.form.set_saved(settings)
        self.result.form.set_saved(settings)

        self.uncertain = UncertainPanel(self.state)
        self.comparison = ComparisonPanel(self.state)
        self.evaluation = EvaluationPanel(self.state)
        self.model = ModelPanel(self.state)
        self.script_button = ScriptButton(self.state)
        parts: tuple[tuple[str, str, bool, tuple[QWidget, ...]], ...] = (
            ("strokes", "1  Classes and strokes", True, (self.strokes, self.live)),
            ("channels", "2  Channels", False, (self.channels,)),
            ("training", "3  Train", True, (self.training,)),
            ("result", "4  Result", True, (self.result,)),
            ("correct", "5  Correct", False, (self.uncertain,)),
            ("comparison", "Compare with other methods", False, (self.comparison,)),
            ("evaluation", "Evaluate against a known map", False, (self.evaluation,)),
            ("model", "Model and script", False, (self.model, self.script_button)),
        )
        self.sections: dict[str, Section] = {}
        for name, title, unfolded, panels in parts:
            self.sections[name] = Section(title, unfolded)
            for panel in panels:
                self.sections[name].body.addWidget(panel)
            self.form.addWidget(self.sections[name])
        self.offer_batch(self._step, uses_torch=True)
        self.form.addStretch(1)
        self._corrected = False
        self.tasks.run_clicked.connect(self.training.train)
        self.state.channels_changed.connect(self._summarise)
        self.strokes.painted.counted.connect(self._summarise)
        self.result.described.connect(self.sections["result"].summarise)
        self.training.started.connect(self._remember)
        self.training.trained.connect(self._save_model)
        self.strokes.restored.connect(self._load_model)
        self.state.model_changed.connect(self._unfold)
        self._summarise()
        if kept is not None:
            if kept.own_choice:
                self.channels.own_choice = True
                self.state.channels = kept.channels
            self.state.segmenter = kept.segmenter
        self.begin()

    def _step(self) -> Any:
        """What `batch` does with the maps of a folder."""
        if self.state.segmenter is None:
            raise InputError("Train or load a model first.")
        return "segment", [self.state.options, {"model": self.state.segmenter}]

    def hideEvent(self, event: QHideEvent | None) -> None:
        """Save what was painted last: napari may be closing."""
        self.strokes.painted.count()
        self.strokes.autosave.save()
        super().hideEvent(event)

    def closing(self) -> None:
        """Save the strokes, keep classes and model, and let go of the layers."""
        keep(self.state, self.channels.own_choice)
        self.live.stop()
        self.training.stop()
        self.channels.stop()
        self.result.stop()
        self.strokes.stop()

    def _summarise(self) -> None:
        self.sections["channels"].summarise(self.channels.summary)
        total = sum(self.strokes.painted.total().values())
        text = f"{total:,} px".replace(",", "\u202f") if total else ""
        self.sections["strokes"].summarise(text)

    def _unfold(self) -> None:
        """Show the next step when there is a model for the first time."""
        if self.state.segmenter is not None and not self._corrected:
            self._corrected = True
            self.sections["correct"].unfold()

    def _save_model(self, scan: Scan) -> None:
        """Beside the strokes, so that a session that ends badly loses neither."""
        self.strokes.autosave.save_model(scan, self.state.segmenter)

    def _load_model(self, scan: Scan) -> None:
        """The model that strokes were restored with."""
        path = self.strokes.autosave.model_of(scan)
        if path is not None and self.state.segmenter is None:
            self.model.load(path)

    def _remember(self, *_: Any) -> None:
        remember(SECTION, {**self.training.form.saved(), **self.result.form.saved()})
