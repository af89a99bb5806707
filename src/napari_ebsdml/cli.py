"""`ebsdml` on the command line: for many maps, or machines without a screen."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from napari_ebsdml.errors import EbsdmlError

app = typer.Typer(
    help="EBSD maps from any vendor's file, and what machine learning makes of them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
out = Console()
err = Console(stderr=True)

Frame = Annotated[
    str | None,
    typer.Option(help="Frame of the Euler angles instead of the vendor's: edax, oxford, map."),
]


@app.command()
def info(
    files: Annotated[list[Path], typer.Argument(help="Maps or pattern files.")],
    frame: Frame = None,
) -> None:
    """Say what is in each file: size, step, phases, properties, and what to be careful about."""
    import napari_ebsdml as ebsdml

    failed = False
    for path in files:
        try:
            scans = ebsdml.read_all(path, ref_frame=frame)
        except EbsdmlError as error:
            err.print(f"[red]{error}[/]", highlight=False, soft_wrap=True)
            failed = True
            continue
        for scan in scans:
            table = Table(title=scan.name, show_header=False, title_justify="left")
            rows, columns = scan.shape
            table.add_row("format", scan.source.format)
            table.add_row("pixels", f"{rows} x {columns}")
            table.add_row("step", f"{scan.step[0]:g} x {scan.step[1]:g} um (y, x)")
            table.add_row("indexed", f"{100 * scan.is_indexed.mean():.1f} %")
            for number, phase in scan.phases:
                share = 100 * (scan.phase_id == number).mean()
                group = phase.space_group.short_name if phase.space_group else None
                symmetry = group or (phase.point_group.name if phase.point_group else "unknown")
                table.add_row(f"phase {number}", f"{phase.name}, {symmetry}, {share:.1f} %")
            table.add_row("properties", ", ".join(scan.prop) or "none")
            if scan.patterns is not None:
                table.add_row("patterns", "{} x {} px".format(*scan.patterns.shape[2:]))
            table.add_row("reference frame", scan.source.reference_frame)
            for warning in scan.source.warnings:
                table.add_row("note", warning)
            out.print(table)
    if failed:
        raise typer.Exit(1)


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(help="File to read.")],
    target: Annotated[Path, typer.Argument(help="File to write: .ang, .ctf or .h5 (orix).")],
    scan: Annotated[str | None, typer.Option(help="Which scan of the file, by name.")] = None,
    frame: Frame = None,
) -> None:
    """Convert a map to another format."""
    import napari_ebsdml as ebsdml

    result = ebsdml.read(source, scan=scan, ref_frame=frame)
    for warning in result.source.warnings:
        err.print(f"[yellow]{warning}[/]", highlight=False, soft_wrap=True)
    ebsdml.write(target, result)
    out.print(f"{target}: {result!r}", highlight=False, soft_wrap=True)


@app.command()
def maps(
    files: Annotated[list[Path], typer.Argument(help="Maps.")],
    output: Annotated[Path, typer.Option("-o", help="Folder for the results.")] = Path(),
    kam_order: Annotated[int, typer.Option(help="Order of the KAM's square kernel.")] = 1,
    threshold: Annotated[float, typer.Option(help="Grain boundary angle in degrees.")] = 3.0,
    gnd: Annotated[bool, typer.Option(help="GND density as well.")] = True,
    frame: Frame = None,
) -> None:
    """Compute KAM, grains and GND density of many maps.

    Each map becomes NAME.npz (kam in degrees, grains, gnd in 1/m^2, step in um), and one line of
    summary.csv. A map that fails is told and the others go on.
    """
    import csv

    from rich.progress import Progress

    output.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, object]] = []
    failed = False
    with Progress(console=err) as bar:
        task = bar.add_task("maps", total=len(files))
        for path in files:
            try:
                rows += _map_results(path, output, kam_order, threshold, gnd, frame)
            except EbsdmlError as error:
                err.print(f"[red]{error}[/]", highlight=False, soft_wrap=True)
                failed = True
            bar.advance(task)
    if rows:
        with (output / "summary.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)))
            writer.writeheader()
            writer.writerows(rows)
        out.print(f"{output / 'summary.csv'}: {len(rows)} maps", highlight=False)
    if failed:
        raise typer.Exit(1)


def _map_results(
    path: Path, output: Path, kam_order: int, threshold: float, gnd: bool, frame: str | None
) -> list[dict[str, object]]:
    import numpy as np

    import napari_ebsdml as ebsdml

    rows: list[dict[str, object]] = []
    for scan in ebsdml.read_all(path, ref_frame=frame):
        kam = ebsdml.kam(scan, order=kam_order, threshold=threshold)
        grains = ebsdml.segment_grains(scan, threshold=threshold)
        results: dict[str, Any] = {"kam": kam, "grains": grains, "step": np.array(scan.step)}
        row: dict[str, object] = {
            "map": scan.name,
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
            density = ebsdml.gnd_density(scan, grains=grains)
            results["gnd"] = density.total
            row["mean_gnd_per_m2"] = f"{np.nanmean(density.total):.4g}"
            row["orientation_noise_deg"] = ", ".join(
                f"{noise:.3g}" for noise in density.orientation_noise.values()
            )
        np.savez_compressed(output / f"{scan.name}.npz", **results)
        rows.append(row)
    return rows


def main() -> None:
    """Run the command line; the package's own errors become one line and exit code 1."""
    try:
        app()
    except EbsdmlError as error:
        err.print(f"[red]{error}[/]", highlight=False, soft_wrap=True)
        raise SystemExit(1) from None
