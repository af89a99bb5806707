"""Total density from the orientations: computed, as layers, and in the words of one card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._napari.gnd.layers import Shown, density_layer, known_text, log_limits
from napari_ebsdml._napari.shell.classes import LabelClass
from napari_ebsdml._napari.shell.text import pretty
from napari_ebsdml._palette import BOUND as BOUND_COLOR
from napari_ebsdml._palette import MEASURED as MEASURED_COLOR
from napari_ebsdml._parallel import Progress, part_of
from napari_ebsdml.scan import Scan

if TYPE_CHECKING:
    from napari_ebsdml.dislocations.gnd.density import GndDensity
    from napari_ebsdml.dislocations.settings import TotalSettings
    from napari_ebsdml.dislocations.total.density import TotalDensity

TOTAL = "total dislocation density"
TOLD = "where the map tells its density"
NO_WINDOW, MEASURED, BOUND = range(3)
TOLD_CLASSES = (
    LabelClass(NO_WINDOW, "no window: grain too small, or nothing known", "transparent"),
    LabelClass(MEASURED, "measured", MEASURED_COLOR),
    LabelClass(BOUND, "upper bound only", BOUND_COLOR),
)


@dataclass(frozen=True, eq=False)
class TotalResult:
    """Total density of a scan, and the GND density to show beside it."""

    total: TotalDensity
    gnd: GndDensity


def compute_total(scan: Scan, settings: TotalSettings, progress: Progress) -> TotalResult:
    """Total and GND density of a scan, for a worker thread."""
    from napari_ebsdml.dislocations.gnd.density import gnd_density
    from napari_ebsdml.dislocations.total.density import total_dislocation_density
    from napari_ebsdml.dislocations.total.model import TotalDensityModel

    # First, because a model that cannot be loaded should not cost a computation.
    model = TotalDensityModel.load("default")
    total = total_dislocation_density(
        scan, model=model, progress=part_of(progress, 0, 0.5), **settings.arguments()
    )
    gnd = gnd_density(
        scan, grains=total.grains, orientation_noise=settings.orientation_noise or None,
        keep_per_system=False, progress=part_of(progress, 0.5),
    )  # fmt: skip
    return TotalResult(total, gnd)


def told(total: TotalDensity) -> NDArray[np.int32]:
    """Labels of `TOLD_CLASSES`."""
    window = total.segments >= 0
    return np.where(window, np.where(total.measurable, MEASURED, BOUND), NO_WINDOW).astype(np.int32)


def total_layers(total: TotalDensity) -> list[Shown]:
    """Layers bottom to top, the density last."""
    high = np.asarray(total.interval[..., 1])
    limits = log_limits(total.density, high)
    bound = density_layer(high, "upper end of the 90 % interval", limits)
    bound.options["visible"] = bool(not total.measurable.any())
    return [bound, density_layer(total.density, TOTAL, limits)]


def card(result: TotalResult, materials: Mapping[int, Any] | None = None) -> str:
    """What the map says, as rich text: GND, total density or bound, limit, what to do next."""
    average = result.total.average()
    lines = []
    if average.measurable:
        low, high = average.interval
        lines.append(
            f"<b>Total density {known_text(average.density)}</b>, 90 %: {known_text(low)} to "
            f"{known_text(high)}"
        )
    elif np.isfinite(average.interval[1]):
        low, high = average.interval
        from_low = f"{known_text(low)} &lt; " if low > 0 else ""
        lines.append(f"<b>Total density not told</b>: {from_low}ρ &lt; {known_text(high)} (95 %)")
    else:
        lines.append("<b>Total density not told</b>")
    for number, material in (materials or {}).items():
        part = result.total.average(result.gnd.scan.phase_id == number)
        if part.measurable:
            stress, (low, high) = part.taylor_stress(material)
            lines.append(f"Taylor stress, {material}: {stress:.0f} MPa ({low:.0f} to {high:.0f})")
    if np.isfinite(average.limit):
        lines.append(f"This map can tell from {known_text(average.limit)}")
    lines.append(pretty(result.gnd.average().sentence))
    lines.append(f"<span style='color: gray'>{pretty(average.sentence)}</span>")
    return "<br>".join(lines)
