"""What is in the window is kept in a folder, every few seconds, until the window is closed.

A crash leaves the folder, a session like any other, and the next window offers it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import uuid
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from qtpy.QtCore import QCoreApplication, QObject, QTimer

from napari_ebsdml._atomic import is_left_behind, write_atomic, writer
from napari_ebsdml._napari.files.session import (
    ENDING,
    docks_of,
    is_session,
    layer_array,
    layer_entry,
    open_session,
    told_of,
)
from napari_ebsdml._napari.files.session_values import Writer
from napari_ebsdml._napari.layers.of_scans import KEY, scans_of
from napari_ebsdml.errors import EbsdmlError

if TYPE_CHECKING:
    from napari.components import ViewerModel

EVERY_MS = 4000
FOLDER_VARIABLE = "EBSDML_DATA_DIR"
_TELLING = frozenset({
    "data", "set_data", "paint", "labels_update", "name", "visible", "opacity", "colormap",
    "contrast_limits", "gamma", "features", "metadata", "blending", "contour",
})  # fmt: skip
"""Events of layers after which there is something to keep."""
_OF_DATA = frozenset({"data", "set_data", "paint", "labels_update"})

_KEPT = ("data", "result")
"""What is written of a layer besides what tells of it."""

_kept: WeakKeyDictionary[Any, Recovery] = WeakKeyDictionary()


def recovery_folder() -> Path:
    """Where the current user's windows are kept."""
    own = os.environ.get(FOLDER_VARIABLE)
    if own:
        return Path(own) / "recovery"
    import platformdirs

    return Path(platformdirs.user_data_dir("napari-ebsdml", appauthor=False)) / "recovery"


def left_behind(folder: Path | None = None) -> list[Path]:
    """Sessions of windows that were not closed, the last one first."""
    folder = recovery_folder() if folder is None else folder
    with contextlib.suppress(OSError):
        found = [
            path for path in folder.glob(f"*{ENDING}")
            if is_left_behind(path.name.removesuffix(ENDING)) and is_session(path)
        ]  # fmt: skip
        return sorted(found, key=lambda path: (path / "zarr.json").stat().st_mtime, reverse=True)
    return []


def keep(viewer: ViewerModel) -> Recovery | None:
    """Keep what a window shows from now on, and offer what an earlier one has left."""
    viewer = getattr(viewer, "__wrapped__", viewer)
    if getattr(viewer, "window", None) is None:
        return None
    if viewer not in _kept:
        left = left_behind()
        _kept[viewer] = Recovery(viewer, recovery_folder())
        if left:
            from napari.utils.notifications import show_info

            when = datetime.fromtimestamp((left[0] / "zarr.json").stat().st_mtime)
            show_info(
                f"A window with EBSD maps was not closed ({when:%d %B, %H:%M}). File > IO "
                "Utilities > Recover EBSD session brings it back."
            )
    return _kept[viewer]


def recover(viewer: Any) -> None:
    """Menu: File > IO Utilities > Recover EBSD session: the last one that was left."""
    from napari.utils.notifications import show_error, show_info

    left = left_behind()
    if not left:
        show_info("Nothing is left: the last window with EBSD maps was closed as it should be.")
        return
    try:
        open_session(left[0], viewer)
    except EbsdmlError as error:
        show_error(str(error))
        return
    current = keep(viewer)
    if current is not None:
        # What is back is kept anew before the old folder goes.
        current.save()
        current.wait()
        shutil.rmtree(left[0], ignore_errors=True)


@dataclass(frozen=True, eq=False)
class _Shown:
    """A layer at one moment."""

    key: int
    kind: str
    state: dict[str, Any]
    data: Any
    result: Any
    stale: bool


