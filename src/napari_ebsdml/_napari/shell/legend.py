"""What the colours of the selected layer mean: colour key, scale or class names."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QRectF, QSize, Qt
from qtpy.QtGui import QColor, QImage, QPainter, QPaintEvent
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_ebsdml._napari.shell.layers import info_of, scan_of

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_ebsdml.maps import IPFKey
    from napari_ebsdml.scan import Scan

_KEY_SIZE = 240
_LINE = 20
_Keys = dict[tuple[str, ...], tuple[Any, list[str]]]
"""What makes a key differ -> a phase, and the names of all phases that share it."""
_MARGIN = 6


class LayerLegend(QWidget):
    """Legend of the layer that is selected in the viewer, if it is one of the plugin's."""

    def __init__(self, viewer: ViewerModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._layer: Layer | None = None
        self._keys: dict[tuple[str, ...], IPFKey] = {}
        self._wanted: set[tuple[str, ...]] = set()
        self._worker: Any = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.MinimumExpanding)
        viewer.layers.selection.events.active.connect(self._select)
        viewer.layers.events.removed.connect(self._select)
        self._select()

    @property
    def layer(self) -> Layer | None:
        """The layer that is explained."""
        return self._layer

    def sizeHint(self) -> QSize:
        return QSize(300, 190)

    def minimumSizeHint(self) -> QSize:
        return QSize(200, 120)

    def _select(self, event: Any = None) -> None:
        layer = self._viewer.layers.selection.active
        if layer is not None and info_of(layer) is None:
            layer = None
        if layer is None and self._layer is not None and self._layer in self._viewer.layers:
            return  # several layers, or one of another plugin, are selected: keep the last legend
        for name in ("colormap", "contrast_limits"):
            for one, method in ((self._layer, "disconnect"), (layer, "connect")):
                emitter = getattr(one.events, name, None) if one is not None else None
                if emitter is not None:
                    getattr(emitter, method)(self._repaint)
        self._layer = layer
        self._repaint()

    def _repaint(self, event: Any = None) -> None:
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.setPen(self.palette().windowText().color())
        area = QRectF(self.rect()).adjusted(_MARGIN, _MARGIN, -_MARGIN, -_MARGIN)
        layer = self._layer
        info = info_of(layer) if layer is not None else None
        if layer is None or info is None:
            _line(painter, area, "Select a layer of an EBSD map to see what its colours mean.")
            return
        unit = f" [{info['unit']}]" if info["unit"] else ""
        area = _line(painter, area, f"{info['quantity']}{unit}", bold=True)
        if info["kind"] == "image":
            _paint_scale(painter, area, layer)
        elif info["kind"] != "rgb":
            _paint_classes(painter, area, layer, info["classes"])
        elif "IPF" in info["quantity"]:
            if (info.get("settings") or {}).get("orientations") == "searched for":
                self._paint_keys(painter, area, _cubic())
            else:
                scan = scan_of(layer, self._viewer) or info["scan"]
                self._paint_keys(painter, area, _phases_by_symmetry(scan))
        painter.end()

    def _paint_keys(self, painter: QPainter, area: QRectF, keys: _Keys) -> None:
        """Colour key of the Laue class of each phase that occurs."""
        missing = {key: phase for key, (phase, _) in keys.items() if key not in self._keys}
        self._draw_keys(missing)
        ready = [(self._keys[key], names) for key, (_, names) in keys.items() if key in self._keys]
        if not ready:
            _line(painter, area, "Drawing the colour key …" if missing else "No known symmetry.")
            return
        width = area.width() / len(ready)
        for n, (key, names) in enumerate(ready):
            cell = QRectF(area.left() + n * width, area.top(), width, area.height())
            _paint_key(painter, cell.adjusted(0, 0, -_MARGIN, 0), key, ", ".join(names))

    def _draw_keys(self, missing: dict[tuple[str, ...], Any]) -> None:
        """Draw keys in a thread: the first one on a machine has to be compiled."""
        todo = {key: phase for key, phase in missing.items() if key not in self._wanted}
        if not todo:
            return
        self._wanted |= set(todo)
        from napari.qt.threading import create_worker

        worker = create_worker(_make_keys, todo, _start_thread=False)
        worker.returned.connect(self._keys_drawn)
        self._worker = worker
        worker.start()

    def _keys_drawn(self, keys: dict[tuple[str, ...], IPFKey]) -> None:
        self._keys.update(keys)
        self.update()


def _make_keys(phases: dict[tuple[str, ...], Any]) -> dict[tuple[str, ...], IPFKey]:
    from napari_ebsdml.maps import ipf_key

    return {key: ipf_key(phase, _KEY_SIZE) for key, phase in phases.items()}


def _cubic() -> _Keys:
    """For orientations that were searched for, whatever the map's file says of phases."""
    from orix.crystal_map import Phase

    return {("m-3m",): (Phase("cubic", point_group="m-3m"), ["cubic"])}


