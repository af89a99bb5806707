"""`ebsdml maps`: KAM, grains, boundaries and the like of many maps, with their GND density."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_ebsdml._parallel import part_of
from napari_ebsdml.cli._app import (
    Files,
    Frame,
    Output,
    Row,
    app,
    over_maps,
    warn,
    warn_of_steps,
    write_arrays,
)
from napari_ebsdml.cli._options import takes_settings
from napari_ebsdml.errors import EbsdmlError
from napari_ebsdml.maps.settings import MapSettings

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan

_GND_SHARE = 0.5


@app.command()
@takes_settings()
def maps(
    files: Files,
    chosen: MapSettings,
    output: Output = Path(),
    threshold: Annotated[
        float | None,
        typer.Option(help="Angle in degrees for KAM and grains alike, in place of both."),
    ] = None,
    gnd: Annotated[bool, typer.Option(help="GND density as well; see ebsdml gnd.")] = True,
    frame: Frame = None,
) -> None:
    """Compute KAM, grains, boundaries and GND density of many maps.

    Each map becomes NAME.npz (an array for each map that is chosen, by the name of its option:
    kam in degrees, grains ...; gnd in 1/m^2, step in um), and one line of summary.csv. A map that
    fails is told and the others go on.
    """
    if threshold is not None:
        chosen = dataclasses.replace(chosen, kam_threshold=threshold, grain_threshold=threshold)

    steps: set[float] = set()

    def work(scan: Scan, path: Path, progress: Callable[[float], None]) -> list[Row]:
        steps.add(scan.step[1])
        return [_results(scan, path, chosen, gnd, progress)]

    try:
        over_maps(files, output, frame, "maps", work, "summary.csv")
    finally:
        if gnd:
            warn_of_steps(steps)


def _results(
    scan: Scan, path: Path, chosen: MapSettings, gnd: bool, progress: Callable[[float], None]
) -> Row:
    import numpy as np

    import napari_ebsdml as ebsdml
    from napari_ebsdml.maps import compute_maps

    results: dict[str, Any] = {"step": np.array(scan.step)}
    row: Row = {
        "rows": scan.shape[0],
        "columns": scan.shape[1],
        "step_um": scan.step[1],
        "indexed": round(float(scan.is_indexed.mean()), 5),
    }
    grains = None
    share = 1 - _GND_SHARE * gnd
    for found in compute_maps(scan, chosen, part_of(progress, 0.0, share)):
        if isinstance(found, str):
            continue
        results[found.name] = found.data
        grains = found.grains if found.grains is not None else grains
    if "grains" in results:
        row["grains"] = int(results["grains"].max())
    if "kam" in results:
        known = results["kam"][scan.is_indexed]
        row["mean_kam_deg"] = round(float(known.mean()), 4) if known.size else ""
    if gnd:
        try:
            density = ebsdml.gnd_density(
                scan, grains=grains, grain_threshold=chosen.grain_threshold,
                min_pixels=chosen.grain_min_pixels, progress=part_of(progress, share),
            )  # fmt: skip
        except EbsdmlError as error:  # the other maps stand on their own
            warn(f"{scan.name}: {error}")
            results["gnd"] = np.full(scan.shape, np.nan)
            row["note"] = str(error)
        else:
            results["gnd"] = density.total
            known = density.total[np.isfinite(density.total)]
            mean = density.average()
            row["mean_gnd_per_m2"] = f"{mean.density:.4g}" if known.size else ""
            row["gnd_low_per_m2"], row["gnd_high_per_m2"] = (f"{v:.4g}" for v in mean.interval)
            row["mean_gnd_with_noise_per_m2"] = f"{mean.raw_mean:.4g}"
            row["median_gnd_with_noise_per_m2"] = f"{mean.median:.4g}"
            row["orientation_noise_deg"] = ", ".join(
                f"{noise:.3g}" for noise in density.orientation_noise.values()
            )
            for note in density.notes:
                warn(f"{scan.name}: {note}")
            row["note"] = " ".join(density.notes)
    write_arrays(path, **results)
    return row
