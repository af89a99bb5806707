"""Total dislocation density of a map from its orientations, with the limit of the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress, part_of
from napari_ebsdml.dislocations.article.divergence import square_step
from napari_ebsdml.dislocations.gnd.noise import noise_of
from napari_ebsdml.dislocations.gnd.phase_choice import choose_systems, noise_by_phase
from napari_ebsdml.dislocations.gnd.phase_density import CONJUGATE
from napari_ebsdml.dislocations.settings import TotalSettings
from napari_ebsdml.dislocations.taylor import TaylorMaterial, taylor_stress
from napari_ebsdml.dislocations.total.average import AverageDensity, average
from napari_ebsdml.dislocations.total.blocks import of_pixels
from napari_ebsdml.dislocations.total.model import Calibration, TotalDensityModel
from napari_ebsdml.dislocations.total.phase_question import PhaseQuestion
from napari_ebsdml.dislocations.total.reading import SIDES, read_phase
from napari_ebsdml.dislocations.total.segments import WINDOW
from napari_ebsdml.dislocations.total.windows import Windows, joined, maps_of
from napari_ebsdml.errors import InputError, MissingDataError
from napari_ebsdml.maps.grains import segment_grains
from napari_ebsdml.maps.symmetry import laue_operators

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan

Table = dict[str, list[Any]]
"""Column title -> values."""
MOST_SIDE = 16
"""Of squares of pixels."""


@dataclass(frozen=True, eq=False, repr=False)
class TotalDensity:
    """Result of `total_dislocation_density`. Maps have the shape (rows, columns) of the scan.

    Attributes
    ----------
    density : float32
        Density of the window around each pixel in 1/m^2; NaN where the map does not tell it.
    interval : (rows, columns, 2) float32
        Ends in 1/m^2 that hold 90 % of the probability; where the density is not told the high
        end is an upper bound. NaN outside of all windows.
    measurable : bool
        Where the map tells its density.
    limit
        Density in 1/m^2 from which the map can tell, 20 (sigma / b)^2 with the noise of what was
        read, pixels or means, whatever the step; of the phase with the most pixels, see `limits`.
    limits
        Phase id -> limit.
    orientation_noise
        Phase id -> degrees about each axis of a pixel, as given or measured.
    measured
        Whether the noise was measured on the map.
    surface
        Whether the map was taken for one of a free surface.
    windows
        What each window tells.
    segments : (rows, columns) int32
        Number of the window of each pixel, -1 for none.
    grains
        Grain labels in use.
    calibration
        Of the model: what windows' errors have in common, and what is known beforehand.
    table
        Averages as asked for with `by`.
    notes
        What a reader has to know, one sentence each.
    scan
        The map it was computed from.
    averaged
        Phase id -> side in pixels of the squares whose mean orientations were read; 1: pixels.
    """

    density: NDArray[np.float32]
    interval: NDArray[np.float32]
    measurable: NDArray[np.bool_]
    limit: float
    limits: Mapping[int, float]
    orientation_noise: Mapping[int, float]
    measured: bool
    surface: bool
    windows: Windows
    segments: NDArray[np.int32]
    grains: NDArray[Any]
    calibration: Calibration
    scan: Scan
    notes: tuple[str, ...] = ()
    table: Table = field(default_factory=dict)
    averaged: Mapping[int, int] = field(default_factory=dict)

    def average(self, mask: NDArray[Any] | None = None) -> AverageDensity:
        """Density of the map, or of a part of it.

        Parameters
        ----------
        mask : (rows, columns) bool array
            Pixels that count; None: all. Windows count with the part of their pixels within.

        Returns
        -------
        AverageDensity

        Raises
        ------
        InputError
            When the mask has another shape.
        """
        if mask is None:
            return self._whole
        chosen = np.asarray(mask, dtype=bool)
        if chosen.shape != self.segments.shape:
            raise InputError(
                f"The mask has the shape {chosen.shape}, the map {self.segments.shape}."
            )
        inside = self.segments[chosen & (self.segments >= 0)]
        pixels = np.bincount(inside, minlength=len(self.windows))
        rows = np.flatnonzero(pixels)
        part = self.windows.select(rows)
        part.pixels[:] = pixels[rows]
        return self._of(part)

    def averages(
        self,
        by: str = "phase",
        materials: Mapping[int, str | TaylorMaterial] | None = None,
        friction: float = 0.0,
    ) -> Table:
        """Densities of the map, its phases or its grains, with Taylor's stress.

        Parameters
        ----------
        by
            ``"map"``, ``"phase"`` or ``"grain"``.
        materials
            Phase id -> material of `taylor_stress`; phases that are left out get no stress.
        friction
            In MPa.

        Returns
        -------
        dict of column -> list
            Densities in 1/m^2 (NaN: not measurable), ends of the 90 % interval, whether
            measurable, limit, polarised part in %, stress with its interval in MPa, windows and
            pixels.
        """
        w = self.windows
        if by == "map":
            groups = [("whole map", int(w.phase[0]) if len(w) else 0, self._whole)]
        elif by == "phase":
            groups = [(self.scan.phases[n].name, n, one) for n, one in self.phases.items()]
        elif by == "grain":
            groups = [(self.scan.phases[n].name, n, one) for _, n, one in self._grains]
        else:
            raise InputError(f"by must be 'map', 'phase' or 'grain', not {by!r}.")
        table: Table = {"grain": [one[0] for one in self._grains]} if by == "grain" else {}
        table["phase" if by != "map" else "part"] = [name for name, _, _ in groups]
        titles = (
            "density [1/m²]", "low [1/m²]", "high [1/m²]", "measurable", "limit [1/m²]",
            "polarised [%]", "Taylor stress [MPa]", "low stress [MPa]", "high stress [MPa]",
            "windows", "pixels",
        )  # fmt: skip
        # All grains at once: a large map has thousands.
        stresses = np.full((len(groups), 3), np.nan)
        of_phase = np.array([phase for _, phase, _ in groups])
        told = np.array([(one.density, *one.interval) for _, _, one in groups]).reshape(-1, 3)
        told[~np.isfinite(told)] = np.nan
        for phase, material in (materials or {}).items():
            if material is not None:
                these = of_phase == phase
                stresses[these] = taylor_stress(told[these], material, friction)
        rows = [
            (
                found.density, *found.interval, found.measurable, found.limit,
                100 * found.polarised, *stress, found.windows, found.pixels,
            )
            for (_, _, found), stress in zip(groups, stresses.tolist(), strict=True)
        ]  # fmt: skip
        columns = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in titles]
        return {**table, **dict(zip(titles, columns, strict=True))}

    @cached_property
    def phases(self) -> Mapping[int, AverageDensity]:
        """Phase id -> average of its windows."""
        w = self.windows
        return {int(n): self._of(w.select(w.phase == n)) for n in self.orientation_noise}

    # Found once: the dock asks again whenever a metal is chosen.
    @cached_property
    def _whole(self) -> AverageDensity:
        return self._of(self.windows)

    @cached_property
    def _grains(self) -> list[tuple[int, int, AverageDensity]]:
        """Label, phase id and average of each grain that has a window."""
        w = self.windows
        order = np.argsort(w.grain, kind="stable")
        labels, starts = np.unique(w.grain[order], return_index=True)
        parts = np.split(order, starts[1:]) if len(order) else []
        return [
            (int(label), int(w.phase[rows[0]]), self._of(w.select(rows)))
            for label, rows in zip(labels, parts, strict=True)
        ]

    def _of(self, windows: Windows) -> AverageDensity:
        phases = np.unique(windows.phase) if len(windows) else np.array(list(self.limits))
        sizes = [int(windows.pixels[windows.phase == n].sum()) for n in phases]
        largest = int(phases[int(np.argmax(sizes))]) if len(phases) else -1
        noise = self.orientation_noise.get(largest, float("nan"))
        return average(
            windows, self.calibration, noise, square_step(self.scan.step), " ".join(self.notes),
            self.averaged.get(largest, 1),
        )  # fmt: skip

    def __repr__(self) -> str:
        return f"TotalDensity of {self.scan.name!r}: {self.average().sentence}"


def total_dislocation_density(
    scan: Scan,
    orientation_noise: float | Mapping[int | str, float] | None = None,
    model: str | Path | TotalDensityModel = "default",
    by: str = "phase",
    *,
    slip_systems: Any = "auto",
    grains: NDArray[Any] | None = None,
    grain_threshold: float = TotalSettings.grain_threshold,
    window: int = WINDOW,
    surface: bool | None = None,
    average_over: int | None = None,
    progress: Progress = None,
) -> TotalDensity:
    """Total dislocation density of a map from the orientations themselves.

    Lines of opposite sense cancel in a GND density, but not in how the lattice's rotation
    scatters from pixel to pixel. An estimator that was trained on simulated three-dimensional
    structures reads that scatter in windows within grains.

    Parameters
    ----------
    scan
        Map with orientations and square pixels.
    orientation_noise
        Standard deviation of the orientations' error about each axis in degrees, or a dict of
        these by phase id or name. None: as `improve_orientations` told it; else measured on the
        map, which then cannot tell noise from the finest structure: give it where it is known.
    model
        ``"default"``, a model file or a loaded model.
    by
        ``"map"``, ``"phase"`` or ``"grain"``: rows of `TotalDensity.table`.
    slip_systems
        As for `gnd_density`; the shortest Burgers vector of a phase counts.
    grains : (rows, columns) int array
        Grain labels, 0 for none. Default: `segment_grains` with `grain_threshold`.
    grain_threshold
        Degrees.
    window
        Side of the local windows in pixels, or in the squares of `average_over`, 16 to 64.
    surface
        Whether the map is of a free surface, as every measured one is: lines turn the lattice
        more there, for a given density about 1.5 times as far. None: yes for a map that was read
        from a file; no for one made in memory, which is taken for a section of a simulated body.
    average_over
        Side in pixels of squares within grains whose mean orientations are read in the place of
        pixels; 1: pixels. None: for each phase the smallest of 1, 2, 3, 4, 6 and 8 that tells its
        density, or else 1.
    progress
        Called with the fraction done; what it raises ends the computation.

    Returns
    -------
    TotalDensity

    Raises
    ------
    InputError
        When an argument is out of range, pixels are not square, or a GND density is given
        (see `article_density`).
    MissingDataError
        When orientations, lattice parameters or slip systems are missing.
    ModelError
        When the model cannot be loaded.
    """
    if hasattr(scan, "per_system"):
        raise InputError(
            "total_dislocation_density takes a Scan; what it did with a GND density, the "
            "article's way, is now article_density(gnd)."
        )
    if not hasattr(scan, "quaternions"):
        raise InputError(f"scan must be a Scan, not {type(scan).__name__}.")
    check_arguments(window, by, average_over)
    step = square_step(scan.step)
    oriented = scan.is_indexed & scan.quaternions.any(axis=-1)
    if not oriented.any():
        raise MissingDataError(f"{scan.name} has no orientations, which a density needs.")
    loaded = TotalDensityModel.load(model)
    present = [int(number) for number in np.unique(scan.phase_id[oriented])]
    chosen, notes = choose_systems(scan, slip_systems, present)
    free = scan.source.path is not None if surface is None else bool(surface)
    if grains is None:
        grains = segment_grains(scan, grain_threshold, progress=part_of(progress, 0.0, 0.15))
    if np.shape(grains) != scan.shape or np.asarray(grains).dtype.kind not in "iu":
        raise InputError(f"grains must be integers of shape {scan.shape}.")
    labels = np.where(oriented, np.asarray(grains), 0).astype(np.int64)
    turns = scan.quaternions * CONJUGATE
    given = noise_by_phase(scan, orientation_noise, present)
    segments = np.full(scan.shape, -1, dtype=np.int32)
    parts: list[Windows] = []
    pixels: list[PhaseQuestion] = []
    asked: list[PhaseQuestion] = []
    count = 0
    for index, (number, systems) in enumerate(chosen.items()):
        share = 0.85 / len(chosen)
        own = part_of(progress, 0.15 + index * share, 0.15 + (index + 1) * share)
        inside = labels if len(present) == 1 else np.where(scan.phase_id == number, labels, 0)
        phase = scan.phases[number]
        noise = cache(partial(noise_of, turns, inside, phase))
        question = PhaseQuestion.of(
            number, phase.name, systems, given.get(number), noise, step, free
        )
        pixels.append(question)
        asked.append(question)
        if question.trouble:
            continue
        found = read_phase(
            turns, inside, laue_operators(phase), question, noise, loaded, int(window),
            sides_of(average_over), own,
        )  # fmt: skip
        if found is None:
            continue
        asked[-1] = found.question
        parts.append(found.windows)
        assert found.pieces is not None
        pieces = of_pixels(found.pieces, found.cut.owner, inside, found.question.side)
        segments[pieces >= 0] = pieces[pieces >= 0] + count
        count += len(found.windows)
    windows = joined(parts)
    ids = scan.phase_id[oriented]
    largest = max(chosen, key=lambda number: int((ids == number).sum()))
    result = total_density(
        maps_of(windows, segments),
        windows,
        segments,
        labels,
        pixels,
        asked,
        largest,
        loaded,
        scan,
        notes,
    )
    result.table.update(result.averages(by))
    if progress is not None:
        progress(1.0)
    return result


def check_arguments(window: int, by: str, average_over: int | None) -> None:
    """Raise where they are out of range.

    Raises
    ------
    InputError
    """
    _check_pixels("window", window, 16, 64)
    if by not in ("map", "phase", "grain"):
        raise InputError(f"by must be 'map', 'phase' or 'grain', not {by!r}.")
    if average_over is not None:
        _check_pixels("average_over", average_over, 1, MOST_SIDE)


def _check_pixels(name: str, value: Any, low: int, high: int) -> None:
    try:
        fits = low <= int(value) <= high and int(value) == value
    except (TypeError, ValueError, OverflowError):
        fits = False
    if not fits:
        raise InputError(f"{name} must be {low} to {high} pixels, not {value!r}.")


def sides_of(average_over: int | None) -> tuple[int, ...]:
    """Sides of squares to be tried."""
    return SIDES if average_over is None else (int(average_over),)


def total_density(
    maps: tuple[Any, Any, Any],
    windows: Windows,
    segments: NDArray[np.int32],
    grains: NDArray[Any],
    pixels: Sequence[PhaseQuestion],
    asked: Sequence[PhaseQuestion],
    largest: int,
    model: TotalDensityModel,
    scan: Scan,
    notes: Sequence[str],
) -> TotalDensity:
    """The result, put together, without its table.

    Parameters
    ----------
    maps
        Of `maps_of`.
    windows, segments, grains
    pixels, asked
        About each phase: its pixels, and what was read.
    largest
        Phase with the most pixels.
    model, scan
    notes
        About the slip systems.
    """
    limits = {one.number: one.limit for one in asked}
    return TotalDensity(
        *maps, limits[largest], limits, {one.number: one.sigma for one in pixels},
        any(one.measured for one in asked), any(one.surface for one in asked), windows, segments,
        grains, model.calibration, scan, (*notes, *(one.trouble for one in asked if one.trouble)),
        averaged={one.number: one.side for one in asked},
    )  # fmt: skip
