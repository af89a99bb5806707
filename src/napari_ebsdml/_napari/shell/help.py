"""The button "?" of a dock: what it does, the steps, where to read on, what to cite."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QLabel, QMenu, QToolButton, QVBoxLayout, QWidget, QWidgetAction

DOCUMENTATION = "https://github.com/napari-ebsdml/napari-ebsdml/blob/main/docs"

TOUR = "First map: a tour in five steps"

_WIDTH = 360


@dataclass(frozen=True)
class Help:
    """What a dock tells of itself.

    Attributes
    ----------
    what
        What it answers, in a sentence or two.
    steps
        What to do, in order.
    page
        Its page of the documentation.
    cite
        DOI of what the method rests on -> how it is called.
    sample
        Sample of the plugin that the tour "First map" opens.
    """

    what: str
    steps: tuple[str, ...]
    page: str
    cite: tuple[tuple[str, str], ...] = ()
    sample: str = "dual_phase_steel"


class HelpButton(QToolButton):
    """Shows a `Help`.

    Parameters
    ----------
    text
    tour
        Begins the tour "First map"; None: there is none.
    parent
    """

    def __init__(
        self,
        text: Help,
        tour: Callable[[], object] | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._tour = tour
        self.setText("?")
        self.setToolTip("What this dock does, step by step")
        self.setAccessibleName("Help")
        self.setStyleSheet("QToolButton::menu-indicator { image: none; }")
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.show_help(text)

    def show_help(self, text: Help) -> None:
        """Tell this from now on."""
        old, tour = self.menu(), self._tour
        menu = QMenu(self)
        words = QWidgetAction(menu)
        words.setDefaultWidget(_page(text))
        menu.addAction(words)
        menu.addSeparator()
        if tour is not None:
            begin = menu.addAction(TOUR)
            begin.setToolTip("Opens a sample and walks through the dock in five steps")
            begin.triggered.connect(lambda _=False: tour())
        for title, url in (
            ("Documentation", f"{DOCUMENTATION}/{text.page}"),
            *((f"Cite: {name}", f"https://doi.org/{doi}") for doi, name in text.cite),
        ):
            action = menu.addAction(title)
            action.triggered.connect(lambda _=False, to=url: QDesktopServices.openUrl(QUrl(to)))
        self.setMenu(menu)
        if old is not None:
            old.deleteLater()


def _page(text: Help) -> QWidget:
    steps = "".join(f"<li>{step}</li>" for step in text.steps)
    label = QLabel(f"{text.what}<ol style='margin-left: -18px'>{steps}</ol>")
    label.setWordWrap(True)
    label.setFixedWidth(_WIDTH)
    page = QWidget()
    layout = QVBoxLayout(page)
    layout.setContentsMargins(10, 8, 10, 4)
    layout.addWidget(label)
    return page
