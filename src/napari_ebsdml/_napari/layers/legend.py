"""What the colours of a map mean: a key of every layer of it that is seen."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QRectF, QSize, Qt
from qtpy.QtGui import QColor, QImage, QPainter, QPaintEvent, QResizeEvent
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_ebsdml._napari.controls.text import superscript
from napari_ebsdml._napari.layers.classes import rgba
from napari_ebsdml._napari.layers.ipf_keys import keys_of
from napari_ebsdml._napari.layers.of_scans import LOG, Level, info_of, layers_of, level_of, scan_of

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_ebsdml.maps import IPFKey
    from napari_ebsdml.maps.ipf import Keys
    from napari_ebsdml.scan import Scan

_KEY_SIZE = 240
_KEY_HEIGHT = 150
_LINE = 20
_GAP = 10
_MARGIN = 6
_OPAQUE = ("opaque", "translucent", "translucent_no_depth")
_WATCHED = ("opacity", "blending", "colormap", "contrast_limits", "visible", "metadata", "name")


class MapLegend(QWidget):
    """Keys of all layers that are seen of the map that is selected: pictures, then overlays.

    The map is that of the selected layer; when nothing of the plugin is selected, the last one.
    """

    def __init__(self, viewer: ViewerModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = getattr(viewer, "__wrapped__", viewer)
        self._scan: Scan | None = None
        self._watched: list[Layer] = []
        self._keys: dict[tuple[str, ...], IPFKey] = {}
        self._wanted: set[tuple[str, ...]] = set()
        self._worker: Any = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
        layers = self._viewer.layers
        layers.selection.events.active.connect(self._refresh)
        for event in (layers.events.removed, layers.events.inserted, layers.events.reordered):
            event.connect(self._refresh)
        self._refresh()

    @property
    def scan(self) -> Scan | None:
        """The map whose layers are explained."""
        return self._scan

    @property
    def layers(self) -> list[Layer]:
        """Layers that are explained: pictures, then what lies on them."""
        if self._scan is None:
            return []
        shown: list[Layer] = []
        covered = False
        for layer in reversed(layers_of(self._viewer, self._scan)):
            is_picture = level_of(layer) is Level.BASE
            if layer.visible and _has_key(layer) and not (covered and is_picture):
                shown.append(layer)
            covered |= layer.visible and is_picture and _covers(layer)
        # What one looks at first: the picture, then what lies on it.
        return sorted(shown, key=level_of)

    def sizeHint(self) -> QSize:
        return QSize(260, self.minimumHeight())

    def _refresh(self, event: Any = None) -> None:
        layers = self._viewer.layers
        active = layers.selection.active
        scan = scan_of(active, self._viewer) if active is not None else None
        if scan is None and self._scan is not None and layers_of(self._viewer, self._scan):
            scan = self._scan
        if scan is None:
            scan = next((s for layer in layers if (s := scan_of(layer)) is not None), None)
        self._scan = scan
        self._watch([] if scan is None else layers_of(self._viewer, scan))
        self._changed()

    def _watch(self, layers: list[Layer]) -> None:
        for these, method in ((self._watched, "disconnect"), (layers, "connect")):
            for layer in these:
                for name in _WATCHED:
                    emitter = getattr(layer.events, name, None)
                    if emitter is not None:
                        getattr(emitter, method)(self._changed)
        self._watched = layers

    def _changed(self, event: Any = None) -> None:
        heights = [self._height(layer) for layer in self.layers]
        self.setMinimumHeight(round(sum(heights) + _GAP * len(heights)) + 2 * _MARGIN or _LINE)
        self.update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._changed()

    def _height(self, layer: Layer) -> float:
        """Of the key of a layer, title included."""
        info = info_of(layer)
        assert info is not None
        if info["kind"] == "image":
            return 2 * _LINE + 30
        if info["kind"] == "rgb":
            columns = max(1, self.width() // 150)
            number = max(1, len(keys_of(layer, self._viewer)))
            return _LINE + _KEY_HEIGHT * math.ceil(number / columns)
        return _LINE * (1 + max(1, len(_named(info))))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.setPen(self.palette().windowText().color())
        area = QRectF(self.rect()).adjusted(_MARGIN, _MARGIN, -_MARGIN, -_MARGIN)
        layers = self.layers
        if not layers:
            text = "No layer of this map is shown." if self._scan else "Open an EBSD map."
            _line(painter, area, text)
        for layer in layers:
            height = self._height(layer)
            self._paint(painter, QRectF(area.left(), area.top(), area.width(), height), layer)
            area = area.adjusted(0, height + _GAP, 0, 0)
        painter.end()

    def _paint(self, painter: QPainter, area: QRectF, layer: Layer) -> None:
        info = info_of(layer)
        assert info is not None
        unit = info["unit"].removeprefix(LOG)
        area = _line(painter, area, info["quantity"] + (f" [{unit}]" if unit else ""), bold=True)
        if info["kind"] == "image":
            _paint_scale(painter, area, layer, info["unit"].startswith(LOG))
        elif info["kind"] == "rgb":
            self._paint_keys(painter, area, keys_of(layer, self._viewer))
        else:
            _paint_classes(painter, area, layer, info)

    def _paint_keys(self, painter: QPainter, area: QRectF, keys: Keys) -> None:
        """Colour key of the Laue class of each phase that occurs."""
        missing = {key: phase for key, (phase, _) in keys.items() if key not in self._keys}
        self._draw_keys(missing)
        ready = [(self._keys[key], names) for key, (_, names) in keys.items() if key in self._keys]
        if not ready:
            _line(painter, area, "Drawing the colour key …" if missing else "No known symmetry.")
            return
        columns = min(len(ready), max(1, self.width() // 150))
        width = area.width() / columns
        for n, (key, names) in enumerate(ready):
            left, top = area.left() + n % columns * width, area.top() + n // columns * _KEY_HEIGHT
            cell = QRectF(left, top, width - _MARGIN, _KEY_HEIGHT)
            _paint_key(painter, cell, key, ", ".join(names))

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
        self._changed()


def _make_keys(phases: dict[tuple[str, ...], Any]) -> dict[tuple[str, ...], IPFKey]:
    from napari_ebsdml.maps import ipf_key

    return {key: ipf_key(phase, _KEY_SIZE) for key, phase in phases.items()}


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


def _paint_scale(painter: QPainter, area: QRectF, layer: Any, is_log: bool) -> None:
    low, high = (float(v) for v in layer.contrast_limits)
    colors = layer.colormap.map(np.linspace(0, 1, 256))
    strip = np.rint(255 * np.clip(colors, 0, 1)).astype(np.uint8)[np.newaxis]
    metrics = painter.fontMetrics()
    ticks = log_ticks(low, high) if is_log else [(t, f"{t:g}") for t in nice_ticks(low, high)]
    side = max((metrics.horizontalAdvance(text) for _, text in ticks), default=20) / 2 + 2
    bar = QRectF(area.left() + side, area.top() + 2, area.width() - 2 * side, 18)
    painter.drawImage(bar, _image(np.ascontiguousarray(strip)))
    painter.drawRect(bar)
    for tick, text in ticks:
        x = bar.left() + (tick - low) / (high - low) * bar.width()
        painter.drawLine(int(x), int(bar.bottom()), int(x), int(bar.bottom()) + 4)
        place = QRectF(x - 60, bar.bottom() + 5, 120, metrics.height())
        painter.drawText(place, int(Qt.AlignmentFlag.AlignHCenter), text)


def _covers(layer: Layer) -> bool:
    return layer.opacity > 0.95 and layer.blending in _OPAQUE


def _has_key(layer: Layer) -> bool:
    """Pictures without figures, such as virtual backscatter images in colour, have none."""
    info = info_of(layer)
    return info is not None and (info["kind"] != "rgb" or "IPF" in info["quantity"])


def _named(info: dict[str, Any]) -> dict[int, str]:
    return {label: name for label, name in info["classes"].items() if label}


def _paint_classes(painter: QPainter, area: QRectF, layer: Any, info: dict[str, Any]) -> None:
    named = _named(info)
    if not named:
        grains = "grain" in info["quantity"]
        _line(painter, area, "each in a colour of its own" if grains else "a colour for each label")
        return
    pen = painter.pen()
    for label, name in named.items():
        colors = info.get("colors") or {}
        color = rgba(colors[label]) if label in colors else layer.get_color(label)
        red, green, blue, _ = (round(255 * float(v)) for v in color)
        patch = QRectF(area.left(), area.top() + 3, 22, _LINE - 6)
        if info["kind"] == "lines":
            patch = QRectF(area.left(), area.top() + _LINE / 2 - 2, 22, 4)
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


def log_ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Places (logarithms) and texts of round numbers between two limits (logarithms).

    Powers of ten; where there are fewer than three of them, their doubles and fivefolds as well.
    """
    if not (math.isfinite(low) and math.isfinite(high) and high > low):
        return []
    powers = range(math.floor(low), math.ceil(high) + 1)
    every = max(1, math.ceil((high - low) / 6))
    ticks = [(float(p), f"10{superscript(p)}") for p in powers if p % every == 0]
    if high - low < 2:
        ticks += [(p + math.log10(n), f"{n}·10{superscript(p)}") for p in powers for n in (2, 5)]
    return sorted(tick for tick in ticks if low - 1e-9 <= tick[0] <= high + 1e-9)
