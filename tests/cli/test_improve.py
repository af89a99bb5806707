"""`ebsdml improve` and `ebsdml density --improve`, as a user calls them."""

from __future__ import annotations

import csv
from pathlib import Path

import kikuchipy
import numpy as np
import pytest

import napari_ebsdml as ebsdml
from tests.cli.test_commands import run

NICKEL = Path(kikuchipy.__file__).parent / "data" / "kikuchipy_h5ebsd" / "patterns.h5"


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text("utf-8").splitlines()))


def test_improved_maps_are_files_that_tell_their_noise(tmp_path: Path, capsys) -> None:
    assert run("improve", NICKEL, "-o", tmp_path) == 0
    assert "deg after" in " ".join(capsys.readouterr().out.split())
    row = rows_of(tmp_path / "summary.csv")[0]
    want = ebsdml.improve_orientations(ebsdml.read_all(NICKEL)[0])
    assert float(row["noise_after_deg"]) == pytest.approx(want.orientation_noise[0], rel=1e-3)
    assert float(row["improved_percent"]) == round(100 * want.improved.mean(), 2)
    # These nine were refined before, and are too few to do better.
    assert "keep them" in want.sentence
    assert not want.worthwhile
    file = next(tmp_path.glob("*-improved.h5"))
    found = ebsdml.read(file)
    assert np.abs((found.quaternions * want.scan.quaternions).sum(-1)) == pytest.approx(1, abs=1e-5)
    # Densities of the file use its noise.
    gnd = ebsdml.gnd_density(found)
    assert next(iter(gnd.orientation_noise.values())) == pytest.approx(
        want.orientation_noise[0], rel=1e-2
    )


def test_another_pattern_centre(tmp_path: Path, capsys) -> None:
    assert run("improve", NICKEL, "-o", tmp_path, "--pattern-centre", "0.42,0.22,0.5") == 0
    assert run("improve", NICKEL, "-o", tmp_path, "--pattern-centre", "0.42,0.22") == 1
    assert "three numbers" in " ".join(capsys.readouterr().err.split())


def test_density_improves_first(tmp_path: Path) -> None:
    assert run("density", NICKEL, "-o", tmp_path, "--improve", "--json") == 0
    notes = [row["note"] for row in rows_of(tmp_path / "summary.csv")]
    assert all("deg before" in note for note in notes)
