"""A library of folded master patterns: one small file, and the command that makes it.

``ebsdml dev library OUT.npz --work FOLDER``
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._atomic import replacing
from napari_ebsdml.errors import FileFormatError, InputError
from napari_ebsdml.learning.shipped import WEIGHTS
from napari_ebsdml.patterns.crystals.prototypes import PROTOTYPES, invent
from napari_ebsdml.patterns.crystals.structure import are_real
from napari_ebsdml.patterns.crystals.table import OTHERS, PAPER, STRANGERS, Structure
from napari_ebsdml.patterns.frame.triangle import FINE, n_nodes, solid_angles


@dataclass(frozen=True, eq=False)
class Library:
    """Folded master patterns of many crystals.

    Attributes
    ----------
    names, families : tuples of str
    space_groups : (n,) int array
    energies : (n,) array
        Beam energies in keV.
    masters : (n, nodes) float32 array
        On the nodes of the fine triangle, each with mean 0 and standard deviation 1.
    """

    names: tuple[str, ...]
    families: tuple[str, ...]
    space_groups: NDArray[np.int64]
    energies: NDArray[np.float64]
    masters: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.names)

    def take(self, which: NDArray[np.bool_] | NDArray[np.intp] | list[int]) -> Library:
        """Part of the library."""
        index = np.arange(len(self))[which]
        return Library(
            tuple(self.names[k] for k in index), tuple(self.families[k] for k in index),
            self.space_groups[index], self.energies[index], self.masters[index],
        )  # fmt: skip

    @property
    def is_real(self) -> NDArray[np.bool_]:
        """Which entries are real materials and not invented ones."""
        return are_real(self.names)

    @property
    def alike(self) -> NDArray[np.float64]:
        """Correlation of the master patterns with each other over the sphere, (n, n)."""
        area = solid_angles(FINE)
        weight = area / area.sum()
        values = self.masters - (self.masters @ weight)[:, None]
        values = values / np.sqrt(values**2 @ weight)[:, None]
        return (values * weight) @ values.T

    def save(self, path: str | Path) -> None:
        """Write to a compressed npz file in half precision."""
        path = Path(path)
        path = path if path.suffix == ".npz" else path.with_name(f"{path.name}.npz")
        with replacing(path) as part, part.open("wb") as file:
            np.savez_compressed(
                file, names=np.array(self.names), families=np.array(self.families),
                space_groups=self.space_groups, energies=self.energies,
                masters=self.masters.astype(np.float16),
            )  # fmt: skip

    @classmethod
    def load(cls, path: str | Path = "default") -> Library:
        """Read what `save` wrote, or the library that the shipped model was trained on.

        Raises
        ------
        FileFormatError
            When the file is missing or no such library.
        """
        if path == "default":
            path = WEIGHTS / "space-groups-library.npz"
        try:
            with np.load(path, allow_pickle=False) as file:
                library = cls(
                    tuple(str(n) for n in file["names"]), tuple(str(n) for n in file["families"]),
                    file["space_groups"].astype(np.int64), file["energies"].astype(np.float64),
                    file["masters"].astype(np.float32),
                )  # fmt: skip
        except FileNotFoundError:
            raise FileFormatError(path, "no such file.") from None
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise FileFormatError(path, f"not a library of master patterns ({error}).") from None
        if library.masters.shape != (len(library.names), n_nodes(FINE)):
            raise FileFormatError(
                path, f"masters of shape {library.masters.shape}, not (n, {n_nodes(FINE)})."
            )
        return library


COUNTS: dict[str, int] = {
    "A1": 100, "B1": 50, "C1": 30, "L2_1": 12, "A2": 120, "B2": 140, "L1_2": 140, "E2_1": 15,
    "A15": 30, "A4": 80, "C15": 15, "H1_1": 15, "Al4Ni3": 20, "S1_4": 5, "fcc_alloy": 100,
    "bcc_alloy": 120,
}  # fmt: skip
"""How many crystals of each prototype the shipped models were trained on."""


def plan(counts: dict[str, int] = COUNTS) -> Iterator[tuple[Structure, float]]:
    """Crystals and beam energies: all real ones, then invented ones of all prototypes in turn."""
    for structure in (*PAPER, *OTHERS):
        yield structure, 20.0
    jobs = [
        ((number + 0.5) / counts[prototype], prototype, number)
        for prototype in PROTOTYPES
        for number in range(counts.get(prototype, 0))
    ]
    for _, prototype, number in sorted(jobs):
        energy = float(np.random.default_rng([7, number]).choice([15, 20, 20, 20, 25, 30]))
        yield invent(number, prototype), energy


def simulate_missing(work: Path, prototypes: Sequence[str] = ()) -> Iterator[str]:
    """Simulate the crystals of the plan, and the strangers, that a work folder lacks.

    Parameters
    ----------
    work
        Folder of finished simulations, one file each.
    prototypes
        Of the invented crystals, only these; default: all.

    Yields
    ------
    str
        Name of each crystal whose file has just been written.

    Raises
    ------
    InputError
        When a prototype is unknown.
    """
    from napari_ebsdml.patterns.crystals.master import simulate_sphere
    from napari_ebsdml.patterns.crystals.simulate import simulate_folded

    unknown = set(prototypes) - set(PROTOTYPES)
    if unknown:
        raise InputError(f"No prototype is called {', '.join(sorted(unknown))}; "
                         f"there are {', '.join(PROTOTYPES)}.")  # fmt: skip
    for structure in STRANGERS:
        path = _file(work, structure)
        if not path.exists():
            _save(path, simulate_sphere(structure).astype(np.float16))
            yield structure.name
    for structure, energy in plan():
        path = _file(work, structure)
        if prototypes and not structure.is_real and structure.prototype not in prototypes:
            continue
        if not path.exists():
            _save(path, simulate_folded(structure, energy, quick=_is_quick(structure)))
            yield structure.name


def _save(path: Path, values: NDArray[np.floating]) -> None:
    with replacing(path) as part, part.open("wb") as file:
        np.save(file, values)


def collect(work: Path) -> Library:
    """Library of all crystals of the plan whose master patterns lie in a work folder."""
    found = [
        (structure, energy, np.load(_file(work, structure)))
        for structure, energy in plan()
        if _file(work, structure).exists()
    ]
    return Library(
        tuple(s.name for s, _, _ in found), tuple(s.family for s, _, _ in found),
        np.array([s.space_group for s, _, _ in found]), np.array([e for _, e, _ in found]),
        np.stack([m for _, _, m in found]),
    )  # fmt: skip


def _file(work: Path, structure: Structure) -> Path:
    return work / f"{structure.file_name}.npy"


def _is_quick(structure: Structure) -> bool:
    """Whether fewer beams do: not in the wide cells of face-centred crystals, which turn grainy."""
    wide = structure.space_group in (225, 227) and structure.a > 5
    return not structure.is_real and not (wide or structure.family in ("diamond", "fluorite"))
