"""napari's reader: a file, several files or a folder to layers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_ebsdml._napari.files.arrival import settle, settle_one_by_one
from napari_ebsdml._napari.files.map_layers import can_stack, map_layers, stack_layers
from napari_ebsdml._napari.files.opening import load_libraries, takes_long, wait_for
from napari_ebsdml._napari.files.session import is_session, open_session
from napari_ebsdml._napari.layers.of_scans import LayerTuple, info_of, scans_in, show_map
from napari_ebsdml._parallel import Progress
from napari_ebsdml.errors import FileFormatError
from napari_ebsdml.scan import Scan

if TYPE_CHECKING:
    from napari.components import ViewerModel

Paths = str | Sequence[str]

# Extensions that no other kind of file has: such a file is read even when its content looks
# wrong, so that the user learns what is wrong instead of "refused the file".
_OURS = frozenset({
    ".ang", ".ctf", ".cpr", ".crc", ".h5oina", ".oh5", ".edaxh5", ".up1", ".up2", ".ebsp", ".uebsp",
})  # fmt: skip

# Extensions of maps that a folder is searched for.
_MAPS = frozenset({".ang", ".ctf", ".cpr", ".crc", ".h5oina", ".oh5", ".edaxh5", ".h5", ".hdf5"})

# A single picture is napari's own business; only folders of them are patterns of a map.
_PICTURES = frozenset({".png", ".bmp", ".tif", ".tiff", ".jpg", ".jpeg"})

_GAP = 0.05


def get_reader(path: Paths) -> Callable[[Paths], list[Any]] | None:
    """Function that reads `path`, or None when it is nothing that we know; never raises.

    Parameters
    ----------
    path
        File or folder, or a list of files that belong together (sections of a volume).
    """
    try:
        paths = _paths(path)
        if len(paths) == 1 and is_session(paths[0]):
            return _read_session
        return read_layers if paths and all(_is_known(p) for p in paths) else None
    except Exception:  # napari's contract: whatever happens, another reader gets its turn
        return None


def _read_session(path: Paths) -> list[Any]:
    """Bring a session back in the current viewer, which then has its layers already."""
    import napari

    (folder,) = _paths(path)
    viewer = napari.current_viewer()
    if viewer is not None:
        open_session(folder, viewer)
        return [(None,)]
    return [layer.as_layer_data_tuple() for layer in open_session(folder).layers]


def read_layers(path: Paths) -> list[Any]:
    """Layer tuples of everything in `path`, bottom to top.

    Files of one size and step, given together or in one folder, become a volume of serial
    sections; other maps lie side by side, and to the right of the maps that are open already.
    Large files are read in a worker thread, with Cancel, while the window lives on.

    Raises
    ------
    FileFormatError
        When a file is damaged, with the place and the reason.
    UnsupportedFormatError
        When no reader knows a file.
    """
    import napari

    from napari_ebsdml import read_all

    viewer = napari.current_viewer()
    paths = [file for p in _paths(path) for file in _files(p)]
    if len(paths) == 1 and viewer is not None and _other_half_is_open(paths[0], viewer):
        return [(None,)]
    left = free_place()[1]

    large = takes_long(paths)
    drawn = viewer is not None and any(layer._type_string == "labels" for layer in viewer.layers)

    def work(progress: Progress) -> tuple[list[Scan], bool, list[LayerTuple]]:
        if large:
            load_libraries(not drawn)
        per_file = []
        for number, file in enumerate(paths):
            per_file.append(read_all(file))
            if progress is not None:
                progress(0.7 * (number + 1) / len(paths))
        scans = [scan for found in per_file for scan in found]
        # Scans inside one file are separate areas of a specimen, not sections.
        stacked = all(len(found) == 1 for found in per_file) and can_stack(scans)
        layers = stack_layers(scans, (0.0, left)) if stacked else side_by_side(scans, left)
        return scans, stacked, layers

    if large:
        names = paths[0].name if len(paths) == 1 else f"{len(paths)} files"
        found = wait_for(work, f"Opening {names} …", viewer)
    else:
        found = work(None)
    if found is None:
        return [(None,)]
    scans, stacked, layers = found
    notify(scans, stacked=stacked)
    if large:
        settle_one_by_one(scans, len(layers))
    else:
        settle(scans)
    return layers


def side_by_side(scans: Sequence[Scan], left: float = 0.0) -> list[LayerTuple]:
    """Layers of maps beside each other, tops aligned; `left` is where the first begins, in um."""
    layers: list[LayerTuple] = []
    for scan in scans:
        layers += map_layers(scan, (0.0, left))
        left += _width(scan)
    return layers


def free_place() -> tuple[float, float]:
    """Where a further map may begin in the current viewer, (y, x) in um."""
    import napari

    viewer = napari.current_viewer()
    return 0.0, right_edge(viewer) if viewer is not None else 0.0


def add_beside(viewer: ViewerModel, scan: Scan) -> None:
    """Add a map that was computed, right of all others, and bring it into view."""
    for data, options, kind in map_layers(scan, (0.0, right_edge(viewer))):
        getattr(viewer, f"add_{kind}")(data, **options)
    show_map(viewer, scan)


def right_edge(viewer: ViewerModel) -> float:
    """Where a further map may begin in um: right of all maps in the viewer, after a gap."""
    edge = 0.0
    for layer in viewer.layers:
        if info_of(layer) is not None and layer.ndim >= 2:
            width = layer.data.shape[layer.ndim - 1] * float(layer.scale[-1])
            edge = max(edge, float(layer.translate[-1]) + width * (1 + _GAP))
    return edge


def notify(scans: Sequence[Scan], stacked: bool = False) -> None:
    """Tell the user what the readers warn of; each sentence once, however many scans it names."""
    from napari.utils.notifications import show_warning

    names: dict[str, list[str]] = {}
    for scan in scans:
        for warning in scan.source.warnings:
            names.setdefault(warning, []).append(scan.name)
    by_scans: dict[str, list[str]] = {}
    for warning, of in names.items():
        title = of[0] if len(of) == 1 else f"{of[0]} and {len(of) - 1} more"
        by_scans.setdefault(title, []).append(warning)
    for title, warnings in by_scans.items():
        show_warning(f"{title}: " + "\n".join(warnings))
    if stacked:
        height = scans[0].step[0]
        show_warning(
            f"{len(scans)} maps of the same size are shown as a stack in the order of their "
            f"names. No file gives the distance of sections: {height:g} um, the step, is taken; "
            "change the scale of the layers if it is known."
        )


def _other_half_is_open(path: Path, viewer: ViewerModel) -> bool:
    """Whether the .crc of an open .cpr is asked for, or the other way round.

    Both dropped on the viewer together are one map, but napari asks for one after the other.
    """
    from napari.utils.notifications import show_info

    other = {".cpr": ".crc", ".crc": ".cpr"}.get(path.suffix.lower())
    for scan in scans_in(viewer) if other else ():
        shown = scan.source.path
        if (
            shown is not None
            and shown.suffix.lower() == other
            and shown.with_suffix("").absolute() == path.with_suffix("").absolute()
        ):
            show_info(f"{path.name} belongs to {shown.name}, which is open already.")
            return True
    return False


def _width(scan: Scan) -> float:
    return scan.shape[1] * scan.step[1] * (1 + _GAP)


def _paths(path: Paths) -> list[Path]:
    return [Path(path)] if isinstance(path, str | Path) else [Path(p) for p in path]


def _is_known(path: Path) -> bool:
    from napari_ebsdml.io import sniff

    if path.is_dir():
        return sniff(path) is not None or bool(_maps_in(path))
    suffix = path.suffix.lower()
    if suffix in _PICTURES or not path.is_file():
        return False
    return suffix in _OURS or sniff(path) is not None


def _files(path: Path) -> list[Path]:
    """The file itself; of a folder that is no format of its own, the maps in it."""
    from napari_ebsdml.io import sniff

    if not path.is_dir() or sniff(path) is not None:
        return [path]
    maps = _maps_in(path)
    if not maps:
        raise FileFormatError(path, "the folder holds no EBSD map that a reader knows")
    return maps


def _maps_in(folder: Path) -> list[Path]:
    """Maps of a folder in natural order (S2 before S10); a .cpr stands for its .crc."""
    from napari_ebsdml.io import sniff

    found = [p for p in folder.iterdir() if p.suffix.lower() in _MAPS and p.is_file()]
    projects = {p.stem.casefold() for p in found if p.suffix.lower() == ".cpr"}
    maps = [
        p
        for p in found
        if not (p.suffix.lower() == ".crc" and p.stem.casefold() in projects)
        and sniff(p) is not None
    ]
    return sorted(maps, key=_natural)


def _natural(path: Path) -> list[tuple[int, int | str]]:
    parts = re.split(r"(\d+)", path.name.casefold())
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in parts]
