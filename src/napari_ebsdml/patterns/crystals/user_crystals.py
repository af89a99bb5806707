"""The user's own crystals: CIF files and master patterns of other programs join a library.

``ebsdml library add OUT.npz FILE [FILE ...]`` adds them to the shipped library.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.errors import FileFormatError, InputError, MissingDataError
from napari_ebsdml.patterns.crystals.library import Library
from napari_ebsdml.patterns.crystals.master import fold_master, read_master
from napari_ebsdml.patterns.crystals.structure import is_real
from napari_ebsdml.patterns.crystals.table import Site, Structure
from napari_ebsdml.patterns.frame.triangle import FINE


def read_cif(path: str | Path, name: str | None = None) -> Structure:
    """Crystal structure of a CIF file.

    Parameters
    ----------
    path
    name
        Default: the file's stem.

    Returns
    -------
    Structure
        Family "other" unless a library gives it one: see `add_to_library`.

    Raises
    ------
    FileFormatError
        When the file is missing or no CIF that can be read.
    InputError
        When the crystal is not cubic of Laue group m-3m.
    MissingDataError
        When de-ebsd is not installed.

    Notes
    -----
    Where the space group has two origins and the file does not say which, the one with fewer atoms
    in the cell is taken: atoms sit on special positions.
    """
    path = Path(path)
    if not path.is_file():
        raise FileFormatError(path, "no such file.")
    try:
        from de_ebsd import Crystal
    except ImportError:
        raise MissingDataError(
            "Reading a CIF to simulate from needs de-ebsd: pip install de-ebsd."
        ) from None
    try:
        crystal = Crystal.from_cif(str(path))
        if crystal.has_two_origins:
            both = [Crystal.from_cif(str(path), origin=origin) for origin in (2, 1)]
            says = any(
                key in path.read_text(errors="replace").lower()
                for key in ("_it_coordinate_system_code", "_symmetry_space_group_setting")
            )
            if not says:
                crystal = min(both, key=lambda c: sum(c.multiplicities))
    except Exception as error:
        raise FileFormatError(path, f"not a crystal that can be read: {error}") from None
    lengths = np.array([crystal.a, crystal.b, crystal.c])
    if crystal.space_group < 207 or np.ptp(lengths) > 1e-6:
        raise InputError(
            f"{path}: space group {crystal.space_group} is not of Laue group m-3m (207 to 230), "
            "which is all that folding by it can tell."
        )
    sites = tuple(
        Site(s.element, s.position, s.occupancy, 100 * s.debye_waller) for s in crystal.sites
    )
    return Structure(
        name or path.stem, crystal.space_group, "other", 10 * crystal.a, sites,
        origin=crystal.origin,
    )  # fmt: skip


def add_to_library(
    library: Library,
    name: str,
    master: NDArray[np.floating],
    space_group: int,
    family: str | None = None,
    energy: float = 20.0,
) -> Library:
    """A library with one more crystal.

    Parameters
    ----------
    library
    name
        Must be new. "#" marks invented crystals and is not allowed.
    master : (2, n, n) array, or (nodes,) array
        Square Lambert hemispheres (see `sphere.read_master`), or folded already.
    space_group
    family
        Lattice family. Default: that of the crystal whose master pattern is most alike.
    energy
        Beam energy in keV.

    Raises
    ------
    InputError
        When the name is taken, the space group is none of Laue group m-3m or the master pattern
        has another shape.
    """
    if name in library.names or not is_real(name) or not name:
        raise InputError(f"{name!r} is no new name for a crystal of the library.")
    if not 207 <= space_group <= 230:
        raise InputError(f"Space group {space_group} is not of Laue group m-3m (207 to 230).")
    folded = fold_master(master, FINE) if master.ndim == 3 else np.asarray(master, np.float32)
    if folded.shape != library.masters.shape[1:] or not np.isfinite(folded).all():
        raise InputError(f"{name}: a master pattern needs shape (2, n, n), not {master.shape}.")
    if family is None:
        alike = library.masters @ folded / len(folded)
        family = library.families[int(alike.argmax())]
    return Library(
        (*library.names, name), (*library.families, family),
        np.append(library.space_groups, space_group), np.append(library.energies, energy),
        np.concatenate([library.masters, folded[None]]),
    )  # fmt: skip


def add_files(
    library: Library,
    files: Sequence[str | Path],
    space_groups: Sequence[int | None] | None = None,
    energy: float = 20.0,
) -> Library:
    """A library with the crystals of CIF files (simulated) and master-pattern files.

    Parameters
    ----------
    library
    files
        ``.cif``, or whatever kikuchipy reads as a master pattern (EMsoft, ebsdsim, its own).
    space_groups
        Of each file; needed where a master-pattern file names none.
    energy
        Beam energy in keV, to simulate at or to take from a file with several.

    Raises
    ------
    FileFormatError
        When a file cannot be read.
    InputError
        As for `add_to_library`, or when the space group of a master pattern is unknown.
    """
    from napari_ebsdml.patterns.crystals.simulate import simulate_folded

    given = [None] * len(files) if space_groups is None else list(space_groups)
    if len(given) != len(files):
        raise InputError(f"{len(files)} files need as many space groups, not {len(given)}.")
    for path, group in zip(map(Path, files), given, strict=True):
        if path.suffix.lower() == ".cif":
            structure = read_cif(path)
            master = simulate_folded(structure, energy)
            group = structure.space_group
        else:
            master = read_master(path, energy)
            group = group or _group_of(path)
        if group is None:
            raise InputError(f"{path} names no space group; give it with space_groups.")
        library = add_to_library(library, path.stem, master, group, energy=energy)
    return library


def _group_of(path: Path) -> int | None:
    """Space group that a master-pattern file names, as kikuchipy reads it."""
    import kikuchipy

    signal = kikuchipy.load(str(path), projection="lambert", lazy=True)
    phase = getattr(signal, "phase", None)
    group = getattr(phase, "space_group", None)
    return None if group is None else int(group.number)
