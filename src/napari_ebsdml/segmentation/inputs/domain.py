"""Does a map look like those that a model was trained on? And what to do where it does not."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.learning.model_card import Entries
from napari_ebsdml.segmentation.inputs.planes import ChannelStack

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan

_POINTS = np.linspace(0.005, 0.995, 34)
_INNER = (_POINTS >= 0.05) & (_POINTS <= 0.95)
_SAMPLE = 200_000
TOO_MUCH = 0.18
"""Part of the pixels with values that were rare in the training from which it is told. With
`_RARE` it lies between the most that maps of the three synthetic steels differ by and what 0.8 to
1.2 times the contrast makes of them."""

_RARE = 2.5


@dataclass(frozen=True, eq=False)
class Ranges:
    """What single pixels of the training maps look like.

    Means over grains and their shapes are left out: a map has too few grains to tell by.

    Attributes
    ----------
    values
        Of each measured property that is used, and of KAM, 34 quantiles from half a per cent to
        99.5 %.
    """

    values: Mapping[str, tuple[float, ...]]

    @classmethod
    def of(cls, scans: Sequence[Scan], stacks: Sequence[ChannelStack]) -> Ranges:
        """Measure the training maps."""
        found = {}
        for name in _properties(stacks[0]):
            found[name] = _quantiles([scan.get(name) for scan in scans])
        if (kam := _kam(stacks[0])) is not None:
            found["KAM"] = _quantiles([stack.values[kam] for stack in stacks])
        return cls({name: values for name, values in found.items() if values is not None})

    def notes(self, scan: Scan, stack: ChannelStack) -> tuple[str, ...]:
        """Sentences on what was rare in the training; () when the map looks like it."""
        kam = _kam(stack)
        shown = stack.values[kam] if kam is not None else None
        return self.said(scan, None if shown is None else sampled(shown))

    def said(self, scan: Scan, kam: NDArray[np.float64] | None) -> tuple[str, ...]:
        """As `notes`, for some of the pixels' KAM in degrees; None where it is no channel."""
        found = []
        for name, known in self.values.items():
            own = name == "KAM" and kam is not None
            values = kam if own and kam is not None else sampled(scan.get(name))
            share, low = _strange(values, np.array(known)) if values.size else (0.0, False)
            if share > TOO_MUCH:
                found.append((share, name, "low" if low else "high"))
        if not found:
            return ()
        found.sort(reverse=True)
        parts = [
            f"{name} is {where} for {100 * share:.0f} % of the pixels"
            for share, name, where in found
        ]
        text = (
            f"{', '.join(parts)}, compared with the maps that the model was trained on: it may be "
            "wrong throughout. "
        )
        if any(name != "KAM" for _, name, _ in found):
            return (text + "Standardise the brightness to this map, or train with strokes on it.",)
        return (text + "Train with strokes on this map.",)

    def matched(self, scan: Scan) -> Scan:
        """The scan with brightness and contrast of its properties as in the training.

        Each property is scaled and shifted so that its quantiles from 5 to 95 % come as near as
        can be to those of the training. A detector's setting is mended, and so is, to a part, what
        truly differs: a map with much more of a dark phase comes out too bright.
        """
        return matched(scan, self.matching(scan))

    def matching(self, scan: Scan) -> dict[str, tuple[float, float]]:
        """Slope and shift of each property that `matched` changes."""
        changes: dict[str, tuple[float, float]] = {}
        names = {name.casefold(): name for name in scan.prop}
        for name, known in self.values.items():
            own = names.get(name.casefold())
            here = _quantiles([scan.prop[own]]) if own is not None else None
            if own is None or here is None:
                continue
            x, y = np.array(here)[_INNER], np.array(known)[_INNER]
            if np.ptp(x) <= 0:
                continue
            slope = max(float(np.polyfit(x, y, 1)[0]), 1e-6)
            changes[own] = slope, float(y.mean() - slope * x.mean())
        return changes

    def as_card(self) -> dict[str, Any]:
        """Plain values for the model card."""
        return {name: list(values) for name, values in self.values.items()}

    @classmethod
    def of_card(cls, extra: Entries) -> Ranges | None:
        """What `as_card` wrote; None in a model of earlier versions.

        Raises
        ------
        ModelError
            When an entry is wrong.
        """
        if "ranges" not in extra.table:
            return None
        part = extra.part("ranges")
        return cls({name: part.numbers(name, len(_POINTS)) for name in part.table})


def matched(scan: Scan, changes: Mapping[str, tuple[float, float]]) -> Scan:
    """The scan with slopes and shifts applied to its properties."""
    if not changes:
        return scan
    prop = {
        name: np.asarray(scan.prop[name], dtype=np.float64) * slope + shift
        for name, (slope, shift) in changes.items()
    }
    return dataclasses.replace(scan, prop={**scan.prop, **prop})


def _properties(stack: ChannelStack) -> list[str]:
    """Measured properties that the planes are made of."""
    every = [p.name.partition("@")[0] for p in stack.planes if p.role == "measured"]
    return list(dict.fromkeys(every))


def _kam(stack: ChannelStack) -> int | None:
    names = [p.name for p in stack.planes]
    return names.index("KAM") if "KAM" in names else None


def _strange(values: NDArray[np.float64], known: NDArray[np.float64]) -> tuple[float, bool]:
    """Part of the values that were rare in the training, and whether they are low ones.

    Between two quantiles of the training lie 3 % of its pixels, whatever they are. Maps differ in
    what they consist of, so somewhat more of them is no sign; `_RARE` times as many is one.
    """
    span = max(float(known[-1] - known[0]), 1e-6 * float(np.abs(known).max()), 1e-12)
    # Values that many pixels share, 0 above all, make quantiles equal.
    edges = known + 1e-7 * span * np.arange(len(known))
    edges[0], edges[-1] = edges[0] - 1e-3 * span, edges[-1] + 1e-3 * span
    place = np.searchsorted(edges, values)
    part = np.bincount(place, minlength=len(edges) + 1) / len(values)
    usual = np.diff(np.concatenate(([0.0], _POINTS, [1.0])))
    # Where a value is shared, the pixels of all its quantiles are in one place.
    same = np.concatenate(([False], np.diff(known) <= 1e-6 * span, [False]))
    rare = (part > _RARE * usual) & ~same & ~np.roll(same, 1) & ~np.roll(same, -1)
    share = float(part[rare].sum())
    middle = len(edges) // 2
    return share, bool(part[rare & (np.arange(len(part)) <= middle)].sum() > share / 2)


def sampled(values: NDArray[Any], first: int = 0, size: int | None = None) -> NDArray[np.float64]:
    """Some of a map's finite values; given a part of it, those that lie in this part.

    Parameters
    ----------
    values
        Of the map, or of pixels of it that follow each other.
    first
        Place of the first of them in the map.
    size
        Pixels of the map.
    """
    flat = np.ravel(values)
    every = max((flat.size if size is None else size) // _SAMPLE, 1)
    flat = flat[-first % every :: every].astype(np.float64)
    return flat[np.isfinite(flat)]


def _quantiles(parts: Sequence[NDArray[Any]]) -> tuple[float, ...] | None:
    values = np.concatenate([sampled(part) for part in parts])
    return tuple(map(float, np.quantile(values, _POINTS))) if values.size else None
