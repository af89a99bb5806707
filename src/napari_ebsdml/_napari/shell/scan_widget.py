"""What all widgets of the plugin share: a scan, a form, and one job at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from qtpy.QtCore import QEvent, QObject, QSize, Qt, Signal
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QApplication,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from napari_ebsdml._napari.layers.of_scans import add_result, layers_of
from napari_ebsdml._napari.layers.turns import let_draw
from napari_ebsdml._napari.shell.export import ExportButton
from napari_ebsdml._napari.shell.folder import FolderButton, apply_to_folder, in_short
from napari_ebsdml._napari.shell.help import Help, HelpButton
from napari_ebsdml._napari.shell.scan_chooser import OnlyThisMap, ScanChooser, describe
from napari_ebsdml._napari.shell.task_bar import TaskBar
from napari_ebsdml.errors import EbsdmlError
from napari_ebsdml.scan import Scan

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

_WIDTH = 320
_LEAST_HEIGHT = 120
_BORDER = 2
"""napari's style sheet leaves so many pixels between a scroll area and its content."""

_NO_SCAN = "Open an EBSD map first: File > Open File(s), or drop it on the canvas."


class ScanWidget(QWidget):
    """Base of the widgets: scan chooser on top, scrolling form, task bar, results below.

    A subclass fills `form` (scrolls) and `below` (does not), connects
    ``self.tasks.run_clicked``, starts its work with `run`, and calls `begin` at the end of its
    ``__init__``: its hooks `scan_chosen` and `closing` are called from then on only.

    Signals
    -------
    maps_gone
        The last layer of some map was removed: let go of what belongs to it. `per_map` does so
        by itself.

    Attributes
    ----------
    viewer
    chooser : ScanChooser
    tasks : TaskBar
    form, below : QVBoxLayout
    """

    maps_gone = Signal()

    HELP: ClassVar[Help | None] = None
    """What the button "?" tells."""
    # Of the class: asked of a widget that Qt has deleted as well.
    _alive = False

    def __init__(self, viewer: ViewerModel, run_text: str = "Compute") -> None:
        super().__init__()
        # napari hands out a proxy, whose layers are proxies that do not equal the layers.
        viewer = getattr(viewer, "__wrapped__", viewer)
        self.viewer = viewer
        self._bound: tuple[Scan, ...] = ()
        self._per_map: list[dict[Scan, Any]] = []
        self._last_row: QHBoxLayout | None = None
        self.chooser = ScanChooser(viewer)
        self._there = set(self.chooser.scans)
        self.info = QLabel()
        self.info.setWordWrap(True)
        self.tasks = TaskBar(run_text)

        self.scroll, self.form = scrolling_page()
        self.below = QVBoxLayout()

        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 6, 8, 6)
        layout.setSpacing(6)
        top = QHBoxLayout()
        top.addWidget(self.chooser, 1)
        self.only = OnlyThisMap(self.chooser, viewer)
        top.addWidget(self.only)
        self.export = ExportButton(viewer, lambda: self.scan, self.tasks.say, self._work)
        top.addWidget(self.export)
        if self.HELP is not None:
            self.help_button = HelpButton(self.HELP, self.start_tour)
            top.addWidget(self.help_button)
        layout.addLayout(top)
        layout.addWidget(self.info)
        layout.addWidget(self.scroll, 1)
        layout.addWidget(self.tasks)
        layout.addLayout(self.below)

        self.chooser.scan_changed.connect(self._scan_changed)
        self.chooser.scans_changed.connect(self._check_bound)
        self.chooser.scans_changed.connect(self._let_go)
        self.tasks.stopped.connect(self._unbind)
        self._show_scan(self.scan)

    @property
    def scan(self) -> Scan | None:
        """The chosen scan."""
        return self.chooser.scan

    def run(
        self,
        scans: Scan | Sequence[Scan],
        function: Callable[..., Any],
        *arguments: Any,
        **options: Any,
    ) -> None:
        """Call a function in a worker thread; see `TaskBar.start` for the options.

        Parameters
        ----------
        scans
            What the result belongs to. When the layers of one of these are removed the job is
            stopped, its results are dropped, and the user is told. Empty: nothing is watched.
        function, *arguments
            What to call.
        """
        self._bound = (scans,) if isinstance(scans, Scan) else tuple(scans)
        self.tasks.start(function, *arguments, **options)

    def add_result(
        self, scan: Scan, data: Any, quantity: str, unit: str = "", **options: Any
    ) -> Layer:
        """Show a result on its scan; see `layers.add_result`. The same quantity is replaced."""
        layer = add_result(self.viewer, scan, data, quantity, unit, **{"replace": True, **options})
        let_draw(scan)
        return layer

    def per_map(self) -> dict[Scan, Any]:
        """An empty dict that loses the maps whose last layer is removed."""
        kept: dict[Scan, Any] = {}
        self._per_map.append(kept)
        return kept

    def _let_go(self) -> None:
        there, before = set(self.chooser.scans), self._there
        self._there = there
        if before <= there:
            return
        for kept in self._per_map:
            for scan in kept.keys() - there:
                del kept[scan]
        self.maps_gone.emit()

    def _work(self, *arguments: Any, **options: Any) -> None:
        """As `run`, where no job is under way."""
        if not self.tasks.running:
            self.run(*arguments, **options)

    def give_results_the_rest(self) -> None:
        """Let the form take the height that it needs, and what is below the rest."""
        layout = self.layout()
        assert isinstance(layout, QVBoxLayout)
        for n in range(layout.count()):
            layout.setStretch(n, 0)
        layout.setStretchFactor(self.below, 1)

    def minimumSizeHint(self) -> QSize:
        """At least 320 pixels wide, more where the form needs it."""
        return super().minimumSizeHint().expandedTo(QSize(_WIDTH, 0))

    def offer_script(self, write: Callable[[Scan], str]) -> None:
        """Add the button "Copy as Python" to the form.

        Parameters
        ----------
        write
            Makes a script that repeats what the form says for a scan; may raise the package's
            errors.
        """
        button = QPushButton("Copy as Python")
        button.setToolTip("Put a script on the clipboard that does the same without napari")
        button.clicked.connect(lambda: self._copy_script(write))
        self.add_at_end(button)
        self.script_button = button

    def offer_batch(self, step: Callable[[], Any], uses_torch: bool = False) -> None:
        """Add the button "Apply to a folder" to the form.

        Parameters
        ----------
        step
            Makes the step of `napari_ebsdml.batch` that does what the form says; may raise the
            package's errors.
        uses_torch
            Whether it computes with torch.
        """

        def chosen(maps: Path, results: Path) -> None:
            self.apply_to_folder(maps, results, step, uses_torch)

        self.folder_button = FolderButton(chosen)
        self.add_at_end(self.folder_button)

    def add_at_end(self, button: QWidget) -> None:
        """Put a button into the last row of the form, at the right; for subclasses."""
        if self._last_row is None:
            self._last_row = QHBoxLayout()
            self._last_row.addStretch(1)
            self.form.addLayout(self._last_row)
        self._last_row.addWidget(button)

    def apply_to_folder(
        self, maps: Path, results: Path, step: Callable[[], Any], uses_torch: bool = False
    ) -> None:
        """Do with all maps of a folder what the form says."""
        if self.tasks.running:
            return
        try:
            wanted = step()
        except EbsdmlError as error:
            self.tasks.say(str(error), "error")
            return

        def show(done: Any) -> None:
            self.tasks.end_with(in_short(done), "warning" if done.failed else "info")

        self.run(
            (), apply_to_folder, maps, wanted, results, label="Working on the folder",
            on_result=show, uses_torch=uses_torch,
        )  # fmt: skip

    def _copy_script(self, write: Callable[[Scan], str]) -> None:
        scan = self.scan
        if scan is None or self.tasks.running:
            return
        try:
            text = write(scan)
        except EbsdmlError as error:
            self.tasks.say(str(error), "error")
            return
        QApplication.clipboard().setText(text)
        self.tasks.say("The script is on the clipboard.")

    @property
    def help(self) -> Help | None:
        """What the button "?" tells now; for subclasses with more than one page."""
        return self.HELP

    def parts(self) -> dict[str, object]:
        """What has forms that a session keeps, by name, the one that is seen last."""
        return {"": self}

    def show_part(self, name: str) -> None:
        """Show one of `parts`, made where it is not there yet; for subclasses."""

    def start_tour(self) -> Any:
        """Begin the tour "First map": see `tour.start_tour`."""
        from napari_ebsdml._napari.shell.tour import start_tour

        return start_tour(self)

    def tour_actions(self) -> dict[int, Callable[[], object]]:
        """Step of the tour, from 0 -> what "Show me" does there; for subclasses.

        The third step has the text of the first step of `HELP`, the fourth that of the second.
        """
        return {3: self.tasks.run_button.click}

    def tour_target(self, step: int) -> QWidget | None:
        """What is framed in the last three steps of the tour; for subclasses."""
        if step == 3:
            return self.tasks
        return self.scroll if step == 2 else self

    def begin(self) -> None:
        """The widget is complete: tell it of the scan that is chosen, and of later ones."""
        self._alive = True
        self.scan_chosen(self.scan)

    @property
    def alive(self) -> bool:
        """Whether the widget is complete and its dock not yet closed."""
        return self._alive

    def scan_chosen(self, scan: Scan | None) -> None:
        """Called when another scan is chosen; for subclasses."""

    def closing(self) -> None:
        """Called when the dock is closed; for subclasses."""

    def _show_scan(self, scan: Scan | None) -> None:
        self.info.setText(describe(scan) if scan is not None else _NO_SCAN)
        self.tasks.allow(scan is not None)

    def _scan_changed(self, scan: Scan | None) -> None:
        self._show_scan(scan)
        if self._alive:
            self.scan_chosen(scan)

    def _check_bound(self) -> None:
        if not self.tasks.running:
            return
        for scan in self._bound:
            if not layers_of(self.viewer, scan):
                self.tasks.drop(
                    f"The layers of {scan.name} were removed, so the computation was stopped."
                )
                return

    def _unbind(self, how: str = "") -> None:
        self._bound = ()

    def _leave(self) -> None:
        """Stop the job and let go of everything: a closed dock must not keep a map alive."""
        self.tasks.stop()
        if not self._alive:
            return
        self._alive = False
        self.closing()
        self.only.stop()
        self.chooser.stop()
        # napari takes the widget out and leaves it. What its signals are connected to holds it
        # until Qt deletes it; who opens the dock again gets a new one. A program that still
        # holds the old one then holds nothing but its name.
        held = self.__dict__
        self.destroyed.connect(lambda *_: held.clear())
        self.deleteLater()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter computes, Escape cancels, wherever in the dock the keyboard is."""
        at = self.focusWidget()
        if event.key() == Qt.Key.Key_Escape and self.tasks.running:
            self.tasks.cancel_button.click()
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            if isinstance(at, QAbstractButton):
                at.click()
            elif not isinstance(at, QAbstractItemView):
                self.tasks.run_button.click()
        else:
            super().keyPressEvent(event)

    def event(self, event: QEvent) -> bool:
        """Leave when napari takes the widget out of its dock."""
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self._leave()
        return bool(super().event(event))


def scrolling_page() -> tuple[QScrollArea, QVBoxLayout]:
    """A page that scrolls up and down, and the layout of what is on it."""
    content = QWidget()
    layout = QVBoxLayout(content)
    layout.setContentsMargins(2, 2, 2, 2)
    layout.setSpacing(4)
    return _VerticalScroll(content), layout


class _VerticalScroll(QScrollArea):
    """Scrolls up and down only: it is always wide enough for its content."""

    def __init__(self, content: QWidget) -> None:
        super().__init__()
        self.setWidget(content)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        content.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.LayoutRequest:
            # Fields came or went; a scroll area does not pass this on to its own layout.
            self.updateGeometry()
        return bool(super().eventFilter(watched, event))

    def minimumSizeHint(self) -> QSize:
        bar = self.verticalScrollBar().sizeHint().width()
        least = min(_LEAST_HEIGHT, self.widget().sizeHint().height() + _BORDER)
        return QSize(self.widget().minimumSizeHint().width() + bar, least)

    def sizeHint(self) -> QSize:
        height = self.widget().sizeHint().height() + _BORDER
        return QSize(self.minimumSizeHint().width(), height)
