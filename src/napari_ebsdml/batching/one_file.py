"""All steps on all maps of one file: what a worker does."""

from __future__ import annotations

import csv
import inspect
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_ebsdml import __version__
from napari_ebsdml._atomic import write_atomic
from napari_ebsdml._parallel import Report, nth_of
from napari_ebsdml.batching.files import MapFile, input_hash, input_state, name_of_scan
from napari_ebsdml.batching.large.maps_of_file import read_maps, scratch
from napari_ebsdml.batching.records import (
    FOLDER,
    done_steps,
    file_entry,
    read_record,
    record_path,
    write_record,
)
from napari_ebsdml.batching.step import BoundStep, Outcome, Work
from napari_ebsdml.batching.writing import write_arrays, write_table
from napari_ebsdml.errors import Cancelled, EbsdmlError
from napari_ebsdml.io.provenance import plain

if TYPE_CHECKING:
    from napari_ebsdml.batching.large.store import LargeMap
    from napari_ebsdml.scan import Scan

THUMBNAILS = "thumbnails"
_INLINE_ROWS = 200
"""Longest table that a record holds itself."""


@dataclass(frozen=True)
class Plan:
    """What is done with every file.

    Attributes
    ----------
    output
        Absolute folder of the results.
    steps
    frame
        See `io.read`.
    resume
        Whether what is done and whole is kept.
    run
        Names this run: a task that is done a second time, since the worker that had done it was
        lost before it could tell, finds its record.
    band
        Pixels of the bands in which larger maps are worked on; 0: as a whole.
    """

    output: Path
    steps: Sequence[BoundStep]
    frame: Any
    resume: bool
    run: str
    band: int | None = None


@dataclass(frozen=True)
class Done:
    """What became of a file.

    Attributes
    ----------
    record
        As it was written; see `records`.
    skipped
        Nothing had to be done.
    """

    record: Mapping[str, Any]
    skipped: bool = False

    @property
    def failed(self) -> bool:
        """Whether the file or a step on one of its maps failed."""
        return any(one["error"] for one in self.record["maps"])


def do_file(
    plan: Plan, file: MapFile, models: Sequence[Any], report: Report, client: Any = None
) -> Done:
    """Do all steps on all maps of a file, write the results, then the record.

    Parameters
    ----------
    plan, file
    models
        That of each step, None for a step without.
    report
        Told the fraction done; `Cancelled` from it ends the work.
    client
        Of Dask, to spread the bands of a large map; None: one after the other.

    Returns
    -------
    Done
        Errors of reading and of steps are in its record, nothing but `Cancelled` is raised.
    """
    place = record_path(plan.output, file.name)
    before = read_record(place)
    try:
        state, digest = _input(file, before)
        same = before.get("input", {}).get("sha256") == digest
    except OSError as error:
        state, digest, same = [], "", False
        if file.path.exists():
            return _failed(plan, file, f"{file.path}: {error.strerror or error}.")
    before = before if same else {}
    keys = {step.name: step.key for step in plan.steps}
    kept: set[str] = set()
    if plan.resume or before.get("run") == plan.run:
        kept = done_steps(before, keys, plan.output)
    if kept == set(keys):
        return Done(before, skipped=True)
    maps = []
    used: set[str] = set()
    with scratch(plan.output) as folder:
        try:
            scans = read_maps(file.path, plan.frame, plan.band, folder)
        except Cancelled:
            raise
        except Exception as error:  # told, and the other files go on
            return _failed(plan, file, _told(error))
        for number, (scan, large) in enumerate(scans):
            name = name_of_scan(file.name, scan.source.scan_name, used)
            old = next((one for one in before.get("maps", []) if one["name"] == name), None)
            part = nth_of(report, number, len(scans))
            job = _Job(scan, large, client, name, old, part)
            maps.append(_do_map(plan, job, models, kept, digest))
    told = {"path": str(file.path), "sha256": digest, "files": state}
    record = {"run": plan.run, "name": file.name, "input": told, "maps": maps}
    try:
        write_record(place, record)
    except OSError as error:
        return _failed(plan, file, f"{place}: {error.strerror or error}.")
    return Done(record)


def _input(file: MapFile, before: Mapping[str, Any]) -> tuple[list[list[Any]], str]:
    """State and hash of the input; a file whose size and time are as they were is the same."""
    state = input_state(file.path)
    known = before.get("input", {})
    if known.get("path") == str(file.path) and known.get("files") == state and state:
        return state, str(known["sha256"])
    return state, input_hash(file.path)


def _failed(plan: Plan, file: MapFile, text: str) -> Done:
    """A file that cannot be read: a row with the error; no record, so that it is tried again."""
    one = {"name": file.name, "error": text, "row": {}, "steps": {}}
    told = {"path": str(file.path)}
    return Done({"run": plan.run, "name": file.name, "input": told, "maps": [one]})


def _told(error: Exception) -> str:
    """An error in a sentence."""
    known = isinstance(error, EbsdmlError)
    return str(error) if known else f"unexpected {type(error).__name__}: {error}"


