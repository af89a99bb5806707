"""`ebsdml parents`, as a user calls it."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

import napari_ebsdml as ebsdml
from tests.cli.test_commands import run


def test_parents_of_a_file(tmp_path: Path, monkeypatch) -> None:
    sample = ebsdml.samples.martensite((100, 140), 3)
    ebsdml.write(tmp_path / "steel.ctf", sample.scan)
    out = tmp_path / "out"
    assert run("parents", tmp_path / "steel.ctf", "-o", out, "--child-phase", "Iron bcc") == 0
    (row,) = csv.DictReader((out / "summary.csv").read_text("utf-8").splitlines())
    assert int(row["parents"]) >= 1
    assert float(row["deg_from_Kurdjumov-Sachs"]) < 1
    parents = list(csv.DictReader((out / "parents.csv").read_text("utf-8").splitlines()))
    assert len(parents) == int(row["parents"])
    with np.load(out / "steel-parents.npz") as found:
        assert found["parent_id"].shape == (100, 140)
        assert found["parent_id"].max() == len(parents)
    assert run("parents", tmp_path / "steel.ctf", "-o", out, "--child-phase", "gold") == 1
