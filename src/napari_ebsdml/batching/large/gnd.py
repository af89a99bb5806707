"""GND density of a large map; equal to that of the whole in one piece."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress, nth_of, part_of
from napari_ebsdml.batching.large.bands import over_bands
from napari_ebsdml.batching.large.basis import Basis, part_of_map
from napari_ebsdml.batching.large.store import Band, LargeMap
from napari_ebsdml.dislocations.averages import EVERYTHING
from napari_ebsdml.dislocations.gnd.average import average
from napari_ebsdml.dislocations.gnd.bands import (
    HALO,
    band_density,
    floor_of,
    level_of,
    pooled,
    sampling,
)
from napari_ebsdml.dislocations.gnd.curvature import nye_tensor
from napari_ebsdml.dislocations.gnd.density import GndDensity
from napari_ebsdml.dislocations.gnd.noise import OrientationNoise
from napari_ebsdml.dislocations.gnd.noise_floor import NoiseLevel
from napari_ebsdml.dislocations.gnd.phase_choice import SlipChoice
from napari_ebsdml.dislocations.settings import GndSettings
from napari_ebsdml.dislocations.slip_systems import SlipSystems
from napari_ebsdml.errors import InputError

if TYPE_CHECKING:
    from distributed import Client

_MAPS = {
    "total": (np.float64, ()), "energy": (np.float64, ()), "misfit": (np.float64, ()),
    "curvature_gain": (np.float64, ()), "curvature": (np.float64, (3, 3)), "copied": (bool, ()),
    "noise_floor": (np.float64, ()), "above_noise": (bool, ()),
}  # fmt: skip


def gnd_density(
    large: LargeMap,
    slip_systems: SlipChoice | Mapping[int | str, SlipChoice] = "auto",
    norm: str = GndSettings.norm,
    stencil: str = GndSettings.stencil,
    denoise: Any = None,
    *,
    orientation_noise: float | Mapping[int | str, float] | None = None,
    grain_threshold: float = GndSettings.grain_threshold,
    min_pixels: int = GndSettings.min_pixels,
    progress: Progress = None,
    client: Client | None = None,
) -> GndDensity:
    """GND density of a large map; see `napari_ebsdml.gnd_density`.

    Parameters
    ----------
    large
        Its points are taken to stand on a square grid.
    slip_systems, norm, stencil, orientation_noise, grain_threshold, min_pixels
        As `napari_ebsdml.gnd_density` takes them.
    denoise
        Not for large maps: what it loses is measured on the map as a whole.
    progress
        Called with the fraction done; may raise to cancel.
    client
        See `over_bands`.

    Returns
    -------
    GndDensity
        Its maps are mapped from files in the map's folder; without densities of single systems.
        `mean_of_bands` averages it without holding it in memory.

    Raises
    ------
    InputError
        When an argument is out of range, or denoising is asked for.
    MissingDataError
        As of `napari_ebsdml.gnd_density`.
    """
    if denoise is not None and denoise is not False:
        raise InputError(
            "GND density in bands is without denoising. Leave denoising out, or ask for larger "
            "bands, so that the map is one."
        )
    if min(large.shape) < 2:
        raise InputError(f"GND density needs a map of at least 2 x 2 pixels, not {large.shape}.")
    basis = Basis.of(
        large, "GND density", slip_systems, orientation_noise, grain_threshold, min_pixels,
        part_of(progress, 0.0, 0.15), client,
    )  # fmt: skip
    grains, chosen = basis.grains, basis.systems
    noise = {
        number: basis.noise(number, nth_of(part_of(progress, 0.15, 0.3), index, len(chosen)))
        for index, number in enumerate(chosen)
    }
    names = {name: large.new(*kind) for name, kind in _MAPS.items()}
    counts = over_bands(
        _fit, large, large.bands(HALO), (grains, names, chosen, norm, stencil),
        part_of(progress, 0.3, 0.9), client,
    )  # fmt: skip
    gain = names["curvature_gain"]
    levels = {
        number: _level(large, gain, number, [count[number] for count in counts], how, client)
        for number, how in ((n, (systems, norm)) for n, systems in chosen.items())
        if any(count[number] for count in counts) and np.isfinite(noise[number].sigma)
    }
    over_bands(_floor, large, large.bands(), (names, noise, levels), part_of(progress, 0.9), client)
    stops = np.cumsum([0, *(len(systems) for systems in chosen.values())])
    arrays: dict[str, Any] = {name: large.array(file) for name, file in names.items()}
    return GndDensity(
        **arrays,
        per_system=None,
        systems=SlipSystems.join(list(chosen.values())),
        system_columns={
            number: slice(int(a), int(b))
            for number, a, b in zip(chosen, stops[:-1], stops[1:], strict=True)
        },
        noise=noise,
        grains=large.array(grains),
        scan=large.scan,
        settings={
            "slip_systems": {large.head.phases[i].name: repr(s) for i, s in chosen.items()},
            "norm": norm, "stencil": stencil, "denoise": None,
            "grain_threshold": grain_threshold, "min_pixels": min_pixels,
            "orientation_noise": {n: sd for n, sd in basis.given.items() if sd is not None},
        },
        notes=basis.notes,
    )  # fmt: skip


def _fit(
    large: LargeMap, band: Band, grains: str, names: Mapping[str, str],
    systems: dict[int, SlipSystems], norm: str, stencil: str,
) -> dict[int, int]:  # fmt: skip
    part = part_of_map(large, band, grains)
    found = band_density(part, systems, norm, stencil)
    for name, values in found.items():
        large.write(names[name], band.write.start, values)
    ids = part.scan.phase_id[part.keep][np.isfinite(found["curvature_gain"])]
    return {number: int((ids == number).sum()) for number in systems}


def _level(
    large: LargeMap, gain: str, number: int, known: Sequence[int], how: tuple[SlipSystems, str],
    client: Client | None,
) -> NoiseLevel:  # fmt: skip
    """What noise alone pretends in a phase, of which each band has so many known pixels."""
    every = sampling(sum(known))
    starts = [(-seen % every,) for seen in np.cumsum([0, *known[:-1]]).tolist()]
    samples = over_bands(
        _sample, large, large.bands(), (gain, number, every), None, client, each=starts
    )
    return level_of(samples, *how)


def _sample(
    large: LargeMap, band: Band, gain: str, number: int, every: int, start: int
) -> NDArray[np.float64]:
    ids, rows = large.read("phase_id", band.write), band.write
    known = np.isfinite(large.read(gain, rows)) & (ids == number)
    return large.read("quaternions", rows)[known][start::every].copy()


def _floor(
    large: LargeMap, band: Band, names: Mapping[str, str], noise: dict[int, OrientationNoise],
    levels: dict[int, NoiseLevel],
) -> None:  # fmt: skip
    total, gain, ids = (
        large.read(name, band.write)
        for name in (names["total"], names["curvature_gain"], "phase_id")
    )
    floor, above = floor_of(total, gain, ids, noise, levels)
    large.write(names["noise_floor"], band.write.start, floor)
    large.write(names["above_noise"], band.write.start, above)


def mean_of_bands(large: LargeMap, gnd: GndDensity, phase: int | None = None) -> tuple[float, ...]:
    """Mean density of a large map, or of one phase of it.

    Returns
    -------
    mean, low, high, mean with noise
        In 1/m^2. The mean of those of bands: its interval is at least as wide as that of the
        whole map, since errors of bands are taken to be the same.
    """
    import dataclasses

    parts = []
    for band in large.bands():
        rows = band.write
        ids = large.read("phase_id", rows)
        mask = np.ones(ids.shape, bool) if phase is None else ids == phase
        names = ("total", "energy", "misfit", "curvature_gain", "curvature", "copied",
                 "noise_floor", "above_noise", "grains")  # fmt: skip
        cut: dict[str, Any] = {name: np.array(getattr(gnd, name)[rows]) for name in names}
        # The phase's pixels alone, with the noise of all of the map.
        cut["total"] = np.where(mask, cut["total"], np.nan)
        some = average(dataclasses.replace(gnd, **cut, scan=large.band(rows)))
        parts.append((some.pixels, some.density, some.interval, some.raw_mean))
    return pooled(parts)


def averages_of_bands(
    large: LargeMap, gnd: GndDensity, step: float | None = None
) -> list[dict[str, Any]]:
    """Rows of the averages of phases, as of `gnd_averages`; see `mean_of_bands`.

    Raises
    ------
    InputError
        When a step is asked for, which needs the map as a whole.
    """
    if step is not None and abs(step - gnd.point_step) > 1e-3 * step:
        raise InputError(
            "The density at another step needs the map as a whole: without a step, or with "
            "larger bands."
        )
    rows = []
    phases = list(gnd.system_columns)
    for number in [None, *phases] if len(phases) > 1 else phases:
        at = np.isfinite(gnd.total)
        if number is not None:
            at &= gnd.scan.phase_id == number
        mean, low, high, raw = mean_of_bands(large, gnd, number)
        some = bool(at.any())
        row: dict[str, Any] = {
            "phase": EVERYTHING if number is None else gnd.scan.phases[number].name,
            "pixels": int(at.sum()),
            "mean GND [1/m²]": mean, "low [1/m²]": low, "high [1/m²]": high,
            "mean with noise [1/m²]": raw,
            "median GND [1/m²]": float(np.median(gnd.total[at])) if some else np.nan,
            "noise floor [1/m²]": float(np.nanmedian(gnd.noise_floor[at])) if some else np.nan,
            "above noise [%]": 100 * float(gnd.above_noise[at].mean()) if some else np.nan,
            "step [µm]": gnd.point_step,
        }  # fmt: skip
        if step is not None:
            row[f"mean GND at {step:g} µm [1/m²]"] = mean
        rows.append(row)
    return rows


def nye_of_bands(large: LargeMap, gnd: GndDensity) -> NDArray[np.float32]:
    """Nye's tensor in 1/um (rows, columns, 3, 3), mapped from a file."""
    out = large.new(np.float32, (3, 3))
    for band in large.bands():
        nye = nye_tensor(np.array(gnd.curvature[band.write]))
        large.write(out, band.write.start, nye.astype(np.float32))
    return large.array(out)
