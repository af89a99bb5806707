"""`ebsdml info` and `ebsdml convert`: what files hold, and other formats."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from napari_ebsdml.cli._app import Frame, app, complain, out, say, warn
from napari_ebsdml.errors import EbsdmlError


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
            complain(error)
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
    target: Annotated[
        Path, typer.Argument(help="File to write: .ang, .ctf, .h5 (orix) or .ome.zarr.")
    ],
    scan: Annotated[str | None, typer.Option(help="Which scan of the file, by name.")] = None,
    frame: Frame = None,
) -> None:
    """Convert a map to another format."""
    import napari_ebsdml as ebsdml

    result = ebsdml.read(source, scan=scan, ref_frame=frame)
    for warning in result.source.warnings:
        warn(warning)
    ebsdml.write(target, result)
    say(f"{target}: {result!r}")
