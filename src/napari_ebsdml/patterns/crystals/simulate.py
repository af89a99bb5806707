"""Dynamical master patterns, on the fundamental triangle only.

de-ebsd (extra ``simulate``) solves the Bloch waves; asked for the triangle's directions alone it
does 1/48 of the work of a whole sphere, so that a small cell takes about a second.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.errors import InputError, MissingDataError
from napari_ebsdml.patterns.crystals.table import Structure
from napari_ebsdml.patterns.frame.triangle import FINE, node_directions


def simulate_directions(
    structure: Structure,
    directions: NDArray[np.float64],
    energy: float = 20.0,
    d_min: float | None = None,
    seed: int = 0,
    quick: bool = False,
) -> NDArray[np.float32]:
    """Dynamical backscatter intensity along crystal directions.

    Parameters
    ----------
    structure
    directions : (n, 3) array
        Unit vectors in the Cartesian crystal frame.
    energy
        Beam energy in keV.
    d_min
        Smallest plane distance in angstrom that takes part. Default: 0.5, more for large cells,
        where the number of beams and not their reach limits the accuracy that time allows.
    seed
        For the Monte Carlo run of the electrons' depths.
    quick
        Fewer beams (EMsoft's usual Bethe limits): a third of the time, for invented crystals.

    Returns
    -------
    (n,) float32 array

    Raises
    ------
    MissingDataError
        When de-ebsd is not installed.

    Notes
    -----
    Bloch waves with Bethe potentials as in Callahan & De Graef,
    doi:10.1017/S1431927613001840, as de-ebsd implements them.
    """
    try:
        import de_ebsd
    except ImportError:
        raise MissingDataError(
            "Simulating master patterns needs de-ebsd: pip install de-ebsd."
        ) from None
    import torch
    from de_ebsd.crystal.lattice import AtomSite
    from de_ebsd.crystal.structure_factors import compute_structure_factors
    from de_ebsd.diffraction.backends import SimulationInputs
    from de_ebsd.diffraction.prism import BlochPrismBackend
    from de_ebsd.sim.montecarlo.depth import DepthDistribution

    if not 1 <= energy <= 60:
        raise InputError(f"The beam energy must lie in 1..60 keV, not {energy}.")
    if d_min is None:
        side = structure.volume ** (1 / 3)
        d_min = 0.5 if side < 6 else 0.7 if side < 10 else 1.0
        if quick and side > 5:
            d_min = 0.65 if side < 6.5 else 0.8 if side < 10 else 1.1
    bethe = de_ebsd.BetheParameters(*((4.0, 8.0, 50.0) if quick else (8.0, 50.0, 100.0)))
    a = structure.a / 10

    # diffpy writes rhombohedral groups on hexagonal axes with an H, which de-ebsd refuses.
    kind = type("Crystal", (de_ebsd.Crystal,), {"centering": property(_centering)})
    crystal = kind(
        a, *(a if x is None else x / 10 for x in (structure.b, structure.c)),
        90.0, 90.0, structure.gamma,
        structure.space_group,
        [AtomSite(s.element, s.position, s.occupancy, s.b_factor / 100) for s in structure.sites],
        origin=structure.origin,
    )  # fmt: skip
    depths = DepthDistribution.from_simulation(
        crystal, energy, tilt_deg=70.0, n_electrons=10_000, device="cpu", seed=seed
    )
    backend = BlochPrismBackend(torch.complex64)
    # Without these bounds a cell of 80 atoms asks for tens of gigabytes.
    backend.class_chunk, backend.block, backend.matmul_batch = 16, 2048, 64
    backend.prepare(
        SimulationInputs(
            structure_factors=compute_structure_factors(crystal, energy, d_min / 10),
            bethe=bethe,
            monte_carlo=depths,
            device=torch.device("cpu"),
            dtype=torch.float32,
        )
    )
    return backend.intensities(torch.as_tensor(directions)).numpy()


def _centering(crystal: Any) -> str:
    symbol = str(crystal._spacegroup.short_name[0])
    return "R" if symbol == "H" else symbol


def simulate_folded(
    structure: Structure,
    energy: float = 20.0,
    d_min: float | None = None,
    seed: int = 0,
    quick: bool = False,
) -> NDArray[np.float32]:
    """Master pattern of a cubic m-3m crystal on the nodes of the fine triangle.

    Returns
    -------
    (nodes,) float32 array
        Mean 0, standard deviation 1.

    Raises
    ------
    InputError
        When the crystal is none of Laue group m-3m.
    MissingDataError
        When de-ebsd is not installed.
    """
    if structure.space_group < 207:
        raise InputError(f"{structure.name} is not of Laue group m-3m; simulate its whole sphere.")
    values = simulate_directions(structure, node_directions(FINE), energy, d_min, seed, quick)
    return ((values - values.mean()) / values.std()).astype(np.float32)
