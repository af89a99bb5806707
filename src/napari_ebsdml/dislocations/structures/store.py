"""Sections of many structures on disk: structures are dear, the maps made of them cheap."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._atomic import replacing
from napari_ebsdml.dislocations.structures.generate import KINDS, Structure, random_structure
from napari_ebsdml.dislocations.structures.sections import Section, section
from napari_ebsdml.dislocations.structures.slip import LATTICES
from napari_ebsdml.dislocations.structures.surface import surface_rotation
from napari_ebsdml.errors import InputError

PER_FILE = 25
SECTIONS = 3
"""Sections of each structure along each of two axes."""


@dataclass(frozen=True, eq=False)
class Stored:
    """What is kept of one structure.

    Attributes
    ----------
    sections
        For each of two axes, `SECTIONS` sections far from each other. Those along the second axis
        are free surfaces, those along the first lie inside the body.
    kinds, lattice
        As in `Structure`.
    """

    sections: tuple[tuple[Section, ...], ...]
    kinds: tuple[str, ...]
    lattice: str


def sections_of(structure: Structure, random: np.random.Generator) -> Stored:
    """Sections of a structure, evenly spaced from a random start, along two random axes."""
    size = structure.lines.size
    start = int(random.integers(size))
    places = [start + size * number // SECTIONS for number in range(SECTIONS)]
    field = structure.field
    inner, outer = (int(axis) for axis in random.choice(3, 2, replace=False))
    free = []
    for at in places:
        part = section(field, outer, at)
        turn = surface_rotation(field, outer, at, structure.poisson)
        free.append(replace(part, rotation=turn))
    inside = tuple(section(field, inner, at) for at in places)
    return Stored((inside, tuple(free)), structure.kinds, structure.lattice)


def simulate(
    folder: Path,
    number: int,
    size: int = 64,
    seed: int = 0,
    on_file: Callable[[int, int], object] | None = None,
    kinds: Sequence[str] | None = None,
) -> list[Path]:
    """Simulate structures into a folder; files that are there already are kept.

    Parameters
    ----------
    folder
        Made where it is missing. Files are named after size, seed and number.
    number
        Structures in all, rounded up to whole files.
    size
        Voxels along each edge of the box, a multiple of 8.
    seed
    on_file
        Called with the files done and their number; an exception from it stops the work, which
        a later call takes up again.
    kinds
        As `random_structure` takes them.

    Returns
    -------
    list of Path
    """
    if number < 1 or size < 16 or size % 8:
        raise InputError("number must be positive and size a multiple of 8 from 16 on.")
    folder.mkdir(parents=True, exist_ok=True)
    total = -(-number // PER_FILE)
    paths = [folder / f"structures-{size}-{seed}-{index:04d}.npz" for index in range(total)]
    for index, path in enumerate(paths):
        if not path.exists():
            stored = []
            for k in range(PER_FILE):
                random = np.random.default_rng([seed, size, index * PER_FILE + k])
                one = random_structure(random, size, kinds, strain=True)
                stored.append(sections_of(one, random))
            _write(path, stored)
        if on_file is not None:
            on_file(index + 1, total)
    return paths


def _write(path: Path, stored: list[Stored]) -> None:
    def stack(name: str) -> NDArray[Any]:
        return np.array(
            [[[getattr(s, name) for s in axis] for axis in one.sections] for one in stored]
        )

    names = list(KINDS)
    kinds = np.array([[name in one.kinds for name in names] for one in stored])
    lattices = np.array([LATTICES.index(one.lattice) for one in stored])
    with replacing(path) as part, part.open("wb") as file:
        np.savez(
            file, rotation=stack("rotation"), slope=stack("slope"), nye=stack("nye"),
            density=stack("density").astype(np.float16), kinds=kinds, lattices=lattices,
            kind_names=np.array(names),
        )  # fmt: skip


def read_stored(path: Path) -> Iterator[Stored]:
    """Structures of one file that `simulate` wrote."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    names = arrays["kind_names"].tolist()
    for n in range(len(arrays["lattices"])):
        sections = tuple(
            tuple(
                Section(
                    arrays["rotation"][n, a, s],
                    arrays["slope"][n, a, s],
                    arrays["density"][n, a, s].astype(np.float32),
                    arrays["nye"][n, a, s],
                )
                for s in range(arrays["rotation"].shape[2])
            )
            for a in range(arrays["rotation"].shape[1])
        )
        kinds = tuple(name for name, used in zip(names, arrays["kinds"][n], strict=True) if used)
        yield Stored(sections, kinds, LATTICES[int(arrays["lattices"][n])])
