"""Density of geometrically necessary dislocations (GND) of a map, per slip system."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress
from napari_ebsdml.dislocations.curvature import curvature_and_gain
from napari_ebsdml.dislocations.denoise import Denoise, as_denoise, denoise_orientations
from napari_ebsdml.dislocations.fit import SlipFit, check_norm, fit_slip_systems
from napari_ebsdml.dislocations.noise import (
    RESOLUTION,
    noise_level,
    noise_sentence,
    orientation_noise,
    remaining_noise,
)
from napari_ebsdml.dislocations.slip_systems import SlipSystems, for_phase
from napari_ebsdml.errors import InputError, MissingDataError
from napari_ebsdml.maps.grains import segment_grains
from napari_ebsdml.maps.symmetry import laue_operators

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan

__all__ = ["GndDensity", "SlipFit", "fit_slip_systems", "gnd_density"]

_Choice = str | SlipSystems | None


@dataclass(frozen=True, eq=False, repr=False)
class GndDensity:
    """Result of `gnd_density`. Maps have the shape (rows, columns) of the scan.

    Attributes
    ----------
    total
        Sum of |rho| over the slip systems in 1/m^2; NaN where the curvature is unknown.
    energy
        Sum weighted by line energy relative to the shortest edge dislocation, 1/m^2.
    per_system : (rows, columns, n) float32, or None when not kept
        Signed density of each system in 1/m^2, in the order of `systems`; 0 in the columns of
        another phase's systems, NaN where the curvature is unknown.
    systems
        All slip systems, those of several phases one after the other.
    system_columns
        Phase id -> slice of `systems` and of the last axis of `per_system`.
    curvature : (rows, columns, 3, 3)
        d(theta_i)/d(x_j) in rad/um, map frame (x right, y down, z into the screen); NaN: unknown.
    misfit
        Curvature in 1/um that the systems cannot make.
    noise_floor
        Median of the density in 1/m^2 that orientation noise alone would show in each pixel.
    above_noise
        Where `total` exceeds the 95 % quantile of pure noise.
    orientation_noise
        Phase id -> standard deviation of orientations about each axis in degrees, as measured.
    grains
        Grain labels in use, 0 for none.
    scan
        The map it was computed from.
    settings
        Arguments in use.
    """

    total: NDArray[np.float64]
    energy: NDArray[np.float64]
    per_system: NDArray[np.float32] | None
    systems: SlipSystems
    system_columns: Mapping[int, slice]
    curvature: NDArray[np.float64]
    misfit: NDArray[np.float64]
    noise_floor: NDArray[np.float64]
    above_noise: NDArray[np.bool_]
    orientation_noise: Mapping[int, float]
    grains: NDArray[Any]
    scan: Scan
    settings: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def nye(self) -> NDArray[np.float64]:
        """Known components of Nye's tensor in 1/um, (rows, columns, 3, 3), else NaN.

        alpha_12, alpha_13, alpha_21, alpha_23 and alpha_33 follow from a flat map; the first
        index is the Burgers vector's, the second the line's (Pantleon 2008, eq. 12).
        """
        return nye_tensor(self.curvature)

    @property
    def noise_sentence(self) -> str:
        """What the orientation noise hides, in one sentence per phase."""
        sentences = []
        for number, sigma in self.orientation_noise.items():
            floor = self.noise_floor[self.scan.phase_id == number]
            floor = floor[np.isfinite(floor)]
            text = noise_sentence(
                sigma, self.scan.step, float(np.median(floor)) if floor.size else float("nan")
            )
            name = f"{self.scan.phases[number].name}: " if len(self.orientation_noise) > 1 else ""
            sentences.append(name + text)
        return " ".join(sentences)

    def __repr__(self) -> str:
        known = self.total[np.isfinite(self.total)]
        middle = f"median {np.median(known):.3g}" if known.size else "nothing known"
        return (
            f"GndDensity of {self.scan.name!r}: {self.systems!r}, {middle} 1/m^2 in {known.size} "
            f"pixels, {int(self.above_noise.sum())} above noise"
        )


def gnd_density(
    scan: Scan,
    slip_systems: _Choice | Mapping[int | str, _Choice] = "auto",
    norm: str = "l1",
    stencil: str = "full",
    denoise: bool | str | Denoise | None = None,
    grains: NDArray[Any] | None = None,
    *,
    grain_threshold: float = 3.0,
    min_pixels: int = 1,
    keep_per_system: bool = True,
    progress: Progress = None,
) -> GndDensity:
    """Density of geometrically necessary dislocations in every pixel.

    Parameters
    ----------
    scan
        Map with orientations, at least 2 x 2 pixels.
    slip_systems
        ``"auto"``: from each phase's space group (225 fcc, 229 bcc, 194 hcp); ``"fcc"``,
        ``"bcc"`` or ``"hcp"``, with Burgers vectors from the phase's lattice parameters; a
        `SlipSystems`; or a dict of phase id or name -> one of these, where phases that are left
        out, or map to None, get no density.
    norm
        ``"l1"`` (least line energy, exact) or ``"l2"`` (pseudo-inverse); see `fit_slip_systems`.
    stencil
        ``"full"`` or ``"one-sided"``; see `lattice_curvature`.
    denoise
        None; True or ``"plane"``; or a `Denoise` with settings. See `denoise_orientations`.
    grains : (rows, columns) int array, optional
        Grain labels, 0 for none. Default: `segment_grains` with the two arguments below.
    grain_threshold
        Degrees. Across larger disorientations no curvature is taken.
    min_pixels
        Smaller grains get no density.
    keep_per_system
        False leaves `per_system` out, to save memory on very large maps.
    progress
        Called with the fraction done; what it raises ends the computation.

    Raises
    ------
    InputError
        When an argument is out of range or does not fit the scan.
    MissingDataError
        When orientations, a phase's symmetry, lattice parameters or slip systems are missing.

    Notes
    -----
    Pantleon, Scripta Materialia 58 (2008) 994, doi 10.1016/j.scriptamat.2008.01.050.
    """
    kind = check_norm(norm)
    filtering = as_denoise(denoise)
    report = progress or (lambda fraction: None)
    if min(scan.shape) < 2:
        raise InputError(f"GND density needs a map of at least 2 x 2 pixels, not {scan.shape}.")
    oriented = scan.is_indexed & scan.quaternions.any(axis=-1)
    if not oriented.any():
        raise MissingDataError(f"{scan.name} has no orientations, which GND density needs.")
    present = [int(number) for number in np.unique(scan.phase_id[oriented])]
    chosen = _choose(scan, slip_systems, present)
    for number in chosen:  # fails early, and with the phase's name
        laue_operators(scan.phases[number])
    if grains is None:
        labels = segment_grains(
            scan, grain_threshold, min_pixels, progress=lambda fraction: report(0.1 * fraction)
        )
    else:
        labels = np.asarray(grains)
        if labels.shape != scan.shape or labels.dtype.kind not in "iu":
            raise InputError(
                f"grains must be integers of shape {scan.shape}, not {labels.dtype} of shape "
                f"{labels.shape}."
            )
    report(0.1)

    def partial(start: float, share: float) -> Progress:
        return lambda fraction: report(start + share * fraction)

    systems = SlipSystems.join(list(chosen.values()))
    stops = np.cumsum([0, *(len(part) for part in chosen.values())])
    columns = {
        number: slice(int(a), int(b))
        for number, a, b in zip(chosen, stops[:-1], stops[1:], strict=True)
    }
    turns = scan.quaternions * np.array([1.0, -1.0, -1.0, -1.0])  # crystal -> specimen
    curvature = np.full((*scan.shape, 3, 3), np.nan)
    total, energy, misfit, floor = (np.full(scan.shape, np.nan) for _ in range(4))
    above = np.zeros(scan.shape, dtype=bool)
    per_system: NDArray[np.float32] | None = None
    noise: dict[int, float] = {}
    single = len(present) == 1
    if keep_per_system and not single:
        per_system = np.full((*scan.shape, len(systems)), np.nan, dtype=np.float32)
    for index, (number, part) in enumerate(chosen.items()):
        start, share = 0.1 + 0.9 * index / len(chosen), 0.9 / len(chosen)
        phase = scan.phases[number]
        inside = labels if single else np.where(scan.phase_id == number, labels, 0)
        sigma = orientation_noise(turns, inside, phase)
        left: NDArray[np.float64] | None = None
        smooth = turns
        if filtering is not None:
            level = filtering.sigma if filtering.sigma is not None else sigma
            if np.isfinite(level):
                smooth = denoise_orientations(
                    turns,
                    inside,
                    level,
                    filtering.radius,
                    filtering.passes,
                    phase,
                    progress=partial(start, 0.3 * share),
                )
                left = remaining_noise(
                    filtering, stencil, sigma, inside,
                    progress=partial(start + 0.3 * share, 0.05 * share),
                )  # fmt: skip
        kappa, gain = curvature_and_gain(
            smooth, inside, scan.step, stencil, laue_operators(phase),
            partial(start + 0.35 * share, 0.05 * share),
        )  # fmt: skip
        known = np.isfinite(gain)
        at: Any = ... if single else known

        fit = fit_slip_systems(
            kappa[at],
            smooth[at],
            part,
            kind,
            keep_per_system=keep_per_system,
            progress=partial(start + 0.4 * share, 0.6 * share),
        )
        total[at], energy[at], misfit[at] = fit.total, fit.energy, fit.misfit
        if single:
            curvature, per_system = kappa, fit.per_system
        else:
            curvature[known] = kappa[known]
            if per_system is not None:
                per_system[known] = 0
                per_system[known, columns[number]] = fit.per_system
        noise[number] = sigma
        if known.any() and np.isfinite(sigma):
            pure = noise_level(part, turns[known][:: max(1, int(known.sum()) >> 16)], kind)
            spread = np.radians(max(sigma, RESOLUTION)) * gain[known]
            if left is not None:
                spread *= left[known]
            floor[known] = pure.median * spread
            above[known] = total[known] > pure.high * spread
    report(1.0)
    return GndDensity(
        total,
        energy,
        per_system,
        systems,
        columns,
        curvature,
        misfit,
        floor,
        above,
        noise,
        labels,
        scan,
        {
            "slip_systems": {scan.phases[i].name: repr(part) for i, part in chosen.items()},
            "norm": kind,
            "stencil": stencil,
            "denoise": filtering,
            "grain_threshold": None if grains is not None else grain_threshold,
            "min_pixels": None if grains is not None else min_pixels,
        },
    )


def nye_tensor(curvature: NDArray[Any]) -> NDArray[np.float64]:
    """Nye's tensor alpha = kappa^T - tr(kappa) I of a curvature; NaN where it is not known.

    Parameters
    ----------
    curvature : (..., 3, 3) array
        Index [.., axis, derivative]; the last column may be NaN.

    Returns
    -------
    (..., 3, 3) array
        In the unit of the curvature. alpha_33 needs no trace over z: it is -kappa_11 - kappa_22.
    """
    kappa = np.asarray(curvature, dtype=np.float64)
    alpha = np.swapaxes(kappa, -1, -2).copy()
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        alpha[..., i, i] = -kappa[..., j, j] - kappa[..., k, k]
    return alpha


def _choose(
    scan: Scan, choice: _Choice | Mapping[int | str, _Choice], present: list[int]
) -> dict[int, SlipSystems]:
    """Slip systems by phase id, for the phases that the map holds."""
    wanted: dict[int, _Choice] = {}
    if isinstance(choice, Mapping):
        names = {scan.phases[number].name: number for number in scan.phases.ids}
        for key, value in choice.items():
            number = names.get(key) if isinstance(key, str) else key
            if number is None or number not in scan.phases.ids:
                raise InputError(
                    f"slip_systems names phase {key!r}; {scan.name} has "
                    f"{', '.join(f'{i} {name!r}' for name, i in names.items())}."
                )
            wanted[int(number)] = value
    else:
        wanted = dict.fromkeys(present, choice)
    chosen: dict[int, SlipSystems] = {}
    for number in present:
        value = wanted.get(number)
        if isinstance(value, str):
            chosen[number] = for_phase(scan.phases[number], value)
        elif isinstance(value, SlipSystems):
            chosen[number] = value
        elif value is not None:
            raise InputError(
                "slip_systems must be 'auto', 'fcc', 'bcc', 'hcp', a SlipSystems or a dict of "
                f"these by phase, not {value!r}."
            )
    if not chosen:
        raise InputError("slip_systems leaves out every phase that the map holds.")
    return chosen
