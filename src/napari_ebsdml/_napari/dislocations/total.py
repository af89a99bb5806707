"""Total density from the orientations: computed, as layers, and in the words of one card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._napari.controls.text import pretty
from napari_ebsdml._napari.gnd.layers import (
    Shown,
    between,
    density_layer,
    every_nth,
    known_text,
    log_limits,
)
from napari_ebsdml._napari.layers.classes import LabelClass
from napari_ebsdml._palette import BOUND as BOUND_COLOR
from napari_ebsdml._parallel import Progress, part_of
from napari_ebsdml.learning.digest import model_digest
from napari_ebsdml.learning.shipped import shipped_path
from napari_ebsdml.scan import ORIENTATION_NOISE, Scan

if TYPE_CHECKING:
    from napari_ebsdml.dislocations.gnd.density import GndDensity
    from napari_ebsdml.dislocations.settings import TotalSettings
    from napari_ebsdml.dislocations.total.average import AverageDensity
    from napari_ebsdml.dislocations.total.density import TotalDensity
    from napari_ebsdml.dislocations.total.tail import TailDensity
    from napari_ebsdml.patterns.improve import ImprovedOrientations

TOTAL = "total dislocation density"
TOLD = "where the map tells its density"
NO_WINDOW, MEASURED, BOUND = range(3)
TOLD_CLASSES = (
    LabelClass(NO_WINDOW, "no window: grain too small, or not indexed", "transparent"),
    LabelClass(MEASURED, "measured", "transparent"),
    LabelClass(BOUND, "upper bound only", BOUND_COLOR),
)
_IMPROVING = 0.7


@dataclass(frozen=True, eq=False)
class TotalResult:
    """Total density of a scan, and what to show beside it.

    Attributes
    ----------
    total, gnd
        Of the scan, or of the one with better orientations.
    tail
        Second opinion.
    scan
        Whose layers show them.
    better
        How the orientations were improved, if they were.
    """

    total: TotalDensity
    gnd: GndDensity
    tail: TailDensity
    scan: Scan
    better: ImprovedOrientations | None = None


@dataclass(frozen=True, eq=False)
class Ready:
    """A result with everything that takes long to make of a large map, for the window.

    Attributes
    ----------
    result
    layers
        As `total_layers`.
    told
        As `told`.
    """

    result: TotalResult
    layers: list[Shown]
    told: NDArray[np.int32]


def model_hash() -> str:
    """Hash of the model that is used."""
    from napari_ebsdml.dislocations.total.model import SHIPPED

    return model_digest(shipped_path("default", SHIPPED))


def compute_total(scan: Scan, settings: TotalSettings, progress: Progress) -> TotalResult:
    """Total and GND density of a scan, for a worker thread."""
    from napari_ebsdml.dislocations.gnd.density import gnd_density
    from napari_ebsdml.dislocations.total.density import total_dislocation_density
    from napari_ebsdml.dislocations.total.model import TotalDensityModel
    from napari_ebsdml.dislocations.total.tail import tail_density

    # First, because a model that cannot be loaded should not cost a computation.
    model = TotalDensityModel.load("default")
    used, better = scan, None
    if settings.improve and can_improve(scan):
        from napari_ebsdml.patterns.improve import improve_orientations

        better = improve_orientations(
            scan, grain_threshold=settings.grain_threshold,
            progress=part_of(progress, 0, _IMPROVING),
        )  # fmt: skip
        used = better.scan if better.worthwhile else scan
        progress = part_of(progress, _IMPROVING)
    total = total_dislocation_density(
        used, model=model, progress=part_of(progress, 0, 0.5), **settings.arguments()
    )
    gnd = gnd_density(
        used, grains=total.grains, orientation_noise=settings.orientation_noise or None,
        keep_per_system=False, progress=part_of(progress, 0.5),
    )  # fmt: skip
    return TotalResult(total, gnd, tail_density(total), scan, better)


def make_ready(scan: Scan, settings: TotalSettings, progress: Progress) -> Ready:
    """`compute_total`, with what is shown and said of it, for a worker thread."""
    result = compute_total(scan, settings, part_of(progress, 0, 0.9))
    # The averages keep what they have found.
    card(result)
    result.total.averages("phase")
    result.total.averages("grain")
    return Ready(result, total_layers(result.total), told(result.total))


def can_improve(scan: Scan | None) -> bool:
    """Whether a map has patterns and a pattern centre to improve its orientations by."""
    return (
        scan is not None and scan.patterns is not None and scan.camera is not None
        and scan.camera.tells_centre and ORIENTATION_NOISE not in scan.prop
    )  # fmt: skip


def told(total: TotalDensity) -> NDArray[np.int32]:
    """Labels of `TOLD_CLASSES`."""
    window = total.segments >= 0
    return np.where(window, np.where(total.measurable, MEASURED, BOUND), NO_WINDOW).astype(np.int32)


def total_layers(total: TotalDensity) -> list[Shown]:
    """Layers bottom to top, the density last."""
    high = np.asarray(total.interval[..., 1])
    limits = log_limits(total.density, high)
    bound = density_layer(high, "upper end of the 90 % interval", limits)
    density = density_layer(total.density, TOTAL, limits)
    # Where nothing is measured the bounds are what there is to see.
    (bound if total.measurable.any() else density).options["visible"] = False
    return [bound, density]


def card(result: TotalResult, materials: Mapping[int, Any] | None = None) -> str:
    """What the map says, as rich text: GND, total density or bound, limit, stress."""
    average = result.total.average()
    lines = [_gnd(result), _total(average)]
    if result.tail.measurable:
        text = f"{known_text(result.tail.density)} ({between(result.tail.interval)})"
        lines.append(f"Second opinion, untrained: {text}. {result.tail.agreement(average)}")
    for number, material in (materials or {}).items():
        part = result.total.phases.get(number)
        if part is not None and part.measurable:
            stress, (low, high) = part.taylor_stress(material)
            lines.append(f"Taylor stress, {material}: {stress:.0f} MPa ({low:.0f} to {high:.0f})")
    if np.isfinite(average.limit):
        noise = max(result.total.orientation_noise.values(), default=float("nan"))
        side = max(result.total.averaged.values(), default=1)
        means = f", averaged over {side} × {side} pixels" if side > 1 else ""
        lines.append(
            f"Detection limit of this map: {known_text(average.limit)} (orientation noise "
            f"{noise:.2g}°{means})."
        )
    return "<br>".join(lines)


def _gnd(result: TotalResult) -> str:
    average = result.gnd.average()
    where = f"at a step of {average.step:.3g} µm"
    if not np.isfinite(average.density):
        return f"<b>GND {known_text(average.raw_mean)}</b> {where}, noise included"
    if average.is_bound and not average.interval[1] > 0:
        return f"<b>GND: within the noise</b> {where}"
    if average.is_bound:
        return f"<b>GND below {known_text(average.interval[1])}</b> {where}: within the noise"
    value = known_text(average.density)
    return f"<b>GND {value}</b> ({between(average.interval)}) {where}, without the noise"


def _total(average: AverageDensity) -> str:
    low, high = average.interval
    if average.measurable:
        return f"<b>Total {known_text(average.density)}</b> ({between(average.interval)}, 90 %)"
    if np.isfinite(high) and low > 0:
        return f"<b>Total from {between(average.interval)} 1/m²</b> (90 %): bounds, no value"
    if np.isfinite(high):
        return f"<b>Total below {known_text(high)}</b> (95 %): a bound, no value"
    return "<b>Total: not determined</b>"


_BETTER = (("refined patterns", 0.03), ("HR-EBSD", 0.006))
"""What has how much noise, degrees about each axis."""


def next_step(result: TotalResult) -> str:
    """What to do next, as rich text."""
    average, scan = result.total.average(), result.scan
    parts = []
    if result.better is not None:
        parts.append(result.better.sentence)
    if average.measurable:
        parts.append("<b>Next:</b> compare with another map, page Increase.")
    elif can_improve(scan) and result.better is None:
        parts.append(
            "<b>Next:</b> improve the orientations: the patterns of this map know them better."
        )
    elif not np.isfinite(average.interval[1]) or not np.isfinite(average.limit):
        parts.append(average.sentence)
    else:
        if scan.patterns is not None and result.better is None:
            parts.append(
                "<b>Next:</b> this map has patterns, but its file tells no pattern centre: "
                "<i>ebsdml improve --pattern-centre x,y,z</i> gives a map with better orientations."
            )
        noise = max(result.total.orientation_noise.values())
        better = [
            f"{name} ({sigma:g}°) from {known_text(average.limit * (sigma / noise) ** 2)}"
            for name, sigma in _BETTER if sigma < 0.7 * noise
        ]  # fmt: skip
        if better:
            parts.append(
                f"<b>To measure lower densities:</b> {', '.join(better)} on. A finer step "
                "helps, too: means over more pixels have less noise."
            )
    parts += result.total.notes
    return pretty(" ".join(parts))


def window_densities(total: TotalDensity) -> tuple[dict[str, NDArray[np.float64]], int]:
    """Densities of every n-th pixel by what is known of them, measured or upper bounds, and n."""
    every = every_nth(total.density.shape)
    high = total.interval.reshape(-1, 2)[::every, 1].astype(np.float64)
    density = total.density.reshape(-1)[::every].astype(np.float64)
    measured = total.measurable.reshape(-1)[::every]
    parts = {
        name: values
        for name, values in (
            ("upper bound", high[~measured & np.isfinite(high)]), ("measured", density[measured])
        )
        if values.size
    }  # fmt: skip
    return parts, every


def increments(
    before: TotalResult, after: TotalResult, materials: Mapping[int, Any]
) -> tuple[dict[str, list[Any]], str]:
    """Rise of density and flow stress between two maps, a row a phase, and what to say of it.

    Parameters
    ----------
    before, after
    materials
        Phase id of `after` -> metal.
    """
    from napari_ebsdml.dislocations.total.average import stress_rise

    names = {one.scan.phases[n].name: n for one in (before,) for n in before.total.limits}
    titles = (
        "phase", "before [1/m²]", "after [1/m²]", "after / before", "low", "high",
        "stress rise [MPa]", "stress low [MPa]", "stress high [MPa]",
    )  # fmt: skip
    table: dict[str, list[Any]] = {title: [] for title in titles}
    untold = []
    for number in after.total.limits:
        name = after.scan.phases[number].name
        if name not in names:
            continue
        first, second = before.total.phases[names[name]], after.total.phases[number]
        ratio = low = high = float("nan")
        stress: tuple[float, ...] = (ratio, ratio, ratio)
        if first.measurable and second.measurable:
            ratio = second.density / first.density
            # Independent errors of the logarithms, Donner and Zou, doi:10.1177/0962280210385861.
            away = [np.log(np.array(one.interval) / one.density) for one in (first, second)]
            low = ratio * np.exp(-np.hypot(away[1][0], away[0][1]))
            high = ratio * np.exp(np.hypot(away[1][1], away[0][0]))
            if number in materials:
                rise, ends = stress_rise(first, second, materials[number])
                stress = (rise, *ends)
        else:
            untold.append(name)
        values = (name, first.density, second.density, ratio, low, high, *stress)
        for title, value in zip(titles, values, strict=True):
            table[title].append(value)
    if not table["phase"]:
        return {}, "The two maps have no phase in common, by name."
    text = f"From {before.scan.name} to {after.scan.name}."
    if untold:
        text += f" No increase for {', '.join(untold)}: one of the maps gives an upper bound only."
    return table, text
