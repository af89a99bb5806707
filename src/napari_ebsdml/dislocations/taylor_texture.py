"""Taylor factor of the measured texture: the rate-insensitive upper bound.

Every crystal takes the strain of the specimen. Of all slips that make it, those that do the least
work are taken (Taylor, J. Inst. Met. 62 (1938) 307): ``M = min sum tau |gamma| / (tau_0 eps)``, a
small linear programme per orientation, solved with the one of the GND fit. Bishop and Hill's
maximum of the work over all stresses is its dual (Phil. Mag. 42 (1951) 414, doi
10.1080/14786445108561065).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress, nth_of, over_rows
from napari_ebsdml._quaternions import to_matrix
from napari_ebsdml.dislocations.gnd.phase_choice import SlipChoice, choose_systems
from napari_ebsdml.dislocations.gnd.simplex import solve_l1
from napari_ebsdml.dislocations.slip_systems import SlipSystems
from napari_ebsdml.errors import EbsdmlError, InputError, MissingDataError
from napari_ebsdml.scan import Scan, checked_scan

FLOATS = NDArray[np.float64]
MODES = ("uniaxial", "plane-strain")
_AXES = {"x": (1.0, 0.0, 0.0), "y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0)}


@dataclass(frozen=True, eq=False, repr=False)
class TaylorFactor:
    """Taylor factor of a map; a number, the mean, wherever one is needed.

    Attributes
    ----------
    values : (rows, columns) array
        Of each pixel; NaN where there is no orientation or no slip system.
    mean : float
        Over all pixels.
    standard_error : float
        Of the mean, from the scatter between grains; NaN for fewer than two.
    scan
        The map.
    mode, notes
        As computed, and sentences on what is missing.
    """

    values: FLOATS
    mean: float
    standard_error: float
    scan: Scan
    mode: str
    notes: tuple[str, ...] = ()

    def __float__(self) -> float:
        return self.mean

    def __repr__(self) -> str:
        return f"TaylorFactor {self.mean:.3f} +- {self.standard_error:.3f} ({self.mode})"

    def by_phase(self) -> dict[int, float]:
        """Phase id -> mean."""
        return {
            int(number): float(np.nanmean(self.values[self.scan.phase_id == number]))
            for number in np.unique(self.scan.phase_id[np.isfinite(self.values)])
        }

    def by_grain(self, grains: NDArray[Any]) -> dict[int, float]:
        """Grain label -> mean."""
        known = np.isfinite(self.values) & (grains > 0)
        labels, inverse = np.unique(grains[known], return_inverse=True)
        sums = np.bincount(inverse, self.values[known]) / np.bincount(inverse)
        return {int(label): float(value) for label, value in zip(labels, sums, strict=True)}


def taylor_factor(
    scan: Scan,
    mode: str = "uniaxial",
    direction: str | tuple[float, float, float] = "x",
    normal: str | tuple[float, float, float] = "z",
    slip_systems: SlipChoice | Mapping[int | str, SlipChoice] = "auto",
    strengths: Mapping[str, float] | None = None,
    grains: NDArray[Any] | None = None,
    *,
    progress: Progress = None,
) -> TaylorFactor:
    """Taylor factor of every pixel of a map, from its orientations.

    Parameters
    ----------
    scan
        Map with orientations.
    mode
        ``"uniaxial"``: tension or compression along `direction`, contraction equal on both
        sides. ``"plane-strain"``: rolling, longer along `direction`, thinner along `normal`.
    direction, normal
        Axes of the map (x right, y down, z into the screen): ``"x"``, ``"y"``, ``"z"`` or a
        vector.
    slip_systems
        As in `gnd_density`; the edges' planes and directions are the slip systems.
    strengths
        Family of slip systems (``"basal"``, see `SlipSystems.families`) -> critical shear stress
        relative to that of the others, which is 1. All the same by default: right for fcc and
        bcc, not for hcp.
    grains : (rows, columns) int array, optional
        For the standard error; default `segment_grains`.
    progress
        Called with the fraction done; what it raises ends the computation.

    Returns
    -------
    TaylorFactor
        Sum of slips per von Mises strain: stress = M x critical shear stress.

    Raises
    ------
    InputError
        When an argument is not usable, or the slip systems cannot make the strain.
    MissingDataError
        When orientations or slip systems are missing.
    """
    strain = strain_of(mode, direction, normal)
    oriented = checked_scan(scan).is_indexed & scan.quaternions.any(axis=-1)
    if not oriented.any():
        raise MissingDataError(f"{scan.name} has no orientations, which Taylor factors need.")
    present = [int(number) for number in np.unique(scan.phase_id[oriented])]
    chosen, notes = choose_systems(scan, slip_systems, present)
    values = np.full(scan.shape, np.nan)
    for index, (number, systems) in enumerate(chosen.items()):
        some = oriented & (scan.phase_id == number)
        values[some] = taylor_factors(
            scan.quaternions[some], systems, strain, strengths,
            nth_of(progress, index, len(chosen)),
        )  # fmt: skip
    known = np.isfinite(values)
    if grains is None:
        from napari_ebsdml.maps.grains import segment_grains

        grains = segment_grains(scan)
    labels, inverse = np.unique(np.asarray(grains)[known], return_inverse=True)
    mean = float(values[known].mean())
    error = float("nan")
    if len(labels) > 1:
        rest = np.bincount(inverse, values[known] - mean)
        n = len(labels)
        error = float(np.sqrt((rest**2).sum() * n / (n - 1)) / known.sum())
    return TaylorFactor(values, mean, error, scan, mode, notes)


def strain_of(mode: str, direction: Any, normal: Any = "z") -> FLOATS:
    """Strain tensor (3, 3) of von Mises size 1, in the axes of the map."""
    along = _axis("direction", direction)
    if mode == "uniaxial":
        return 1.5 * np.outer(along, along) - 0.5 * np.eye(3)
    if mode != "plane-strain":
        raise InputError(f"mode must be 'uniaxial' or 'plane-strain', not {mode!r}.")
    across = _axis("normal", normal)
    if abs(along @ across) > 1e-6:
        raise InputError("direction and normal must be perpendicular.")
    return np.sqrt(0.75) * (np.outer(along, along) - np.outer(across, across))


def _axis(name: str, value: Any) -> FLOATS:
    try:
        axis = np.asarray(_AXES.get(value, value) if isinstance(value, str) else value, float)
        length = float(np.linalg.norm(axis))
    except (TypeError, ValueError):
        axis, length = np.zeros(0), 0.0
    if axis.shape != (3,) or not (np.isfinite(length) and length > 0):
        raise InputError(f"{name} must be 'x', 'y', 'z' or three numbers, not {value!r}.")
    return np.asarray(axis / length)


def taylor_factors(
    quaternions: NDArray[Any],
    systems: SlipSystems,
    strain: FLOATS,
    strengths: Mapping[str, float] | None = None,
    progress: Progress = None,
) -> FLOATS:
    """Taylor factor of each orientation.

    Parameters
    ----------
    quaternions : (n, 4) array
        Specimen -> crystal, as `Scan.quaternions`.
    systems
        Slip systems; screws are left out.
    strain : (3, 3) array
        In specimen axes, of von Mises size 1.
    strengths
        See `taylor_factor`.
    progress
        Called with the fraction done.

    Raises
    ------
    InputError
        When a strength is not positive or names no family, or the systems cannot make every
        strain.
    """
    slip = systems.select(systems.is_edge)
    costs = np.ones(len(slip))
    for family, strength in (strengths or {}).items():
        here = np.array([name == family for name in slip.families])
        if not here.any() or not (np.isfinite(strength) and strength > 0):
            raise InputError(
                f"strengths: {family!r}: {strength!r} is no positive strength of one of the "
                f"families {', '.join(dict.fromkeys(slip.families))}."
            )
        costs[here] = strength
    least = costs.min()
    b = slip.burgers / slip.burgers_lengths[:, None]
    schmid = np.einsum("si,sj->sij", b, slip.normals)
    matrix = _five((schmid + np.swapaxes(schmid, 1, 2)) / 2).T.copy()
    if np.linalg.matrix_rank(matrix, tol=1e-6) < 5:
        raise InputError(
            f"The slip systems {systems.name!r} cannot make every strain: five independent ones "
            "are needed. Add families."
        )
    turn = to_matrix(np.asarray(quaternions, np.float64).reshape(-1, 4))
    strains = _five(np.einsum("nij,jk,nlk->nil", turn, strain, turn))
    out = np.empty(len(strains))
    failed: list[int] = []

    def work(first: int, end: int) -> None:
        failed.append(int(_solve(matrix, costs / least, strains, first, end, out)))

    over_rows(work, (len(strains), 64), progress)
    if any(failed):
        raise EbsdmlError(f"The Taylor factors of {sum(failed)} orientations were not found.")
    return out * least


def _five(tensors: FLOATS) -> FLOATS:
    """Symmetric traceless tensors (n, 3, 3) as vectors (n, 5) of the same length."""
    t = tensors
    root = np.sqrt(2.0)
    return np.stack(
        (
            (t[:, 0, 0] - t[:, 1, 1]) / root, t[:, 2, 2] * np.sqrt(1.5),
            root * t[:, 1, 2], root * t[:, 0, 2], root * t[:, 0, 1],
        ),
        axis=1,
    )  # fmt: skip


@njit(cache=True, nogil=True)
def _solve(matrix, costs, strains, first, end, out):  # type: ignore[no-untyped-def]
    m, n = matrix.shape
    basis = n + np.arange(m)
    inverse = np.empty((m, m))
    work = np.empty((3, m, m))
    x = np.empty(m)
    y = np.empty(m)
    price = np.empty(n)
    failed = 0
    for p in range(first, end):
        # Every orientation by itself: the result must not depend on its neighbours.
        basis[:] = n + np.arange(m)
        if solve_l1(matrix, costs, strains[p], basis, inverse, work, x, y, price) < 0:
            failed += 1
            out[p] = np.nan
            continue
        out[p] = 0.0
        for i in range(m):
            if basis[i] < n:
                out[p] += costs[basis[i]] * abs(x[i])
    return failed
