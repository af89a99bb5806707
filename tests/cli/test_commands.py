"""The command line, as a user calls it."""

from __future__ import annotations

import csv
import dataclasses
import json
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
    failed, row = csv.DictReader(text.splitlines())
    assert failed["map"] == "bad"
    assert str(bad) in failed["error"]
    assert row["map"] == "steel"
    assert row["error"] == ""
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


def rows_of(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_an_unexpected_error_in_one_map_is_a_row_and_the_others_go_on(
    map_file, tmp_path, capsys, monkeypatch
):
    other = tmp_path / "other.ctf"
    other.write_bytes(map_file.read_bytes())
    from napari_ebsdml.batching import one_file

    keep = one_file.write_arrays

    def broken(path, arrays):
        if path.name == "steel.npz":
            raise ZeroDivisionError("of a kind that nobody foresaw")
        keep(path, arrays)

    monkeypatch.setattr(one_file, "write_arrays", broken)
    results = tmp_path / "results"
    assert run("maps", map_file, other, "--no-gnd", "-o", results) == 1
    assert "unexpected ZeroDivisionError" in capsys.readouterr().err.replace("\n", " ")
    rows = rows_of(results / "summary.csv")
    assert [row["map"] for row in rows] == ["steel", "other"]
    assert "nobody foresaw" in rows[0]["error"]
    assert int(rows[1]["grains"]) > 0
    assert [p.name for p in results.glob("*.npz")] == ["other.npz"]
    assert not list(results.glob(".*"))


def test_stopping_leaves_what_was_done(map_file, tmp_path, capsys, monkeypatch):
    files = [map_file]
    for k in range(3):
        files.append(tmp_path / f"copy{k}.ctf")
        files[-1].write_bytes(map_file.read_bytes())
    savez = np.savez_compressed
    written = []

    def interrupted(file, **arrays):
        written.append(file)
        if len(written) == 3:
            file.write(b"half a file")
            raise KeyboardInterrupt
        savez(file, **arrays)

    monkeypatch.setattr(np, "savez_compressed", interrupted)
    results = tmp_path / "results"
    assert run("maps", *files, "--no-gnd", "-o", results) == 130
    assert "2 maps" in capsys.readouterr().err
    assert [row["map"] for row in rows_of(results / "summary.csv")] == ["steel", "copy0"]
    assert sorted(p.name for p in results.glob("*.npz")) == ["copy0.npz", "steel.npz"]
    assert not list(results.glob(".*"))
    with np.load(results / "copy0.npz") as arrays:
        assert arrays["kam"].shape == (48, 64)
    assert json.loads((results / "run.json").read_text("utf-8"))["state"] == "stopped"

    # Going on does the other two, and prints all.
    monkeypatch.setattr(np, "savez_compressed", savez)
    before = (results / "steel.npz").stat().st_mtime_ns
    capsys.readouterr()
    assert run("maps", *files, "--no-gnd", "-o", results, "--resume", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["files_done_before"] == 2
    assert [row["map"] for row in told["maps"]] == ["steel", "copy0", "copy1", "copy2"]
    assert (results / "steel.npz").stat().st_mtime_ns == before
    assert json.loads((results / "run.json").read_text("utf-8"))["state"] == "finished"


@pytest.mark.filterwarnings("always::UserWarning")
def test_what_a_format_cannot_hold_is_one_line(map_file, tmp_path, capsys):
    source = tmp_path / "source.h5"
    scan = ebsdml.read(map_file)
    ebsdml.write(source, scan.with_property("Euler1", scan.get("BC")))
    assert run("convert", source, tmp_path / "target.ctf") == 0
    (line,) = (line for line in capsys.readouterr().err.splitlines() if "Euler1" in line)
    assert line.startswith("target.ctf: property 'Euler1' was written as 'Euler1_property'")


def test_help_tells_every_frame(capsys, monkeypatch):
    from napari_ebsdml.io.frames import FRAMES

    monkeypatch.setattr(sys, "argv", sys.argv)
    assert run("maps", "--help") == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in FRAMES)
