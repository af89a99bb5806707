"""Choosing a scan of those that a viewer shows, and looking at it alone."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QToolButton, QWidget

from napari_ebsdml._napari.controls.combo import narrow
from napari_ebsdml._napari.layers.of_scans import (
    SEPARATOR,
    layers_of,
    scans_in,
    scans_of,
    show_map,
)
from napari_ebsdml.scan import Scan

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer


# What napari puts behind the second layer of one name.
_NUMBER = re.compile(r" \[\d+\]$")


class ScanChooser(QComboBox):
    """Chooses a scan of the viewer; follows layers that come, go or get another name.

    Signals
    -------
    scan_changed : Scan or None
        Another scan is chosen.
    scans_changed
        Scans came or went.
    """

    scan_changed = Signal(object)
    scans_changed = Signal()

    def __init__(self, viewer: ViewerModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._scans: list[Scan] = []
        self._shown: Scan | None = None
        narrow(self)
        self.setPlaceholderText("no EBSD map is open")
        self.setAccessibleName("EBSD map")
        self.currentIndexChanged.connect(self._chosen)
        # By hand only: a dock that follows the user must not take the view away.
        self.activated.connect(lambda _: self._go())
        for event in self._events():
            event.connect(self.refresh)
        self.refresh()

    def stop(self) -> None:
        """Follow the viewer no more, and let go of its scans."""
        for event in self._events():
            event.disconnect(self.refresh)
        self._scans, self._shown = [], None

    def _events(self) -> tuple[Any, ...]:
        events = self._viewer.layers.events
        return events.inserted, events.removed, events.reordered, events.renamed

    @property
    def scan(self) -> Scan | None:
        """The chosen scan."""
        index = self.currentIndex()
        return self._scans[index] if 0 <= index < len(self._scans) else None

    @scan.setter
    def scan(self, scan: Scan) -> None:
        self.setCurrentIndex(self._scans.index(scan))

    @property
    def scans(self) -> list[Scan]:
        """All scans that can be chosen."""
        return list(self._scans)

    def refresh(self, event: Any = None) -> None:
        """Read the viewer's layers anew; the choice stays where its scan is still there."""
        before, chosen = self._scans, self.scan
        self._scans = scans_in(self._viewer)
        names = _names(self._viewer, self._scans)
        self.blockSignals(True)
        self.clear()
        for scan, name in zip(self._scans, names, strict=True):
            self.addItem(name)
            self.setItemData(self.count() - 1, _tip(scan), 3)  # 3: Qt.ToolTipRole
        if chosen in self._scans:
            self.setCurrentIndex(self._scans.index(chosen))
        else:
            self.setCurrentIndex(0 if self._scans else -1)
        self.blockSignals(False)
        if self._scans != before:
            self.scans_changed.emit()
        self._chosen()

    def _go(self) -> None:
        if self.scan is not None:
            show_map(self._viewer, self.scan)

    def _chosen(self, index: int = 0) -> None:
        scan = self.scan
        self.setToolTip(_tip(scan) if scan is not None else "Open a map: File > Open File(s).")
        if scan is not self._shown:
            self._shown = scan
            self.scan_changed.emit(scan)


class OnlyThisMap(QToolButton):
    """Hides the layers of all maps but the chosen one, and brings them back when let go."""

    def __init__(self, chooser: ScanChooser, viewer: ViewerModel) -> None:
        super().__init__()
        self._chooser, self._viewer = chooser, viewer
        self._hidden: list[Layer] = []
        self.setText("Only")
        self.setCheckable(True)
        self.setToolTip("Show only this map: hide the layers of the others")
        self.toggled.connect(lambda _: self._follow())
        chooser.scan_changed.connect(lambda _: self._follow())
        chooser.scans_changed.connect(self._follow)
        self._follow()

    def stop(self) -> None:
        """Bring back what is hidden."""
        self.setChecked(False)

    def _follow(self) -> None:
        self.setEnabled(len(self._chooser.scans) > 1 or self.isChecked())
        for layer in self._hidden:
            if layer in self._viewer.layers:
                layer.visible = True
        self._hidden = []
        scan = self._chooser.scan
        if not self.isChecked() or scan is None:
            return
        for layer in self._viewer.layers:
            scans = scans_of(layer)
            if layer.visible and scans and scan not in scans:
                layer.visible = False
                self._hidden.append(layer)


def _names(viewer: ViewerModel, scans: list[Scan]) -> list[str]:
    """A name for each scan, as its layers are called; a number tells equal ones apart."""
    names = []
    for scan in scans:
        first = layers_of(viewer, scan)[0]
        stacked = len(scans_of(first)) > 1
        of_layer = _NUMBER.sub("", first.name.rsplit(SEPARATOR, 1)[-1])
        names.append(scan.name if stacked else of_layer)
    total, seen = Counter(names), Counter[str]()
    for n, name in enumerate(names):
        if total[name] > 1:
            seen[name] += 1
            names[n] = f"{name} ({seen[name]})"
    return names


def _tip(scan: Scan) -> str:
    path = f"{scan.source.path}\n" if scan.source.path else ""
    return path + describe(scan)


def describe(scan: Scan) -> str:
    """Size, step, phases and indexing rate of a scan in one line."""
    rows, columns = scan.shape
    dy, dx = scan.step
    step = f"{dx:.3g}" if abs(dy - dx) < 1e-3 * dx else f"{dx:.3g} × {dy:.3g}"
    phases = ", ".join(phase.name for number, phase in scan.phases if number >= 0) or "no phase"
    return (
        f"{columns} × {rows} pixels, step {step} µm · {phases} · "
        f"{100 * float(scan.is_indexed.mean()):.1f} % indexed"
    )
