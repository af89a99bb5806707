"""Sessions: all that a viewer shows of maps, in one folder that brings it back.

A session is a zarr group NAME.ebsdml.zarr: scans, layers with what made them and the whole results
that they show a part of, strokes, settings of the docks, camera.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ebsdml._atomic import replacing_folder
from napari_ebsdml._napari.files.session_values import Reader, Writer
from napari_ebsdml._napari.layers.of_scans import KEY, protect, scans_of
from napari_ebsdml.errors import EbsdmlError, FileFormatError, InputError, WriteError

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_ebsdml.scan import Scan

ENDING = ".ebsdml.zarr"
VERSION = 1
_PLUGIN = "napari-ebsdml"
_OWN = "napari_ebsdml."
_LAYERS = ("image", "labels", "points", "shapes", "vectors")
# Of other layers, or napari's own of this moment.
_NOT_KEPT = frozenset({
    "experimental_clipping_planes", "plane", "custom_interpolation_kernel_2d", "n_edit_dimensions",
    "multiscale", "property_choices", "properties", "feature_defaults", "channel_axis",
})  # fmt: skip


def save_session(viewer: ViewerModel, path: str | os.PathLike[str]) -> Path:
    """Write all layers of a viewer, their maps and how they are looked at, whole or not at all.

    Parameters
    ----------
    viewer
    path
        Gets the ending .ebsdml.zarr where it has another. A session of that name is replaced.

    Returns
    -------
    Path
        Of the session.

    Raises
    ------
    InputError
        When there is no layer.
    WriteError
        When it cannot be written, or something else has that name.
    """
    import zarr

    from napari_ebsdml.io.scan_zarr import write_scan

    viewer = getattr(viewer, "__wrapped__", viewer)
    target = with_ending(Path(path))
    if not len(viewer.layers):
        raise InputError("There is no layer to save.")
    if target.exists() and not is_session(target):
        raise WriteError(f"{target}: there is something else of this name.")
    scans: list[Scan] = []
    for layer in viewer.layers:
        scans += [scan for scan in scans_of(layer) if not any(scan is one for one in scans)]
    try:
        with replacing_folder(target) as part:
            root = zarr.open_group(str(part), mode="w")
            for number, scan in enumerate(scans):
                write_scan(root.create_group(f"scans/{number}"), scan)
            entries: list[Any] = []
            left: list[str] = []
            for number, layer in enumerate(viewer.layers):
                group = root.create_group(f"layers/{number}")
                state = layer.as_layer_data_tuple()[1]
                entry = layer_entry(layer._type_string, state, Writer(group, scans))
                if entry is None:
                    left.append(layer.name)
                    continue
                data = layer_array(layer)
                entry["data"] = Writer(root.create_group(f"data/{number}"), scans).value(data)
                entry["data_in"] = f"data/{number}"
                result = (layer.metadata.get(KEY) or {}).get("result")
                if result is not None:
                    group = root.create_group(f"results/{number}")
                    entry["result"] = Writer(group, scans).result(result)
                    entry["result_in"] = f"results/{number}"
                entries.append(entry)
            place = root.create_group("viewer")
            docks = list(_docks(viewer, Writer(place, scans)))
            root.attrs.update(
                {
                    "ebsdml_session": {
                        **told_of(viewer), "scans": len(scans), "layers": entries, "docks": docks,
                        "left_out": left,
                    }
                }
            )  # fmt: skip
            models = _segmenters(viewer)
            if models:
                models[0].save(part / "models" / "segmenter.safetensors")
    except OSError as error:
        raise WriteError(f"{target}: {error.strerror or error}.") from None
    return target


def open_session(path: str | os.PathLike[str], viewer: ViewerModel | None = None) -> ViewerModel:
    """Bring back what `save_session` wrote: layers, view, and docks where there is a window.

    Parameters
    ----------
    path
    viewer
        To add to. Default: a new `napari.components.ViewerModel`, without a window.

    Raises
    ------
    FileFormatError
        When there is no session, one of a later version, or a damaged one; the viewer is then
        as it was.
    """
    from napari.components import ViewerModel
    from napari.layers import Layer

    told, root = _open(Path(path))
    viewer = getattr(viewer, "__wrapped__", viewer) if viewer is not None else ViewerModel()
    try:
        scans = _scans(root, told)
        made = []
        for number, entry in enumerate(told["layers"]):
            values = Reader(root[f"layers/{entry.get('number', number)}"], scans)
            data = Reader(root[entry["data_in"]], scans) if "data_in" in entry else values
            state = values.value(entry["state"])
            if KEY in state.get("metadata", {}):
                state["metadata"][KEY].setdefault("result", None)
            if entry.get("result") is not None:
                results = Reader(root[entry["result_in"]], scans)
                state["metadata"][KEY]["result"] = results.result(entry["result"])
            made.append(Layer.create(data.value(entry["data"]), state, entry["type"]))
        docks = list(told["docks"])
        forms = Reader(root[told.get("docks_in", "viewer")], scans)
    except EbsdmlError:
        raise
    except Exception as error:  # a damaged file raises anything
        raise FileFormatError(Path(path), f"the session is damaged ({error}).") from None
    for layer in made:
        viewer.add_layer(layer)
        protect(layer)
    _look(viewer, told["viewer"])
    for dock in docks:
        _open_dock(viewer, dock, forms, scans)
    _bring_models(viewer, Path(path))
    return viewer


def told_of(viewer: ViewerModel) -> dict[str, Any]:
    """Versions, and how the viewer looks at its layers."""
    from napari_ebsdml import __version__

    return {"version": VERSION, "napari_ebsdml": __version__, "viewer": _view(viewer)}


def docks_of(viewer: Any, values: Writer) -> list[dict[str, Any]]:
    """Docks that are open, with their settings."""
    return list(_docks(viewer, values))


def is_session(path: Path) -> bool:
    """Whether a folder is a session."""
    try:
        text = (path / "zarr.json").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False
    return '"ebsdml_session"' in text


def with_ending(path: Path) -> Path:
    """A path with the ending of sessions."""
    if path.name.endswith(ENDING):
        return path
    return path.with_name(path.name.removesuffix(".zarr") + ENDING)


def _open(path: Path) -> tuple[dict[str, Any], Any]:
    import zarr

    if not is_session(path):
        raise FileFormatError(path, "there is no session here, or it is damaged.")
    try:
        root = zarr.open_group(str(path), mode="r")
        told = dict(root.attrs["ebsdml_session"])
    except Exception as error:  # a damaged file raises anything
        raise FileFormatError(path, f"the session is damaged ({error}).") from None
    if told.get("version") != VERSION:
        raise FileFormatError(
            path,
            f"the session has version {told.get('version')}, of a later napari-ebsdml: update.",
        )
    return told, root


def _scans(root: Any, told: dict[str, Any]) -> list[Any]:
    from napari_ebsdml import read
    from napari_ebsdml.io.scan_zarr import read_scan

    return [read_scan(root[f"scans/{number}"], read) for number in range(told["scans"])]


def layer_array(layer: Any) -> Any:
    """Data of a layer, without smaller copies of it."""
    data = layer.data
    if layer._type_string == "image" and getattr(layer, "multiscale", False):
        data = data[0]
    if layer._type_string == "shapes":
        return [np.asarray(one) for one in data]
    return np.asarray(data)


def layer_entry(kind: str, state: Mapping[str, Any], values: Writer) -> dict[str, Any] | None:
    """What is kept of a layer besides its data and result; None for a kind that is not."""
    if kind not in _LAYERS:
        return None
    kept = {}
    for name, value in state.items():
        if name in _NOT_KEPT:
            continue
        if name == "metadata":
            info = {k: v for k, v in value.get(KEY, {}).items() if k != "result"}
            value = {KEY: info} if info else {}
        told = values.value(_as_plain(name, value))
        if told is not None:
            kept[name] = told
    return {
        "type": kind, "number": int(values.group.path.rpartition("/")[2]),
        "state": {"!": "dict", "items": [[name, value] for name, value in kept.items()]},
    }  # fmt: skip


def _as_plain(name: str, value: Any) -> Any:
    """What JSON has for napari's own kinds of values."""
    if name == "affine":
        return np.asarray(getattr(value, "affine_matrix", value))
    if name == "units":
        return tuple(str(unit) for unit in value)
    return value


