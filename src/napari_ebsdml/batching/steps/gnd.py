"""Step "gnd": the GND density, with its noise floor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import napari_ebsdml as ebsdml
from napari_ebsdml._parallel import Progress
from napari_ebsdml.batching.pictures import of_values
from napari_ebsdml.batching.step import Outcome, Step, Work
from napari_ebsdml.batching.writing import rows_of_columns
from napari_ebsdml.dislocations.settings import GndSettings, StepSettings

if TYPE_CHECKING:
    from napari_ebsdml.dislocations.gnd.density import GndDensity

TABLE = "gnd.csv"


def run(work: Work) -> Outcome:
    """GND density of a map, and its averages for each phase."""
    from napari_ebsdml.dislocations.averages import gnd_averages

    found = gnd_of(work, work.progress)
    arrays = {
        "total": found.total, "energy": found.energy, "noise_floor": found.noise_floor,
        "above_noise": found.above_noise, "grains": found.grains,
        "nye": found.nye.astype(np.float32), "step": np.array(work.scan.step),
    }  # fmt: skip
    step = work.of(StepSettings).step or None
    rows = rows_of_columns(gnd_averages(found, "phase", step))
    picture = of_values("GND", found.total, "1/m²", log=True)
    return Outcome(gnd_columns(found), arrays, {}, {TABLE: rows}, found.notes, picture=picture)


def gnd_of(work: Work, progress: Progress) -> GndDensity:
    """GND density of the scan of some work, by its settings."""
    found: GndDensity = ebsdml.gnd_density(
        work.scan, **work.of(GndSettings).arguments(), progress=progress
    )
    return found


def gnd_columns(density: GndDensity) -> dict[str, Any]:
    """Columns of a map's row: mean without and with the noise, and the noise."""
    known = density.total[np.isfinite(density.total)]
    mean = density.average()
    low, high = mean.interval
    return {
        "mean_gnd_per_m2": f"{mean.density:.4g}" if known.size else "",
        "gnd_low_per_m2": f"{low:.4g}",
        "gnd_high_per_m2": f"{high:.4g}",
        "mean_gnd_with_noise_per_m2": f"{mean.raw_mean:.4g}",
        "median_gnd_with_noise_per_m2": f"{mean.median:.4g}",
        "orientation_noise_deg": ", ".join(
            f"{noise:.3g}" for noise in density.orientation_noise.values()
        ),
    }


STEP = Step("gnd", run, "-gnd", (GndSettings, StepSettings), table=TABLE)
