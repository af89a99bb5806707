"""Total dislocation density of a large map; equal to that of the whole in one piece."""

from __future__ import annotations

import dataclasses
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress, nth_of, part_of
from napari_ebsdml.batching.large.bands import over_bands
from napari_ebsdml.batching.large.basis import Basis
from napari_ebsdml.batching.large.store import Band, LargeMap
from napari_ebsdml.dislocations.article.divergence import square_step
from napari_ebsdml.dislocations.gnd.noise import OrientationNoise
from napari_ebsdml.dislocations.gnd.phase_density import CONJUGATE
from napari_ebsdml.dislocations.settings import TotalSettings
from napari_ebsdml.dislocations.total.blocks import block_means, noise_of_means, of_pixels
from napari_ebsdml.dislocations.total.density import (
    TotalDensity,
    check_arguments,
    sides_of,
    total_density,
)
from napari_ebsdml.dislocations.total.model import TotalDensityModel
from napari_ebsdml.dislocations.total.phase_question import PhaseQuestion
from napari_ebsdml.dislocations.total.reading import Reading, finest
from napari_ebsdml.dislocations.total.segments import (
    WINDOW,
    Cut,
    cut_grains,
    measure,
    reference_turns,
)
from napari_ebsdml.dislocations.total.sums import REACH, SUMS
from napari_ebsdml.dislocations.total.windows import Windows, joined, maps_of
from napari_ebsdml.maps.settings import MapSettings
from napari_ebsdml.maps.symmetry import laue_operators

if TYPE_CHECKING:
    from distributed import Client

_MAPS = {"density": (np.float32, ()), "interval": (np.float32, (2,)), "measurable": (bool, ()),
         "segments": (np.int32, ())}  # fmt: skip


def total_dislocation_density(
    large: LargeMap,
    orientation_noise: float | Mapping[int | str, float] | None = None,
    model: str | Path | TotalDensityModel = "default",
    by: str = "phase",
    *,
    slip_systems: Any = "auto",
    grain_threshold: float = TotalSettings.grain_threshold,
    window: int = WINDOW,
    surface: bool | None = None,
    average_over: int | None = None,
    progress: Progress = None,
    client: Client | None = None,
) -> TotalDensity:
    """Total dislocation density of a large map; see `napari_ebsdml.total_dislocation_density`.

    Parameters
    ----------
    large
    orientation_noise, model, by, slip_systems, grain_threshold, window, surface, average_over
        As `napari_ebsdml.total_dislocation_density` takes them.
    progress
        Called with the fraction done; may raise to cancel.
    client
        See `over_bands`.

    Returns
    -------
    TotalDensity
        Its maps are mapped from files in the map's folder.

    Raises
    ------
    InputError
        When an argument is out of range, or pixels are not square.
    MissingDataError, ModelError
        As of `napari_ebsdml.total_dislocation_density`.
    """
    check_arguments(window, by, average_over)
    step = square_step(large.head.step)
    loaded = TotalDensityModel.load(model)
    basis = Basis.of(
        large, "a density", slip_systems, orientation_noise, grain_threshold,
        MapSettings.grain_min_pixels, part_of(progress, 0.0, 0.15), client,
    )  # fmt: skip
    grains, chosen = basis.grains, basis.systems
    free = large.head.source.path is not None if surface is None else bool(surface)
    sizes = over_bands(_oriented, large, large.bands(), (grains,), None, client)
    pixels: list[PhaseQuestion] = []
    asked: list[PhaseQuestion] = []
    read: list[tuple[_Level, Cut]] = []
    parts: list[Windows] = []
    with ExitStack() as folders:
        for index, (number, systems) in enumerate(chosen.items()):
            own = nth_of(part_of(progress, 0.15, 0.9), index, len(chosen))
            phase = large.head.phases[number]
            given = basis.given.get(number)
            # Where it is given it is measured later, if at all: for what neighbours have in common.
            at_first = part_of(own, 0.0, 0.4) if given is None else None
            noise = cache(partial(basis.measured_noise, number, at_first))
            question = PhaseQuestion.of(number, phase.name, systems, given, noise, step, free)
            pixels.append(question)
            asked.append(question)
            if question.trouble:
                continue
            levels = _Levels(large, grains, number, laue_operators(phase), folders, client)
            found = finest(
                partial(_read, levels, question, noise, loaded, int(window)),
                sides_of(average_over), loaded, part_of(own, 0.4),
            )  # fmt: skip
            if found is not None:
                asked[-1] = found.question
                read.append((levels.of(found.question.side), found.cut))
                parts.append(found.windows)
        windows = joined(parts)
        names = {name: large.new(*kind) for name, kind in _MAPS.items()}
        over_bands(
            _write, large, large.bands(), (grains, names, read, windows), part_of(progress, 0.9),
            client,
        )  # fmt: skip
    largest = max(chosen, key=lambda number: sum(size.get(number, 0) for size in sizes))
    made = {name: large.array(file) for name, file in names.items()}
    result = total_density(
        (made["density"], made["interval"], made["measurable"]), windows, made["segments"],
        large.array(grains), pixels, asked, largest, loaded, large.scan, basis.notes,
    )  # fmt: skip
    result.table.update(result.averages(by))
    return result


def _oriented(large: LargeMap, band: Band, grains: str) -> dict[int, int]:
    """Take pixels without an orientation out of the grains; those that are left, by phase."""
    ids, rows = large.read("phase_id", band.write), band.write
    oriented = (ids >= 0) & large.read("quaternions", rows).any(axis=-1)
    large.write(grains, rows.start, np.where(oriented, large.read(grains, rows), np.int32(0)))
    numbers, counts = np.unique(ids[oriented], return_counts=True)
    return dict(zip(numbers.tolist(), counts.tolist(), strict=True))