@dataclass(frozen=True)
class _Job:
    """One map, and what is known of it."""

    scan: Scan
    large: LargeMap | None
    client: Any
    name: str
    old: Mapping[str, Any] | None
    report: Report


def _do_map(
    plan: Plan, job: _Job, models: Sequence[Any], kept: set[str], digest: str
) -> dict[str, Any]:
    """All steps on one map; a step that fails leaves its error, and the others go on."""
    scan, old, name = job.scan, job.old, job.name
    steps: dict[str, Any] = dict(old["steps"]) if old is not None else {}
    names = [step.name for step in plan.steps]
    shared: dict[str, Any] = {}
    for number, (step, model) in enumerate(zip(plan.steps, models, strict=True)):
        if step.name in kept:
            continue
        part = nth_of(job.report, number, len(names))
        begun = time.perf_counter()
        work = Work(
            scan, step.settings, model, part, names, shared, job.large, job.client
        )  # fmt: skip
        try:
            outcome = step.step.run(work)
            entry = _write(plan, step, name, outcome, digest)
        except Cancelled:
            raise
        except Exception as error:  # told, and the other steps and maps go on
            entry = {"error": _told(error), "row": {}, "tables": {}, "files": [], "notes": []}
        written = {file["name"] for file in entry["files"]}
        # What another step of an earlier run wrote under the same names is gone.
        steps = {
            other: had for other, had in steps.items()
            if other in names or not written & {file["name"] for file in had["files"]}
        }  # fmt: skip
        seconds = round(time.perf_counter() - begun, 3)
        steps[step.name] = {"key": step.key, "run": plan.run, "seconds": seconds, **entry}
    rows, columns = scan.shape
    row = {
        "rows": rows, "columns": columns, "step_um": scan.step[1],
        "indexed": round(float(scan.is_indexed.mean()), 5),
    }  # fmt: skip
    errors = [f"{one}: {entry['error']}" if len(names) > 1 else entry["error"]
              for one, entry in steps.items() if entry.get("error")]  # fmt: skip
    return {
        "name": name, "error": " ".join(errors), "row": row, "steps": steps,
        "warnings": list(scan.source.warnings),
    }  # fmt: skip


def _write(plan: Plan, step: BoundStep, name: str, outcome: Outcome, digest: str) -> dict[str, Any]:
    """Write the results of a step; what the record says of them."""
    made: list[Path] = []
    if outcome.arrays:
        path = plan.output / f"{name}{step.step.ending}.npz"
        write_arrays(path, {**outcome.arrays, "provenance": _provenance(step, digest)})
        made.append(path)
    for ending, write in outcome.files.items():
        path = plan.output / f"{name}{ending}"
        _call(write, path, _made_with(step, digest))
        made.append(path)
    tables: dict[str, Any] = {}
    for table, rows in outcome.tables.items():
        if len(rows) <= _INLINE_ROWS:
            tables[table] = [{str(k): plain(v) for k, v in row.items()} for row in rows]
            continue
        path = plan.output / FOLDER / f"{name}-{table}"
        path.parent.mkdir(exist_ok=True)
        write_table(path, rows)
        made.append(path)
        tables[table] = f"{FOLDER}/{path.name}"
    picture = None
    if outcome.picture is not None:
        title, colors = outcome.picture
        path = plan.output / THUMBNAILS / f"{name}-{step.name}.png"
        write_atomic(path, _png(colors))
        made.append(path)
        picture = {"title": title, "file": f"{THUMBNAILS}/{path.name}"}
    entries = [
        {**file_entry(path), "name": path.relative_to(plan.output).as_posix()} for path in made
    ]
    return {
        "row": {str(k): plain(v) for k, v in outcome.row.items()}, "tables": tables,
        "files": entries, "notes": list(outcome.notes), "says": outcome.says, "picture": picture,
        "error": "",
    }  # fmt: skip


def _made_with(step: BoundStep, digest: str) -> dict[str, Any]:
    """What made the files of a step."""
    return {
        "step": step.name, "settings": plain(step.settings), "model_sha256": step.model,
        "input_sha256": digest, "napari_ebsdml": __version__,
    }  # fmt: skip


def _provenance(step: BoundStep, digest: str) -> Any:
    """What made an array file, as one string in it."""
    import numpy as np

    return np.array(json.dumps(_made_with(step, digest), sort_keys=True))


def _call(write: Callable[..., None], path: Path, made_with: Mapping[str, Any]) -> None:
    """Write a file of a step, with what made it where the writer can tell it."""
    takes = inspect.signature(write).parameters
    if "made_with" in takes:
        write(path, made_with=made_with)
    elif "told" in takes:
        write(path, told=json.dumps(made_with, sort_keys=True))
    else:
        write(path)


def _png(colors: Any) -> bytes:
    from imageio.v3 import imwrite

    return bytes(imwrite("<bytes>", colors, extension=".png"))


def read_rows(output: Path, table: Any) -> list[dict[str, Any]]:
    """Rows of a table of a record: in it, or in the file that it names."""
    if isinstance(table, list):
        return table
    with (output / table).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
