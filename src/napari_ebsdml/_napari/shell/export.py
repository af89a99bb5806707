"""The button of every dock that writes what a map shows as a figure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QLabel,
    QMenu,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_ebsdml._napari.controls.form import SettingsForm
from napari_ebsdml._napari.layers.layer_figure import (
    contents_to_report,
    draw_layer,
    layer_to_export,
    report_contents,
)
from napari_ebsdml.errors import EbsdmlError
from napari_ebsdml.figures.settings import FigureSettings

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_ebsdml.scan import Scan

_FILTER = "Figures (*.png *.tif *.svg *.pdf)"


class ExportButton(QToolButton):
    """Asks how a figure shall look, and where it goes.

    Parameters
    ----------
    viewer
    scan
        Gives the scan that is chosen.
    say
        Tells the user, with "error" for what went wrong.
    run
        Starts a job of the dock: see `ScanWidget.run`; None: there are no reports.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        scan: Callable[[], Scan | None],
        say: Callable[..., None],
        run: Callable[..., None] | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._scan, self._say, self._run = viewer, scan, say, run
        self._settings = FigureSettings()
        self.setText("Fig.")
        self.setAccessibleName("Export figure")
        self.setToolTip(
            "Export figure: the selected layer of this map with scale bar and key, as PNG, TIFF, "
            "SVG or PDF"
        )
        self.clicked.connect(self.ask)
        if run is not None:
            menu = QMenu(self)
            menu.addAction("Figure of the selected layer …", self.ask)
            menu.addAction("Report of the map …", self.ask_report)
            self.setMenu(menu)
            self.setPopupMode(QToolButton.ToolButtonPopupMode.MenuButtonPopup)
            # napari's style sheet leaves no room for the arrow, which would cover the text.
            self.setStyleSheet("QToolButton { padding-right: 16px; }")

    def ask(self) -> None:
        """Ask for settings and a file, and write it."""
        scan = self._scan()
        if scan is None:
            self._say("Open an EBSD map first.", "error")
            return
        try:
            name = layer_to_export(self._viewer, scan).name
        except EbsdmlError as error:
            self._say(str(error), "error")
            return
        dialog = FigureDialog(name, self._settings, self)
        if dialog.exec() != QDialog.DialogCode.Accepted:
            return
        self._settings = dialog.form.settings()
        path, _ = QFileDialog.getSaveFileName(self, "Export figure", "figure.png", _FILTER)
        if path:
            self.export(Path(path))

    def ask_report(self) -> None:
        """Ask for a file, and write a report on the map."""
        if self._scan() is None:
            self._say("Open an EBSD map first.", "error")
            return
        path, _ = QFileDialog.getSaveFileName(
            self, "Report of the map", "map.html", "Page (*.html);;PDF (*.pdf)"
        )
        if path:
            self.report(Path(path))

    def report(self, path: Path) -> None:
        """Write a report on the map with the layers that it has, in the background."""
        scan = self._scan()
        if scan is None or self._run is None:
            return
        path = path if path.suffix else path.with_suffix(".html")
        # What the layers show now; a layer must not be read in another thread.
        contents = contents_to_report(self._viewer, scan)
        self._run(
            scan, report_contents, scan, contents, path, self._settings,
            label="Writing the report",
        )  # fmt: skip

    def export(self, path: Path, settings: FigureSettings | None = None) -> None:
        """Write the figure, and say so."""
        scan = self._scan()
        self._settings = settings or self._settings
        if scan is None:
            return
        path = path if path.suffix else path.with_suffix(".png")
        try:
            layer = layer_to_export(self._viewer, scan)
            draw_layer(layer, self._viewer, self._settings, path)
        except EbsdmlError as error:
            self._say(str(error), "error")
            return
        self._say(f"{layer.name} is in {path}.")


class FigureDialog(QDialog):
    """How a figure shall look."""

    def __init__(self, name: str, settings: FigureSettings, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Export figure")
        self.form: SettingsForm[FigureSettings] = SettingsForm(FigureSettings)
        for key in self.form.values():
            self.form[key].value = getattr(settings, key)
        buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Save | QDialogButtonBox.StandardButton.Cancel
        )
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(QLabel(name))
        layout.addWidget(self.form.native)
        layout.addWidget(buttons)