def _of_phase(large: LargeMap, rows: slice, grains: str, number: int) -> NDArray[np.int64]:
    """Labels of the grains of a phase, 0 elsewhere."""
    ids = large.read("phase_id", rows)
    return np.where(ids == number, large.read(grains, rows), 0).astype(np.int64)


def _labels(
    large: LargeMap, grains: str, number: int
) -> Iterator[tuple[int, NDArray[np.int64]]]:  # fmt: skip
    for band in large.bands():
        yield band.write.start, _of_phase(large, band.write, grains, number)


@dataclass(frozen=True)
class _Level:
    """A phase of a map of pixels, or of means of squares of them.

    `inverse`: of `Blocks`, the sum of 1 / members and the number of squares.
    """

    large: LargeMap
    grains: str
    number: int
    side: int
    inverse: tuple[float, int] = (1.0, 1)


@dataclass
class _Levels:
    """The maps of means of a phase: made when asked for, removed when `folders` is closed."""

    large: LargeMap
    grains: str
    number: int
    operators: NDArray[np.float64]
    folders: ExitStack
    client: Client | None
    made: dict[int, _Level] = field(default_factory=dict)

    def of(self, side: int, progress: Progress = None) -> _Level:
        """The map of means of squares of a side."""
        if side not in self.made:
            self.made[side] = self._make(side, progress)
        return self.made[side]

    def _make(self, side: int, progress: Progress) -> _Level:
        large = self.large
        if side == 1:
            return _Level(large, self.grains, self.number, 1)
        folder = large.folder / f"means-{uuid.uuid4().hex}"
        self.folders.callback(shutil.rmtree, folder, ignore_errors=True)
        rows, columns = (-(-size // side) for size in large.shape)
        head = dataclasses.replace(large.head, prop={})
        small = LargeMap.empty(folder, (rows, columns), head, large.pixels)
        labels = small.new(np.int32)
        found = over_bands(
            _average, large, large.bands(align=side),
            (self.grains, self.number, self.operators, side, small, labels), progress, self.client,
        )  # fmt: skip
        inverse = sum(part[0] for part in found), sum(part[1] for part in found)
        return _Level(small, labels, self.number, side, inverse)


def _average(
    large: LargeMap, band: Band, grains: str, number: int, operators: NDArray[np.float64],
    side: int, small: LargeMap, labels: str,
) -> tuple[float, int]:  # fmt: skip
    """Write the means of a band's squares."""
    rows = band.write
    means = block_means(
        _turns(large, rows), _of_phase(large, rows, grains, number), operators, side
    )
    first = rows.start // side
    small.write("quaternions", first, means.turns * CONJUGATE)
    small.write("phase_id", first, np.where(means.labels > 0, np.int32(number), np.int32(-1)))
    small.write(labels, first, means.labels.astype(np.int32))
    return means.inverse


def _read(
    levels: _Levels, question: PhaseQuestion, noise: Callable[[], OrientationNoise],
    model: TotalDensityModel, window: int, side: int, progress: Progress,
) -> Reading | None:  # fmt: skip
    """Read the windows of pixels, or of means."""
    level = levels.of(side, part_of(progress, 0.0, 0.5))
    if side > 1:
        question = question.of_means(
            side, noise_of_means(side, *level.inverse, noise().correlation)
        )
    large, number = level.large, level.number
    cut = cut_grains(partial(_labels, large, level.grains, number), window)
    if not len(cut):
        return None
    references = reference_turns(_pieces(large, level.grains, number, cut), len(cut))
    found = over_bands(
        _measure, large, large.bands(REACH),
        (level.grains, number, cut, references, levels.operators, question.unit),
        part_of(progress, 0.5), levels.client,
    )  # fmt: skip
    sums = np.zeros((len(cut), SUMS))
    for used, part in found:
        sums[used] += part
    return Reading(question, cut, question.answer(model, cut, sums))


def _pieces(
    large: LargeMap, grains: str, number: int, cut: Cut
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.int32]]]:
    for first, labels in _labels(large, grains, number):
        rows = slice(first, first + len(labels))
        yield _turns(large, rows), cut.segments(labels, first)


def _turns(large: LargeMap, rows: slice) -> NDArray[np.float64]:
    """Crystal -> specimen."""
    turns: NDArray[np.float64] = large.read("quaternions", rows) * CONJUGATE
    return turns


def _measure(
    large: LargeMap, band: Band, grains: str, number: int, cut: Cut,
    references: NDArray[np.float64], operators: NDArray[np.float64], unit: float,
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:  # fmt: skip
    first = band.read.start
    segments = cut.segments(_of_phase(large, band.read, grains, number), first)
    return measure(
        _turns(large, band.read), segments, references, operators, unit, None, first, band.keep
    )


def _write(
    large: LargeMap, band: Band, grains: str, names: Mapping[str, str],
    read: Sequence[tuple[_Level, Cut]], windows: Windows,
) -> None:  # fmt: skip
    rows, count = band.write, 0
    segments = np.full((band.rows, large.shape[1]), -1, dtype=np.int32)
    for level, cut in read:
        labels = _of_phase(large, rows, grains, level.number)
        first, side = rows.start // level.side, level.side
        squares = slice(first, -(-rows.stop // side))
        own = cut.segments(_of_phase(level.large, squares, level.grains, level.number), first)
        own = of_pixels(own, cut.owner, labels, side, rows.start - first * side)
        segments[own >= 0] = own[own >= 0] + count
        count += len(cut)
    maps = dict(zip(("density", "interval", "measurable"), maps_of(windows, segments), strict=True))
    for name, values in {**maps, "segments": segments}.items():
        large.write(names[name], rows.start, values)
