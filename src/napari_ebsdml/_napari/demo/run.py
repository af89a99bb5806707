"""What `napari_ebsdml.demo` runs: a map in a window, and `steps.STORY` on it."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from napari_ebsdml._napari.demo.steps import (
    EXAMPLE,
    EXAMPLE_SEED,
    EXAMPLE_SHAPE,
    STORY,
    show_chapter,
)
from napari_ebsdml._napari.files.recovery import FOLDER_VARIABLE
from napari_ebsdml.errors import EbsdmlError
from napari_ebsdml.scan import Scan

if TYPE_CHECKING:
    import napari

_PLUGIN = "napari-ebsdml"
DEFAULT_FOLDER = Path("demo")
_SCREEN = "-screen 0 1600x1000x24"
_WINDOW = (1600, 1000)


def write_example(folder: Path) -> Path:
    """A synthetic dual-phase steel as the .ctf file that an Oxford system would have saved."""
    from napari_ebsdml import write
    from napari_ebsdml.samples import dual_phase_steel

    scan, *_ = dual_phase_steel(shape=EXAMPLE_SHAPE, seed=EXAMPLE_SEED)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{EXAMPLE}.ctf"
    write(path, scan)
    return path


def open_map(path: Path) -> tuple[napari.Viewer, Scan]:
    """Viewer with the layers of a map, and the first scan in it."""
    import napari

    from napari_ebsdml._napari.layers.of_scans import scans_in
    from napari_ebsdml.io import format_of

    if not path.is_dir():
        # Says more about a file that nobody reads than napari does.
        format_of(path)
    viewer = napari.Viewer(title=f"napari-ebsdml: {path.name}")
    viewer.window.resize(*_WINDOW)
    try:
        viewer.open(path, plugin="napari-ebsdml")
    except EbsdmlError:
        viewer.close()
        raise
    return viewer, scans_in(viewer)[0]


def save_screenshot(viewer: napari.Viewer, path: Path) -> None:
    """Picture of the whole window."""
    from qtpy.QtWidgets import QApplication

    path.parent.mkdir(parents=True, exist_ok=True)
    # Layers arrive in the canvas through the event loop.
    for _ in range(10):
        QApplication.processEvents()
    viewer.screenshot(str(path), canvas_only=False, flash=False)


def _has_display() -> bool:
    if not sys.platform.startswith("linux"):
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def _nobody_looks() -> bool:
    """Whether the display is a virtual one that xvfb-run made."""
    return "xvfb-run" in os.environ.get("XAUTHORITY", "")


def _run_under_xvfb(arguments: Sequence[str]) -> int:
    """The same demo on a virtual display; its exit status."""
    runner = shutil.which("xvfb-run")
    if runner is None:
        sys.stderr.write(
            "There is no display, and xvfb-run (Debian and Ubuntu: apt install xvfb) is not "
            "installed to make a virtual one.\n"
        )
        return 1
    command = [
        runner,
        "-a",
        "-s",
        _SCREEN,
        sys.executable,
        "-m",
        "napari_ebsdml.demo",
        *arguments,
    ]
    return subprocess.call(command)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m napari_ebsdml.demo", description="The plugin at work in napari."
    )
    parser.add_argument("map", nargs="?", type=Path, help="EBSD file; default: a synthetic steel")
    parser.add_argument("--screenshot", type=Path, metavar="PATH", help="save a picture and quit")
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="keep the map and a picture of each job here"
    )
    parser.add_argument("--quit", action="store_true", help="close the window when all is shown")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; the return value is the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(given)
    if not _has_display():
        return _run_under_xvfb(given)

    import napari

    leave = options.quit or options.screenshot is not None or _nobody_looks()
    output = options.output
    if output is None and leave and options.screenshot is None:
        output = DEFAULT_FOLDER
    with tempfile.TemporaryDirectory() as folder:
        # What earlier windows left behind is no part of the demo, nor are its strokes the user's.
        os.environ.setdefault(FOLDER_VARIABLE, str(Path(folder) / "data"))
        try:
            path = options.map or write_example(output or Path(folder))
            viewer, scan = open_map(path)
        except EbsdmlError as error:
            sys.stderr.write(f"{error}\n")
            return 1
        sys.stdout.write(f"{scan!r}\n")
        for chapter in STORY:
            show_chapter(viewer, scan, chapter)
            if output is not None:
                picture = output / f"{chapter.picture}.png"
                save_screenshot(viewer, picture)
                sys.stdout.write(f"saved {picture}\n")
        if options.screenshot is not None:
            save_screenshot(viewer, options.screenshot)
            sys.stdout.write(f"saved {options.screenshot}\n")
        if leave:
            viewer.close()
        else:
            napari.run()
    return 0
