"""What layers are made of as JSON and arrays, and back; no Qt here."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any

import numpy as np

_KINDS = "!"
"""Key of a dict that stands for something that JSON does not have."""


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
            return {_KINDS: "scan", "number": next(
                n for n, scan in enumerate(self.scans) if scan is value)}  # fmt: skip
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

    def _number(self, told: dict[str, Any]) -> float:
        return float(told["text"])

    def _array(self, told: dict[str, Any]) -> Any:
        return self.group[told["name"]][...]

    def _dict(self, told: dict[str, Any]) -> dict[Any, Any]:
        return {self.value(key): self.value(value) for key, value in told["items"]}

    def _tuple(self, told: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(self.value(one) for one in told["items"])

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
