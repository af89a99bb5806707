"""Total dislocation density of slip planes from their GND maps."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import binary_erosion, uniform_filter

from napari_ebsdml._parallel import Progress, part_of
from napari_ebsdml.dislocations.article.divergence import gnd_planes, looks_transposed, square_step
from napari_ebsdml.dislocations.article.lines import unit_density
from napari_ebsdml.dislocations.article.mixture import summarise
from napari_ebsdml.dislocations.article.model import DislocationModel
from napari_ebsdml.dislocations.article.network import symmetric_output
from napari_ebsdml.dislocations.article.uncertainty import noise_reach
from napari_ebsdml.errors import InputError
from napari_ebsdml.learning.tiling import tiles

NOTHING = 1e-6
"""|GND| below this part of one line across a pixel is none at all."""
_SEEN = 1e-3
_FAINT = 0.2
_POOL = 21
_MARGIN = 0.3
# Small enough for the activations of a tile to stay in the processor's cache.
_TILE = 64
_PIXELS_AT_ONCE = 1 << 13
_PIXELS_IN_GROUP = 1 << 19


@dataclass(frozen=True, eq=False)
class PlanePrediction:
    """Prediction for slip planes; arrays have the shape (planes, rows, columns).

    Attributes
    ----------
    mean
        Expected total dislocation density in 1/m^2. Right on average: use it for map averages
        and Taylor's formula.
    median
        Density in 1/m^2 with the smallest expected relative error. It lies below the mean: use
        it for single pixels, not for averages.
    std
        Standard deviation of the density in 1/m^2.
    interval : (planes, rows, columns, 2)
        Ends of the central interval that holds `level` of the probability, 1/m^2. Noise that
        was told is in it: the low end may then lie below |GND|.
    n_lines
        Most probable number of dislocation lines in the pixel; -1 where the GND is not known.
        The largest number that the network knows stands for itself and more.
    in_range
        False where the input lies outside of what the network was trained on: a scale (step,
        plane thickness, density unit) that fits no dislocation lines, or too many lines.
    valid
        Whether the network's whole window lies on the map and is known. Elsewhere missing
        pixels count as empty, and estimates are guesses.
    magnitude
        |GND| in 1/m^2, a lower bound of mean and median where noise does not explain it.
    unit
        Density of one line straight across a pixel, 1 / (step x plane thickness), in 1/m^2.
    level
        Probability within the interval.
    model
        Name of the model.
    """

    mean: NDArray[np.float32]
    median: NDArray[np.float32]
    std: NDArray[np.float32]
    interval: NDArray[np.float32]
    n_lines: NDArray[np.int32]
    in_range: NDArray[np.bool_]
    valid: NDArray[np.bool_]
    magnitude: NDArray[np.float32]
    unit: float
    level: float
    model: str

    def __repr__(self) -> str:
        planes, rows, columns = self.mean.shape
        return (
            f"PlanePrediction: {planes} planes of {rows} x {columns} pixels, "
            f"{100 * self.valid.mean():.0f} % valid, {100 * self.in_range.mean():.0f} % in range"
        )


def predict_planes(
    gnd: ArrayLike,
    step: float | tuple[float, float],
    plane_thickness: float,
    model: str | Path | DislocationModel = "default",
    *,
    symmetric: bool = True,
    level: float = 0.9,
    n_range: tuple[int, int] | None = None,
    noise: ArrayLike | None = None,
    progress: Progress = None,
) -> PlanePrediction:
    """Total dislocation density and number of lines from GND maps of single slip planes.

    Parameters
    ----------
    gnd : (planes, rows, columns, 2) array
        GND vector of each pixel in 1/m^2: x along columns, y along rows; which of the two is
        edge and which screw does not matter. NaN where not known.
    step
        Pixel side in um, or (dy, dx).
    plane_thickness
        Thickness h in um of the layer whose lines the map shows. One line straight across a
        pixel is 1 / (step h): the article takes the Burgers vector for h, a measurement sees
        lines to the depth that its signal comes from.
    model
        ``"default"``, a model file or a loaded model.
    symmetric
        Average over the 16 equivalent maps (4 turns x mirror x line sense): better, and 16
        times slower.
    level
        Probability within the interval, 0..1.
    n_range
        Fewest and most lines in a pixel, where this is known, all taken as equally frequent;
        e.g. (1, 5) for the article's crops.
    noise
        Standard deviation of the noise in each component of the GND in 1/m^2, where it is known:
        a number, or an array that broadcasts to (planes, rows, columns). The network was trained
        with noise that it is told, up to a quarter of one line across a pixel: it then takes
        faint GND for what it is, and the density may lie below |GND|.
    progress
        Called with the part that is done, 0..1; an exception from it cancels.

    Returns
    -------
    PlanePrediction

    Warns
    -----
    UserWarning
        When the components seem to be exchanged: lines then end in nearly every pixel.

    Raises
    ------
    InputError
        When an argument has the wrong shape or is out of range.
    ModelError
        When the model cannot be loaded.

    Notes
    -----
    The idea, total density of one slip plane from its GND map through a convolutional network,
    is Zhang and Ngan's (doi:10.1016/j.ijplas.2018.11.008). A pixel without GND holds no line,
    save for lines that cancel exactly: it gets zero.
    """
    fields = gnd_planes(gnd)
    if looks_transposed(fields):
        warnings.warn(
            "The lines of this GND field end in nearly every pixel, but would run on if its "
            "components were (x, y) in place of (y, x): exchange them.",
            stacklevel=2,
        )
    unit = unit_density(square_step(step), float(plane_thickness))
    if not 0 < level < 1:
        raise InputError(f"level must lie between 0 and 1, not {level}.")
    loaded = DislocationModel.load(model)
    most = loaded.network.classes - 1
    if n_range is not None and not 0 <= n_range[0] <= n_range[1] <= most:
        raise InputError(f"n_range must be two numbers within 0..{most}, not {n_range}.")
    planes, rows, columns, _ = fields.shape
    shape = (planes, rows, columns)
    known = np.asarray(np.isfinite(fields).all(axis=-1))
    spread = None if noise is None else _noise(noise, shape)
    found = {name: np.zeros(shape, np.float32) for name in ("mean", "median", "std")}
    interval = np.zeros((*shape, 2), np.float32)
    n_lines = np.zeros(shape, np.int32)
    in_range = np.ones(shape, bool)
    magnitude = np.zeros(shape, np.float32)
    side = 2 * loaded.network.radius + 1
    valid = binary_erosion(known, np.ones((1, side, side), bool))
    group = max(1, _PIXELS_IN_GROUP // (rows * columns))
    for start in range(0, planes, group):
        end = min(start + group, planes)
        part = slice(start, end)
        inside = np.where(known[part, ..., None], fields[part], 0) / unit
        x = np.ascontiguousarray(np.moveaxis(inside, -1, 1), np.float32)
        size = np.hypot(x[:, 0], x[:, 1])
        magnitude[part] = size * unit
        loud = None if spread is None else (spread[part] / unit).astype(np.float32)
        x *= (size >= NOTHING)[:, None]
        some = _Planes(
            x, loud, {name: array[part] for name, array in found.items()}, interval[part],
            n_lines[part], np.zeros((x.shape[0], 3, rows, columns), np.float32),
        )  # fmt: skip
        some.fill(
            loaded, symmetric, level, n_range, part_of(progress, start / planes, end / planes)
        )
        in_range[part] = _right_scale(some.scale, size, loud, loaded.scale_prior)
        in_range[part] &= (size <= loaded.largest) & (n_lines[part] < most)
    for array in (*found.values(), interval):
        array *= np.float32(unit) if unit < 1e37 else unit
        array[~known] = np.nan
    if spread is not None:
        # Where nothing at all was measured, the noise may hide something.
        nothing = known & (magnitude < NOTHING * unit)
        interval[nothing, 1] = noise_reach(spread, level)[nothing]
    magnitude[~known] = np.nan
    n_lines[~known] = -1
    in_range &= known
    return PlanePrediction(
        found["mean"], found["median"], found["std"], interval, n_lines, in_range, valid,
        magnitude, unit, level, loaded.name,
    )  # fmt: skip


def _noise(noise: ArrayLike, shape: tuple[int, int, int]) -> NDArray[np.float64]:
    """Noise of every pixel; NaN, where it is not known, counts as none."""
    try:
        array = np.broadcast_to(np.asarray(noise, np.float64), shape)
    except (TypeError, ValueError):
        raise InputError(
            f"noise must be a number or an array that fits (planes, rows, columns) {shape}."
        ) from None
    if np.nanmin(array, initial=0) < 0 or np.isinf(array).any():
        raise InputError("noise is a standard deviation in 1/m^2: finite and not negative.")
    return np.nan_to_num(array)


@dataclass(frozen=True, eq=False)
class _Planes:
    """Some planes, and what the network says of them.

    Attributes
    ----------
    gnd : (planes, 2, rows, columns)
        In lines across a pixel, 0 where there is none.
    noise : (planes, rows, columns) or None
        Of its components, in the same unit.
    estimates, interval, n_lines
        As in `PlanePrediction`, in the same unit; zero where no network has been.
    scale : (planes, 3, rows, columns)
        Log probabilities of a scale too small, right, too large.
    """

    gnd: NDArray[np.float32]
    noise: NDArray[np.float32] | None
    estimates: dict[str, NDArray[np.float32]]
    interval: NDArray[np.float32]
    n_lines: NDArray[np.int32]
    scale: NDArray[np.float32]

    def fill(
        self, loaded: DislocationModel, symmetric: bool, level: float,
        n_range: tuple[int, int] | None, progress: Progress,
    ) -> None:  # fmt: skip
        """Run the network tile by tile; empty tiles stay zero."""
        network, r = loaded.network, loaded.network.radius
        run = partial(symmetric_output, network) if symmetric else network
        calibration = loaded.calibration(n_range is not None)
        padded = np.pad(self.gnd, ((0, 0), (0, 0), (r, r), (r, r)))
        loud = self.noise
        if loud is not None:
            loud = np.pad(loud, ((0, 0), (r, r), (r, r)), mode="edge")
        parts = list(tiles((self.gnd.shape[2], self.gnd.shape[3]), _TILE, 0))
        for number, tile in enumerate(parts):
            at_rows, at_columns = tile.read
            seen = (
                slice(at_rows.start, at_rows.stop + 2 * r),
                slice(at_columns.start, at_columns.stop + 2 * r),
            )
            piece = padded[(..., *seen)]
            full = np.flatnonzero(self.gnd[:, :, at_rows, at_columns].any(axis=(1, 2, 3)))
            step = max(1, _PIXELS_AT_ONCE // (piece.shape[2] * piece.shape[3]))
            for begin in range(0, len(full), step):
                if progress is not None:
                    progress((number + begin / len(full)) / len(parts))
                some = full[begin : begin + step]
                tensor = torch.from_numpy(np.ascontiguousarray(piece[some]))
                tensor = tensor.to(memory_format=torch.channels_last)
                told = None if loud is None else torch.from_numpy(loud[(some, *seen)])
                with torch.inference_mode():
                    out = run(tensor, told)
                    judged = out.scale.log_softmax(1).numpy()
                    result = summarise(out, level, n_range, nothing=NOTHING, **calibration)
                where = (some, at_rows, at_columns)
                for name, array in self.estimates.items():
                    array[where] = getattr(result, name)
                for end, values in enumerate((result.low, result.high)):
                    self.interval[(*where, end)] = values
                self.n_lines[where] = result.n_lines
                self.scale[some, :, at_rows, at_columns] = judged
        if progress is not None:
            progress(1.0)


def _right_scale(
    scale: NDArray[np.float32],
    size: NDArray[np.float32],
    loud: NDArray[np.float32] | None,
    prior: tuple[float, ...],
) -> NDArray[np.bool_]:
    """Whether dislocation lines fit the scale, from the evidence of the surroundings."""
    window = (1, _POOL, _POOL)
    # Pixels on lines tell more than those that hold mere noise; the latter still tell something
    # where there is nothing else.
    faint = _FAINT if loud is None else np.maximum(_FAINT, 2.5 * loud)
    weight = np.square(np.clip(size - faint, 0, 2)) + 1e-3 * np.square(np.minimum(size, 2))

    def pooled(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(uniform_filter(values, window, mode="constant"))

    # What each pixel adds to what was likely before: a pixel that tells nothing adds nothing.
    evidence = [pooled(weight * (scale[:, k] - np.log(prior[k]))) for k in range(3)]
    # A wrong scale must be shown, by a fixed margin per pixel; a tie is no reason to warn.
    least = np.maximum(evidence[0], evidence[2]) - _MARGIN * pooled(weight)
    # No GND around at all, or none but noise, is an empty place; GND of no visible size that is
    # no noise is a wrong scale.
    some = pooled((size > (NOTHING if loud is None else 3 * loud)).astype(np.float32)) > 1e-6
    seen = _SEEN if loud is None else np.maximum(_SEEN, 3 * loud)
    visible = pooled((size > seen).astype(np.float32)) > 1e-6
    return np.asarray(np.where(visible, evidence[1] >= least, ~some))
