"""The command line, as a user calls it."""

from __future__ import annotations

import csv
import dataclasses
import sys

import numpy as np
import pytest

import napari_ebsdml as ebsdml
from napari_ebsdml import cli


def run(*arguments: str) -> int:
    """Exit code of ``ebsdml arguments``."""
    sys.argv = ["ebsdml", *map(str, arguments)]
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return stop.value.code or 0


@pytest.fixture
def map_file(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", sys.argv)
    path = tmp_path / "steel.ctf"
    ebsdml.write(path, ebsdml.samples.dual_phase_steel((48, 64), 0.4, seed=1).scan)
    return path


def test_info_tells_size_and_phase(map_file, capsys):
    assert run("info", map_file) == 0
    printed = capsys.readouterr().out
    assert "48 x 64" in printed
    assert "oxford" in printed


def test_convert_writes_the_same_map(map_file, tmp_path):
    assert run("convert", map_file, tmp_path / "steel.ang") == 0
    before, after = ebsdml.read(map_file), ebsdml.read(tmp_path / "steel.ang")
    np.testing.assert_array_equal(before.is_indexed, after.is_indexed)
    dots = np.abs((before.quaternions * after.quaternions).sum(-1))[before.is_indexed]
    assert dots.min() > 1 - 1e-8


def test_maps_goes_on_after_a_bad_file(map_file, tmp_path, capsys):
    bad = tmp_path / "bad.ang"
    bad.write_text("# junk\n1 2\n")
    assert run("maps", bad, map_file, "-o", tmp_path / "results") == 1
    assert str(bad) in capsys.readouterr().err.replace("\n", "")
    text = (tmp_path / "results" / "summary.csv").read_text(encoding="utf-8")
    (row,) = csv.DictReader(text.splitlines())
    assert row["map"] == "steel"
    assert float(row["mean_gnd_per_m2"]) > 1e12
    with np.load(tmp_path / "results" / "steel.npz") as results:
        scan = ebsdml.read(map_file)
        np.testing.assert_array_equal(results["kam"], ebsdml.kam(scan))


def test_maps_without_slip_systems_have_kam_and_grains(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", sys.argv)
    scan = ebsdml.samples.dual_phase_steel((32, 32), 0.4, seed=1).scan
    phases = scan.phases.deepcopy()
    for number in phases.ids:
        phases[number].space_group = 221
        phases[number].name = f"odd{number}"
    ebsdml.write(tmp_path / "odd.ctf", dataclasses.replace(scan, phases=phases))
    assert run("maps", tmp_path / "odd.ctf", "-o", tmp_path / "results") == 0
    assert "slip systems" in capsys.readouterr().err.replace("\n", " ")
    text = (tmp_path / "results" / "summary.csv").read_text(encoding="utf-8")
    (row,) = csv.DictReader(text.splitlines())
    assert int(row["grains"]) > 0
    assert "odd" in row["note"]
    with np.load(tmp_path / "results" / "odd.npz") as results:
        assert np.isnan(results["gnd"]).all()
        assert np.isfinite(results["kam"]).any()


def test_an_error_is_one_line_and_an_exit_code(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", sys.argv)
    assert run("convert", tmp_path / "none.ctf", tmp_path / "x.ang") == 1
    assert "there is no such file" in capsys.readouterr().err.replace("\n", " ")
