"""The orientation maps that lie beside a pattern file."""

from __future__ import annotations

from pathlib import Path

# What each pattern file's own vendor writes is looked for first.
_OXFORD = (".ctf", ".cpr", ".h5oina")
_FIRST = {".ebsp": _OXFORD, ".uebsp": _OXFORD}
_SUFFIXES = (".ang", ".oh5", ".edaxh5", ".ctf", ".cpr", ".h5oina", ".h5", ".hdf5")
# Extensions that say nothing: only a file that a reader of maps knows counts.
_ANY_HDF5 = (".h5", ".hdf5")


def maps_beside(path: Path) -> list[Path]:
    """Orientation maps with the name of a pattern file or folder, the likeliest first.

    Looked for beside `path`, and for a folder of images also inside it, whatever the case of the
    name. Whether the points fit is for the caller to see.
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
                and (kind not in _ANY_HDF5 or _is_known(sibling))
            ):
                found.append((order.index(kind), nearness, sibling))
    return [sibling for *_, sibling in sorted(found)]


def map_beside(path: Path) -> Path | None:
    """The likeliest of `maps_beside`, or None."""
    return next(iter(maps_beside(path)), None)


def _is_known(path: Path) -> bool:
    from napari_ebsdml.io._registry import sniff

    return sniff(path) is not None
