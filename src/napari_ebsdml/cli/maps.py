"""`ebsdml maps`: KAM, grains and GND density of many maps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_ebsdml.cli._app import Files, Frame, Output, Row, app, over_maps, warn, write_arrays
from napari_ebsdml.errors import EbsdmlError

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan


@app.command()
def maps(
    files: Files,
    output: Output = Path(),
    kam_order: Annotated[int, typer.Option(help="Order of the KAM's square kernel.")] = 1,
    threshold: Annotated[float, typer.Option(help="Grain boundary angle in degrees.")] = 3.0,
    gnd: Annotated[bool, typer.Option(help="GND density as well.")] = True,
    frame: Frame = None,
) -> None:
    """Compute KAM, grains and GND density of many maps.

    Each map becomes NAME.npz (kam in degrees, grains, gnd in 1/m^2, step in um), and one line of
    summary.csv. A map that fails is told and the others go on. Where slip systems are not known
    there is no GND density (NaN), and a note says so.
    """

    def work(scan: Scan, path: Path, progress: Callable[[float], None]) -> list[Row]:
        return [_results(scan, path, kam_order, threshold, gnd)]

    over_maps(files, output, frame, "maps", work, "summary.csv")


def _results(scan: Scan, path: Path, kam_order: int, threshold: float, gnd: bool) -> Row:
    import numpy as np

    import napari_ebsdml as ebsdml

    kam = ebsdml.kam(scan, order=kam_order, threshold=threshold)
    grains = ebsdml.segment_grains(scan, threshold=threshold)
    results: dict[str, Any] = {"kam": kam, "grains": grains, "step": np.array(scan.step)}
    row: Row = {
        "rows": scan.shape[0],
        "columns": scan.shape[1],
        "step_um": scan.step[1],
        "indexed": round(float(scan.is_indexed.mean()), 5),
        "grains": int(grains.max()),
        "mean_kam_deg": round(float(kam[scan.is_indexed].mean()), 4)
        if scan.is_indexed.any()
        else "",
    }
    if gnd:
        try:
            density = ebsdml.gnd_density(scan, grains=grains)
        except EbsdmlError as error:  # KAM and grains stand on their own
            warn(f"{scan.name}: {error}")
            results["gnd"] = np.full(scan.shape, np.nan)
            row["note"] = str(error)
        else:
            results["gnd"] = density.total
            known = density.total[np.isfinite(density.total)]
            row["mean_gnd_per_m2"] = f"{known.mean():.4g}" if known.size else ""
            row["orientation_noise_deg"] = ", ".join(
                f"{noise:.3g}" for noise in density.orientation_noise.values()
            )
            for note in density.notes:
                warn(f"{scan.name}: {note}")
            row["note"] = " ".join(density.notes)
    write_arrays(path, **results)
    return row
