"""Strokes in files of their own, so that a crash of the session loses none.

Each session writes one ``.npz`` file per scan, replaced as a whole at each save: a program that
is killed while it writes leaves the earlier file. Scans are known by their content, so that the
strokes are found again wherever the file lies.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._atomic import replacing, sweep
from napari_ebsdml.errors import FileFormatError, WriteError
from napari_ebsdml.scan import Scan

FOLDER_VARIABLE = "EBSDML_DATA_DIR"
"""Environment variable that names another folder for the plugin's data."""

_KEPT = 5
_SAMPLES = 50_000
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile)


@dataclass(frozen=True, eq=False)
class Annotations:
    """Strokes on one scan.

    Attributes
    ----------
    layers
        (name, labels) of each annotation layer; labels (rows, columns) int, 0 unpainted.
    classes
        (value, name, colour) of each class.
    scan_name, scan_path
        Where they were painted; for people only.
    """

    layers: tuple[tuple[str, NDArray[np.integer]], ...]
    classes: tuple[tuple[int, str, str], ...]
    scan_name: str = ""
    scan_path: str = ""

    @property
    def pixels(self) -> int:
        """Number of painted pixels."""
        return sum(int(np.count_nonzero(labels)) for _, labels in self.layers)


@dataclass(frozen=True)
class Saved:
    """A file with strokes: its path, when it was written, and how many pixels it holds."""

    path: Path
    time: datetime
    pixels: int


def default_folder() -> Path:
    """Folder of the current user where strokes are kept."""
    own = os.environ.get(FOLDER_VARIABLE)
    if own:
        return Path(own) / "strokes"
    import platformdirs

    return Path(platformdirs.user_data_dir("napari-ebsdml", appauthor=False)) / "strokes"


def scan_key(scan: Scan) -> str:
    """Name of a scan by its content: shape, step, and a sample of each of its maps."""
    digest = hashlib.sha256(repr((scan.shape, scan.step)).encode())
    arrays: list[NDArray[Any]] = [scan.quaternions.reshape(-1, 4), scan.phase_id.reshape(-1)]
    arrays += [np.asarray(scan.prop[name]).reshape(-1) for name in sorted(scan.prop)]
    for values in arrays:
        if values.dtype.kind in "buif":
            # A part of the pixels tells scans apart as surely as all, at once on any map.
            part = values[:: max(1, len(values) // _SAMPLES)]
            digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()[:24]


class AnnotationsStore:
    """Files with strokes of all sessions in one folder.

    Parameters
    ----------
    folder
        Default: `default_folder`.
    session
        Name of this session in file names; default: time and process.
    """

    def __init__(self, folder: Path | None = None, session: str = "") -> None:
        self.folder = folder if folder is not None else default_folder()
        self.session = session or f"{datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}"

    def path(self, key: str, part: int = 0) -> Path:
        """File of this session for a scan."""
        return self.folder / f"{key}_{self.session}-{part}.npz"

    def model_path(self, key: str) -> Path:
        """File of the last model that was trained on a scan."""
        return self.folder / f"model-{key}.safetensors"

    def save(self, key: str, strokes: Annotations, part: int = 0) -> Path:
        """Write strokes in place of those that this session wrote before.

        Parameters
        ----------
        key
            See `scan_key`.
        strokes
        part
            A new number begins a new file: the earlier one is kept.

        Raises
        ------
        WriteError
            When the file cannot be written.
        """
        meta = {
            "version": 1,
            "time": datetime.now().astimezone().isoformat(timespec="seconds"),
            "pixels": strokes.pixels,
            "layers": [name for name, _ in strokes.layers],
            "classes": [list(c) for c in strokes.classes],
            "scan_name": strokes.scan_name,
            "scan_path": strokes.scan_path,
        }
        arrays: dict[str, Any] = {
            f"labels_{n}": labels for n, (_, labels) in enumerate(strokes.layers)
        }
        path = self.path(key, part)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with replacing(path) as temporary, temporary.open("wb") as file:
                np.savez_compressed(file, meta=np.array(json.dumps(meta)), **arrays)
        except OSError as error:
            raise WriteError(
                f"{path}: the strokes could not be saved: {error.strerror or error}. Free some "
                f"space, or name another folder by {FOLDER_VARIABLE}."
            ) from None
        self._prune(key)
        return path

    def saved(self, key: str) -> list[Saved]:
        """Files with strokes of a scan, newest first; damaged ones are left out."""
        found = []
        for path in self.folder.glob(f"{key}_*.npz"):
            try:
                meta = _meta(path)
                found.append(Saved(path, datetime.fromisoformat(meta["time"]), int(meta["pixels"])))
            except _UNREADABLE:
                continue
        return sorted(found, key=lambda one: (one.time, one.path.stat().st_mtime_ns), reverse=True)

    def load(self, path: Path) -> Annotations:
        """Read a file with strokes.

        Raises
        ------
        FileFormatError
            When the file is missing or damaged.
        """
        try:
            meta = _meta(path)
            with path.open("rb") as handle, np.load(handle, allow_pickle=False) as file:
                layers = tuple(
                    (str(name), np.asarray(file[f"labels_{n}"]))
                    for n, name in enumerate(meta["layers"])
                )
            classes = tuple((int(v), str(n), str(c)) for v, n, c in meta["classes"])
            if any(labels.dtype.kind not in "iu" or labels.ndim != 2 for _, labels in layers):
                raise ValueError("labels are no map of whole numbers")
            return Annotations(
                layers, classes, str(meta.get("scan_name", "")), str(meta.get("scan_path", ""))
            )
        except _UNREADABLE as error:
            raise FileFormatError(path, f"no saved strokes could be read ({error}).") from None

    def _prune(self, key: str) -> None:
        """Keep the newest files of a scan; those that a killed program left go as well."""
        by_age = sorted(
            self.folder.glob(f"{key}_*.npz"), key=lambda p: p.stat().st_mtime_ns, reverse=True
        )
        for old in by_age[_KEPT:]:
            old.unlink(missing_ok=True)
        sweep(self.folder, f"{key}_")


def _meta(path: Path) -> dict[str, Any]:
    with path.open("rb") as handle, np.load(handle, allow_pickle=False) as file:
        meta = json.loads(str(file["meta"]))
    if not isinstance(meta, dict):
        raise ValueError("no description")
    return meta
