"""`ebsdml density`: total dislocation density of many maps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_ebsdml._parallel import part_of
from napari_ebsdml.cli._app import Files, Frame, Output, Row, app, over_maps, warn, write_arrays

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan


@app.command()
def density(
    files: Files,
    output: Output = Path(),
    model: Annotated[
        str, typer.Option(help="Name of a shipped model, or a model file.")
    ] = "default",
    threshold: Annotated[float, typer.Option(help="Grain boundary angle in degrees.")] = 3.0,
    plane_thickness: Annotated[
        float | None, typer.Option(help="Depth in um that patterns come from. Default: 0.03 or so.")
    ] = None,
    extrapolate: Annotated[
        bool, typer.Option(help="Averages count pixels out of the model's range, too.")
    ] = False,
    frame: Frame = None,
) -> None:
    """Estimate the total dislocation density of many maps.

    Each map becomes NAME-density.npz: mean, median, std, low and high (90 % interval) and gnd in
    1/m^2, n_lines, in_range, valid, step in um. dislocations.csv has the averages of each phase
    with the Taylor stress of metals that are recognised. A map that fails is told and the others
    go on.
    """
    from napari_ebsdml.dislocations.model import DislocationModel

    # Once, and first: a model that cannot be loaded should not cost a computation.
    loaded = DislocationModel.load(model)

    def work(scan: Scan, path: Path, progress: Callable[[float], None]) -> list[Row]:
        import numpy as np

        import napari_ebsdml as ebsdml
        from napari_ebsdml.dislocations.averages import density_averages, material_of_phase

        grains = ebsdml.segment_grains(scan, threshold=threshold)
        gnd = ebsdml.gnd_density(scan, grains=grains)
        for note in gnd.notes:
            warn(f"{scan.name}: {note}")
        progress(0.3)
        options = {} if plane_thickness is None else {"plane_thickness": plane_thickness}
        total = ebsdml.total_dislocation_density(
            gnd, loaded, **options, progress=part_of(progress, 0.3)
        )
        write_arrays(
            path.with_name(f"{path.name}-density"), mean=total.mean, median=total.median,
            std=total.std, low=total.interval[..., 0], high=total.interval[..., 1], gnd=total.gnd,
            n_lines=total.n_lines, in_range=total.in_range, valid=total.valid,
            step=np.array(scan.step),
        )  # fmt: skip
        found = {n: material_of_phase(phase) for n, phase in scan.phases if n >= 0}
        table = density_averages(
            total, gnd, "phase", {n: m for n, m in found.items() if m is not None},
            window=2 * loaded.network.radius + 1, extrapolate=extrapolate,
        )  # fmt: skip
        number = len(next(iter(table.values())))
        return [{column: values[n] for column, values in table.items()} for n in range(number)]

    over_maps(files, output, frame, "dislocation density", work, "dislocations.csv")
