"""GND density: computed, and as layers. What other docks take from this one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._napari.layers.classes import LabelClass
from napari_ebsdml._napari.layers.of_scans import info_of, layers_of, result_of, show_alone
from napari_ebsdml.errors import InputError
from napari_ebsdml.scan import Scan

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_ebsdml._napari.shell.scan_widget import ScanWidget
    from napari_ebsdml._napari.widgets import JobWidget
    from napari_ebsdml._parallel import Progress
    from napari_ebsdml.dislocations.gnd.density import GndDensity
    from napari_ebsdml.dislocations.settings import GndSettings

LOG_UNIT = "log10 1/m²"
LOWEST = 1e9
"""Densities below this (1/m^2) are shown as this: a lone dislocation in a square of 30 um."""

_SAMPLE = 200_000
"""So many pixels tell percentiles and the shape of a histogram."""

TOTAL = "GND density"
STABILITY = "stability of the split"
BELOW_NOISE = "GND below noise"


@dataclass(frozen=True)
class Shown:
    """Data and looks of a layer, as `layers.add_result` takes them."""

    data: NDArray[Any]
    quantity: str
    unit: str
    options: dict[str, Any]


def log_density(values: NDArray[Any]) -> NDArray[np.float32]:
    """log10 of a density in 1/m^2 for display; NaN stays NaN, zero becomes `LOWEST`."""
    return np.log10(np.maximum(values, LOWEST)).astype(np.float32)


def every_nth(shape: tuple[int, ...]) -> int:
    """Every how many pixels a sample of a map takes, so that all columns have their turn."""
    every = max(1, math.prod(shape) // _SAMPLE)
    while every > 1 and math.gcd(every, shape[-1]) > 1:
        every += 1
    return every


def _sample(values: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(values.reshape(-1)[:: every_nth(values.shape)], np.float64)


def log_limits(*densities: NDArray[Any]) -> tuple[float, float]:
    """Contrast limits in log10 that show nearly all densities, at least one decade."""
    flat = np.concatenate([_sample(np.asarray(one)) for one in densities])
    logs = np.log10(flat[np.isfinite(flat) & (flat > LOWEST)])
    if not logs.size:
        return 12.0, 16.0
    low, high = (float(v) for v in np.percentile(logs, (2, 99.5)))
    low, high = max(np.floor(low * 10) / 10, high - 5), np.ceil(high * 10) / 10
    return float(low), float(max(high, low + 1))


def density_layer(
    values: NDArray[Any], quantity: str, limits: tuple[float, float] | None = None
) -> Shown:
    """A density on a logarithmic scale."""
    options = {"colormap": "inferno", "contrast_limits": limits or log_limits(values)}
    return Shown(log_density(values), quantity, LOG_UNIT, options)


def known_text(density: float) -> str:
    """A density with its unit, e.g. "2.4 × 10<sup>14</sup> 1/m²"."""
    if not np.isfinite(density):
        return "unknown"
    if density <= 0:
        return "0 1/m²"
    power = int(np.floor(np.log10(density)))
    return f"{density / 10.0**power:.2g} × 10<sup>{power}</sup> 1/m²"


def between(interval: tuple[float, float]) -> str:
    """Ends of an interval with one power of ten, such as "1.4 to 13 × 10<sup>13</sup>"."""
    low, high = interval
    if not low > 0:
        return f"up to {known_text(high)}"
    # Numbers of up to two digits, however far the ends are apart.
    power = max(int(np.floor(np.log10(low))), int(np.floor(np.log10(high))) - 1)
    return f"{low / 10.0**power:.2g} to {high / 10.0**power:.2g} × 10<sup>{power}</sup>"


def signed_layer(values: NDArray[Any], quantity: str, unit: str) -> Shown:
    """A signed quantity: blue below zero, black at zero, red above."""
    known = _sample(values)
    known = np.abs(known[np.isfinite(known)])
    most = float(np.percentile(known, 99)) if known.size else 1.0
    most = most if most > 0 else 1.0
    options = {"colormap": signed_colormap(), "contrast_limits": (-most, most)}
    return Shown(np.asarray(values, np.float32), quantity, unit, options)


def signed_colormap() -> Any:
    """Blue, black, red: zero is dark, as the canvas."""
    from napari.utils.colormaps import Colormap

    colors = ["#8fd3ff", "#2a6fdb", "#101010", "#d43d2a", "#ffc08a"]
    return Colormap(colors, name="blue black red", display_name="blue black red")


def below_noise(gnd: GndDensity) -> NDArray[np.int32]:
    """1 where a density is known but not above noise."""
    return (np.isfinite(gnd.total) & ~gnd.above_noise).astype(np.int32)


BELOW_NOISE_CLASSES = (LabelClass(0, "no", "transparent"), LabelClass(1, "yes", "#3c4658"))


def further_layers(gnd: GndDensity) -> dict[str, str]:
    """What else a result can show: key -> text for people."""
    found = {
        "energy": "Energy-weighted density",
        "floor": "Noise floor",
        "grains": "Grains",
    }
    if gnd.misfit[np.isfinite(gnd.misfit)].max(initial=0) > 1e-6:
        found["misfit"] = "Curvature that the systems cannot make"
    for i in range(3):
        for j in range(2):
            found[f"k{i}{j}"] = f"Curvature κ{'₁₂₃'[i]}{'₁₂₃'[j]}"
    for i, j in ((0, 1), (0, 2), (1, 0), (1, 2), (2, 2)):
        found[f"a{i}{j}"] = f"Nye tensor α{'₁₂₃'[i]}{'₁₂₃'[j]}"
    found["difference"] = "Nye tensor α₁₁ − α₂₂"
    if gnd.per_system is not None:
        found["split"] = "Stability of the split over slip systems"
        for number, columns in gnd.system_columns.items():
            where = f" ({gnd.scan.phases[number].name})" if len(gnd.system_columns) > 1 else ""
            for n in range(columns.start, columns.stop):
                found[f"s{n}"] = gnd.systems.labels[n] + where
    return found


def further_layer(gnd: GndDensity, key: str) -> Shown:
    """One of `further_layers` but "split", ready to be added."""
    text = further_layers(gnd)[key]
    if key == "energy":
        return density_layer(gnd.energy, "GND density by line energy")
    if key == "floor":
        return density_layer(gnd.noise_floor, "GND noise floor")
    if key == "grains":
        return Shown(gnd.grains, "grains for GND", "", {"kind": "labels"})
    if key == "misfit":
        return Shown(gnd.misfit.astype(np.float32), text, "1/µm", {"colormap": "magma"})
    if key == "difference":  # known, though neither of the two is
        difference = gnd.curvature[..., 0, 0] - gnd.curvature[..., 1, 1]
        return signed_layer(difference, text, "1/µm")
    if key[0] in "ka":
        tensor = gnd.curvature if key[0] == "k" else gnd.nye
        return signed_layer(tensor[..., int(key[1]), int(key[2])], text, "1/µm")
    assert gnd.per_system is not None
    return signed_layer(gnd.per_system[..., int(key[1:])], f"GND {text}", "1/m²")


def stability_layer(share: NDArray[Any]) -> Shown:
    """Part of each pixel's density that stays with its slip systems, in per cent."""
    options = {"colormap": "viridis", "contrast_limits": (0, 100)}
    return Shown((100 * share).astype(np.float32), STABILITY, "%", options)


