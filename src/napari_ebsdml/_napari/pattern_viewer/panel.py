"""One pattern on display: the picture, how it is shown, copying and saving it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from qtpy.QtCore import QTimer, Signal
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from napari_ebsdml._napari.controls.form import SettingsForm
from napari_ebsdml._napari.controls.settings import remember, remembered
from napari_ebsdml._napari.pattern_viewer.canvas import PatternCanvas
from napari_ebsdml._napari.pattern_viewer.feed import PatternFeed, Request
from napari_ebsdml._napari.pattern_viewer.info import NO_PATTERNS
from napari_ebsdml._napari.pattern_viewer.picker import Pixel
from napari_ebsdml._napari.pattern_viewer.processing import Pattern, Processing, grey_levels
from napari_ebsdml._napari.pattern_viewer.save import ask_path, save_pattern
from napari_ebsdml.errors import EbsdmlError, MissingDataError
from napari_ebsdml.options import Option

SECTION = "patterns"
"""Where the manifest keeps what the pattern viewer remembers."""

# A pattern that is there sooner replaces the one before without a flicker.
_SLOW_MS = 150
_NO_MAP = "Open an EBSD map with patterns, then click on it."


@dataclass(frozen=True)
class DisplaySettings:
    """How a pattern is shown; the names are those of the manifest."""

    static: Annotated[
        bool,
        Option("Remove the static background",
               "Subtracts what all patterns have in common: the background in the file, else the "
               "mean pattern of the map"),
    ] = False  # fmt: skip
    dynamic: Annotated[
        bool,
        Option("Remove the dynamic background",
               "Subtracts the pattern's own low frequencies (Gaussian blur, an eighth of its "
               "width)"),
    ] = False  # fmt: skip
    average: Annotated[
        bool,
        Option("Average 3 × 3 pixels",
               "Mean of the pixel and its eight neighbours: less noise, but mixed at grain "
               "boundaries"),
    ] = False  # fmt: skip
    clip: Annotated[
        float,
        Option("Clip grey levels",
               "So many of the darkest pixels become black, and as many of the brightest white",
               "%", 0, 20, 0.5, 1),
    ] = 0.5  # fmt: skip
    gamma: Annotated[
        float, Option("Gamma", "Below 1 brightens, above 1 darkens", "", 0.1, 5, 0.1, 2)
    ] = 1.0
    browse: Annotated[
        bool,
        Option("Dragging on the map browses patterns",
               "Off: dragging moves the map as usual, and only clicks choose a pixel"),
    ] = True  # fmt: skip


class PatternPanel(QWidget):
    """Picture, caption and buttons; `display` is the form that goes with it, to be placed apart.

    Signals
    -------
    pattern_changed : Pattern
        The pattern of the pixel that was asked for is on display, with all corrections.
    """

    pattern_changed = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.pattern: Pattern | None = None
        self._pixel: Pixel | None = None
        self.canvas = PatternCanvas()
        self.canvas.set_hint(_NO_MAP)
        self.caption = QLabel()
        self.caption.setWordWrap(True)
        self.readout = QLabel()
        self.copy_button = QPushButton("Copy")
        self.copy_button.setToolTip("Copy the pattern as shown to the clipboard")
        self.save_button = QPushButton("Save …")
        self.save_button.setToolTip("Save the pattern as shown, or its values as measured")
        self.display = SettingsForm(DisplaySettings)
        self.display.set_saved(remembered(SECTION))

        buttons = QHBoxLayout()
        buttons.addWidget(self.readout, 1)
        buttons.addWidget(self.copy_button)
        buttons.addWidget(self.save_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.canvas, 1)
        layout.addWidget(self.caption)
        layout.addLayout(buttons)

        # No higher than its content: what is left belongs to the form below.
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)

        self.feed = PatternFeed(self)
        self._slow = QTimer(self)
        self._slow.setSingleShot(True)
        self._slow.setInterval(_SLOW_MS)
        self._slow.timeout.connect(self._show_waiting)
        self.feed.arrived.connect(self._arrived)
        self.feed.failed.connect(self._failed)
        self.feed.said.connect(self.caption.setText)
        self.canvas.hovered.connect(self._read_out)
        self.copy_button.clicked.connect(self.copy)
        self.save_button.clicked.connect(self._ask_and_save)
        self.display.changed.connect(self._display_changed)
        self._enable()

    @property
    def processing(self) -> Processing:
        """What the form says is to be done to patterns."""
        chosen = self.display.settings()
        return Processing(chosen.average, chosen.static, chosen.dynamic)

    def show_pixel(self, pixel: Pixel | None) -> None:
        """Show the pattern of a pixel as soon as it is read; None: there is no map."""
        if self.pattern is not None and (pixel is None or pixel.scan is not self.pattern.scan):
            # That of another map must not stay while this one loads.
            self.pattern = None
        self._pixel = pixel
        self._request()

    def copy(self) -> None:
        """Copy the pattern as shown to the clipboard, one image pixel for each detector pixel."""
        picture = self.canvas.picture()
        clipboard = QGuiApplication.clipboard()
        if picture is not None and clipboard is not None:
            clipboard.setImage(picture)

    def save(self, path: str | Path, as_measured: bool = False) -> None:
        """Save the pattern as .png or .tif; see `pattern_save.save_pattern`."""
        picture = self.canvas.picture()
        if self.pattern is None or picture is None:
            raise MissingDataError("No pattern is on display.")
        save_pattern(Path(path), picture, self.pattern.raw if as_measured else None)

    def _request(self) -> None:
        if self._pixel is None or self._pixel.scan.patterns is None:
            self.feed.forget()
            self.canvas.set_hint(NO_PATTERNS if self._pixel is not None else _NO_MAP)
            self._show_nothing()
            return
        if self.pattern is None:
            self.canvas.set_hint("")
            self._show_nothing()
        self.feed.request(Request(*self._pixel, self.processing))
        self._slow.start()

    def _show_waiting(self) -> None:
        if not self.feed.waiting or self._pixel is None:
            return
        self.canvas.set_stale(True)
        _, row, column = self._pixel
        if self.pattern is None or self.pattern.pixel != (row, column):
            text = f"Reading the pattern of row {row}, column {column} …"
            self.caption.setText(text)
            self.canvas.set_hint(text)

    def _arrived(self, pattern: Pattern) -> None:
        if self._pixel is None or pattern.scan is not self._pixel.scan:
            return
        self.pattern = pattern
        self._render()
        is_current = pattern.pixel == self._pixel[1:]
        self.canvas.set_stale(not is_current)
        self.caption.setText(pattern.describe())
        if is_current and pattern.processing == self.processing:
            self.pattern_changed.emit(pattern)

    def _failed(self, request: Request, error: Exception) -> None:
        if self._pixel is None or request.scan is not self._pixel.scan:
            return
        if isinstance(error, EbsdmlError):
            self.canvas.set_hint(str(error))
        else:
            from napari.utils.notifications import notification_manager

            self.canvas.set_hint(f"The pattern cannot be shown: {type(error).__name__}: {error}")
            notification_manager.receive_error(type(error), error, error.__traceback__)
        self._show_nothing()

    def _show_nothing(self) -> None:
        self.pattern = None
        self._slow.stop()
        self.canvas.set_grey(None)
        self.caption.setText("")
        self.readout.setText("")
        self._enable()

    def _render(self) -> None:
        if self.pattern is not None:
            chosen = self.display.settings()
            levels = grey_levels(self.pattern.image, chosen.clip, chosen.gamma)
            self.canvas.set_grey(levels)
        self._enable()

    def _enable(self) -> None:
        self.copy_button.setEnabled(self.pattern is not None)
        self.save_button.setEnabled(self.pattern is not None)

    def _display_changed(self) -> None:
        remember(SECTION, self.display.saved())
        if self.pattern is not None and self.pattern.processing == self.processing:
            self._render()
        elif self._pixel is not None:
            self._request()

    def _read_out(self, at: tuple[int, int] | None) -> None:
        if at is None or self.pattern is None:
            self.readout.setText("")
            return
        value = self.pattern.raw[at]
        self.readout.setText(f"detector {at[0]}, {at[1]}: {value:.6g}")

    def _ask_and_save(self) -> None:
        from napari.utils.notifications import show_error

        if self.pattern is None:
            return
        name = f"{self.pattern.scan.name}_row{self.pattern.row}_column{self.pattern.column}"
        chosen = ask_path(self, name)
        try:
            if chosen is not None:
                self.save(*chosen)
        except EbsdmlError as error:
            show_error(str(error))
