"""Tables over all maps, and run.json: made again from the records after every file."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_ebsdml._atomic import write_atomic
from napari_ebsdml.batching.files import RUN, MapFile
from napari_ebsdml.batching.one_file import read_rows
from napari_ebsdml.batching.step import BoundStep
from napari_ebsdml.batching.writing import write_table
from napari_ebsdml.io.provenance import plain, versions

SUMMARY = "summary.csv"
_SHARE = 0.05
"""Part of the time that writing tables may take while a batch runs."""


class Tables:
    """summary.csv, with a row for each map, and the tables of steps.

    Parameters
    ----------
    output
        Folder of the results.
    steps
    """

    def __init__(self, output: Path, steps: Sequence[BoundStep]) -> None:
        self.output, self.steps = output, steps
        self._records: dict[int, Mapping[str, Any]] = {}
        self._lasted, self._written = 0.0, float("-inf")
        self._waiting = False

    def add(self, number: int, record: Mapping[str, Any]) -> None:
        """Put the maps of a file into the tables, at its place."""
        self._records[number] = record
        self._waiting = True

    def write(self, at_once: bool = True) -> bool:
        """Write all tables; not at once, only when the last time is long enough ago.

        Raises
        ------
        WriteError
            When a table cannot be written.
        """
        # A table of a million grains is not written again after each of a thousand maps.
        waits = time.monotonic() - self._written < self._lasted / _SHARE
        if not self._waiting or (waits and not at_once):
            return False
        begun = time.monotonic()
        rows = self.rows()
        if rows:
            write_table(self.output / SUMMARY, rows)
        for table in self._names():
            write_table(self.output / table, self._rows_of(table))
        self._written = time.monotonic()
        self._lasted = self._written - begun
        self._waiting = False
        return True

    def records(self) -> list[Mapping[str, Any]]:
        """Records of the files, in their order."""
        return [self._records[number] for number in sorted(self._records)]

    def rows(self) -> list[dict[str, Any]]:
        """The summary's rows, in the order of the files."""
        return [row for record in self.records() for row in rows_of(record)]

    def _maps(self) -> Iterable[Mapping[str, Any]]:
        for record in self.records():
            yield from record["maps"]

    def _names(self) -> list[str]:
        """Tables that are to be written."""
        found = {step.step.table: None for step in self.steps if step.step.table is not None}
        for one in self._maps():
            for entry in one["steps"].values():
                found |= dict.fromkeys(entry["tables"])
        return list(found)

    def _rows_of(self, table: str) -> list[dict[str, Any]]:
        needed = any(step.step.table == table for step in self.steps)
        rows: list[dict[str, Any]] = []
        for one in self._maps():
            found: list[dict[str, Any]] = []
            for entry in one["steps"].values():
                if table in entry["tables"]:
                    found += read_rows(self.output, entry["tables"][table])
            if not found and one["error"] and needed:
                found = [{"error": one["error"]}]
            rows += [{"map": one["name"], **row} for row in found]
        return rows


def rows_of(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of the summary for the maps of a file: what each step told, notes and errors last.

    Notes begin with what the reader warned of.
    """
    rows = []
    for one in record["maps"]:
        row = {"map": one["name"], **one["row"]}
        for entry in one["steps"].values():
            row |= entry["row"]
        notes = dict.fromkeys(one.get("warnings", ()))
        notes |= dict.fromkeys(note for entry in one["steps"].values() for note in entry["notes"])
        row["file"] = record.get("input", {}).get("path", "")
        row["note"] = " ".join(notes)
        row["error"] = one["error"]
        rows.append(row)
    return rows


def write_run(
    output: Path,
    steps: Sequence[BoundStep],
    files: Sequence[MapFile],
    frame: Any,
    state: str,
    told: Mapping[str, Any],
    hashes: Mapping[str, str],
) -> None:
    """Write run.json: what was done with what, and by which versions.

    Parameters
    ----------
    output, steps, files, frame
    state
        "running", "finished" or "stopped".
    told
        Further entries: times, numbers of maps.
    hashes
        Path -> SHA-256 of files so far.
    """
    path = output / RUN
    content = {
        "state": state, **told,
        "steps": {step.name: plain(step.settings) for step in steps},
        "models": {step.name: {"model": plain(step.settings.get("model")), "sha256": step.model}
                   for step in steps if step.model},
        "reference_frame": plain(frame),
        "versions": versions(),
        "inputs": [
            {"path": str(one.path), "name": one.name, "bytes": one.size,
             "sha256": hashes.get(str(one.path), "")}
            for one in files
        ],
    }  # fmt: skip
    write_atomic(path, (json.dumps(content, indent=1) + "\n").encode())
