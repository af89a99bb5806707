"""Density of geometrically necessary dislocations (GND) of a map, per slip system."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress
from napari_ebsdml.dislocations.denoise import Denoise, as_denoise
from napari_ebsdml.dislocations.fit import SlipFit, check_norm, fit_slip_systems
from napari_ebsdml.dislocations.noise import noise_sentence
from napari_ebsdml.dislocations.phase_density import Method, PhaseDensity, part, phase_density
from napari_ebsdml.dislocations.settings import GndSettings
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
    identical
        Phase id -> part of the pairs of neighbours in a grain with the same orientation.
    notes
        Sentences on what is missing, and why.
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
    identical: Mapping[int, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

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
                sigma, self.scan.step, float(np.median(floor)) if floor.size else float("nan"),
                self.identical.get(number, 0.0),
            )  # fmt: skip
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
    norm: str = GndSettings.norm,
    stencil: str = GndSettings.stencil,
    denoise: bool | str | Denoise | None = None,
    grains: NDArray[Any] | None = None,
    *,
    grain_threshold: float = GndSettings.grain_threshold,
    min_pixels: int = GndSettings.min_pixels,
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
    method = Method(check_norm(norm), stencil, as_denoise(denoise), keep_per_system)
    report = progress or (lambda fraction: None)
    if min(scan.shape) < 2:
        raise InputError(f"GND density needs a map of at least 2 x 2 pixels, not {scan.shape}.")
    oriented = scan.is_indexed & scan.quaternions.any(axis=-1)
    if not oriented.any():
        raise MissingDataError(f"{scan.name} has no orientations, which GND density needs.")
    present = [int(number) for number in np.unique(scan.phase_id[oriented])]
    chosen, notes = choose_systems(scan, slip_systems, present)
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
    turns = scan.quaternions * np.array([1.0, -1.0, -1.0, -1.0])  # crystal -> specimen
    whole = len(present) == 1
    found = {}
    for index, (number, systems) in enumerate(chosen.items()):
        start, share = 0.1 + 0.9 * index / len(chosen), 0.9 / len(chosen)
        found[number] = phase_density(
            turns, labels if whole else np.where(scan.phase_id == number, labels, 0),
            scan.step, scan.phases[number], systems, method, whole, part(report, start, share),
        )  # fmt: skip
    report(1.0)
    maps = _merged(found, scan.shape, keep_per_system)
    stops = np.cumsum([0, *(len(systems) for systems in chosen.values())])
    return GndDensity(
        **maps,
        systems=SlipSystems.join(list(chosen.values())),
        system_columns={
            number: slice(int(a), int(b))
            for number, a, b in zip(chosen, stops[:-1], stops[1:], strict=True)
        },
        orientation_noise={number: phase.noise for number, phase in found.items()},
        grains=labels,
        scan=scan,
        settings={
            "slip_systems": {scan.phases[i].name: repr(part) for i, part in chosen.items()},
            "norm": method.norm,
            "stencil": stencil,
            "denoise": method.denoise,
            "grain_threshold": None if grains is not None else grain_threshold,
            "min_pixels": None if grains is not None else min_pixels,
        },
        identical={number: phase.identical for number, phase in found.items()},
        notes=notes,
    )


def _merged(
    found: Mapping[int, PhaseDensity], shape: tuple[int, int], keep_per_system: bool
) -> dict[str, Any]:
    """Maps of all phases, by the names of `GndDensity`."""
    counts = [phase.systems for phase in found.values()]
    whole = next((phase for phase in found.values() if phase.at is ...), None)
    if whole is not None and whole.fit is not None:
        fit = whole.fit
        return {
            "total": fit.total, "energy": fit.energy, "misfit": fit.misfit,
            "per_system": fit.per_system, "curvature": whole.curvature,
            "noise_floor": whole.floor, "above_noise": whole.above,
        }  # fmt: skip
    names = ("total", "energy", "misfit", "noise_floor")
    maps: dict[str, Any] = {name: np.full(shape, np.nan) for name in names}
    maps["curvature"] = np.full((*shape, 3, 3), np.nan)
    maps["above_noise"] = np.zeros(shape, dtype=bool)
    maps["per_system"] = None
    if keep_per_system:
        maps["per_system"] = np.full((*shape, sum(counts)), np.nan, dtype=np.float32)
    first = 0
    for phase, count in zip(found.values(), counts, strict=True):
        last = first + count
        if phase.fit is not None:
            at, fit = phase.at, phase.fit
            maps["total"][at], maps["energy"][at] = fit.total, fit.energy
            maps["misfit"][at], maps["curvature"][at] = fit.misfit, phase.curvature
            maps["noise_floor"][at], maps["above_noise"][at] = phase.floor, phase.above
            if keep_per_system:
                maps["per_system"][at] = 0
                maps["per_system"][at, first:last] = fit.per_system
        first = last
    return maps


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


def choose_systems(
    scan: Scan, choice: _Choice | Mapping[int | str, _Choice], present: list[int]
) -> tuple[dict[int, SlipSystems], tuple[str, ...]]:
    """Slip systems by phase id for the phases that the map holds, and what to say about it.

    Raises
    ------
    InputError
        When the choice cannot be understood or leaves out every phase.
    MissingDataError
        When the systems that were asked for by phase are not known, or those of no phase are.
    """
    wanted: dict[int, _Choice] = {}
    by_phase = isinstance(choice, Mapping)
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
    unknown: list[MissingDataError] = []
    for number in present:
        value = wanted.get(number)
        try:
            if isinstance(value, str):
                systems = for_phase(scan.phases[number], value)
            elif isinstance(value, SlipSystems):
                systems = value
            elif value is None:
                continue
            else:
                raise InputError(
                    "slip_systems must be 'auto', 'fcc', 'bcc', 'hcp', a SlipSystems or a dict "
                    f"of these by phase, not {value!r}."
                )
            laue_operators(scan.phases[number])
        except MissingDataError as error:
            if by_phase:
                raise
            unknown.append(error)
        else:
            chosen[number] = systems
    if not chosen and unknown:
        raise unknown[0]
    if not chosen:
        raise InputError("slip_systems leaves out every phase that the map holds.")
    return chosen, tuple(f"{error} Its pixels have no GND density." for error in unknown)