class Recovery(QObject):
    """Keeps the layers and docks of a viewer in a folder.

    Each array is written once, and again when it has changed; what tells of them is replaced as a
    whole afterwards. Writing is done in a thread, of arrays as they are then.

    Parameters
    ----------
    viewer
    folder
        In which it gets one of its own.
    every
        Milliseconds between two looks at the viewer.
    """

    def __init__(self, viewer: ViewerModel, folder: Path, every: int = EVERY_MS) -> None:
        super().__init__()
        self.viewer = viewer
        self.path = folder / f"{writer()}-{uuid.uuid4().hex[:8]}{ENDING}"
        self._number = 0
        self._scans: list[Any] = []
        self._written = 0
        self._places: dict[int, tuple[Any, str, Any]] = {}
        self._stale: set[int] = set()
        self._changed, self._docks = True, ""
        self._hearing: dict[int, tuple[Any, Callable[[Any], None]]] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="recovery")
        self._last: Future[None] | None = None
        self._root: Any = None
        for event in (
            viewer.layers.events.inserted, viewer.layers.events.removed,
            viewer.layers.events.reordered,
        ):  # fmt: skip
            event.connect(self._layers_changed)
        self._layers_changed()
        self._timer = QTimer(self)
        self._timer.setInterval(every)
        self._timer.timeout.connect(self.save)
        self._timer.start()
        app = QCoreApplication.instance()
        if app is not None:
            app.aboutToQuit.connect(self.close)
        window = getattr(getattr(viewer, "window", None), "_qt_window", None)
        if window is not None:
            window.destroyed.connect(self.close)

    @property
    def busy(self) -> bool:
        """Whether it is writing."""
        return self._last is not None and not self._last.done()

    def wait(self) -> None:
        """Wait until all is written."""
        if self._last is not None:
            self._last.result()

    def close(self) -> None:
        """The window was closed: nothing is to be recovered."""
        self._timer.stop()
        self._thread.shutdown(wait=True, cancel_futures=True)
        shutil.rmtree(self.path, ignore_errors=True)

    def save(self) -> None:
        """Write what has changed, in the background; nothing while it is still writing."""
        if self.busy:
            return
        self._forget()
        layers = list(self.viewer.layers)
        for scan in [one for layer in layers for one in scans_of(layer)]:
            if not any(scan is one for one in self._scans):
                self._scans.append(scan)
        docks = docks_of(self.viewer, Writer(None, self._scans))
        if not self._changed and repr(docks) == self._docks:
            return
        self._changed, self._docks = False, repr(docks)
        if not self._scans:
            return
        stale, self._stale = self._stale, set()
        # All that is asked of napari and Qt is asked here, in their own thread.
        shown = [
            _Shown(
                id(one), one._type_string, one.as_layer_data_tuple()[1], layer_array(one),
                (one.metadata.get(KEY) or {}).get("result"), id(one) in stale,
            )
            for one in layers
        ]  # fmt: skip
        told = {**told_of(self.viewer), "scans": len(self._scans), "docks": docks}
        self._last = self._thread.submit(self._write, shown, told, stale)

    def _forget(self) -> None:
        """Let go of what no layer shows; scans that are written keep their number."""
        if self.busy:
            return
        layers = list(self.viewer.layers)
        there = {id(scan) for layer in layers for scan in scans_of(layer)}
        for number in range(self._written):
            if id(self._scans[number]) not in there:
                self._scans[number] = None
        keys = {hash((id(layer), what)) for layer in layers for what in _KEPT}
        self._places = {key: place for key, place in self._places.items() if key in keys}

    def _layers_changed(self, event: Any = None) -> None:
        self._changed = True
        there = {id(layer): layer for layer in self.viewer.layers}
        for key in set(self._hearing) - set(there):
            layer, hear = self._hearing.pop(key)
            layer.events.disconnect(hear)
        self._forget()
        for key, layer in there.items():
            if key in self._hearing:
                continue

            def hear(event: Any, key: int = key) -> None:
                if event.type in _TELLING:
                    self._changed = True
                if event.type in _OF_DATA:
                    self._stale.add(key)

            layer.events.connect(hear)
            self._hearing[key] = layer, hear

    def _write(self, shown: list[_Shown], told: dict[str, Any], stale: set[int]) -> None:
        try:
            self._write_all(shown, told)
        except Exception:  # a full disk must not disturb the work that is to be kept
            self._changed = True
            self._stale |= stale

    def _write_all(self, shown: list[_Shown], told: dict[str, Any]) -> None:
        import zarr

        from napari_ebsdml.io.scan_zarr import write_scan

        if self._root is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._root = zarr.open_group(str(self.path), mode="w")
        for number in range(self._written, told["scans"]):
            write_scan(self._root.create_group(f"scans/{number}"), self._scans[number])
            self._written = number + 1
        entries, used = [], set()
        for one in shown:
            group = self._group("layers")
            entry = layer_entry(one.kind, one.state, Writer(group, self._scans))
            if entry is None:
                continue
            kept = {"data": (one.data, one.stale)}
            if one.result is not None:
                kept["result"] = (one.result, False)
            for what, (value, again) in kept.items():
                name, entry[what] = self._value(one.key, what, value, again)
                entry[f"{what}_in"] = name
                used.add(name)
            used.add(group.path)
            entries.append(entry)
        attributes = {**told, "layers": entries, "docks_in": "scans", "left_out": []}
        content = {"zarr_format": 3, "node_type": "group",
                   "attributes": {"ebsdml_session": attributes}}  # fmt: skip
        write_atomic(self.path / "zarr.json", json.dumps(content).encode())
        for kind in ("layers", "data", "result"):
            for name in (f"{kind}/{one.name}" for one in (self.path / kind).glob("*/")):
                if name not in used:
                    shutil.rmtree(self.path / name, ignore_errors=True)

    def _value(self, layer: int, what: str, value: Any, again: bool) -> tuple[str, Any]:
        """Where an array or result of a layer is, written if it has not been."""
        key = hash((layer, what))
        known = self._places.get(key)
        if known is not None and known[0] is value and not again:
            return known[1], known[2]
        group = self._group(what)
        values = Writer(group, self._scans)
        told = values.result(value) if what == "result" else values.value(value)
        self._places[key] = value, group.path, told
        return group.path, told

    def _group(self, kind: str) -> Any:
        self._number += 1
        return self._root.create_group(f"{kind}/{self._number}")
