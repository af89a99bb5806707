"""Records: what was done with each file of a batch, from which everything else is made again.

A record is written after the results that it speaks of, each of them whole or not at all. What a
record tells and is still there as it was written needs not be done again, whoever was killed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_ebsdml import _atomic
from napari_ebsdml.io.provenance import file_hash

FOLDER = "records"
VERSION = 1


def record_path(output: Path, name: str) -> Path:
    """Where the record of a file lies; `name` as in `MapFile`."""
    return output / FOLDER / f"{name}.json"


def read_record(path: Path) -> dict[str, Any]:
    """A record, or an empty one where there is none that can be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    known = isinstance(found, dict) and found.get("version") == VERSION
    return found if known and isinstance(found.get("maps"), list) else {}


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Write a record, whole or not at all."""
    text = json.dumps({"version": VERSION, **record}, indent=1, default=_number) + "\n"
    _atomic.write_atomic(path, text.encode())


def _number(value: Any) -> Any:
    """Numpy's numbers as Python's."""
    if hasattr(value, "tolist"):
        return value.tolist()
    return str(value)


def file_entry(path: Path) -> dict[str, Any]:
    """What a record says of a file of results."""
    state = path.stat()
    return {
        "name": path.name, "size": state.st_size, "mtime_ns": state.st_mtime_ns,
        "sha256": file_hash(path),
    }  # fmt: skip


def is_whole(folder: Path, entries: Sequence[Mapping[str, Any]]) -> bool:
    """Whether all these files are there as they were written."""
    for entry in entries:
        path = folder / str(entry["name"])
        try:
            state = path.stat()
            if state.st_size != entry["size"]:
                return False
            same_time = state.st_mtime_ns == entry["mtime_ns"]
            if not same_time and file_hash(path) != entry["sha256"]:
                return False
        except OSError:
            return False
    return True


def done_steps(record: Mapping[str, Any], keys: Mapping[str, str], output: Path) -> set[str]:
    """Steps that are done and whole for all maps of a file.

    Parameters
    ----------
    record
        As `read_record` gives it, of the same input.
    keys
        Name of each step -> its key.
    output
        Folder of the results.
    """
    maps = record.get("maps") or []
    if not maps:
        return set()
    found = set()
    for name, key in keys.items():
        entries = [one["steps"].get(name) for one in maps]
        if all(
            entry is not None and entry["key"] == key and not entry.get("error")
            and is_whole(output, entry["files"])
            for entry in entries
        ):  # fmt: skip
            found.add(name)
    return found


def results_in(output: Path) -> set[Path]:
    """Files that records in a folder say are results."""
    found: set[Path] = set()
    for path in sorted((output / FOLDER).glob("*.json")):
        for one in read_record(path).get("maps", []):
            for entry in one["steps"].values():
                found |= {output / str(file["name"]) for file in entry["files"]}
    return found
