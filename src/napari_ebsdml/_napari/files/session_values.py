"""What layers are made of as JSON and arrays, and back; no Qt here."""

from __future__ import annotations

import dataclasses
import enum
import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

_KINDS = "!"
"""Key of a dict that stands for something that JSON does not have."""


_PACKAGE = "napari_ebsdml."
_WAS, _IS = "napari_ebsdml.patterns.symmetry.", "napari_ebsdml.patterns."
_MOVED = {
    "napari_ebsdml._napari.space_groups.": "napari_ebsdml._napari.crystals.space_groups.",
    f"{_WAS}phases:": f"{_IS}phases.find:",
    f"{_WAS}lattice:": f"{_IS}lattices.lattice:",
    f"{_WAS}band_size:": f"{_IS}lattices.size:",
    f"{_WAS}space_groups:": f"{_IS}lattices.space_groups:",
}
"""Where the classes of older sessions are now."""


class NotKeptError(Exception):
    """A value that no session can hold is part of an object that needs it."""


class Writer:
    """Puts values into a zarr group: arrays as arrays, all else as JSON.

    Parameters
    ----------
    group
        Where arrays go, by running numbers.
    scans
        Scans by their place; one among the values becomes its number.
    """

    def __init__(self, group: Any, scans: list[Any]) -> None:
        self.group, self.scans = group, scans
        self.number = 0

    def value(self, value: Any) -> Any:
        """As JSON; what cannot be kept becomes None."""
        from napari_ebsdml.scan import Scan

        if isinstance(value, Scan):
            number = next((n for n, scan in enumerate(self.scans) if scan is value), None)
            return None if number is None else {_KINDS: "scan", "number": number}
        if isinstance(value, enum.Enum):
            return self.value(value.value)
        if isinstance(value, bool | int | str) or value is None:
            return value
        if isinstance(value, float):
            return value if np.isfinite(value) else {_KINDS: "number", "text": str(value)}
        if isinstance(value, np.generic):
            return self.value(value.item())
        if isinstance(value, np.ndarray):
            return self._array(value)
        if isinstance(value, Mapping):
            return {_KINDS: "dict", "items": [[self.value(k), self.value(v)]
                                              for k, v in value.items()]}  # fmt: skip
        if isinstance(value, tuple | list | set | frozenset):
            return {_KINDS: "tuple", "items": [self.value(one) for one in value]}
        return self._known(value)

    def _array(self, value: np.ndarray[Any, Any]) -> Any:
        if value.dtype.kind not in "biuf":
            return self.value(value.tolist())
        name = str(self.number)
        self.number += 1
        self.group.create_array(name, data=np.ascontiguousarray(value))
        return {_KINDS: "array", "name": name}

    def _known(self, value: Any) -> Any:
        from napari.utils.colormaps import Colormap, CyclicLabelColormap, DirectLabelColormap

        if isinstance(value, DirectLabelColormap):
            colors = [[key, [float(c) for c in color]] for key, color in value.color_dict.items()]
            return {_KINDS: "direct", "colors": colors}
        if isinstance(value, CyclicLabelColormap):
            return {_KINDS: "cyclic", "colors": self._array(np.asarray(value.colors)),
                    "seed": float(value.seed)}  # fmt: skip
        if isinstance(value, Colormap):
            return {
                _KINDS: "colormap", "name": str(value.name), "colors": self._array(value.colors),
                "controls": self._array(np.asarray(value.controls)),
                "interpolation": str(getattr(value.interpolation, "value", value.interpolation)),
            }  # fmt: skip
        if hasattr(value, "columns") and hasattr(value, "to_dict"):
            columns = {str(name): value[name].to_numpy() for name in value.columns}
            return {_KINDS: "table", "columns": self.value(columns)}
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return self.value(dataclasses.asdict(value))
        return str(value) if type(value).__module__.startswith("pint") else None

    def result(self, value: Any) -> Any:
        """A whole result of the package, to be brought back as it is; None where that cannot be.

        Results are dataclasses of numbers, texts, arrays, maps and each other.
        """
        made = self.number
        try:
            return self._whole(value)
        except (NotKeptError, RecursionError, StopIteration):
            # Arrays that were written until then are nobody's: the next ones take their place.
            for number in range(made, self.number):
                del self.group[str(number)]
            self.number = made
            return None

    def _whole(self, value: Any) -> Any:
        """As `value`, but an error for what cannot be kept."""
        from napari_ebsdml.scan import Scan

        cls = type(value)
        if isinstance(value, Scan) and not any(value is scan for scan in self.scans):
            return self._own_scan(value)
        if dataclasses.is_dataclass(cls) and not isinstance(value, Scan):
            if not cls.__module__.startswith(_PACKAGE):
                raise NotKeptError
            # What a class makes by itself, such as locks, it makes again.
            names = [one.name for one in dataclasses.fields(cls) if one.init]
            fields = {name: self._whole(getattr(value, name)) for name in names}
            return {_KINDS: "object", "class": f"{cls.__module__}:{cls.__qualname__}",
                    "fields": list(fields.items())}  # fmt: skip
        if isinstance(value, os.PathLike):
            return {_KINDS: "path", "text": os.fspath(value)}
        if isinstance(value, slice):
            return {_KINDS: "slice", "ends": [value.start, value.stop, value.step]}
        if isinstance(value, np.ndarray) and value.dtype.kind not in "biuf":
            return {_KINDS: "list", "items": [self._whole(one) for one in value.tolist()]}
        if isinstance(value, Mapping):
            return {_KINDS: "dict", "items": [[self._whole(k), self._whole(v)]
                                              for k, v in value.items()]}  # fmt: skip
        if isinstance(value, list):
            return {_KINDS: "list", "items": [self._whole(one) for one in value]}
        if isinstance(value, tuple | set | frozenset):
            kind = "tuple" if isinstance(value, tuple) else "set"
            return {_KINDS: kind, "items": [self._whole(one) for one in value]}
        if isinstance(value, enum.Enum):
            return {_KINDS: "enum", "class": f"{cls.__module__}:{cls.__qualname__}",
                    "value": self._whole(value.value)}  # fmt: skip
        if cls.__module__.startswith("orix.crystal_map") and hasattr(value, "structure"):
            from napari_ebsdml.io.scan_zarr import phase_entry

            return {_KINDS: "phase", "entry": phase_entry(value)}
        told = self.value(value)
        if told is None and value is not None:
            raise NotKeptError
        return told

    def _own_scan(self, scan: Any) -> Any:
        """A map that no layer shows: one that a result has made of that of its layer."""
        from napari_ebsdml.io.scan_zarr import write_scan

        name = str(self.number)
        self.number += 1
        write_scan(self.group.create_group(name), scan)
        return {_KINDS: "own_scan", "name": name}