def _view(viewer: Any) -> dict[str, Any]:
    """How the viewer looks at its layers."""
    camera, dims = viewer.scene.camera, viewer.dims
    active = viewer.layers.selection.active
    return {
        "center": [float(v) for v in camera.center], "zoom": float(camera.zoom),
        "angles": [float(v) for v in camera.angles], "ndisplay": int(dims.ndisplay),
        "point": [float(v) for v in dims.point],
        "scale_bar": bool(viewer.canvas.overlays.scale_bar.visible),
        "active": viewer.layers.index(active) if active is not None else None,
    }  # fmt: skip


def _look(viewer: Any, told: dict[str, Any]) -> None:
    viewer.dims.ndisplay = told["ndisplay"]
    if len(told["point"]) == viewer.dims.ndim:
        viewer.dims.point = told["point"]
    viewer.scene.camera.center = told["center"]
    viewer.scene.camera.zoom = told["zoom"]
    viewer.scene.camera.angles = told["angles"]
    viewer.canvas.overlays.scale_bar.visible = told["scale_bar"]
    if told["active"] is not None and told["active"] < len(viewer.layers):
        viewer.layers.selection.active = viewer.layers[told["active"]]


def _scan_widgets(viewer: Any) -> Iterator[tuple[str, Any]]:
    """Docks of the plugin that are open, by their names in the menu."""
    from napari_ebsdml._napari.shell.scan_widget import ScanWidget

    window = getattr(viewer, "window", None)
    for name, widget in dict(getattr(window, "dock_widgets", {})).items():
        inner = getattr(widget, "native", widget)
        if isinstance(inner, ScanWidget):
            yield name.removesuffix(f" ({_PLUGIN})"), inner


