"""Files that hold a crystal: CIF, and a master pattern as EMsoft writes it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

CIF = """data_{name}
_cell_length_a {a}
_cell_length_b {b}
_cell_length_c {a}
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_Int_Tables_number {group}
_symmetry_space_group_name_H-M '{symbol}'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
_atom_site_U_iso_or_equiv
{element}1 {element} {x} {x} {x} 1.0 0.0063326
"""


def cif(path: Path, **what: object) -> Path:
    """Write a CIF file: silicon, but for `what` is different."""
    text = {"name": "x", "a": 5.431, "b": 5.431, "group": 227, "symbol": "F d -3 m",
            "element": "Si", "x": 0.125} | what  # fmt: skip
    path.write_text(CIF.format(**text))
    return path


def write_emsoft_master(path: Path, spheres: np.ndarray, energies: Sequence[float]) -> None:
    """The parts of EMsoft's EMEBSDmaster file that make a master pattern."""
    side = spheres.shape[-1]
    with h5py.File(path, "w") as file:
        file["EMheader/EBSDmaster/ProgramName"] = np.array([b"EMEBSDmaster.f90"])
        parameters = file.create_group("NMLparameters")
        parameters["EBSDMasterNameList/npx"] = side // 2
        parameters["MCCLNameList/sig"] = 70.0
        parameters["MCCLNameList/EkeV"] = float(max(energies))
        parameters["MCCLNameList/Ebinsize"] = float(np.ptp(energies))
        parameters["MCCLNameList/MCmode"] = np.array([b"full"])
        parameters["BetheList/c1"] = 4.0
        file["CrystalData/SpaceGroupNumber"] = np.array([225])
        file["CrystalData/CrystalSystem"] = np.array([1])
        file["CrystalData/LatticeParameters"] = np.array([0.36, 0.36, 0.36, 90, 90, 90.0])
        file["CrystalData/Natomtypes"] = np.array([1])
        file["CrystalData/AtomData"] = np.array([[0.0], [0], [0], [1], [0.005]])
        file["CrystalData/Atomtypes"] = np.array([28])
        data = file.create_group("EMData/EBSDmaster")
        data["EkeVs"] = np.array(energies, np.float32)
        data["numset"] = np.array([1])
        data["BetheParameters"] = np.array([4, 8, 50, 1], np.float32)
        # (sets of atoms, energies, rows, columns)
        data["mLPNH"] = spheres[None].astype(np.float32)
        data["mLPSH"] = spheres[None].astype(np.float32)
