"""One density for many windows: their posteriors multiply, as far as their errors are their own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_ebsdml.dislocations.taylor import TaylorMaterial, taylor_stress
from napari_ebsdml.dislocations.total.model import Calibration
from napari_ebsdml.dislocations.total.windows import WIDEST, Windows

SIDE = 1.6448536269514722
"""Standard deviations from the median to the end of a 90 % interval."""
_SEEN = 0.5
"""Part of the windows' pixels that has to look like the training's."""
MANY = 10.0
"""Lines in a pixel from which what cancels within it rules the error."""


@dataclass(frozen=True)
class AverageDensity:
    """Total dislocation density of a part of a map.

    Attributes
    ----------
    density
        In 1/m^2; NaN where the map does not tell it.
    interval
        Low and high end in 1/m^2 that hold 90 % of the probability. Where the map does not tell
        its density the high end is an upper bound (95 %) and the low one may be 0.
    measurable
        Whether the map tells its density.
    limit
        Density in 1/m^2 from which a map with this orientation noise tells it.
    sentence
        The answer for people.
    polarised
        Part of the lines that do not cancel over a window, 0..1; NaN where not measurable.
    windows, pixels
        What it rests on.
    """

    density: float
    interval: tuple[float, float]
    measurable: bool
    limit: float
    sentence: str
    polarised: float
    windows: int
    pixels: int

    def taylor_stress(
        self, material: str | TaylorMaterial, friction: float = 0.0
    ) -> tuple[float, tuple[float, float]]:
        """Flow stress in MPa, and its 90 % interval from that of the density.

        Parameters
        ----------
        material
            As for `taylor_stress`.
        friction
            In MPa.

        Returns
        -------
        (float, (float, float))
            NaN for the stress where the density is not measurable. The constants are taken as
            exact.
        """
        low, high = (
            taylor_stress(value, material, friction) if np.isfinite(value) else float("nan")
            for value in self.interval
        )
        return taylor_stress(self.density, material, friction), (low, high)


def stress_rise(
    before: AverageDensity, after: AverageDensity, material: str | TaylorMaterial
) -> tuple[float, tuple[float, float]]:
    """Rise of the flow stress between two maps in MPa, and its 90 % interval.

    Parameters
    ----------
    before, after
        Averages of the same phase.
    material
        As for `taylor_stress`.

    Returns
    -------
    (float, (float, float))
        NaN where one of the densities is not measurable.

    Notes
    -----
    The interval's ends take the distance of each stress from its own ends and add them as
    independent errors (Donner and Zou, doi:10.1177/0962280210385861). What both maps' estimates
    have in common, such as a structure unlike the training's, is thereby counted twice.
    """
    nan = float("nan")
    if not (before.measurable and after.measurable):
        return nan, (nan, nan)
    (first, (first_low, first_high)), (second, (second_low, second_high)) = (
        one.taylor_stress(material) for one in (before, after)
    )
    rise = second - first
    low = rise - np.hypot(second - second_low, first_high - first)
    high = rise + np.hypot(second_high - second, first - first_low)
    return float(rise), (float(low), float(high))


def pooled(
    windows: Windows, shared: float, known: tuple[float, float] = (0.3, 1.7)
) -> tuple[float, float, float]:
    """Centre and ends of the 90 % interval of log10 of the mean density of several windows.

    Parameters
    ----------
    windows
        At least one.
    shared
        Part of the error's variance that windows of one map have in common. The product of the
        windows' likelihoods is tempered so that this part stays however many there are.
    known
        Mean and standard deviation of log10 N of the windows that the estimator learned from.

    Notes
    -----
    Each window's posterior stands for a normal likelihood times the prior. Windows that differ
    by more than their errors have different densities: the variance between them (DerSimonian
    and Laird, doi:10.1016/0197-2456(86)90046-2) widens the interval, and makes the mean density
    larger than the typical one.
    """
    down = np.maximum(windows.median - windows.low, 1e-3) / SIDE
    up = np.maximum(windows.high - windows.median, 1e-3) / SIDE
    if len(windows) == 1:
        return float(windows.median[0]), float(windows.low[0]), float(windows.high[0])
    variance = ((down + up) / 2) ** 2
    prior = windows.per_line + known[0], known[1] ** 2
    precision = np.maximum(1 / variance - 1 / prior[1], 1e-4)
    centre = (windows.median / variance - prior[0] / prior[1]) / precision
    # A window that hardly tells anything has a likelihood far off: keep it within the scale.
    centre = np.clip(centre, windows.low - 2 * up * SIDE, windows.high + 2 * up * SIDE)
    size = windows.pixels / windows.pixels.sum()
    weight = precision * size
    weight = weight / weight.sum()
    effective = 1 / np.square(weight).sum()
    mean = float((weight * centre).sum())
    own = float((weight / precision).sum()) * (1 - shared)
    scatter = float((weight * (centre - mean) ** 2).sum()) * effective / max(effective - 1, 1)
    between = max(0.0, scatter - own)
    error = float((weight / precision).sum()) * shared + (own + between) / effective
    # The prior counts once, not once a window.
    told = 1 / error
    start = float((size * prior[0]).sum())
    variance_all = 1 / (told + 1 / prior[1])
    mean = (mean * told + start / prior[1]) * variance_all
    # Mean of a log-normal: 10 ** (mean + ln(10) / 2 * variance between windows).
    mean += np.log(10) / 2 * min(between, 0.5)
    spread = SIDE * np.sqrt(variance_all)
    skew = float((weight * np.sqrt(up / down)).sum())
    return mean, mean - spread / skew, mean + spread * skew


@dataclass(frozen=True)
class Verdict:
    """What some windows tell: whether their mean density, how many lines a pixel or square holds,
    and whether half of their pixels look like what the estimator has learned from.
    """

    measurable: bool
    lines: float
    seen: bool


def verdict(windows: Windows, calibration: Calibration) -> Verdict:
    """Of some windows, at least one."""
    limit, usable, seen = _usable(windows)
    centre, low, high = pooled(usable, calibration.shared, calibration.known)
    lines = 10.0 ** (centre - float(np.average(usable.per_line, weights=usable.pixels)))
    return Verdict(_tells(limit, seen, centre, high - low), lines, seen >= _SEEN)


def _usable(windows: Windows) -> tuple[float, Windows, float]:
    """Limit of some windows in 1/m^2, those that count, and their part of the pixels."""
    limit = float(np.average(windows.limit, weights=windows.pixels))
    usable = windows.select(windows.known) if windows.known.any() else windows
    seen = float(windows.pixels[windows.known].sum() / windows.pixels.sum())
    return limit, usable, seen


def _tells(limit: float, seen: float, centre: float, width: float) -> bool:
    return bool(seen >= _SEEN and centre > np.log10(limit) and width < np.log10(WIDEST))


def average(
    windows: Windows,
    calibration: Calibration,
    noise: float,
    step: float,
    note: str = "",
    side: int = 1,
) -> AverageDensity:
    """Density of some windows with its interval, its limit and a sentence.

    Parameters
    ----------
    windows
    calibration
        Of the model.
    noise
        Orientation noise of a pixel in degrees about each axis.
    step
        Of the pixels in um.
    note
        What to add to the sentence.
    side
        Of the squares of pixels whose mean orientations were read.
    """
    nan = float("nan")
    if not len(windows):
        text = (
            "No density: there is no window of 60 pixels in one grain with known orientation "
            "noise and Burgers vector."
        )
        return AverageDensity(nan, (0.0, nan), False, nan, _joined(text, note), nan, 0, 0)
    limit, usable, seen = _usable(windows)
    centre, low, high = pooled(usable, calibration.shared, calibration.known)
    measurable = _tells(limit, seen, centre, high - low)
    means = f", averaged over {side} x {side} pixels," if side > 1 else ""
    ends = (10.0**low, 10.0**high)
    if seen < _SEEN:
        text = (
            "No density: most of this map looks like nothing that the estimator has learned from "
            "(noise far above the signal, filtered or wrongly indexed orientations)."
        )
        ends = (0.0, nan)
    elif measurable:
        text = (
            f"Total dislocation density {10.0**centre:.2g} 1/m^2 (90 %: {ends[0]:.2g} to "
            f"{ends[1]:.2g}); orientation noise of {noise:.2g} deg{means} would hide what lies "
            f"below {limit:.1g} 1/m^2."
        )
    else:
        if high - low > np.log10(100):
            ends = (0.0, ends[1])
        text = (
            f"This map does not tell its total dislocation density: it lies below "
            f"{ends[1]:.1g} 1/m^2 (95 %)"
        )
        lines = centre - float(np.average(usable.per_line, weights=usable.pixels))
        if centre > np.log10(limit) and lines > np.log10(MANY):
            finer = step * side * np.sqrt(MANY / 10.0**lines)
            text += (
                f". With some {10.0**lines:.0e} lines in a pixel most of them cancel within it: a "
                f"step of {finer:.1g} um would tell more."
            )
        else:
            text += (
                f", and orientation noise of {noise:.2g} deg{means} hides what is below "
                f"{limit:.1g} 1/m^2. {_help(noise, limit)}"
            )
    share = nan
    if measurable:
        share = float(np.average(usable.polarised[:, 2], weights=usable.pixels))
    return AverageDensity(
        10.0**centre if measurable else nan, ends, measurable, limit, _joined(text, note), share,
        len(windows), int(windows.pixels.sum()),
    )  # fmt: skip


def _help(noise: float, limit: float) -> str:
    """What would make a map tell, in words."""
    better = [
        (what, value)
        for what, value in (("refined patterns", 0.03), ("HR-EBSD", 0.006))
        if value < 0.7 * noise
    ]
    if not better:
        return "Less noise is hardly to be had: only a denser structure can be measured."
    told = ", ".join(
        f"{what} ({value:g} deg: from {limit * (value / noise) ** 2:.0e} 1/m^2)"
        for what, value in better
    )
    return (
        f"{told[0].upper()}{told[1:]} would tell more, and so would a finer step"
        ": means over more pixels have less noise."
    )


def _joined(text: str, note: str) -> str:
    return f"{text} {note}" if note else text
