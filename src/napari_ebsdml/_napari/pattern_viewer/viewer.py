"""The widget "Pattern viewer": the Kikuchi pattern of the pixel under the click."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from numpy.typing import ArrayLike
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QLabel, QSizePolicy, QVBoxLayout

from napari_ebsdml._napari.controls.form import SettingsForm
from napari_ebsdml._napari.controls.section import Section
from napari_ebsdml._napari.controls.theme import muted
from napari_ebsdml._napari.layers.turns import Turns
from napari_ebsdml._napari.pattern_viewer.canvas import Region
from napari_ebsdml._napari.pattern_viewer.info import as_html, describe_pixel
from napari_ebsdml._napari.pattern_viewer.panel import PatternPanel
from napari_ebsdml._napari.pattern_viewer.picker import MapPicker, Pixel
from napari_ebsdml._napari.pattern_viewer.processing import Pattern
from napari_ebsdml._napari.pattern_viewer.virtual import (
    VirtualImage,
    VirtualSettings,
    guides,
    virtual_images,
)
from napari_ebsdml._napari.shell.help import Help
from napari_ebsdml._napari.shell.scan_widget import ScanWidget
from napari_ebsdml.errors import InputError
from napari_ebsdml.scan import Scan

if TYPE_CHECKING:
    from napari.components import ViewerModel


class PatternViewer(ScanWidget):
    """Shows the pattern, orientation and values of the pixel that is clicked on a map.

    Other widgets use `show_pixel`, `pixel`, `pattern` and `set_overlay`, and the signals.

    Signals
    -------
    pixel_changed : Scan, int, int
        Another pixel (scan, row, column) was chosen; its pattern may still be on its way.
    pattern_changed : Pattern
        The pattern of the chosen pixel is on display, processed as the user wants it.
    """

    pixel_changed = Signal(object, int, int)
    pattern_changed = Signal(object)

    HELP = Help(
        "The diffraction pattern of the pixel that you click.",
        ("Open a file with patterns beside the map, or a pattern file alone.",
         "Click a pixel, or walk with the arrow keys.",
         "Drag a rectangle on the pattern for a virtual detector image."),
        "tutorials/crystal.md",
        sample="nickel_patterns",
    )  # fmt: skip

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__(napari_viewer, "Compute images")
        self._pixel: Pixel | None = None
        self._kept: set[str] = set()
        self._region: Region | None = None
        self._last: WeakKeyDictionary[Scan, tuple[int, int]] = WeakKeyDictionary()

        self.panel = PatternPanel()
        self.canvas, self.display = self.panel.canvas, self.panel.display
        self.details = QLabel()
        self.details.setWordWrap(True)
        self.details.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        # Rich text would rather widen the form than break its lines.
        self.details.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.virtual = SettingsForm(VirtualSettings)
        self.virtual_group = Section("Virtual backscatter images", unfolded=False)
        self._adding = Turns(self)
        self._lay_out()

        self.picker = MapPicker(self.viewer, self)
        self.picker.drag_browses = self.display.settings().browse
        self._connect()
        self._go_to_patterns()
        self.begin()

    @property
    def pixel(self) -> Pixel | None:
        """The chosen pixel: scan, row and column."""
        return self._pixel

    @property
    def pattern(self) -> Pattern | None:
        """The pattern on display, or None; while one is loading, that of the pixel before."""
        return self.panel.pattern

    def show_pixel(self, scan: Scan, row: int, column: int) -> None:
        """Show a pixel, as if it had been clicked.

        Raises
        ------
        InputError
            When no layer shows the scan, or the pixel is outside the map.
        """
        if scan not in self.chooser.scans:
            raise InputError(f"No layer of the viewer shows {scan.name}.")
        if not (0 <= row < scan.shape[0] and 0 <= column < scan.shape[1]):
            raise InputError(
                f"Pixel ({row}, {column}) is outside the map of {scan.shape[0]} x "
                f"{scan.shape[1]} pixels."
            )
        pixel = Pixel(scan, int(row), int(column))
        self._last[scan] = pixel.row, pixel.column
        self._pixel = pixel
        if self.chooser.scan is not scan:
            self.chooser.scan = scan
        self.picker.mark(pixel)
        for name in set(self.canvas.overlays()) - self._kept:
            self.canvas.set_overlay(name, None)
        self._describe()
        self.panel.show_pixel(pixel)
        self.pixel_changed.emit(scan, pixel.row, pixel.column)

    def set_overlay(self, name: str, rgba: ArrayLike | None, keep: bool = False) -> None:
        """Draw an image over the pattern; later overlays lie above earlier ones.

        Parameters
        ----------
        name
            A later overlay of this name replaces this one.
        rgba : (rows, columns, 4) uint8, or float 0..1, or None
            Stretched over the whole pattern, whatever its size. None takes the overlay away.
        keep
            Leave it on when another pixel is chosen. By default it is taken away then, because
            an explanation of one pattern is wrong on the next.

        Raises
        ------
        InputError
            When the array has another shape.
        """
        self.canvas.set_overlay(name, rgba)
        self._kept.discard(name)
        if keep and rgba is not None:
            self._kept.add(name)

    def compute_virtual(self) -> None:
        """Compute the virtual backscatter images that the form asks for."""
        scan = self.scan
        if scan is None:
            return

        def show(images: list[VirtualImage]) -> None:
            self._adding.add(*(partial(self._add_image, scan, image) for image in images))

        self.run(
            scan, virtual_images, scan, self.virtual.settings(), self._region,
            label="Averaging patterns",
            on_result=show,
        )  # fmt: skip

    def _add_image(self, scan: Scan, image: VirtualImage) -> None:
        if scan in self.chooser.scans:
            self.add_result(
                scan, image.data, image.quantity, kind=image.kind, settings=image.settings,
                visible=image.visible,
            )  # fmt: skip

    def scan_chosen(self, scan: Scan | None) -> None:
        """Go to the pixel of the scan that was shown last, or to its middle."""
        has_patterns = scan is not None and scan.patterns is not None
        self.tasks.allow(has_patterns)
        self.virtual.native.setEnabled(has_patterns)
        self._region = None
        self._show_guides()
        if scan is None:
            self._pixel = None
            self.panel.show_pixel(None)
            self.picker.unmark()
            self.details.setText("")
        elif self._pixel is None or self._pixel.scan is not scan:
            middle = scan.shape[0] // 2, scan.shape[1] // 2
            self.show_pixel(scan, *self._last.get(scan, middle))

    def closing(self) -> None:
        """Leave the viewer as it was."""
        self._adding.stop()
        self.panel.feed.forget()
        self.picker.detach()

    def _lay_out(self) -> None:
        layout = self.layout()
        assert isinstance(layout, QVBoxLayout)
        layout.insertWidget(2, self.panel, 5)
        self.form.addWidget(self.details)
        self.form.addWidget(self.display.native)
        self.virtual_group.body.addWidget(self.virtual.native)
        self.virtual_group.body.addWidget(self.tasks)
        self.form.addWidget(self.virtual_group)
        self.form.addStretch(1)

    def _connect(self) -> None:
        self.canvas.stepped.connect(self._step)
        self.canvas.region_drawn.connect(self._region_drawn)
        self.display.changed.connect(self._display_changed)
        self.panel.pattern_changed.connect(self.pattern_changed)
        self.virtual.changed.connect(self._show_guides)
        self.virtual_group.folded.connect(self._show_guides)
        self.tasks.run_clicked.connect(self.compute_virtual)
        self.tasks.stopped.connect(self._describe)
        self.picker.picked.connect(lambda pixel: self.show_pixel(*pixel))
        self.picker.stepped.connect(self._step)
        self.picker.section_changed.connect(self._go_to_section)
        self.chooser.scans_changed.connect(self._prefer_patterns)
        self.chooser.scans_changed.connect(lambda: self.panel.feed.keep_only(self.chooser.scans))

    def _describe(self, *_: Any) -> None:
        if self._pixel is not None:
            entries = describe_pixel(*self._pixel, self.viewer)
            self.details.setText(as_html(entries, muted(self)))
            self.details.setToolTip("\n".join(f"{e.name}: {e.tip}" for e in entries if e.tip))

    def _display_changed(self) -> None:
        self.picker.drag_browses = self.display.settings().browse

    def _step(self, rows: int, columns: int) -> None:
        if self._pixel is None:
            return
        scan, row, column = self._pixel
        row = min(max(row + rows, 0), scan.shape[0] - 1)
        column = min(max(column + columns, 0), scan.shape[1] - 1)
        if (row, column) != self._pixel[1:]:
            self.show_pixel(scan, row, column)

    def _go_to_section(self, scan: Scan) -> None:
        if self._pixel is not None and self.alive:
            self.show_pixel(scan, self._pixel.row, self._pixel.column)

    def _prefer_patterns(self) -> None:
        """Go to a map with patterns when one is opened beside a map without."""
        if self.alive:
            self._go_to_patterns()

    def _go_to_patterns(self) -> None:
        if self.scan is not None and self.scan.patterns is None:
            for scan in reversed(self.chooser.scans):
                if scan.patterns is not None:
                    self.chooser.scan = scan
                    return

    def _region_drawn(self, region: Region) -> None:
        self._region = region

    def _show_guides(self, *_: Any) -> None:
        chosen = self.virtual.settings()
        scan, is_open = self.scan, self.virtual_group.unfolded
        shown: list[Region] = []
        if is_open and scan is not None and scan.patterns is not None:
            shown = guides(chosen, scan.patterns.shape[2:], self._region)
        self.canvas.drawing = is_open and chosen.what == "region"
        self.canvas.set_guides(shown)
