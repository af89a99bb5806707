"""Which maps a batch is about: files, folders and globs, their names and their hashes."""

from __future__ import annotations

import glob
import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_ebsdml.errors import InputError
from napari_ebsdml.io.provenance import file_hash

BETWEEN = "__"
"""Between the name of a file and that of a scan in it, in names of results."""

RUN, OWN_FOLDERS = "run.json", ("records", "thumbnails")
"""What tells a folder of results, and what lies in it besides them."""

_IMAGES = "images"
_OURS = {
    ".ctf", ".ang", ".cpr", ".h5oina", ".oh5", ".edaxh5", ".h5ebsd", ".up1", ".up2", ".ebsp",
    ".uebsp",
}  # fmt: skip
"""Endings that nothing but EBSD has: such a file that no reader knows is broken, not another's."""
_ANYONES = {".h5", ".hdf5"}


@dataclass(frozen=True)
class MapFile:
    """One file of a batch.

    Attributes
    ----------
    path
        Absolute.
    name
        Begins the names of its results; no two files of a batch have the same.
    size
        In bytes, with the files that belong to it; 0 where there is no such file.
    """

    path: Path
    name: str
    size: int


def find_maps(
    files: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], leave_out: Iterable[Path] = ()
) -> list[Path]:
    """Files of maps: of folders all that a reader knows, of globs all that they match.

    Parameters
    ----------
    files
        One or several of: a file; a folder, which is looked through with all that it holds but
        hidden folders; a glob (``"maps/*.ctf"``, ``"**/*.ang"``). A folder of pattern images is one
        map. Files that no reader knows are left out of a folder, but for empty and broken ones with
        an ending that only EBSD has: reading these tells.
    leave_out
        Files that no folder or glob gives, such as results that lie among the maps.

    Returns
    -------
    list of Path
        Each once, in the order given; those of a folder or glob by name. A file that is named
        is among them whatever it holds, or when it does not exist: reading it tells.

    Raises
    ------
    InputError
        When a folder or glob holds no map.
    """
    given = [files] if isinstance(files, str | os.PathLike) else list(files)
    found: dict[Path, None] = {}
    no_map = {path.resolve() for path in leave_out}
    for one in given:
        path = Path(one)
        if path.is_dir():
            inside = [p for p in _inside(path) if p.resolve() not in no_map]
            if not inside:
                raise InputError(f"{path}: no reader knows any file in this folder.")
            found |= dict.fromkeys(inside)
        elif not path.exists() and glob.has_magic(str(one)):
            matches = [Path(p) for p in sorted(glob.glob(str(one), recursive=True))]  # noqa: PTH207
            matches = [
                p for p in matches if p.resolve() not in no_map and (p.is_file() or _is_map(p))
            ]
            if not matches:
                raise InputError(f"{one}: no file has such a name.")
            found |= dict.fromkeys(_without_halves(matches))
        else:
            found[path] = None
    return list(found)


def _inside(folder: Path) -> list[Path]:
    """Maps in a folder and the folders in it; the folder itself where it is one of patterns."""
    found: list[Path] = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name in OWN_FOLDERS:
            continue
        if not path.is_dir():
            found += [path] * _is_map(path)
        elif not (path / RUN).is_file():
            found += _inside(path)
    return _without_halves(found) or [folder] * _is_map(folder)


def _is_map(path: Path) -> bool:
    from napari_ebsdml import io

    known = io.sniff(path)
    if known is None and path.is_file():
        ending = path.suffix.lower()
        return ending in _OURS or (ending in _ANYONES and not path.stat().st_size)
    # A picture in a folder of maps is a photograph, not a pattern.
    return known is not None and (path.is_dir() or known.name != _IMAGES)


def _without_halves(paths: Sequence[Path]) -> list[Path]:
    """Without the .crc of a .cpr, which are one map."""
    names = {path.with_suffix(path.suffix.lower()) for path in paths}
    return [
        p for p in paths
        if p.suffix.lower() != ".crc" or p.with_suffix(".cpr") not in names
    ]  # fmt: skip


def as_map_files(paths: Sequence[Path], endings: Iterable[str] = ()) -> list[MapFile]:
    """Name the results of each file.

    Parameters
    ----------
    paths
        As `find_maps` gives them.
    endings
        What names of results go on with: ``"-gnd"``. A file whose name is that of another and one
        of these gets another name for its results.
    """
    stems = [_clean(path.stem if path.suffix else path.name) for path in paths]
    all_stems = {stem.casefold() for stem in stems}
    used: set[str] = set()
    found = []
    for path, stem in zip(paths, stems, strict=True):
        name, number = stem, 1
        while name.casefold() in used or _is_result_of(name.casefold(), all_stems, endings):
            number += 1
            name = f"{stem}-{number}"
        used.add(name.casefold())
        found.append(MapFile(path.absolute(), name, sum(s for _, s in _parts(path))))
    return found


def _is_result_of(name: str, stems: set[str], endings: Iterable[str]) -> bool:
    """Whether results of another file could have this name."""
    if name.partition(BETWEEN)[0] in stems - {name}:
        return True
    return any(name.endswith(end) and name.removesuffix(end) in stems for end in endings if end)


def _clean(text: str) -> str:
    return re.sub(r"[^\w.-]+", "_", text).strip("_") or "map"


def name_of_scan(file_name: str, scan_name: str, used: set[str]) -> str:
    """Name of the results of one scan of a file; `used` are those of the scans before it."""
    name = f"{file_name}{BETWEEN}{_clean(scan_name)}" if scan_name else file_name
    unique, number = name, 1
    while unique.casefold() in used:
        number += 1
        unique = f"{name}-{number}"
    used.add(unique.casefold())
    return unique


def _parts(path: Path) -> list[tuple[Path, int]]:
    """Files that a map is read from, with their sizes: other formats of its name beside it too."""
    from napari_ebsdml import io

    if path.is_dir():
        return [(p, p.stat().st_size) for p in sorted(path.iterdir()) if p.is_file()]
    kinds = {kind for one in io.formats() if one.name != _IMAGES for kind in one.extensions}
    try:
        beside = [
            p for p in sorted(path.parent.iterdir())
            if p.stem == path.stem and p != path and p.suffix.lower() in kinds and p.is_file()
        ]  # fmt: skip
        return [(p, p.stat().st_size) for p in (path, *beside)]
    except OSError:
        return []


def input_state(path: Path) -> list[list[Any]]:
    """Name, size and time of change of each file that a map is read from, quickly."""
    return [[p.name, size, p.stat().st_mtime_ns] for p, size in _parts(path)]


def input_hash(path: Path) -> str:
    """SHA-256 of the files that a map is read from, by which a batch knows them again.

    Of a file of more than 1 GiB size and 16 pieces count, so that hashing a file of patterns does
    not last longer than reading it.
    """
    digest = hashlib.sha256()
    for part, size in _parts(path):
        digest.update(f"{part.name}:{size}:".encode())
        digest.update(file_hash(part).encode())
    return digest.hexdigest()
