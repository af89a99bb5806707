"""Step "gnd": the GND density, with its noise floor."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

import napari_ebsdml as ebsdml
from napari_ebsdml._parallel import Progress
from napari_ebsdml.batching.large.gnd import averages_of_bands, mean_of_bands, nye_of_bands
from napari_ebsdml.batching.large.gnd import gnd_density as in_bands
from napari_ebsdml.batching.pictures import of_values
from napari_ebsdml.batching.step import Outcome, Step, Work
from napari_ebsdml.batching.writing import rows_of_columns
from napari_ebsdml.dislocations.settings import GndSettings, StepSettings

if TYPE_CHECKING:
    from napari_ebsdml.batching.large.store import LargeMap
    from napari_ebsdml.dislocations.gnd.density import GndDensity

TABLE = "gnd.csv"


def run(work: Work) -> Outcome:
    """GND density of a map, and its averages for each phase."""
    from napari_ebsdml.dislocations.averages import gnd_averages

    step = work.of(StepSettings).step or None
    # Needs the map as a whole, which is then mapped from its files.
    work = dataclasses.replace(work, large=None) if step is not None else whole_if_denoised(work)
    found = gnd_of(work, work.progress)
    if work.large is None:
        rows = rows_of_columns(gnd_averages(found, "phase", step))
    else:
        rows = averages_of_bands(work.large, found, step)
    arrays = {
        "total": found.total, "energy": found.energy, "noise_floor": found.noise_floor,
        "above_noise": found.above_noise, "grains": found.grains,
        "nye": _nye(work, found), "step": np.array(work.scan.step),
    }  # fmt: skip
    picture = of_values("GND", found.total, "1/m²", log=True)
    return Outcome(
        gnd_columns(found, work.large), arrays, {}, {TABLE: rows}, found.notes, picture=picture
    )


def whole_if_denoised(work: Work) -> Work:
    """The work without bands where it denoises, which needs the map as a whole."""
    return dataclasses.replace(work, large=None) if work.of(GndSettings).denoise else work


def gnd_of(work: Work, progress: Progress) -> GndDensity:
    """GND density of the scan of some work, by its settings."""
    work, how = whole_if_denoised(work), work.of(GndSettings).arguments()
    if work.large is not None:
        return in_bands(work.large, **how, progress=progress, client=work.client)
    found: GndDensity = ebsdml.gnd_density(work.scan, **how, progress=progress)
    return found


def _nye(work: Work, found: GndDensity) -> Any:
    if work.large is None:
        return found.nye.astype(np.float32)
    return nye_of_bands(work.large, found)


def gnd_columns(density: GndDensity, large: LargeMap | None = None) -> dict[str, Any]:
    """Columns of a map's row: mean without and with the noise, and the noise."""
    known = np.isfinite(density.total)
    if large is None:
        found = density.average()
        mean, (low, high), raw = found.density, found.interval, found.raw_mean
        median = found.median
    else:
        mean, low, high, raw = mean_of_bands(large, density)
        median = float(np.median(density.total[known])) if known.any() else np.nan
    return {
        "mean_gnd_per_m2": f"{mean:.4g}" if known.any() else "",
        "gnd_low_per_m2": f"{low:.4g}",
        "gnd_high_per_m2": f"{high:.4g}",
        "mean_gnd_with_noise_per_m2": f"{raw:.4g}",
        "median_gnd_with_noise_per_m2": f"{median:.4g}",
        "orientation_noise_deg": ", ".join(
            f"{noise:.3g}" for noise in density.orientation_noise.values()
        ),
    }


STEP = Step("gnd", run, "-gnd", (GndSettings, StepSettings), table=TABLE)