_DEPTH = 2

_NOW_PARTS = {"Space groups": ("Crystals", "space_groups")}
"""Docks of older sessions that are a part of another dock now."""


def _forms(dock: Any) -> dict[str, Any]:
    """Forms of a dock by where they are: "form", "panel.form", "part.form", "part.panel.form"."""
    return {
        f"{part}.{name}" if part else name: form
        for part, holder in dock.parts().items() for name, form in _forms_in(holder).items()
    }  # fmt: skip


def _forms_in(widget: Any, depth: int = _DEPTH) -> dict[str, Any]:
    from qtpy.QtWidgets import QWidget

    from napari_ebsdml._napari.controls.form import SettingsForm

    found: dict[str, Any] = {}
    for name, one in vars(widget).items():
        if isinstance(one, SettingsForm):
            found[name] = one
        elif depth > 1 and isinstance(one, QWidget) and type(one).__module__.startswith(_OWN):
            found |= {f"{name}.{inner}": form for inner, form in _forms_in(one, depth - 1).items()}
    return found


def _boxes(widget: Any) -> dict[str, Any]:
    """Fields of a dock that are in no form."""
    from qtpy.QtWidgets import QAbstractSpinBox, QCheckBox, QComboBox

    kinds = (QAbstractSpinBox, QCheckBox, QComboBox)
    return {name: one for name, one in vars(widget).items() if isinstance(one, kinds)}