def _phases_by_symmetry(scan: Scan) -> _Keys:
    """Phases that occur and have a symmetry, grouped by what makes a key differ."""
    from napari_ebsdml.maps import laue_class

    groups: _Keys = {}
    present = set(np.unique(scan.phase_id).tolist())
    for number, phase in scan.phases:
        if number not in present or phase.point_group is None:
            continue
        space_group = phase.space_group.number if phase.space_group is not None else ""
        laue = laue_class(phase)
        # Only trigonal and monoclinic keys depend on the setting.
        key = (laue, str(space_group)) if laue in ("-3m", "2/m") else (laue,)
        groups.setdefault(key, (phase, []))[1].append(phase.name)
    return groups


def _line(painter: QPainter, area: QRectF, text: str, bold: bool = False) -> QRectF:
    """Write a text at the top; what is left of the area."""
    font = painter.font()
    font.setBold(bold)
    painter.setFont(font)
    flags = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop | Qt.TextFlag.TextWordWrap
    used = painter.drawText(area, int(flags), text)
    font.setBold(False)
    painter.setFont(font)
    height = max(float(_LINE), used.height() + 4)
    return area.adjusted(0, height, 0, 0)


def _paint_key(painter: QPainter, area: QRectF, key: IPFKey, names: str) -> None:
    metrics = painter.fontMetrics()
    title = metrics.elidedText(
        f"{names} ({key.laue_class})", Qt.TextElideMode.ElideRight, int(area.width())
    )
    area = _line(painter, area, title)
    height, width = key.rgba.shape[:2]
    line = metrics.height()
    widest = max((metrics.horizontalAdvance(text) for text, _, _ in key.labels), default=0)
    room = area.adjusted(widest / 2 + 2, line + 2, -widest / 2 - 2, -line - 4)
    factor = min(room.width() / width, room.height() / height)
    if factor <= 0.1:
        return
    left, top = room.left(), room.top()
    target = QRectF(left, top, width * factor, height * factor)
    painter.drawImage(target, _image(key.rgba))
    for text, row, column in key.labels:
        x, y = left + column * factor, top + row * factor
        above = row < height / 2
        place = QRectF(x - widest, y - line - 2 if above else y + 2, 2 * widest, line)
        painter.drawText(place, int(Qt.AlignmentFlag.AlignCenter), text)


def _paint_scale(painter: QPainter, area: QRectF, layer: Any) -> None:
    low, high = (float(v) for v in layer.contrast_limits)
    colors = layer.colormap.map(np.linspace(0, 1, 256))
    strip = np.rint(255 * np.clip(colors, 0, 1)).astype(np.uint8)[np.newaxis]
    metrics = painter.fontMetrics()
    ticks = nice_ticks(low, high)
    texts = [f"{tick:g}" for tick in ticks]
    side = max(metrics.horizontalAdvance(text) for text in texts) / 2 + 2 if texts else 10
    bar = QRectF(area.left() + side, area.top() + 2, area.width() - 2 * side, 18)
    painter.drawImage(bar, _image(np.ascontiguousarray(strip)))
    painter.drawRect(bar)
    for tick, text in zip(ticks, texts, strict=True):
        x = bar.left() + (tick - low) / (high - low) * bar.width()
        painter.drawLine(int(x), int(bar.bottom()), int(x), int(bar.bottom()) + 4)
        place = QRectF(x - 60, bar.bottom() + 5, 120, metrics.height())
        painter.drawText(place, int(Qt.AlignmentFlag.AlignHCenter), text)


def _paint_classes(painter: QPainter, area: QRectF, layer: Any, classes: dict[int, str]) -> None:
    named = {label: name for label, name in classes.items() if label}
    if not named:
        text = "Each grain has a colour of its own; the status bar tells its size."
        _line(painter, area, text if "grain" in layer.name else "A colour for each label.")
        return
    pen = painter.pen()
    for label, name in named.items():
        red, green, blue, _ = (round(255 * float(v)) for v in layer.get_color(label))
        patch = QRectF(area.left(), area.top() + 3, 22, _LINE - 6)
        painter.setBrush(QColor(red, green, blue))
        painter.drawRect(patch)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(pen)
        area = _line(painter, area.adjusted(30, 0, 0, 0), name).adjusted(-30, 0, 0, 0)


def _image(rgba: np.ndarray[Any, Any]) -> QImage:
    height, width = rgba.shape[:2]
    data = np.ascontiguousarray(rgba, dtype=np.uint8)
    # The copy outlives `data`.
    return QImage(data.tobytes(), width, height, 4 * width, QImage.Format.Format_RGBA8888).copy()


def nice_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """At most `most` round numbers between two limits."""
    if not (math.isfinite(low) and math.isfinite(high) and high > low):
        return []
    raw = (high - low) / (most - 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(n * power for n in (1, 2, 2.5, 5, 10) if n * power >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(n * step, 12) for n in range(first, last + 1)]
