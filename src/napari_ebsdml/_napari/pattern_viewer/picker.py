"""Which pixel of which map: clicks, drags and arrow keys on napari's canvas, and the marker."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_ebsdml._napari.layers.of_scans import layers_of, scans_of
from napari_ebsdml.scan import Scan

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

MARKER = "pattern position"
"""Name of the layer that shows the chosen pixel."""

_STEPS = {"Up": (-1, 0), "Down": (1, 0), "Left": (0, -1), "Right": (0, 1)}
_MARKER_SIZE_PX = 12


class Pixel(NamedTuple):
    """A pixel of a map."""

    scan: Scan
    row: int
    column: int


class MapPicker(QObject):
    """Follows the mouse and the arrow keys on the maps of a viewer.

    Signals
    -------
    picked : Pixel
        The user clicked on a pixel, or dragged to it.
    stepped : int, int
        An arrow key was pressed on napari's canvas: rows and columns to go.
    section_changed : Scan
        The slider of a stack went to another section than that of the marked pixel.
    """

    picked = Signal(object)
    stepped = Signal(int, int)
    section_changed = Signal(object)

    def __init__(self, viewer: ViewerModel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.drag_browses = True
        self._viewer = viewer
        self._marker: Layer | None = None
        self._marked: Pixel | None = None
        self._raising = False
        self._keys: dict[str, Any] = {}
        viewer.mouse_drag_callbacks.append(self._on_mouse)
        viewer.dims.events.current_step.connect(self._on_slider)
        viewer.layers.events.inserted.connect(self._raise_marker)
        for key, (rows, columns) in _STEPS.items():
            self._keys[key] = self._key_handler(key, rows, columns)
            viewer.bind_key(key, self._keys[key], overwrite=True)

    def detach(self) -> None:
        """Leave the viewer as it was: no callbacks, no keys, no marker."""
        viewer = self._viewer
        if self._on_mouse in viewer.mouse_drag_callbacks:
            viewer.mouse_drag_callbacks.remove(self._on_mouse)
        viewer.dims.events.current_step.disconnect(self._on_slider)
        viewer.layers.events.inserted.disconnect(self._raise_marker)
        for key in self._keys:
            viewer.bind_key(key, None)
        self._keys = {}
        self.unmark()

    def pixel_at(self, position: Sequence[float]) -> Pixel | None:
        """Pixel of the topmost visible map at a point in world coordinates.

        Of maps on top of each other those with patterns come first.
        """
        found: list[Pixel] = []
        for layer in reversed(self._viewer.layers):
            scans = scans_of(layer)
            if not scans or not layer.visible or len(position) < layer.ndim:
                continue
            at = layer.world_to_data(position[-layer.ndim :])
            rows, columns = scans[0].shape
            row, column = round(float(at[-2])), round(float(at[-1]))
            if not (0 <= row < rows and 0 <= column < columns):
                continue
            section = round(float(at[0])) if len(scans) > 1 else 0
            if 0 <= section < len(scans):
                found.append(Pixel(scans[section], row, column))
        with_patterns = [pixel for pixel in found if pixel.scan.patterns is not None]
        return next(iter(with_patterns or found), None)

    def mark(self, pixel: Pixel) -> None:
        """Put the marker on a pixel; the active layer and the selection stay as they are."""
        layers = layers_of(self._viewer, pixel.scan)
        if not layers:
            return
        home = layers[0]
        section = scans_of(home).index(pixel.scan)
        at: tuple[int, ...] = (pixel.row, pixel.column)
        if len(scans_of(home)) > 1:
            at = (section, *at)
        elif home.ndim == 3:
            at = (0, *at)
        place = np.atleast_2d(home.data_to_world(at))
        self._marked = pixel
        if len(scans_of(home)) > 1:
            # Another section may have been chosen by other means than the slider.
            axis = self._viewer.dims.ndim - home.ndim
            if abs(self._viewer.dims.point[axis] - place[0, 0]) > home.scale[0] / 2:
                self._viewer.dims.set_point(axis, float(place[0, 0]))
        if self._marker is not None and self._marker in self._viewer.layers:
            if self._marker.ndim == place.shape[1]:
                self._marker.data = place
                return
            self._viewer.layers.remove(self._marker)
        self._add_marker(place, home)

    def unmark(self) -> None:
        """Take the marker away."""
        self._marked = None
        if self._marker is not None and self._marker in self._viewer.layers:
            self._viewer.layers.remove(self._marker)
        self._marker = None

    def _add_marker(self, place: Any, home: Layer) -> None:
        from napari.layers import Points

        layers = self._viewer.layers
        active, selected = layers.selection.active, set(layers.selection)
        self._marker = Points(
            place,
            name=MARKER,
            size=float(min(home.scale[-2:])),
            canvas_size_limits=(_MARKER_SIZE_PX, _MARKER_SIZE_PX),
            # White around black: seen on every colour.
            symbol="disc",
            face_color="black",
            border_color="white",
            border_width=0.05,
            units=home.units,
            axis_labels=home.axis_labels,
            # In a stack the marker is on the section of its pixel only.
            out_of_slice_display=False,
        )
        self._marker.editable = False
        self._viewer.add_layer(self._marker)
        layers.selection = selected
        layers.selection.active = active

    def _raise_marker(self, event: Any = None) -> None:
        """Keep the marker above layers that are added later."""
        layers = self._viewer.layers
        if self._raising or self._marker is None or self._marker not in layers:
            return
        if layers[-1] is not self._marker:
            self._raising = True
            try:
                layers.move(layers.index(self._marker), len(layers))
            finally:
                self._raising = False

    def _listens(self) -> bool:
        """Whether the mouse is free: not painting, drawing or turning a layer."""
        active = self._viewer.layers.selection.active
        mode = str(getattr(active, "mode", "pan_zoom")) if active is not None else "pan_zoom"
        return mode == "pan_zoom" and self._viewer.dims.ndisplay == 2

    def _on_mouse(self, viewer: ViewerModel, event: Any) -> Generator[None, None, None]:
        if event.button != 1 or event.modifiers or not self._listens():
            return
        pixel = self.pixel_at(event.position)
        if pixel is None:
            return
        browses = self.drag_browses and pixel.scan.patterns is not None
        camera = viewer.scene.camera
        pans = camera.mouse_pan
        moved = False
        if browses:
            camera.mouse_pan = False
            self.picked.emit(pixel)
        try:
            yield
            while event.type == "mouse_move":
                moved = True
                now = self.pixel_at(event.position)
                if browses and now is not None and now != pixel:
                    pixel = now
                    self.picked.emit(pixel)
                yield
        finally:
            if browses:
                camera.mouse_pan = pans
        if not browses and not moved:
            self.picked.emit(pixel)

    def _on_slider(self, event: Any = None) -> None:
        if self._marked is None:
            return
        for layer in layers_of(self._viewer, self._marked.scan):
            scans = scans_of(layer)
            if len(scans) > 1:
                point = self._viewer.dims.point[-layer.ndim :]
                section = round(float(layer.world_to_data(point)[0]))
                if 0 <= section < len(scans) and scans[section] is not self._marked.scan:
                    self.section_changed.emit(scans[section])
                return

    def _key_handler(self, key: str, rows: int, columns: int) -> Any:
        def pressed(viewer: ViewerModel) -> None:
            # napari's own meaning of these keys: through the sections of a stack.
            if viewer.dims.ndim > 2 and columns:
                axis = viewer.dims.last_used
                viewer.dims.set_current_step(axis, viewer.dims.current_step[axis] + columns)
            else:
                self.stepped.emit(rows, columns)

        return pressed