def _value_of(box: Any) -> Any:
    for read in ("isChecked", "currentText", "value"):
        if hasattr(box, read):
            return getattr(box, read)()
    return None


def _set_value(box: Any, value: Any) -> None:
    if hasattr(box, "isChecked") and isinstance(value, bool):
        box.setChecked(value)
    elif hasattr(box, "currentText") and isinstance(value, str):
        box.setCurrentText(value)
    elif hasattr(box, "setValue") and isinstance(value, int | float):
        box.setValue(value)


def _docks(viewer: Any, values: Writer) -> Iterator[dict[str, Any]]:
    for name, widget in _scan_widgets(viewer):
        told = {form: one.values() for form, one in _forms(widget).items()}
        place = next((n for n, scan in enumerate(values.scans) if scan is widget.scan), None)
        boxes = {box: _value_of(one) for box, one in _boxes(widget).items()}
        yield {
            "name": name, "forms": values.value(told), "boxes": values.value(boxes), "scan": place,
            "parts": list(widget.parts()),
        }  # fmt: skip


def _open_dock(viewer: Any, told: dict[str, Any], values: Reader, scans: list[Any]) -> None:
    """Open a dock with the settings that it had; one that is no more is left out."""
    window = getattr(viewer, "window", None)
    if window is None:
        return
    name, number = told["name"], told["scan"]
    name, part = _NOW_PARTS.get(name, (name, ""))
    widget = next((one for there, one in _scan_widgets(viewer) if there == name), None)
    if widget is None:
        try:
            _, widget = window.add_plugin_dock_widget(_PLUGIN, name)
        except (KeyError, ValueError):
            return
    if number is not None and scans[number] in widget.chooser.scans:
        widget.chooser.scan = scans[number]
    for shown in [part] if part else told.get("parts", ()):
        widget.show_part(shown)
    forms = _forms(widget)
    for form, kept in values.value(told["forms"]).items():
        there = forms.get(f"{part}.{form}" if part else form)
        for setting, value in kept.items():
            if there is not None and setting in there.values():
                try:
                    there[setting].value = value
                except ValueError:
                    continue  # a choice that is no more
    boxes = _boxes(widget)
    for box, value in values.value(told.get("boxes", {"!": "dict", "items": []})).items():
        if box in boxes:
            _set_value(boxes[box], value)


def _segmenters(viewer: Any) -> list[Any]:
    found = [getattr(getattr(w, "state", None), "segmenter", None) for _, w in
             _scan_widgets(viewer)]  # fmt: skip
    return [model for model in found if model is not None]


def _bring_models(viewer: Any, path: Path) -> None:
    """Give the segmenter's dock the model that it had."""
    file = path / "models" / "segmenter.safetensors"
    if not file.is_file():
        return
    from napari_ebsdml import Segmenter

    for _, widget in _scan_widgets(viewer):
        state = getattr(widget, "state", None)
        if state is not None and hasattr(type(state), "segmenter"):
            state.segmenter = Segmenter.load(file)


def ask_and_save(viewer: Any) -> None:
    """Menu: File > IO Utilities > Save EBSD session."""
    from napari.utils.notifications import show_error, show_info
    from qtpy.QtWidgets import QFileDialog

    path, _ = QFileDialog.getSaveFileName(
        None, "Save EBSD session", f"session{ENDING}", f"*{ENDING}"
    )
    if not path:
        return
    try:
        show_info(f"The session is in {save_session(viewer, path)}.")
    except EbsdmlError as error:
        show_error(str(error))


def ask_and_open(viewer: Any) -> None:
    """Menu: File > IO Utilities > Open EBSD session."""
    from napari.utils.notifications import show_error
    from qtpy.QtWidgets import QFileDialog

    path = QFileDialog.getExistingDirectory(None, f"Open EBSD session (*{ENDING})")
    if not path:
        return
    try:
        open_session(path, viewer)
    except EbsdmlError as error:
        show_error(str(error))
