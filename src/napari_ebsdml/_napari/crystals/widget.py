"""Widget "Crystals": what is in a map, and the space groups of what is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QLabel, QPushButton, QTabBar, QVBoxLayout

from napari_ebsdml._napari.crystals.page import Page
from napari_ebsdml._napari.crystals.phases.page import PhasesPage
from napari_ebsdml._napari.shell.folder import FolderButton
from napari_ebsdml._napari.shell.help import Help
from napari_ebsdml._napari.shell.scan_widget import ScanWidget
from napari_ebsdml.scan import Scan

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_ebsdml._napari.crystals.space_groups.page import SpaceGroupsPage

PHASES, SPACE_GROUPS = "phases", "space_groups"
_TITLES = {PHASES: "What is in this map?", SPACE_GROUPS: "Name the space groups"}


class CrystalsWidget(ScanWidget):
    """Two questions on a map with patterns, a page each; the second is made when it is opened.

    Attributes
    ----------
    bar : QTabBar
        Chooses the page.
    hint : QLabel
        What keeps the page from computing, or what will be done.
    remedy_button : QPushButton
        Does what helps against it.
    """

    HELP = PhasesPage.HELP

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__(napari_viewer, PhasesPage.RUN)
        self._pages: dict[str, Page] = {}
        self.bar = QTabBar()
        self.bar.setExpanding(True)
        self.bar.setDrawBase(False)
        self.bar.setAccessibleName("Question")
        for title in _TITLES.values():
            self.bar.addTab(title)
        self.hint = QLabel()
        self.hint.setWordWrap(True)
        self.remedy_button = QPushButton()
        self.remedy_button.clicked.connect(lambda: self.page.help_out())
        layout = self.layout()
        assert isinstance(layout, QVBoxLayout)
        layout.insertWidget(layout.indexOf(self.scroll), self.bar)
        for widget in (self.hint, self.remedy_button):
            layout.insertWidget(layout.indexOf(self.tasks), widget)
        self.offer_script(lambda scan: self.page.script(scan))
        self.folder_button = FolderButton(
            lambda maps, results: self.apply_to_folder(
                maps, results, self.page.step, self.page.USES_TORCH
            )
        )
        self.add_at_end(self.folder_button)
        self.form.addStretch(1)
        self.give_results_the_rest()
        self.tasks.run_clicked.connect(self.compute)
        self.bar.currentChanged.connect(self._turn_to)
        self._turn_to(0)
        self.begin()

    @property
    def help(self) -> Help | None:
        """That of the page."""
        return self.page.HELP

    @property
    def page(self) -> Page:
        """The page that is seen."""
        return self._made(list(_TITLES)[self.bar.currentIndex()])

    @property
    def phases(self) -> PhasesPage:
        """The page that finds phases."""
        page = self._made(PHASES)
        assert isinstance(page, PhasesPage)
        return page

    @property
    def space_groups(self) -> SpaceGroupsPage:
        """The page that names space groups; made where it is not there yet."""
        from napari_ebsdml._napari.crystals.space_groups.page import SpaceGroupsPage

        page = self._made(SPACE_GROUPS)
        assert isinstance(page, SpaceGroupsPage)
        return page

    def compute(self) -> None:
        """Answer the question of the page that is seen."""
        self.page.compute()

    def parts(self) -> dict[str, object]:
        """The pages that were opened."""
        seen = self.page
        others = {name: page for name, page in self._pages.items() if page is not seen}
        return {**others, **{name: page for name, page in self._pages.items() if page is seen}}

    def show_part(self, name: str) -> None:
        """Turn to a page: `PHASES` or `SPACE_GROUPS`."""
        if name in _TITLES:
            self.bar.setCurrentIndex(list(_TITLES).index(name))

    def scan_chosen(self, scan: Scan | None) -> None:
        """Tell the pages."""
        for page in self._pages.values():
            page.scan_chosen(scan)
        self._show_state()

    def closing(self) -> None:
        """Tell the pages."""
        for page in self._pages.values():
            page.closing()

    def _made(self, name: str) -> Page:
        if name not in self._pages:
            page = _MAKE[name](self)
            page.inputs.setVisible(False)
            page.outputs.setVisible(False)
            self.form.insertWidget(len(self._pages), page.inputs)
            self.below.addWidget(page.outputs, 1)
            page.changed.connect(self._show_state)
            self._pages[name] = page
            if self.alive:
                page.scan_chosen(self.scan)
        return self._pages[name]

    def _turn_to(self, index: int) -> None:
        seen = self.page
        for page in self._pages.values():
            page.inputs.setVisible(page is seen)
            page.outputs.setVisible(page is seen)
        self.tasks.run_button.setText(seen.RUN)
        self.help_button.show_help(seen.HELP)
        if not self.tasks.running:
            # How long the other page took.
            self.tasks.say("")
        self._show_state()

    def _show_state(self) -> None:
        for widget, text in (
            (self.hint, self.page.hint()), (self.remedy_button, self.page.remedy()),
        ):  # fmt: skip
            widget.setText(text)
            widget.setVisible(bool(text))
        self.tasks.allow(self.scan is not None and self.page.ready())


def _phases(dock: CrystalsWidget) -> Page:
    page = PhasesPage(dock)
    page.name_wanted.connect(lambda: dock.show_part(SPACE_GROUPS))
    return page


def _space_groups(dock: CrystalsWidget) -> Page:
    from napari_ebsdml._napari.crystals.space_groups.page import SpaceGroupsPage

    page = SpaceGroupsPage(dock)
    page.phases_wanted.connect(lambda: dock.show_part(PHASES))
    return page


_MAKE: dict[str, Callable[[CrystalsWidget], Page]] = {
    PHASES: _phases, SPACE_GROUPS: _space_groups,
}  # fmt: skip
