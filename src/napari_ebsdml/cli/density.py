"""`ebsdml gnd` and `ebsdml density`: dislocation densities of many maps."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
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
    say,
    warn,
    warn_of_steps,
    write_arrays,
)
from napari_ebsdml.cli._options import SlipSystemsOption, slip_systems_of, takes_settings
from napari_ebsdml.dislocations.settings import (
    DensitySettings,
    GndSettings,
    TaylorSettings,
    TotalSettings,
)

if TYPE_CHECKING:
    from napari_ebsdml.dislocations.article import ArticleDensity
    from napari_ebsdml.dislocations.gnd import GndDensity
    from napari_ebsdml.scan import Scan

_GND_SHARE = 0.3


@app.command()
@takes_settings(grain_threshold="--threshold")
def gnd(
    files: Files,
    how: GndSettings,
    output: Output = Path(),
    slip_systems: SlipSystemsOption = None,
    orientation_noise: Annotated[
        float | None, typer.Option(help="Degrees about each axis; default: measured in the map.")
    ] = None,
    common_step: Annotated[
        float | None,
        typer.Option(help="Step in um at which all maps are compared, from their sub-sampling."),
    ] = None,
    frame: Frame = None,
) -> None:
    """Compute the GND density of many maps.

    Each map becomes NAME-gnd.npz: total, energy (weighted by line energy) and noise_floor in
    1/m^2, above_noise, grains, nye (known components in 1/um, else NaN), step in um. gnd.csv has
    the averages of each phase, without the noise and with it. A map that fails is told and the
    others go on.
    """
    how = dataclasses.replace(how, slip_systems=slip_systems_of(slip_systems))
    steps: set[float] = set()

    def work(scan: Scan, path: Path, progress: Callable[[float], None]) -> list[Row]:
        import numpy as np

        from napari_ebsdml.dislocations.averages import gnd_averages

        found = _gnd(scan, how, progress, orientation_noise)
        steps.add(scan.step[1])
        write_arrays(
            path.with_name(f"{path.name}-gnd"), total=found.total, energy=found.energy,
            noise_floor=found.noise_floor, above_noise=found.above_noise, grains=found.grains,
            nye=found.nye.astype(np.float32), step=np.array(scan.step),
        )  # fmt: skip
        rows = _rows(gnd_averages(found, "phase"))
        if common_step is not None:
            whole = found.step_dependence().at(common_step)
            rows[0][f"whole map at {common_step:g} µm [1/m²]"] = whole
        return rows

    try:
        over_maps(files, output, frame, "GND density", work, "gnd.csv")
    finally:
        if common_step is None:
            warn_of_steps(steps)


@app.command()
@takes_settings(grain_threshold="--threshold")
def density(
    files: Files,
    settings: TotalSettings,
    taylor: TaylorSettings,
    output: Output = Path(),
    model: Annotated[
        str, typer.Option(help="Name of a shipped model, or a model file.")
    ] = "default",
    by: Annotated[str, typer.Option(help="Rows of the table: map, phase or grain.")] = "phase",
    slip_systems: SlipSystemsOption = None,
    frame: Frame = None,
) -> None:
    """Estimate the total dislocation density of many maps from their orientations.

    Each map becomes NAME-density.npz: density (NaN where the map does not tell it), low and high
    (90 % interval) in 1/m^2, measurable, limit in 1/m^2, step in um. dislocations.csv has the
    averages with the Taylor stress of metals that are recognised. One sentence a map says what
    it tells. A map that fails is told and the others go on.
    """
    from napari_ebsdml.dislocations.total.model import TotalDensityModel

    # Once, and first: a model that cannot be loaded should not cost a computation.
    loaded = TotalDensityModel.load(model)
    systems = slip_systems_of(slip_systems)

    def work(scan: Scan, path: Path, progress: Callable[[float], None]) -> list[Row]:
        import numpy as np

        import napari_ebsdml as ebsdml

        rho = ebsdml.total_dislocation_density(
            scan, model=loaded, by=by, slip_systems=systems, progress=progress,
            **settings.arguments(),
        )  # fmt: skip
        write_arrays(
            path.with_name(f"{path.name}-density"), density=rho.density,
            low=rho.interval[..., 0], high=rho.interval[..., 1], measurable=rho.measurable,
            limit=np.array(rho.limit), step=np.array(scan.step),
        )  # fmt: skip
        sentence = rho.average().sentence
        say(f"{scan.name}: {sentence}")
        rows = _rows(rho.averages(by, _metals(scan), taylor.friction))
        return [{**row, "note": sentence} for row in rows or [{}]]

    over_maps(files, output, frame, "dislocation density", work, "dislocations.csv")


@app.command()
@takes_settings(grain_threshold="--threshold")
def article_density(
    files: Files,
    how: GndSettings,
    settings: DensitySettings,
    taylor: TaylorSettings,
    output: Output = Path(),
    slip_systems: SlipSystemsOption = None,
    frame: Frame = None,
) -> None:
    """Estimate dislocation densities of many maps the article's way, from their GND.

    Each map becomes NAME-density.npz: mean, median, std, low and high (the interval) and gnd in
    1/m^2, n_lines, in_range, valid, step in um. dislocations.csv has the averages of each phase
    with the Taylor stress of metals that are recognised. A map that fails is told and the others
    go on.
    """
    from napari_ebsdml.dislocations.model import DislocationModel

    # Once, and first: a model that cannot be loaded should not cost a computation.
    loaded = DislocationModel.load(settings.model)
    how = dataclasses.replace(how, slip_systems=slip_systems_of(slip_systems))
    arguments = {**settings.arguments(), "model": loaded}

    def work(scan: Scan, path: Path, progress: Callable[[float], None]) -> list[Row]:
        import numpy as np

        import napari_ebsdml as ebsdml
        from napari_ebsdml.dislocations.averages import density_averages

        found = _gnd(scan, how, part_of(progress, 0.0, _GND_SHARE))
        total = ebsdml.article_density(found, **arguments, progress=part_of(progress, _GND_SHARE))
        write_arrays(
            path.with_name(f"{path.name}-density"), mean=total.mean, median=total.median,
            std=total.std, low=total.interval[..., 0], high=total.interval[..., 1], gnd=total.gnd,
            n_lines=total.n_lines, in_range=total.in_range, valid=total.valid,
            step=np.array(scan.step),
        )  # fmt: skip
        rows = _rows(
            density_averages(
                total, found, "phase", _metals(scan),
                taylor.friction, 2 * loaded.network.radius + 1, settings.extrapolate,
            )
        )  # fmt: skip
        missing = _why_missing(total, settings.extrapolate)
        if missing:
            warn(f"{scan.name}: {missing}")
        note = " ".join([*found.notes, missing]).strip()
        return [{**row, "note": note} for row in rows or [{}]]

    over_maps(files, output, frame, "dislocation density", work, "dislocations.csv")


def _gnd(
    scan: Scan,
    how: GndSettings,
    progress: Callable[[float], None],
    noise: float | None = None,
) -> GndDensity:
    import napari_ebsdml as ebsdml

    found: GndDensity = ebsdml.gnd_density(
        scan, **how.arguments(), orientation_noise=noise, progress=progress
    )
    for note in found.notes:
        warn(f"{scan.name}: {note}")
    return found


def _metals(scan: Scan) -> dict[int, str]:
    """Metals that are recognised, by phase id."""
    from napari_ebsdml.dislocations.averages import material_of_phase

    found = {n: material_of_phase(phase) for n, phase in scan.phases if n >= 0}
    return {n: metal for n, metal in found.items() if metal is not None}


def _why_missing(total: ArticleDensity, extrapolate: bool) -> str:
    """Why there is no average of the density, or ""."""
    if not total.valid.any():
        return "No pixel has a density: none has enough measured neighbours in its grain."
    if not extrapolate and not (total.valid & total.in_range).any():
        return (
            f"All {int(total.valid.sum())} pixels with a density lie out of the range that the "
            "model was trained in, so there is no average; --extrapolate counts them."
        )
    return ""


def _rows(table: Mapping[str, Any]) -> list[Row]:
    """Columns as rows."""
    number = len(next(iter(table.values())))
    return [{column: values[n] for column, values in table.items()} for n in range(number)]
