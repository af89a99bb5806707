"""Total dislocation density as layers; pixels that the model cannot judge are shown as such."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._napari.gnd.layers import Shown, density_layer, known_text, log_limits
from napari_ebsdml._napari.layers.classes import LabelClass
from napari_ebsdml.dislocations.averages import REPRESENTATIVE
from napari_ebsdml.dislocations.gnd.noise import RESOLUTION

if TYPE_CHECKING:
    from napari_ebsdml.dislocations.article.density import ArticleDensity
    from napari_ebsdml.dislocations.gnd.density import GndDensity

TOTAL = "article's dislocation density"
VALIDITY = "validity of the density"

UNKNOWN, GOOD, OUTSIDE, GUESS, QUIET = range(5)

VALIDITY_CLASSES = (
    LabelClass(UNKNOWN, "no GND density", "transparent"),
    LabelClass(GOOD, "estimate", "transparent"),
    LabelClass(OUTSIDE, "out of the model's range", "#a8479a"),
    LabelClass(GUESS, "guess: window cut by boundary or edge", "#556077"),
    LabelClass(QUIET, "within noise: anything from 0 to the noise floor", "#2e7d78"),
)


@dataclass(frozen=True, eq=False)
class DensityResult:
    """A total density, the GND density it came from, and the model's name and window."""

    total: ArticleDensity
    gnd: GndDensity
    model: str
    window: int


def validity(total: ArticleDensity) -> NDArray[np.int32]:
    """What each pixel's estimate is worth: labels of `VALIDITY_CLASSES`."""
    known = np.isfinite(total.mean)
    labels = np.where(total.valid, np.where(total.above_noise, GOOD, QUIET), GUESS)
    labels[~total.in_range] = OUTSIDE
    return np.where(known, labels, UNKNOWN).astype(np.int32)


def density_layers(result: DensityResult, extrapolate: bool = False) -> list[Shown]:
    """Layers bottom to top, the mean last.

    Out of the model's range they show nothing, or, where `extrapolate` is True, all values.
    """
    total = result.total
    inside = np.isfinite(total.mean) & (total.in_range | extrapolate)

    def where_known(values: NDArray[np.generic]) -> NDArray[np.float32]:
        return np.where(inside, values, np.nan).astype(np.float32)

    mean, median = where_known(total.mean), where_known(total.median)
    limits = log_limits(mean, median)
    width = where_known(total.interval[..., 1] - total.interval[..., 0])
    level = f"{100 * total.planes.level:.0f} %"
    lines = where_known(total.n_lines)
    found = [
        density_layer(width, f"width of the {level} interval", limits),
        Shown(lines, "number of dislocation lines", "", {"colormap": "viridis"}),
        density_layer(median, "median dislocation density", limits),
    ]
    for shown in found:
        shown.options["visible"] = False
    return [*found, density_layer(mean, TOTAL, limits)]


def in_short(result: DensityResult, extrapolate: bool = False) -> str:
    """One or two sentences on how much of the map has an estimate."""
    share = _shares(result)
    text = (
        f"<b>{share[GOOD]:.0f} % estimates</b>, {share[QUIET]:.0f} % within noise (teal), "
        f"{share[OUTSIDE]:.0f} % out of the model's range (violet), {share[GUESS]:.0f} % guesses "
        "(grey)."
    )
    if any(sigma < RESOLUTION for sigma in result.gnd.orientation_noise.values()):
        text += (
            " Most neighbours have the same orientation (indexed from a list, or filtered): zero "
            "density means that nothing could be seen, not that nothing is there."
        )
    if extrapolate:
        return text + " <b>Values and averages include extrapolations.</b>"
    part = gnd_in_range(result.total)
    if part < REPRESENTATIVE:
        text += (
            f" Pixels in range carry {100 * part:.0f} % of the GND: too little for an average. "
            "See Help."
        )
    return text


def gnd_in_range(total: ArticleDensity) -> float:
    """Part of the GND in valid pixels that the pixels in range carry; 1 where there is none."""
    bound = np.asarray(total.gnd, np.float64)
    whole = bound[total.valid].sum()
    return float(bound[total.valid & total.in_range].sum() / whole) if whole > 0 else 1.0


def in_words(result: DensityResult) -> str:
    """What the layers show and what they are worth, honestly."""
    n = result.window
    lines = 1 / (result.total.step * result.total.plane_thickness) * 1e12
    return (
        f"<b>Estimates</b>: the window of {n} × {n} pixels lies in one grain, and the GND of every "
        "slip plane looks like lines of the kind that the model was trained on.<br>"
        "<b>Within noise</b> (teal): orientation noise alone explains the GND, so that the density "
        "may be anything from 0 to the noise floor, as the interval says.<br>"
        "<b>Out of range</b> (violet): more than a tenth of the GND, and more than noise pretends, "
        "fits no single lines at this step and plane thickness, or is of too many lines. In "
        "measured maps that is often so everywhere. Values there extrapolate.<br>"
        "<b>Guesses</b> (grey): a boundary, a gap or the map's edge cuts the window. Averages "
        "leave them out. There is no average where pixels out of range carry more than half of the "
        "GND: the rest does not stand for the whole.<br>"
        f"One line across a pixel counts as {known_text(lines)}. This follows from the plane "
        "thickness, which nobody knows exactly. The ± holds the scatter between pixels, noise and "
        "the model's own spread, not the thickness: in range does not mean right."
    )


def _shares(result: DensityResult) -> dict[int, float]:
    labels = validity(result.total)
    known = max(1, int((labels != UNKNOWN).sum()))
    return {kind: 100 * int((labels == kind).sum()) / known for kind in range(1, 5)}
