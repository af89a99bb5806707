"""Total dislocation density of a large map; equal to that of the whole in one piece."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress, nth_of, part_of
from napari_ebsdml.batching.large.bands import over_bands
from napari_ebsdml.batching.large.basis import Basis
from napari_ebsdml.batching.large.store import Band, LargeMap
from napari_ebsdml.dislocations.article.divergence import square_step
from napari_ebsdml.dislocations.settings import TotalSettings
from napari_ebsdml.dislocations.total.density import (
    WINDOW,
    TotalDensity,
    check_arguments,
    total_density,
)
from napari_ebsdml.dislocations.total.model import TotalDensityModel
from napari_ebsdml.dislocations.total.phase_question import PhaseQuestion
from napari_ebsdml.dislocations.total.segments import Cut, cut_grains, measure, reference_turns
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
    progress: Progress = None,
    client: Client | None = None,
) -> TotalDensity:
    """Total dislocation density of a large map; see `napari_ebsdml.total_dislocation_density`.

    Parameters
    ----------
    large
    orientation_noise, model, by, slip_systems, grain_threshold, window, surface
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
    check_arguments(window, by)
    step = square_step(large.head.step)
    loaded = TotalDensityModel.load(model)
    basis = Basis.of(
        large, "a density", slip_systems, orientation_noise, grain_threshold,
        MapSettings.grain_min_pixels, part_of(progress, 0.0, 0.15), client,
    )  # fmt: skip
    grains, chosen = basis.grains, basis.systems
    free = large.head.source.path is not None if surface is None else bool(surface)
    sizes = over_bands(_oriented, large, large.bands(), (grains,), None, client)
    asked: list[PhaseQuestion] = []
    cuts: list[tuple[int, Cut]] = []
    parts: list[Windows] = []
    for index, (number, systems) in enumerate(chosen.items()):
        own = nth_of(part_of(progress, 0.15, 0.9), index, len(chosen))
        phase = large.head.phases[number]
        asked.append(
            PhaseQuestion.of(
                number, phase.name, systems, basis.given.get(number),
                partial(_noise, basis, number, part_of(own, 0.0, 0.4)), step, free,
            )
        )  # fmt: skip
        if asked[-1].trouble:
            continue
        cut = cut_grains(partial(_labels, large, grains, number), int(window))
        if not len(cut):
            continue
        cuts.append((number, cut))
        references = reference_turns(_pieces(large, grains, number, cut), len(cut))
        found = over_bands(
            _measure, large, large.bands(REACH),
            (grains, number, cut, references, laue_operators(phase), asked[-1].unit),
            part_of(own, 0.4), client,
        )  # fmt: skip
        sums = np.zeros((len(cut), SUMS))
        for used, part in found:
            sums[used] += part
        parts.append(asked[-1].answer(loaded, cut, sums))
    windows = joined(parts)
    names = {name: large.new(*kind) for name, kind in _MAPS.items()}
    over_bands(
        _write, large, large.bands(), (grains, names, cuts, windows), part_of(progress, 0.9),
        client,
    )  # fmt: skip
    largest = max(chosen, key=lambda number: sum(size.get(number, 0) for size in sizes))
    made = {name: large.array(file) for name, file in names.items()}
    result = total_density(
        (made["density"], made["interval"], made["measurable"]), windows, made["segments"],
        large.array(grains), asked, largest, loaded, large.scan, basis.notes,
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


def _pieces(
    large: LargeMap, grains: str, number: int, cut: Cut
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.int32]]]:
    for first, labels in _labels(large, grains, number):
        rows = slice(first, first + len(labels))
        yield _turns(large, rows), cut.segments(labels, first)


def _turns(large: LargeMap, rows: slice) -> NDArray[np.float64]:
    """Crystal -> specimen."""
    turns: NDArray[np.float64] = large.read("quaternions", rows)
    turns[..., 1:] *= -1
    return turns


def _noise(basis: Basis, number: int, progress: Progress) -> float:
    return basis.noise(number, progress).sigma


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
    cuts: Sequence[tuple[int, Cut]], windows: Windows,
) -> None:  # fmt: skip
    first, count = band.write.start, 0
    segments = np.full((band.rows, large.shape[1]), -1, dtype=np.int32)
    for number, cut in cuts:
        own = cut.segments(_of_phase(large, band.write, grains, number), first)
        segments[own >= 0] = own[own >= 0] + count
        count += len(cut)
    maps = dict(zip(("density", "interval", "measurable"), maps_of(windows, segments), strict=True))
    for name, values in {**maps, "segments": segments}.items():
        large.write(names[name], first, values)