def compute_gnd(scan: Scan, settings: GndSettings, progress: Progress = None) -> GndDensity:
    """`gnd_density` for a worker thread."""
    from napari_ebsdml.dislocations.gnd.density import gnd_density

    systems = settings.slip_systems
    if isinstance(systems, Mapping) and not any(systems.values()):
        raise InputError(
            f"Every phase of {scan.name} is left out. Choose slip systems for at least one phase."
        )
    return gnd_density(scan, **settings.arguments(), progress=progress)


def gnd_layer_of(viewer: ViewerModel, scan: Scan) -> Layer | None:
    """The layer with the GND density of a scan that was added last."""
    for layer in reversed(layers_of(viewer, scan)):
        info = info_of(layer)
        if info is not None and info["quantity"] == TOTAL and info["result"] is not None:
            return layer
    return None


def gnd_of(viewer: ViewerModel, scan: Scan) -> GndDensity | None:
    """GND density that is shown on a scan."""
    from napari_ebsdml.dislocations.gnd.density import GndDensity

    return result_of(gnd_layer_of(viewer, scan), GndDensity)


def show_layer(
    widget: ScanWidget | JobWidget,
    scan: Scan,
    shown: Shown,
    settings: Any,
    result: Any,
    **options: Any,
) -> Layer:
    """Add or replace a layer, with the result that it was made of."""
    before = set(widget.viewer.layers)
    given = {**shown.options, **options}
    layer = widget.add_result(
        scan, shown.data, shown.quantity, shown.unit, settings=plain_settings(settings),
        result=result, **given,
    )  # fmt: skip
    if given.get("visible", True):
        show_alone(widget.viewer, scan, layer)
    elif layer in before:
        layer.visible = False
    if layer in before and "contrast_limits" in given:
        layer.contrast_limits_range = given["contrast_limits"]
        layer.contrast_limits = given["contrast_limits"]
    return layer


def plain_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a result as plain values, for the layer."""
    from napari_ebsdml.dislocations.settings import Denoise

    return {
        key: repr(value) if isinstance(value, Denoise) else value for key, value in settings.items()
    }