class Reader:
    """The other way; see `Writer`."""

    def __init__(self, group: Any, scans: list[Any]) -> None:
        self.group, self.scans = group, scans

    def value(self, told: Any) -> Any:
        """What a value stands for."""
        if not isinstance(told, dict):
            return told
        return getattr(self, f"_{told[_KINDS]}")(told)

    def _scan(self, told: dict[str, Any]) -> Any:
        return self.scans[told["number"]]

    def _own_scan(self, told: dict[str, Any]) -> Any:
        from napari_ebsdml import read
        from napari_ebsdml.io.scan_zarr import read_scan

        return read_scan(self.group[told["name"]], read)

    def _number(self, told: dict[str, Any]) -> float:
        return float(told["text"])

    def _array(self, told: dict[str, Any]) -> Any:
        return self.group[told["name"]][...]

    def _dict(self, told: dict[str, Any]) -> dict[Any, Any]:
        return {self.value(key): self.value(value) for key, value in told["items"]}

    def _tuple(self, told: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(self.value(one) for one in told["items"])

    def _set(self, told: dict[str, Any]) -> frozenset[Any]:
        return frozenset(self.value(one) for one in told["items"])

    def _list(self, told: dict[str, Any]) -> list[Any]:
        return [self.value(one) for one in told["items"]]

    def _slice(self, told: dict[str, Any]) -> slice:
        return slice(*told["ends"])

    def _path(self, told: dict[str, Any]) -> Path:
        return Path(told["text"])

    def _phase(self, told: dict[str, Any]) -> Any:
        from napari_ebsdml.io.scan_zarr import phase_of_entry

        return phase_of_entry(told["entry"])

    def _enum(self, told: dict[str, Any]) -> Any:
        return self._class(told["class"])(self.value(told["value"]))

    def _object(self, told: dict[str, Any]) -> Any:
        cls = self._class(told["class"])
        fields = {name: self.value(value) for name, value in told["fields"]}
        known = dataclasses.fields(cls) if dataclasses.is_dataclass(cls) else ()
        # What a later version has added holds its default in what an earlier one has written.
        for one in known:
            if one.init and one.name not in fields:
                if one.default is not dataclasses.MISSING:
                    fields[one.name] = one.default
                elif one.default_factory is not dataclasses.MISSING:
                    fields[one.name] = one.default_factory()
        if {one.name for one in known if one.init} != set(fields):
            raise LookupError(told["class"])
        if not all(one.init for one in known):
            return cls(**fields)
        # As it was, without the checks and the work of making one.
        made = object.__new__(cls)
        for name, value in fields.items():
            object.__setattr__(made, name, value)
        return made

    @staticmethod
    def _class(name: str) -> Any:
        """A class of this package, and of nothing else."""
        for old, new in _MOVED.items():
            name = new + name.removeprefix(old) if name.startswith(old) else name
        module, _, path = name.partition(":")
        if not module.startswith(_PACKAGE) or "." in path:
            raise LookupError(name)
        try:
            found = getattr(importlib.import_module(module), path)
        except (ImportError, AttributeError):
            raise LookupError(name) from None
        if not isinstance(found, type) or found.__module__ != module:
            raise LookupError(name)
        return found

    def result(self, told: Any) -> Any:
        """What `Writer.result` wrote; None where this version has no such result any more."""
        try:
            return self.value(told)
        except LookupError:
            return None

    def _table(self, told: dict[str, Any]) -> Any:
        # napari makes a table of it.
        return self.value(told["columns"])

    def _direct(self, told: dict[str, Any]) -> Any:
        from napari.utils.colormaps import DirectLabelColormap

        return DirectLabelColormap(color_dict=dict(told["colors"]))

    def _cyclic(self, told: dict[str, Any]) -> Any:
        from napari.utils.colormaps import CyclicLabelColormap

        return CyclicLabelColormap(colors=self._array(told["colors"]), seed=told["seed"])

    def _colormap(self, told: dict[str, Any]) -> Any:
        from napari.utils.colormaps import Colormap

        return Colormap(
            self._array(told["colors"]), name=told["name"],
            controls=self._array(told["controls"]), interpolation=told["interpolation"],
        )  # fmt: skip
