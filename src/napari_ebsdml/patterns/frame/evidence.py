"""Whether orientations and geometry fit the patterns: folded, the right ones share one triangle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._quaternions import multiply
from napari_ebsdml.errors import InputError
from napari_ebsdml.patterns.frame.fold import fold_patterns, refine_geometry
from napari_ebsdml.patterns.frame.geometry import Geometry
from napari_ebsdml.patterns.frame.orientations import KIKUCHIPY, specimen_turn

_TAKEN = 24
"""Patterns that the evidence is from: the least noisy ones of those looked at."""
_LEAST = 4
"""With fewer patterns the geometry is not judged."""
_SHIFT, _TILT, _ROUNDS = 0.03, 5.0, 2
_OTHER_FRAME = 1.8
"""How much more the patterns share in another frame than in that taken for granted: right frames
keep below 1.2, noise below 1.7, wrong ones reach 2 with a few patterns and 8 with two dozen."""
_OTHER_GEOMETRY = 1.25
_CLEAR = 0.5
"""Reliability below which noise decides what the patterns share."""

FRAMES = (KIKUCHIPY, "map", "oxford", "bruker", "edax-1")
"""Frames whose axes differ: all others are one of these."""


@dataclass(frozen=True, eq=False)
class Witnesses:
    """Some good patterns of a map or stack, to ask about its orientations and geometry.

    Attributes
    ----------
    patterns : (n, rows, columns) array
    quaternions : (n, 4) array
        As in `Scan`.
    geometry
        Of these patterns.
    mask
    """

    patterns: NDArray[np.generic]
    quaternions: NDArray[np.float64]
    geometry: Geometry
    mask: NDArray[np.bool_]

    @classmethod
    def among(
        cls, at: NDArray[np.intp], patterns: NDArray[np.generic], q: NDArray[np.float64],
        geometry: Geometry, mask: NDArray[np.bool_],
    ) -> Witnesses:  # fmt: skip
        """The least noisy ones with an orientation among patterns at places `at` of a map.

        `q` (all, 4) and `geometry` are those of the whole map.
        """
        norm = np.linalg.norm(np.nan_to_num(q[at]), axis=1)
        good = np.flatnonzero(norm > 0.5)
        at, patterns = at[good], patterns[good]
        mine = q[at] / norm[good, None]
        noise = fold_patterns(patterns, mine, geometry.take(at), mask).pixel_noise
        best = np.sort(np.argsort(noise, kind="stable")[:_TAKEN])
        return cls(patterns[best], mine[best], geometry.take(at[best]), mask)

    def __len__(self) -> int:
        return len(self.patterns)

    def shared(
        self, quaternions: NDArray[np.float64] | None = None, geometry: Geometry | None = None
    ) -> tuple[float, float]:
        """What the folded patterns share, see `Folded.signal`, and how reliable that is."""
        q = self.quaternions if quaternions is None else quaternions
        folded = fold_patterns(self.patterns, q, geometry or self.geometry, self.mask).total()
        return float(folded.signal[0]), float(folded.reliability[0])


def check_frame(witnesses: Witnesses, assumed: str) -> None:
    """Raise an InputError when the patterns say that orientations refer to another frame.

    Parameters
    ----------
    witnesses
    assumed
        Frame that the orientations were taken to refer to, because nobody named one.
    """
    if not len(witnesses):
        return
    back = specimen_turn(assumed) * (1, -1, -1, -1)
    given = multiply(witnesses.quaternions, back)
    shared = {name: witnesses.shared(multiply(given, specimen_turn(name))) for name in FRAMES}
    own = max(witnesses.shared()[0], 1e-6)
    best = max(shared, key=lambda name: shared[name][0])
    signal, reliability = shared[best]
    if signal > _OTHER_FRAME * own and reliability > _CLEAR:
        raise InputError(
            f"These orientations seem to refer to the axes of frame {best!r}, not {assumed!r}: "
            f"turned into the crystal, the patterns then share {signal / own:.1f} times as much. "
            f"Give frame={best!r}, or frame={assumed!r} when they are meant so."
        )


@dataclass(frozen=True, eq=False)
class Doubt:
    """A geometry that fits patterns much better than theirs.

    Attributes
    ----------
    gain
        How much more the folded patterns share with it.
    moved
        dx, dy, dz (parts of the height) and tilt (degrees).
    mirrored
        Part of dy that takes y from one edge of the screen to the other; 0 where that was right.
    """

    gain: float
    moved: dict[str, float]
    mirrored: float = 0.0

    @property
    def sentence(self) -> str:
        """What is wrong."""
        return (
            "The detector's geometry does not fit these patterns: they share "
            f"{self.gain:.1f} times as much with {_moved(self.moved)}; refine it (refine=True)."
        )


def _moved(moved: dict[str, float]) -> str:
    parts = ", ".join(f"{name} {moved[name]:+.3f}" for name in ("dx", "dy", "dz"))
    tilt = f"{moved['tilt']:+.1f} degrees"
    return f"the pattern centre moved by {parts} and the camera tilted by {tilt}"


def refined_sentence(found: dict[str, float]) -> str:
    """What a refinement did, from the figures that `refine_geometry` gives."""
    gain = found["sharpness_after"] / max(found["sharpness_before"], 1e-6)
    return (
        f"The detector's geometry was refined: {_moved(found)}, with which the folded patterns are "
        f"{gain:.2f} times as sharp."
    )


def doubt(witnesses: Witnesses) -> Doubt | None:
    """Whether another geometry fits the patterns much better, by a quick look around.

    Looked at are pattern centres and tilts near the given ones, and near the centre that is meant
    when y was counted from the other edge, as TSL and Bruker do.
    """
    if len(witnesses) < _LEAST:
        return None
    before, _ = witnesses.shared()
    given = witnesses.geometry
    up = 1 - 2 * given.centre[1]
    starts = {0.0: given, up: given.moved(dy=up)}
    values = {dy: witnesses.shared(geometry=start)[0] for dy, start in starts.items()}
    dy = max(values, key=lambda key: values[key])
    start = starts[dy] if values[dy] > _OTHER_GEOMETRY * before else given
    dy = dy if start is not given else 0.0
    geometry, moved = refine_geometry(
        witnesses.patterns, witnesses.quaternions, start, _SHIFT, _TILT, _ROUNDS, None,
        witnesses.mask, polish=False,
    )  # fmt: skip
    after, reliability = witnesses.shared(geometry=geometry)
    gain = after / max(before, 1e-6)
    if gain < _OTHER_GEOMETRY or reliability < _CLEAR:
        return None
    return Doubt(gain, {**moved, "dy": moved["dy"] + dy}, dy)
