"""Averages of dislocation densities over phases and grains, with their uncertainty."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.dislocations.settings import DensitySettings, TaylorSettings
from napari_ebsdml.dislocations.taylor import (
    MATERIALS,
    TaylorMaterial,
    stress_increment,
    taylor_material,
    taylor_stress,
)
from napari_ebsdml.errors import InputError
from napari_ebsdml.materials import recognise

if TYPE_CHECKING:
    from napari_ebsdml.dislocations.article.density import ArticleDensity
    from napari_ebsdml.dislocations.gnd.density import GndDensity
    from napari_ebsdml.scan import Scan

Table = dict[str, list[Any]]
"""Column title -> values."""

BUDGET = 1 << 28
"""Pixels times groups that a table of averages may take."""
EVERYTHING = "whole map"
REPRESENTATIVE = 0.5
"""Least part of the GND that the pixels of an average must carry."""


def gnd_averages(gnd: GndDensity, by: str = "grain", step: float | None = None) -> Table:
    """GND density of every phase or grain.

    Parameters
    ----------
    gnd
        Result of `gnd_density`.
    by
        ``"phase"`` (a first row for the whole map where there are several) or ``"grain"``.
    step
        In um, at which several maps are compared: one more column, NaN for rows that do not tell
        it; see `StepDependence.at`. With "phase" only.

    Returns
    -------
    dict of column -> list
        Phase; with "grain" also its label; pixels with a density; mean without the noise and its
        90 % interval, from 0 where noise rules and the upper end is all that is known (see
        `GndAverage`; NaN for grains beyond the largest of a very large map); mean with the noise,
        median, and median of the noise floor in 1/m^2; part of the pixels above noise in %; step
        in um, since densities of different steps do not compare.

    Raises
    ------
    InputError
        When `by` is another, or the map does not tell its density at `step`.
    """
    known = np.isfinite(gnd.total)
    groups, names = _groups(gnd.scan, gnd.grains, known, by)
    table = _names(names, by)
    if step is not None and by != "phase":
        raise InputError("Averages at a common step are those of phases: by='phase'.")
    pixels: list[int] = []
    columns: dict[str, list[float]] = {
        "mean GND [1/m²]": [], "low [1/m²]": [], "high [1/m²]": [], "mean with noise [1/m²]": [],
        "median GND [1/m²]": [], "noise floor [1/m²]": [], "above noise [%]": [], "step [µm]": [],
    }  # fmt: skip
    total, floor, above = gnd.total.ravel(), gnd.noise_floor.ravel(), gnd.above_noise.ravel()
    order = np.argsort([-index.size for index in groups], kind="stable")
    corrected = set(order[: max(10, BUDGET // total.size)].tolist())
    for number, index in enumerate(groups):
        pixels.append(int(index.size))
        seen = floor[index]
        seen = seen[np.isfinite(seen)]
        mean = low = high = np.nan
        if number in corrected:
            mask = np.zeros(total.size, dtype=bool)
            mask[index] = True
            found = gnd.average(mask.reshape(gnd.total.shape))
            mean, (low, high) = found.density, found.interval
        row = (
            mean, low, high,
            total[index].mean() if index.size else np.nan,
            np.median(total[index]) if index.size else np.nan,
            np.median(seen) if seen.size else np.nan,
            100 * above[index].mean() if index.size else np.nan,
            gnd.point_step,
        )  # fmt: skip
        for column, value in zip(columns.values(), row, strict=True):
            column.append(float(value))
    if step is not None:
        columns[f"mean GND at {step:g} µm [1/m²]"] = _at_step(gnd, groups, step)
    return {**table, "pixels": pixels, **columns}


def _at_step(gnd: GndDensity, groups: list[NDArray[np.intp]], step: float) -> list[float]:
    """Density of each group at a step; an error where not even the first one tells it."""
    from napari_ebsdml.dislocations.gnd.step_dependence import step_dependences

    found: list[float] = []
    for one in step_dependences(gnd, groups if len(groups) > 1 else [None] * len(groups)):
        try:
            found.append(one.at(step))
        except InputError:
            if not found:
                raise
            found.append(float("nan"))
    return found


def standard_error(mean: NDArray[Any], std: NDArray[Any], window: int = 7) -> float:
    """Standard error of the average of estimates of single pixels.

    Parameters
    ----------
    mean, std : (n,) arrays
        Expected value and standard deviation of each pixel's estimate.
    window
        Side of the network's window: pixels within it share their input, so that only one of
        window^2 pixels counts as independent.

    Returns
    -------
    float
        In the unit of `mean`; NaN without pixels.

    Notes
    -----
    The variance of a pixel's true value is the scatter of the expected values plus the mean of
    the estimates' own variance (law of total variance).
    """
    values, spread = np.asarray(mean, np.float64), np.asarray(std, np.float64)
    if not values.size:
        return float("nan")
    variance = float(values.var() + np.square(spread).mean())
    return float(np.sqrt(variance / max(1.0, values.size / window**2)))


def density_averages(
    density: ArticleDensity,
    gnd: GndDensity,
    by: str = "phase",
    materials: Mapping[int, str | TaylorMaterial] | None = None,
    friction: float = TaylorSettings.friction,
    window: int = 7,
    extrapolate: bool = DensitySettings.extrapolate,
) -> Table:
    """Total dislocation density and Taylor stress of every phase or grain.

    Only pixels that are valid and within the model's range count. A phase or grain gets no
    average (NaN) where they are fewer than one window has, or carry less than half of the GND of
    all its valid pixels: those in range are then the emptier ones, and do not stand for the rest.

    Parameters
    ----------
    density
        Result of `article_density`.
    gnd
        What it was computed from.
    by
        ``"phase"`` (a first row for the whole map where there are several) or ``"grain"``.
    materials
        Phase id -> material of `taylor_stress`; phases that are left out get no stress.
    friction
        Friction stress in MPa.
    window
        Side of the network's window in pixels.
    extrapolate
        Whether valid pixels outside of the model's range count too.

    Returns
    -------
    dict of column -> list
        Phase; with "grain" also its label; mean total density with its standard error in 1/m^2;
        Taylor stress with its standard error in MPa; mean of the GND, the lower bound, in the
        same pixels; the parts in % that are used of the pixels with an estimate, and of the GND
        in the valid ones; pixels with an estimate; step in um.

    Raises
    ------
    InputError
        When `by` is another, or a material is unknown.
    """
    known = np.isfinite(density.mean)
    groups, names = _groups(gnd.scan, gnd.grains, known, by)
    table = _names(names, by)
    valid = density.valid.ravel()
    usable = valid & (density.in_range.ravel() | extrapolate)
    mean, std, bound = (
        np.asarray(a, np.float64).ravel() for a in (density.mean, density.std, density.gnd)
    )
    rows = []
    for index, (phase, *_) in zip(groups, names, strict=True):
        used = index[usable[index]]
        share = 100 * used.size / index.size if index.size else np.nan
        average = error = lower = part = np.nan
        if valid[index].any():
            whole = bound[index[valid[index]]].sum()
            part = 100.0 * bound[used].sum() / whole if whole > 0 else 100.0
        if used.size >= window**2 and part >= 100 * REPRESENTATIVE:
            average, lower = float(mean[used].mean()), float(bound[used].mean())
            error = standard_error(mean[used], std[used], window)
        material = (materials or {}).get(phase)
        stress = stress_error = np.nan
        if material is not None and np.isfinite(average):
            stress = taylor_stress(average, material, friction)
            # d(sqrt rho) = d(rho) / (2 sqrt rho); friction is taken as exact.
            stress_error = (stress - friction) * error / (2 * average) if average > 0 else np.nan
        rows.append(
            (average, error, stress, stress_error, lower, share, part, int(index.size),
             gnd.point_step)
        )  # fmt: skip
    titles = (
        "mean density [1/m²]", "± density [1/m²]", "Taylor stress [MPa]", "± stress [MPa]",
        "GND bound [1/m²]", "used [%]", "GND used [%]", "pixels", "step [µm]",
    )  # fmt: skip
    return {**table, **{title: [row[n] for row in rows] for n, title in enumerate(titles)}}


def density_increments(
    before: Table, after: Table, materials: Mapping[str, str | TaylorMaterial]
) -> Table:
    """Rise of density and flow stress between two maps, phase by phase.

    Parameters
    ----------
    before, after
        Results of `density_averages` by phase; phases are matched by name.
    materials
        Phase name -> material; phases that are left out get no stress.

    Returns
    -------
    dict of column -> list
        Phase; densities before and after and their rise with its standard error in 1/m^2; rise
        of the flow stress in MPa; note: that the maps have different steps, "" otherwise.

    Raises
    ------
    InputError
        When the maps have no phase in common.
    """
    title = "mean density [1/m²]"
    shared = [name for name in after["phase"] if name in before["phase"] and name != EVERYTHING]
    if not shared:
        raise InputError(
            f"The maps have no phase in common: {', '.join(before['phase'])} and "
            f"{', '.join(after['phase'])}. Phases are matched by name."
        )
    table: Table = {
        "phase": shared, "before [1/m²]": [], "after [1/m²]": [], "rise [1/m²]": [],
        "± rise [1/m²]": [], "rise of stress [MPa]": [], "note": [],
    }  # fmt: skip
    for name in shared:
        rows = before["phase"].index(name), after["phase"].index(name)
        first, second = before[title][rows[0]], after[title][rows[1]]
        errors = before["± density [1/m²]"][rows[0]], after["± density [1/m²]"][rows[1]]
        material = materials.get(name)
        stress = np.nan if material is None else stress_increment(first, second, material)
        note = different_steps(before["step [µm]"][rows[0]], after["step [µm]"][rows[1]])
        values = (first, second, second - first, float(np.hypot(*errors)), stress, note)
        for column, value in zip(list(table)[1:], values, strict=True):
            table[column].append(value)
    return table


def different_steps(*steps: float) -> str:
    """What to say where GND densities of maps with these steps (um) meet; "" for equal steps."""
    if not max(steps) > 1.05 * min(steps):
        return ""
    return (
        f"The maps have steps of {min(steps):g} to {max(steps):g} um: GND densities fall with the "
        "step, so that theirs do not compare."
    )


def _groups(
    scan: Scan, grains: NDArray[Any], known: NDArray[np.bool_], by: str
) -> tuple[list[NDArray[np.intp]], list[tuple[int, str, int]]]:
    """Flat pixel indices of each group; its phase id (-1: all), phase name and grain label."""
    if by not in ("phase", "grain"):
        raise InputError(f"by must be 'phase' or 'grain', not {by!r}.")
    labels = (scan.phase_id if by == "phase" else grains).ravel()
    phase = scan.phase_id.ravel()
    pixels = np.flatnonzero(known & (grains > 0))
    if not pixels.size:
        return [], []
    pixels = pixels[np.argsort(labels[pixels], kind="stable")]
    _, starts = np.unique(labels[pixels], return_index=True)
    groups = np.split(pixels, starts[1:])
    names = [
        (int(phase[group[0]]), scan.phases[int(phase[group[0]])].name, int(labels[group[0]]))
        for group in groups
    ]
    if by == "phase" and len(groups) > 1:
        groups.insert(0, pixels)
        names.insert(0, (-1, EVERYTHING, 0))
    return groups, names


def _names(names: list[tuple[int, str, int]], by: str) -> Table:
    table: Table = {"grain": [label for *_, label in names]} if by == "grain" else {}
    return {**table, "phase": [name for _, name, _ in names]}


def material_of_phase(phase: Any) -> str | None:
    """Metal of `taylor.MATERIALS` that an orix `Phase` is by name and lattice, or None."""
    cell = tuple(float(value) for value in phase.structure.lattice.abcABG())
    if max(cell[:3]) < 1.5:  # nm, as EMsoft writes them
        cell = (*(10 * length for length in cell[:3]), *cell[3:])
    known = recognise(phase.name, cell)
    for name in (phase.name, known.name if known else ""):
        for key, constants in MATERIALS.items():
            try:
                if taylor_material(name) == constants:
                    return key
            except InputError:
                break
    return None
