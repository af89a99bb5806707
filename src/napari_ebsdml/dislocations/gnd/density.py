"""Density of geometrically necessary dislocations (GND) of a map, per slip system."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress, nth_of, part_of
from napari_ebsdml.dislocations.gnd.average import GndAverage, average
from napari_ebsdml.dislocations.gnd.curvature import check_stencil, nye_tensor
from napari_ebsdml.dislocations.gnd.denoise import as_denoise
from napari_ebsdml.dislocations.gnd.denoise_loss import DenoiseLoss
from napari_ebsdml.dislocations.gnd.fit import SlipFit, check_norm, fit_slip_systems
from napari_ebsdml.dislocations.gnd.noise import OrientationNoise
from napari_ebsdml.dislocations.gnd.phase_choice import (
    SlipChoice,
    choose_systems,
    noise_by_phase,
)
from napari_ebsdml.dislocations.gnd.phase_density import Method, merged, phase_density, points_of
from napari_ebsdml.dislocations.settings import Denoise, GndSettings
from napari_ebsdml.dislocations.slip_systems import SlipSystems
from napari_ebsdml.errors import InputError, MissingDataError
from napari_ebsdml.maps.grains import segment_grains
from napari_ebsdml.scan import Scan, checked_scan

if TYPE_CHECKING:
    from napari_ebsdml.dislocations.gnd.stability import SplitStability
    from napari_ebsdml.dislocations.gnd.step_dependence import StepDependence
    from napari_ebsdml.dislocations.gnd.threshold_dependence import ThresholdDependence

__all__ = ["GndDensity", "SlipFit", "fit_slip_systems", "gnd_density"]


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
    curvature_gain
        Standard deviation of a curvature component in 1/um for orientation errors of 1 rad about
        each axis, independent from point to point.
    copied
        Pixels with the same orientation as a neighbour of the grain, copied by noise reduction:
        their gradients are falsely zero, and averages leave them out.
    noise
        Phase id -> `OrientationNoise`.
    grains
        Grain labels in use, 0 for none.
    scan
        The map it was computed from.
    settings
        Arguments in use.
    notes
        Sentences on what is missing, and why.
    denoising
        Phase id -> what denoising passes of curvature and noise; empty without.
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
    curvature_gain: NDArray[np.float64]
    copied: NDArray[np.bool_]
    noise: Mapping[int, OrientationNoise]
    grains: NDArray[Any]
    scan: Scan
    settings: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    denoising: Mapping[int, DenoiseLoss] = field(default_factory=dict)

    @cached_property
    def nye(self) -> NDArray[np.float64]:
        """Known components of Nye's tensor in 1/um, (rows, columns, 3, 3), else NaN.

        alpha_12, alpha_13, alpha_21, alpha_23 and alpha_33 follow from a flat map; the first
        index is the Burgers vector's, the second the line's (Pantleon 2008, eq. 12).
        """
        return nye_tensor(self.curvature)

    @property
    def orientation_noise(self) -> dict[int, float]:
        """Phase id -> standard deviation of orientations about each axis in degrees."""
        return {number: noise.sigma for number, noise in self.noise.items()}

    @property
    def noise_sentence(self) -> str:
        """What the orientation noise hides, a few sentences per phase."""
        sentences = []
        for number, noise in self.noise.items():
            floor = self.noise_floor[self.scan.phase_id == number]
            floor = floor[np.isfinite(floor)]
            text = noise.sentence(
                self.scan.step, float(np.median(floor)) if floor.size else float("nan")
            )
            name = f"{self.scan.phases[number].name}: " if len(self.noise) > 1 else ""
            sentences.append(name + text)
        return " ".join(sentences)

    @property
    def point_step(self) -> float:
        """Distance of neighbouring points along a row in um."""
        return self.scan.step[1]

    @property
    def choices(self) -> dict[int | str, SlipChoice]:
        """Slip systems of each phase, as `gnd_density` takes them."""
        return {n: self.systems.select(columns) for n, columns in self.system_columns.items()}

    @cached_property
    def undenoised(self) -> GndDensity:
        """The same density without denoising, computed at first use; itself where there is none."""
        if self.settings.get("denoise") is None:
            return self
        return self._again(self.grains, None)

    def _with_threshold(self, threshold: float, progress: Progress) -> GndDensity:
        base = self.undenoised
        if threshold == base.settings["grain_threshold"]:
            return base
        return self._again(None, progress, threshold)

    def _again(
        self, grains: NDArray[Any] | None, progress: Progress, threshold: float = 1.0
    ) -> GndDensity:
        """The same density without denoising, with these grains or those of a threshold."""
        return gnd_density(
            self.scan, self.choices, self.settings["norm"],
            self.settings["stencil"], None, grains,
            orientation_noise=self.settings["orientation_noise"], grain_threshold=threshold,
            min_pixels=self.settings["min_pixels"] or 1, keep_per_system=False, progress=progress,
        )  # fmt: skip

    def average(self, mask: NDArray[np.bool_] | None = None) -> GndAverage:
        """Average density without the noise, with its interval.

        Denoising loses part of the density: the average is that of the orientations as measured.

        Parameters
        ----------
        mask : (rows, columns) bool array, optional
            Pixels to average over; default all.

        Raises
        ------
        InputError
            When the mask has another shape or type.
        """
        return self._whole if mask is None else average(self.undenoised, mask)

    @cached_property
    def _whole(self) -> GndAverage:
        # Seconds for a map of millions of pixels, and asked for more than once.
        return average(self.undenoised)

    def step_dependence(
        self,
        factors: tuple[int, ...] = (1, 2, 3, 4, 6),
        mask: NDArray[np.bool_] | None = None,
        progress: Progress = None,
    ) -> StepDependence:
        """Average density against step, from the same map with neighbours farther away.

        Parameters
        ----------
        factors
            Steps in steps of the map.
        mask : (rows, columns) bool array, optional
            Pixels to average over; default all.
        progress
            Called with the fraction done.
        """
        from napari_ebsdml.dislocations.gnd.step_dependence import step_dependence

        return step_dependence(self, factors, mask, progress)

    def threshold_dependence(
        self,
        thresholds: tuple[float, ...] = (1.5, 3.0, 5.0, 10.0, 15.0),
        mask: NDArray[np.bool_] | None = None,
        progress: Progress = None,
    ) -> ThresholdDependence:
        """Average density against the grain threshold, from the same map with other grains.

        Parameters
        ----------
        thresholds
            In degrees.
        mask : (rows, columns) bool array, optional
            Pixels to average over; default all.
        progress
            Called with the fraction done.
        """
        from napari_ebsdml.dislocations.gnd.threshold_dependence import threshold_dependence

        return threshold_dependence(self._with_threshold, thresholds, mask, progress)

    def split_stability(
        self, jitter: float = 0.05, draws: int = 4, progress: Progress = None
    ) -> SplitStability:
        """What of the split over slip systems stays when line energies change.

        Parameters
        ----------
        jitter
            Standard deviation of the relative change.
        draws
            How often to change them.
        progress
            Called with the fraction done.
        """
        from napari_ebsdml.dislocations.gnd.stability import split_stability

        return split_stability(self, jitter, draws, progress=progress)

    @property
    def caveats(self) -> tuple[str, ...]:
        """What a reader has to know of any GND density of this kind, as sentences."""
        found = [
            "Elastic strain is left out: near single lines its rotations count as dislocations.",
            "The grain threshold sets what counts as a boundary and with it the mean; medians "
            "depend on it less.",
        ]
        if self.settings["stencil"] == "full":
            found.append(
                "Differences to all neighbours: MTEX's one-sided ones give 1.4 to 2.6 times as "
                "much on measured maps, most of it noise."
            )
        return tuple(found)

    def __repr__(self) -> str:
        known = self.total[np.isfinite(self.total)]
        middle = f"median {np.median(known):.3g}" if known.size else "nothing known"
        return (
            f"GndDensity of {self.scan.name!r}: {self.systems!r}, {middle} 1/m^2 in {known.size} "
            f"pixels, {int(self.above_noise.sum())} above noise"
        )


def gnd_density(
    scan: Scan,
    slip_systems: SlipChoice | Mapping[int | str, SlipChoice] = "auto",
    norm: str = GndSettings.norm,
    stencil: str = GndSettings.stencil,
    denoise: bool | str | Denoise | None = None,
    grains: NDArray[Any] | None = None,
    *,
    orientation_noise: float | Mapping[int | str, float] | None = None,
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
    orientation_noise
        Standard deviation of orientations about each axis in degrees, or a dict of phase id or
        name -> that. None: as `improve_orientations` told it, else measured in the map, see
        `OrientationNoise`.
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
    method = Method(check_norm(norm), check_stencil(stencil), as_denoise(denoise), keep_per_system)
    if min(checked_scan(scan).shape) < 2:
        raise InputError(f"GND density needs a map of at least 2 x 2 pixels, not {scan.shape}.")
    oriented = scan.is_indexed & scan.quaternions.any(axis=-1)
    if not oriented.any():
        raise MissingDataError(f"{scan.name} has no orientations, which GND density needs.")
    present = [int(number) for number in np.unique(scan.phase_id[oriented])]
    chosen, notes = choose_systems(scan, slip_systems, present)
    given = noise_by_phase(scan, orientation_noise, present)
    if grains is None:
        labels = segment_grains(
            scan, grain_threshold, min_pixels, progress=part_of(progress, 0.0, 0.1)
        )
    else:
        labels = np.asarray(grains)
        if labels.shape != scan.shape or labels.dtype.kind not in "iu":
            raise InputError(
                f"grains must be integers of shape {scan.shape}, not {labels.dtype} of shape "
                f"{labels.shape}."
            )
    all_points, phase_of, note = points_of(scan, labels, grain_threshold)
    whole = len(present) == 1
    found = {}
    for index, (number, systems) in enumerate(chosen.items()):
        report = nth_of(part_of(progress, 0.1), index, len(chosen))
        found[number] = phase_density(
            all_points if whole else all_points.only(phase_of == number), scan.phases[number],
            systems, method, given.get(number), whole, report,
        )  # fmt: skip
    losses = {n: phase.loss for n, phase in found.items() if phase.loss is not None}
    for number, loss in losses.items():
        name = f"{scan.phases[number].name}: " if len(found) > 1 else ""
        notes = (*notes, name + loss.sentence)
    stops = np.cumsum([0, *(len(systems) for systems in chosen.values())])
    return GndDensity(
        **merged(found, scan.shape, keep_per_system),
        systems=SlipSystems.join(list(chosen.values())),
        system_columns={
            number: slice(int(a), int(b))
            for number, a, b in zip(chosen, stops[:-1], stops[1:], strict=True)
        },
        noise={number: phase.noise for number, phase in found.items()},
        grains=labels,
        scan=scan,
        settings={
            "slip_systems": {scan.phases[i].name: repr(part) for i, part in chosen.items()},
            "norm": method.norm,
            "stencil": method.stencil,
            "denoise": method.denoise,
            "grain_threshold": None if grains is not None else grain_threshold,
            "min_pixels": None if grains is not None else min_pixels,
            "orientation_noise": {n: sigma for n, sigma in given.items() if sigma is not None},
        },
        notes=(*notes, *([note] if note else [])),
        denoising=losses,
    )
