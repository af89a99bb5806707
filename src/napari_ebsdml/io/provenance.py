"""What a file was made of, and by what: one JSON text that every writer puts into its file."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_ebsdml import __version__
from napari_ebsdml.errors import InputError

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan

KEY = "Provenance"
"""Entry of `Source.header` that holds the text, in a map that is to be written or was read."""
LONGEST = 20_000
"""Characters; a longer text loses what made its input."""

_LIBRARIES = ("numpy", "scipy", "numba", "orix", "kikuchipy", "torch", "dask", "distributed")
_WHOLE = 1 << 30
"""Bytes up to which all of a file is hashed; of a larger one the size, and pieces of it."""
_PIECE = 1 << 22
_PIECES = 16


def file_hash(path: Path) -> str:
    """SHA-256 of a file; of one of more than 1 GiB, of its size and 16 pieces.

    So that hashing a file of patterns does not last longer than reading it.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        if size <= _WHOLE:
            return hashlib.file_digest(file, "sha256").hexdigest()
        digest = hashlib.sha256(str(size).encode())
        for number in range(_PIECES):
            file.seek((size - _PIECE) * number // (_PIECES - 1))
            digest.update(file.read(_PIECE))
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Of this package, Python, and the libraries that results depend on."""
    found = {"napari-ebsdml": __version__, "python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def plain(value: Any) -> Any:
    """A setting as JSON holds it."""
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(one) for one in value]
    if isinstance(value, bool | int | float | str) or value is None:
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain(dataclasses.asdict(value))
    if hasattr(value, "tolist"):
        return value.tolist()
    return str(value) if isinstance(value, os.PathLike) else type(value).__name__


def record_of(scan: Scan, made_with: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What is to be told of a map and what was computed of it.

    Parameters
    ----------
    scan
    made_with
        Anything that JSON can hold: names of results with their settings and models.

    Returns
    -------
    dict
        Versions, the input (name of the file, SHA-256, frame, and its own provenance where it has
        one), and `made_with`.

    Raises
    ------
    InputError
        When `made_with` is no mapping.
    """
    if made_with is not None and not isinstance(made_with, Mapping):
        raise InputError(f"made_with must be a dict of settings, not {type(made_with).__name__}.")
    source = scan.source
    told: dict[str, Any] = {"format": source.format, "frame": source.reference_frame}
    if source.path is not None:
        told["file"] = source.path.name
        try:
            told["sha256"] = file_hash(source.path) if source.path.is_file() else ""
        except OSError:
            told["sha256"] = ""
    if source.scan_name:
        told["scan"] = source.scan_name
    before = provenance_of(scan)
    if before is not None:
        told["provenance"] = before
    return {"versions": versions(), "input": told, "made_with": plain(made_with or {})}


def with_provenance(scan: Scan, made_with: Mapping[str, Any] | None = None) -> Scan:
    """The map with a text in its header for the writers; see `record_of`.

    A map that is written again with nothing to add keeps the text that it has: a copy of a copy
    is the same file.
    """
    if not made_with and provenance_of(scan) is not None:
        return scan
    record = record_of(scan, made_with)
    text = _as_text(record)
    if len(text) > LONGEST:
        record["input"].pop("provenance", None)
        text = _as_text(record)
    if len(text) > LONGEST:
        record["made_with"] = "too long to be kept"
        text = _as_text(record)
    header = {**scan.source.header, KEY: text}
    return dataclasses.replace(scan, source=dataclasses.replace(scan.source, header=header))


def _as_text(record: Mapping[str, Any]) -> str:
    # One line of ASCII, which any header takes; NaN is no JSON.
    return json.dumps(_finite(record), ensure_ascii=True, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_finite(one) for one in value]
    if isinstance(value, float) and not abs(value) < float("inf"):
        return str(value)
    return value


def text_of(scan: Scan) -> str:
    """The text that a writer puts into its file; "" without."""
    text = scan.source.header.get(KEY, "")
    return text if isinstance(text, str) else ""


def provenance_of(scan: Scan) -> dict[str, Any] | None:
    """What a file that this package wrote says of how it came about; None of other files.

    Returns
    -------
    dict or None
        ``versions``, ``input`` and ``made_with``; see `record_of`.
    """
    try:
        found = json.loads(text_of(scan))
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
