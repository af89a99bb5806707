"""Clicks on a map, for docks that tell of the pixel that was clicked on."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ebsdml._napari.layers.of_scans import layers_of, scans_of
from napari_ebsdml.scan import Scan

if TYPE_CHECKING:
    from napari.components import ViewerModel


class MapClicks:
    """Calls back with row and column of each click on the chosen map.

    Painting, drawing and moving the view are no clicks.

    Parameters
    ----------
    viewer
    scan
        Returns the map that clicks count on; None for none.
    clicked
        Gets row and column.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        scan: Callable[[], Scan | None],
        clicked: Callable[[int, int], None],
    ) -> None:
        self._viewer, self._scan, self._clicked = viewer, scan, clicked
        viewer.mouse_drag_callbacks.append(self._on_mouse)

    def stop(self) -> None:
        """Leave the mouse alone."""
        if self._on_mouse in self._viewer.mouse_drag_callbacks:
            self._viewer.mouse_drag_callbacks.remove(self._on_mouse)

    def _on_mouse(self, viewer: ViewerModel, event: Any) -> Generator[None, None, None]:
        if event.button != 1 or event.modifiers or self._scan() is None:
            return
        active = viewer.layers.selection.active
        if str(getattr(active, "mode", "pan_zoom")) != "pan_zoom" or viewer.dims.ndisplay != 2:
            return
        yield
        if event.type == "mouse_move":
            return  # the user moves the view
        pixel = self._pixel_at(event.position)
        if pixel is not None:
            self._clicked(*pixel)

    def _pixel_at(self, position: Any) -> tuple[int, int] | None:
        scan = self._scan()
        shown = layers_of(self._viewer, scan) if scan is not None else []
        if scan is None or not shown:
            return None
        layer = shown[0]
        at = np.round(layer.world_to_data(position[-layer.ndim :])).astype(int)
        if layer.ndim == 3 and at[0] != scans_of(layer).index(scan):
            return None
        row, column = int(at[-2]), int(at[-1])
        inside = 0 <= row < scan.shape[0] and 0 <= column < scan.shape[1]
        return (row, column) if inside else None
