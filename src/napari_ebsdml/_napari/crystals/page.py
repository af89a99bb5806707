"""One question of the dock "Crystals": what is asked for, and the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_ebsdml._napari.shell.help import Help
    from napari_ebsdml._napari.shell.scan_widget import ScanWidget
    from napari_ebsdml._napari.shell.task_bar import TaskBar
    from napari_ebsdml.scan import Scan


class Page(QObject):
    """A page shares map, buttons and task bar of its dock with the other ones.

    A subclass fills `form` and `below`. What it computes it starts with ``self.dock.run``: the
    result is its own, whichever page is seen when it comes.

    Signals
    -------
    changed
        `hint` or `ready` may have changed.

    Attributes
    ----------
    dock : ScanWidget
    inputs, outputs : QWidget
        What is seen above the buttons, and below them.
    form, below : QVBoxLayout
        Of these.
    """

    changed = Signal()

    RUN: ClassVar[str]
    """Text of the button that computes."""
    HELP: ClassVar[Help]
    USES_TORCH: ClassVar[bool] = False

    def __init__(self, dock: ScanWidget) -> None:
        super().__init__(dock)
        self.dock = dock
        self.inputs, self.outputs = QWidget(), QWidget()
        self.form, self.below = QVBoxLayout(self.inputs), QVBoxLayout(self.outputs)
        for layout in (self.form, self.below):
            layout.setContentsMargins(0, 0, 0, 0)
            layout.setSpacing(4)

    @property
    def viewer(self) -> ViewerModel:
        """Of the dock."""
        return self.dock.viewer

    @property
    def scan(self) -> Scan | None:
        """The chosen scan."""
        return self.dock.scan

    @property
    def tasks(self) -> TaskBar:
        """Of the dock."""
        return self.dock.tasks

    def hint(self) -> str:
        """Why nothing can be computed and what to do, or what will be done; "" for nothing."""
        raise NotImplementedError

    def remedy(self) -> str:
        """Text of a button that helps against what the hint tells; "" for none."""
        return ""

    def help_out(self) -> None:
        """What that button does."""

    def ready(self) -> bool:
        """Whether the chosen map can be computed."""
        raise NotImplementedError

    def compute(self) -> None:
        """Compute what the page is about, for the chosen map."""
        raise NotImplementedError

    def script(self, scan: Scan) -> str:
        """A script that does the same; may raise the package's errors."""
        raise NotImplementedError

    def step(self) -> Any:
        """The step of `napari_ebsdml.batch` that does the same; may raise the package's errors."""
        raise NotImplementedError

    def scan_chosen(self, scan: Scan | None) -> None:
        """Show what is known of a map."""
        raise NotImplementedError

    def closing(self) -> None:
        """Let go of everything."""
