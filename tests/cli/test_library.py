"""`ebsdml library`: the user's own crystals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from typer.testing import CliRunner

from napari_ebsdml.cli import app
from napari_ebsdml.errors import FileFormatError, InputError
from napari_ebsdml.patterns.crystals.library import Library
from napari_ebsdml.patterns.crystals.master import lambert_directions
from tests.patterns.band_crystals import FCC, bands
from tests.patterns.crystals.crystal_files import write_emsoft_master


def test_add(tmp_path: Path) -> None:
    sphere = bands(3.6, FCC, lambert_directions(60))
    file, out = tmp_path / "alloy.h5", tmp_path / "mine.npz"
    write_emsoft_master(file, np.stack([sphere, sphere]), (15, 20))
    done = CliRunner().invoke(app, ["library", "add", str(out), str(file)])
    assert done.exit_code == 0, done.output
    assert "alloy: fcc, space group 225" in done.output
    made, shipped = Library.load(out), Library.load()
    assert made.names == (*shipped.names, "alloy")
    # Adding to that library again finds the name taken.
    twice = ["library", "add", str(out), str(file), "--library", str(out)]
    assert isinstance(CliRunner().invoke(app, twice).exception, InputError)
    absent = ["library", "add", str(out), str(file), "--library", str(tmp_path / "no.npz")]
    assert isinstance(CliRunner().invoke(app, absent).exception, FileFormatError)
