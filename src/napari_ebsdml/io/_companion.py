"""The orientation map that lies beside a pattern file."""

from __future__ import annotations

from pathlib import Path

from napari_ebsdml.io._hdf5 import SIGNATURE

# What each pattern file's own vendor writes is looked for first.
_FIRST = {".ebsp": (".ctf", ".cpr")}
_SUFFIXES = (".ang", ".ctf", ".cpr", ".h5", ".hdf5")


def map_beside(path: Path) -> Path | None:
    """Orientation map with the name of a pattern file or folder, or None.

    Looked for beside `path`, and for a folder of images also inside it: .ang, .ctf, .cpr and
    orix .h5, whatever the case of the name. Whether the points fit is for the caller to see.
    """
    suffix = path.suffix.lower() if path.is_file() else ""
    stem = (path.stem if path.is_file() else path.name).lower()
    preferred = _FIRST.get(suffix, ())
    order = [*preferred, *(s for s in _SUFFIXES if s not in preferred)]
    found: list[tuple[int, int, Path]] = []
    folders = [path.parent, path] if path.is_dir() else [path.parent]
    for nearness, folder in enumerate(folders):
        try:
            siblings = sorted(folder.iterdir())
        except OSError:
            continue
        for sibling in siblings:
            kind = sibling.suffix.lower()
            if (
                sibling != path
                and sibling.stem.lower() == stem
                and kind in order
                and sibling.is_file()
                and (not kind.startswith(".h") or _is_orix(sibling))
            ):
                found.append((order.index(kind), nearness, sibling))
    return min(found)[2] if found else None


def _is_orix(path: Path) -> bool:
    from napari_ebsdml.io.orix_h5 import sniff

    try:
        with path.open("rb") as file:
            head = file.read(len(SIGNATURE))
    except OSError:
        return False
    return sniff(path, head)
