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
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_ebsdml._napari.shell.form import SettingsForm
from napari_ebsdml._napari.shell.layer_figure import draw_layer, layer_to_export
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
    """

    def __init__(
        self,
        viewer: ViewerModel,
        scan: Callable[[], Scan | None],
        say: Callable[..., None],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._scan, self._say = viewer, scan, say
        self._settings = FigureSettings()
        self.setText("Fig.")
        self.setAccessibleName("Export figure")
        self.setToolTip(
            "Export figure: the selected layer of this map with scale bar and key, as PNG, TIFF, "
            "SVG or PDF"
        )
        self.clicked.connect(self.ask)

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
