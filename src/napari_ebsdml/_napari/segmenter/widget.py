"""Widget "U-Net segmenter" in three pages: paint, train and check, and more."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtGui import QHideEvent
from qtpy.QtWidgets import QTabWidget, QWidget

from napari_ebsdml._napari.controls.section import Section
from napari_ebsdml._napari.controls.settings import remember, remembered
from napari_ebsdml._napari.segmenter.channels_panel import ChannelsPanel
from napari_ebsdml._napari.segmenter.comparison import ComparisonPanel
from napari_ebsdml._napari.segmenter.evaluation_panel import EvaluationPanel
from napari_ebsdml._napari.segmenter.example import paint_example
from napari_ebsdml._napari.segmenter.explanation_panel import ExplanationPanel
from napari_ebsdml._napari.segmenter.kept import keep, kept_of
from napari_ebsdml._napari.segmenter.live import LivePanel
from napari_ebsdml._napari.segmenter.model_panel import ModelPanel
from napari_ebsdml._napari.segmenter.result_panel import ResultPanel
from napari_ebsdml._napari.segmenter.script import ScriptButton
from napari_ebsdml._napari.segmenter.state import SegmenterState
from napari_ebsdml._napari.segmenter.strokes.annotations_store import AnnotationsStore
from napari_ebsdml._napari.segmenter.strokes.keys import Keys
from napari_ebsdml._napari.segmenter.strokes.strokes_panel import StrokesPanel
from napari_ebsdml._napari.segmenter.strokes.uncertain import UncertainPanel
from napari_ebsdml._napari.segmenter.training_panel import TrainingPanel
from napari_ebsdml._napari.segmenter.truth_panel import TruthPanel
from napari_ebsdml._napari.shell.help import Help
from napari_ebsdml._napari.shell.scan_widget import ScanWidget, scrolling_page
from napari_ebsdml.errors import InputError

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_ebsdml.scan import Scan

SECTION = "segmenter"
"""Where napari keeps the settings of this widget."""

PAGES = ("paint", "train", "more")


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
    explanation : ExplanationPanel
    truth : TruthPanel
    model : ModelPanel
    script_button : ScriptButton
    pages : QTabWidget
        Paint, Train and check, More; see `show_page`.
    sections : dict
        Name -> `Section` of the page More.
    """

    HELP = Help(
        "Segments maps into the classes that you paint.",
        ("Paint: name the classes (double-click) and paint a few strokes of each on typical "
         "grains. Keys 1 to 9 choose the class, E erases, U takes a stroke back. The map follows.",
         "Train (T): the U-Net improves the map while it learns. S hides and shows the "
         "segmentation.",
         "N goes to the next uncertain place: paint there, and train on.",
         "More: channels, settings, comparisons, models, and other maps."),
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
        self.explanation = ExplanationPanel(self.state)
        self.truth = TruthPanel(self.state, lambda: self.strokes.layer)
        self.model = ModelPanel(self.state)
        self.script_button = ScriptButton(self.state)
        self._lay_out()
        self.keys = Keys(
            self.state, self.strokes.paint_nth,
            {"E": self.strokes.erase, "U": self.strokes.undo},
            {"N": self._next_place, "T": self.tasks.run_button.click,
             "S": self.result.toggle_labels},
        )  # fmt: skip
        self.tasks.run_clicked.connect(self.training.train)
        self.state.channels_changed.connect(self._summarise)
        self.training.started.connect(lambda: self.show_page("train"))
        self.training.started.connect(self._remember)
        self.training.trained.connect(self._save_model)
        self.strokes.restored.connect(self._load_model)
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

    def tour_actions(self) -> dict[int, Callable[[], object]]:
        """Paint some strokes, train, and look for the first uncertain place."""

        def paint() -> None:
            self.show_page("paint")
            self.strokes.paint(1)
            if self.strokes.layer is not None and not self.strokes.painted.total().get(1):
                paint_example(self.state, self.strokes.layer)

        def train() -> None:
            self.show_page("train")
            self.training.form.set_saved({"effort": "quick"})
            self.tasks.run_button.click()

        return {2: paint, 3: train, 4: self._next_place}

    def tour_target(self, step: int) -> QWidget | None:
        """The pages; the button where it is about training."""
        return self.tasks if step == 3 else self.pages

    def hideEvent(self, event: QHideEvent | None) -> None:
        """Save what was painted last: napari may be closing."""
        self.strokes.painted.count()
        self.strokes.autosave.save()
        super().hideEvent(event)

    def closing(self) -> None:
        """Save the strokes, keep classes and model, and let go of the layers."""
        keep(self.state, self.channels.own_choice)
        self.keys.stop()
        self.uncertain.stop()
        self.explanation.stop()
        self.live.stop()
        self.state.turns.stop()
        self.training.stop()
        self.channels.stop()
        self.result.stop()
        self.strokes.stop()

    def _next_place(self) -> None:
        # What it says of the place stands there.
        self.show_page("paint")
        self.uncertain.go_next()

    def show_page(self, name: str) -> None:
        """Show the page "paint", "train" or "more"."""
        self.pages.setCurrentIndex(PAGES.index(name))

    def _lay_out(self) -> None:
        """Three pages, each of which fits a window of 1280 x 720 with its sections folded."""
        paint: tuple[QWidget, ...] = (
            self.strokes, self.live, self.uncertain, self.strokes.pairs, self.strokes.layers_row,
        )  # fmt: skip
        train: tuple[QWidget, ...] = (self.training, self.result)
        rest = self.training.form.rest
        parts: tuple[tuple[str, str, tuple[QWidget, ...]], ...] = (
            ("channels", "Channels", (self.channels,)),
            ("training", "Training", (rest,)),
            ("segmenting", "Segmenting", (self.result.form.native,)),
            ("comparison", "Compare with other methods", (self.comparison,)),
            ("evaluation", "Evaluate against a known map", (self.evaluation,)),
            ("explanation", "What the answer rests on", (self.explanation,)),
            ("truth", "Make a ground truth", (self.truth,)),
            ("model", "Model and script", (self.model, self.script_button)),
        )
        self.sections = {}
        for name, title, panels in parts:
            self.sections[name] = Section(title, unfolded=False)
            for panel in panels:
                self.sections[name].body.addWidget(panel)
        self.pages = QTabWidget()
        titles = ("Paint", "Train and check", "More")
        every = (paint, train, tuple(self.sections.values()))
        for title, widgets in zip(titles, every, strict=True):
            scrolled, layout = scrolling_page()
            for widget in widgets:
                layout.addWidget(widget)
            layout.addStretch(1)
            self.pages.addTab(scrolled, title)
        self.form.addWidget(self.pages)
        # What the base class offers is for those who look for more.
        self.form = layout
        self.offer_batch(self._step, uses_torch=True)

    def _summarise(self) -> None:
        self.sections["channels"].summarise(self.channels.summary)

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
