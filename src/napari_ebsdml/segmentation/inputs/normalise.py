"""Standardisation with the statistics of the training maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.errors import ModelError
from napari_ebsdml.learning.model_card import Entries
from napari_ebsdml.segmentation.inputs.planes import ChannelStack, Plane

_LIMIT = 6.0
_ROLES = ("measured", "derived", "quaternion", "flag")
_SAMPLE = 200_000


@dataclass(frozen=True)
class Normaliser:
    """Centre and scale of each input plane.

    Parameters
    ----------
    planes
        What each plane is.
    centre, scale
        Subtracted, and divided by.
    logarithm
        Whether the plane's log10 is taken first: for densities that span decades.
    """

    planes: tuple[Plane, ...]
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    logarithm: tuple[bool, ...]

    @classmethod
    def fit(cls, stacks: Sequence[ChannelStack]) -> Normaliser:
        """Measure the planes of the training maps.

        The outer hundredth on each side is clipped, so that a few dead or saturated pixels do
        not set the scale; a constant plane keeps scale 1 and becomes 0.
        """
        planes = stacks[0].planes
        centre, scale, logarithm = [], [], []
        each = max(_SAMPLE // len(stacks), 1)
        for number, plane in enumerate(planes):
            if plane.role in ("flag", "quaternion"):
                centre.append(0.0)
                scale.append(1.0)
                logarithm.append(False)
                continue
            parts = []
            for stack in stacks:
                flat = stack.values[number].ravel()
                flat = flat[:: max(flat.size // each, 1)]
                parts.append(flat[np.isfinite(flat)])
            values = np.concatenate(parts).astype(np.float64)
            if not values.size:
                values = np.zeros(1)
            positive = values[values > 0]
            wide = (
                plane.role == "measured"
                and positive.size > 0.5 * values.size
                and (
                    values.min() >= 0
                    and np.percentile(positive, 99) > 1e3 * np.percentile(positive, 1)
                )
            )
            if wide:
                values = np.log10(positive)
            low, high = np.percentile(values, [1, 99])
            # A plane that is 0 in all but a few pixels still has a spread.
            clipped = np.clip(values, low, high) if high > low else values
            spread = float(clipped.std())
            centre.append(float(clipped.mean()))
            scale.append(spread if spread > 1e-6 * max(abs(centre[-1]), 1e-6) else 1.0)
            logarithm.append(bool(wide))
        return cls(planes, tuple(centre), tuple(scale), tuple(logarithm))

    def __call__(self, stack: ChannelStack) -> NDArray[np.float32]:
        """Standardised planes; not-finite values become 0, outliers are cut at 6 sigma."""
        out = np.empty_like(stack.values)
        for number, plane in enumerate(self.planes):
            values = stack.values[number]
            if plane.role in ("flag", "quaternion"):
                out[number] = np.nan_to_num(values)
                continue
            if self.logarithm[number]:
                with np.errstate(divide="ignore", invalid="ignore"):
                    values = np.log10(values)
                values = np.where(np.isneginf(values), np.nan, values)
            result = (values - np.float32(self.centre[number])) / np.float32(self.scale[number])
            out[number] = np.clip(np.nan_to_num(result, posinf=_LIMIT, neginf=-_LIMIT),
                                  -_LIMIT, _LIMIT)  # fmt: skip
        return out

    @property
    def empty(self) -> NDArray[np.float32]:
        """What each plane holds where there is no orientation."""
        return np.array(
            [
                0.0 if p.role in ("flag", "quaternion") else np.clip(-c / s, -_LIMIT, _LIMIT)
                for p, c, s in zip(self.planes, self.centre, self.scale, strict=True)
            ],
            dtype=np.float32,
        )

    def as_inputs(self) -> dict[str, Any]:
        """What a model card says about the inputs."""
        return {
            plane.name: {
                "unit": plane.unit, "role": plane.role, "centre": c, "scale": s, "log10": log,
            }
            for plane, c, s, log in zip(
                self.planes, self.centre, self.scale, self.logarithm, strict=True
            )
        }  # fmt: skip

    @classmethod
    def from_inputs(cls, inputs: Entries) -> Normaliser:
        """Read what `as_inputs` wrote into a model card.

        Raises
        ------
        ModelError
            When an entry is incomplete or wrong.
        """
        if not inputs.table:
            raise ModelError(f"{inputs.path}: the model card names no inputs.")
        rows = [
            (Plane(name, part.text("unit"), part.text("role")), part.number("centre"),
             part.positive("scale"), part.flag("log10"))
            for name, part in ((name, inputs.part(name)) for name in inputs.table)
        ]  # fmt: skip
        planes, centre, scale, logarithm = zip(*rows, strict=True)
        for plane in planes:
            if plane.role not in _ROLES:
                raise inputs.part(plane.name).error("role", " or ".join(map(repr, _ROLES)))
        return cls(planes, centre, scale, logarithm)
