"""`ebsdml gnd` and `ebsdml density`: dislocation densities of many maps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_ebsdml.cli._app import Frame, app
from napari_ebsdml.cli._batch import BatchOptions, Files, Output, run_batch
from napari_ebsdml.cli._options import SlipSystemsOption, slip_systems_of, takes_settings
from napari_ebsdml.dislocations.settings import (
    DensitySettings,
    GndSettings,
    StepSettings,
    TaylorSettings,
    TotalSettings,
)


@app.command()
@takes_settings(grain_threshold="--threshold", step="--common-step")
def gnd(
    files: Files,
    chosen: GndSettings,
    compare: StepSettings,
    how: BatchOptions,
    output: Output = Path(),
    slip_systems: SlipSystemsOption = None,
    frame: Frame = None,
) -> None:
    """Compute the GND density of many maps.

    Each map becomes NAME-gnd.npz: total, energy (weighted by line energy) and noise_floor in
    1/m^2, above_noise, grains, nye (known components in 1/um, else NaN), step in um. gnd.csv has
    the averages of each phase, without the noise and with it; with --step also at that step. A map
    that fails is told and the others go on.
    """
    own = {"slip_systems": slip_systems_of(slip_systems)}
    run_batch(files, [("gnd", [chosen, compare, own])], output, how, frame, "GND density",
              compare_gnd=not compare.step)  # fmt: skip


@app.command()
@takes_settings(grain_threshold="--threshold")
def density(
    files: Files,
    settings: TotalSettings,
    taylor: TaylorSettings,
    how: BatchOptions,
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
    own = {"model": model, "by": by, "slip_systems": slip_systems_of(slip_systems)}
    step = ("density", [settings, taylor, own])
    run_batch(files, [step], output, how, frame, "dislocation density")


@app.command()
@takes_settings(grain_threshold="--threshold")
def article_density(
    files: Files,
    gnd: GndSettings,
    settings: DensitySettings,
    taylor: TaylorSettings,
    how: BatchOptions,
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
    own = {"slip_systems": slip_systems_of(slip_systems)}
    step = ("article-density", [gnd, settings, taylor, own])
    run_batch(files, [step], output, how, frame, "dislocation density")
