"""Densities of slip systems that make up a given lattice curvature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress, over_rows
from napari_ebsdml.dislocations.gnd.least_squares import fit_l2
from napari_ebsdml.dislocations.gnd.simplex import SEGMENT, fit_l1
from napari_ebsdml.dislocations.slip_systems import SlipSystems
from napari_ebsdml.errors import EbsdmlError, InputError

PER_SQUARE_METRE = 1e16
"""1/(um angstrom) in 1/m^2."""


@dataclass(frozen=True, eq=False)
class SlipFit:
    """Result of `fit_slip_systems`; arrays have the leading shape of the curvature.

    Attributes
    ----------
    total
        Sum of |rho| over the systems in 1/m^2; NaN where the curvature is unknown.
    energy
        Sum of u |rho| in 1/m^2, u the line energies relative to the shortest edge.
    per_system : (..., n) float32, or None when not kept
        Signed density of each system in 1/m^2.
    misfit
        Curvature in 1/um that no combination of the systems makes, sum (L1) or root sum of
        squares (L2) over the components; zero for a complete set such as fcc, bcc or hcp.
    dual : (..., 6 or 9), or None when not asked for
        Multipliers y of the L1 programme, in units of energy per (shortest |b| x density):
        |y . A_s| <= u_s for every system and y . kappa = energy prove the optimum.
    """

    total: NDArray[np.float64]
    energy: NDArray[np.float64]
    per_system: NDArray[np.float32] | None
    misfit: NDArray[np.float64]
    dual: NDArray[np.float64] | None = None


def check_norm(norm: str) -> str:
    """The norm as ``"l1"`` or ``"l2"``."""
    name = str(norm).casefold()
    if name not in ("l1", "l2"):
        raise InputError(f"norm must be 'l1' or 'l2', not {norm!r}.")
    return name


def fit_slip_systems(
    curvature: NDArray[Any],
    quaternions: NDArray[Any],
    systems: SlipSystems,
    norm: str = "l1",
    *,
    keep_per_system: bool = True,
    with_dual: bool = False,
    progress: Progress = None,
) -> SlipFit:
    """Densities of the slip systems that make the curvature of each pixel.

    Parameters
    ----------
    curvature : (..., 3, 3) array
        From `lattice_curvature`, in 1/um. When its last column is NaN everywhere (a flat map), the
        six known components are fitted, else all nine.
    quaternions : (..., 4) array
        Crystal -> specimen.
    systems
        From `slip_systems`.
    norm
        ``"l1"``: least line energy, ``min sum u |rho|``, solved exactly. ``"l2"``: least sum of
        rho^2 (pseudo-inverse; all systems weigh the same, the energies only enter `energy`).
    keep_per_system
        False saves the memory of the largest array, 4 n bytes per pixel.
    with_dual
        Whether to return the multipliers of the L1 programme as well.
    progress
        Called with the fraction done after every 16384 pixels; what it raises ends the fit.

    Raises
    ------
    InputError
        When shapes do not agree or `norm` is unknown.
    EbsdmlError
        When the linear programme of a pixel could not be solved.

    Notes
    -----
    Pantleon, Scripta Materialia 58 (2008) 994, doi 10.1016/j.scriptamat.2008.01.050, with
    alpha_s = b (x) l and kappa_s = alpha_s^T - tr(alpha_s) / 2 per system.
    """
    kind = check_norm(norm)
    if with_dual and kind != "l1":
        raise InputError("with_dual needs norm='l1': only the linear programme has multipliers.")
    curvature = np.asarray(curvature, dtype=np.float64)
    quaternions = np.asarray(quaternions, dtype=np.float64)
    shape = curvature.shape[:-2]
    if curvature.shape[-2:] != (3, 3) or quaternions.shape != (*shape, 4):
        raise InputError(
            "curvature needs shape (..., 3, 3) and quaternions the same leading shape and 4, not "
            f"{curvature.shape} and {quaternions.shape}."
        )
    pixels, n = int(np.prod(shape)), len(systems)
    tensors = curvature.reshape(pixels, 3, 3)
    turns = quaternions.reshape(pixels, 4)
    columns = 3 if np.isfinite(tensors[:, :, 2]).any() else 2
    # Unit of length in the programme: the shortest Burgers vector, so that numbers are near 1.
    unit = float(systems.burgers_lengths.min())
    burgers = np.ascontiguousarray(systems.burgers.T / unit)
    lines = np.ascontiguousarray(systems.lines.T)
    scale = PER_SQUARE_METRE / unit
    total, energy, misfit = (np.full(pixels, np.nan) for _ in range(3))
    per_system = np.full((pixels, n), np.nan, np.float32) if keep_per_system else None
    dual = np.full((pixels, 3 * columns), np.nan) if with_dual else np.empty((0, 3 * columns))
    nothing = np.empty((0, n), np.float32)
    failed: list[int] = []

    def work(first: int, end: int) -> None:
        at = slice(first * SEGMENT, end * SEGMENT)
        kappa = np.ascontiguousarray(tensors[at, :, :columns]).reshape(-1, 3 * columns)
        part = nothing if per_system is None else per_system[at]
        arguments = (
            kappa,
            np.ascontiguousarray(turns[at]),
            burgers,
            lines,
            systems.energies,
            columns,
            keep_per_system,
            total[at],
            energy[at],
            misfit[at],
            part,
        )
        if kind == "l1":
            failed.append(int(fit_l1(*arguments, dual[at])))
        else:
            fit_l2(*arguments)
        part *= np.float32(scale)

    # A pixel costs about eight times as much as one of a plain map: bands of 64 segments.
    over_rows(work, (-(-pixels // SEGMENT), 8 * SEGMENT), progress)
    if any(failed):
        raise EbsdmlError(
            f"The linear programme of {sum(failed)} of {pixels} pixels found no optimum: the slip "
            "systems are close to linearly dependent there. Leave out near-duplicates, or use "
            "norm='l2'."
        )
    total *= scale
    energy *= scale
    return SlipFit(
        total.reshape(shape),
        energy.reshape(shape),
        None if per_system is None else per_system.reshape(*shape, n),
        misfit.reshape(shape),
        dual.reshape(*shape, 3 * columns) if with_dual else None,
    )
