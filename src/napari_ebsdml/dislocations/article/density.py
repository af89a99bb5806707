"""Total dislocation density of an EBSD map from its GND densities per slip system."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter, minimum_filter

from napari_ebsdml._parallel import Progress, part_of
from napari_ebsdml.dislocations.article.divergence import divergence_free, square_step
from napari_ebsdml.dislocations.article.model import DislocationModel
from napari_ebsdml.dislocations.article.predict import PlanePrediction, predict_planes
from napari_ebsdml.dislocations.article.slip_planes import SystemPlanes, system_planes
from napari_ebsdml.dislocations.article.uncertainty import (
    SPREAD_OF_FLOOR,
    add_noise,
    log_normal_interval,
)
from napari_ebsdml.dislocations.settings import DensitySettings
from napari_ebsdml.errors import InputError

if TYPE_CHECKING:
    from napari_ebsdml.dislocations.gnd.density import GndDensity

IGNORED_PART = 0.1
"""Part of a pixel's GND that may be out of the model's range; see `ArticleDensity.in_range`."""
_PLANES_SHARE = 0.1


@dataclass(frozen=True, eq=False)
class ArticleDensity:
    """Result of `article_density`; maps have the shape (rows, columns) of the scan.

    Attributes
    ----------
    mean
        Expected total density in 1/m^2, summed over the slip planes; NaN where not known. Use
        it for averages and Taylor's formula.
    median
        Sum of the planes' estimates with the smallest relative error, 1/m^2.
    std
        Standard deviation in 1/m^2, planes taken as independent, with the noise of the GND.
    interval : (rows, columns, 2)
        Interval in 1/m^2 that holds `planes.level` of the probability: a log-normal of the
        planes' mean and standard deviation, widened by the noise of the GND. Where noise alone
        explains the GND it runs from 0 to at least the noise floor.
    n_lines
        Number of dislocation lines, summed over the slip planes; -1 where not known.
    in_range
        Where the planes that the network was trained for carry at least nine tenths of the
        pixel's |GND|, or what the others carry is below the noise floor. Those others then count
        with their |GND| alone, as if nothing cancelled in them. Elsewhere the network
        extrapolates.
    valid
        Where the network's window is wholly known and in one grain. Elsewhere estimates are
        guesses.
    above_noise
        Where the GND exceeds what orientation noise alone would show; everywhere that GND is
        known, where the noise is not.
    gnd
        Sum over planes of |GND| in 1/m^2: the lower bound of mean and median.
    planes
        Prediction of each slip plane.
    systems
        The planes' GND vectors and tilt.
    tilt
        Mean angle between map and slip planes in degrees, weighted with their |GND|. Lines of
        a tilted plane are seen foreshortened.
    plane_thickness
        In um, as used.
    step
        In um.
    """

    mean: NDArray[np.float32]
    median: NDArray[np.float32]
    std: NDArray[np.float32]
    interval: NDArray[np.float32]
    n_lines: NDArray[np.int32]
    in_range: NDArray[np.bool_]
    valid: NDArray[np.bool_]
    above_noise: NDArray[np.bool_]
    gnd: NDArray[np.float32]
    planes: PlanePrediction
    systems: SystemPlanes
    tilt: NDArray[np.float32]
    plane_thickness: float
    step: float

    def crops(
        self, criterion: Literal["relative", "paper"] = "relative", threshold: float | None = None
    ) -> NDArray[np.bool_]:
        """Centres of the 7 x 7 windows of single planes that pass the divergence criterion.

        Returns a (planes, rows, columns) mask; see `divergence_free`. With ``"relative"`` the
        centre must also hold at least a twentieth of one line across a pixel.
        """
        chosen = divergence_free(self.systems.gnd, self.step, 7, criterion, threshold)
        if criterion == "relative":
            chosen &= self.planes.magnitude >= 0.05 * self.planes.unit
        return chosen & self.valid

    def article_average(
        self, criterion: Literal["relative", "paper"] = "relative", threshold: float | None = None
    ) -> tuple[float, int]:
        """Average as the article takes it: over windows of single planes that pass the criterion.

        Returns
        -------
        (float, int)
            Mean density in 1/m^2 (NaN without a window) and number of windows. The article
            takes this density of one slip system for that of the specimen; `mean` sums over
            slip systems instead.
        """
        chosen = self.crops(criterion, threshold)
        values = self.planes.mean[chosen]
        return (float(values.mean()) if values.size else float("nan")), int(values.size)

    def __repr__(self) -> str:
        good = self.valid & np.isfinite(self.mean)
        middle = f"mean {self.mean[good].mean():.3g} 1/m^2" if good.any() else "nothing valid"
        inside = f"{100 * self.in_range[good].mean():.0f} % of it in range" if good.any() else ""
        return f"ArticleDensity: {middle} over {int(good.sum())} valid pixels, {inside}"


def article_density(
    gnd: GndDensity,
    model: str | Path | DislocationModel = DensitySettings.model,
    *,
    plane_thickness: float = DensitySettings.plane_thickness,
    symmetric: bool = DensitySettings.symmetric,
    level: float = DensitySettings.level,
    noise: bool = True,
    progress: Progress = None,
) -> ArticleDensity:
    """Total dislocation density of a map: GND plus what cancels out within a pixel.

    Each slip plane's GND map goes through a network that was trained on simulated dislocation
    lines; the planes' densities are then added up.

    Parameters
    ----------
    gnd
        Result of `gnd_density`.
    model
        ``"default"`` (window of 7 x 7 pixels), a model file or a loaded model.
    plane_thickness
        Thickness in um of the layer whose lines a pixel shows: the depth that patterns come
        from. It sets the density of one line, 1 / (step x thickness), and with it the answer.
        No value of it is rigorous; see `in_range` of the result.
    symmetric
        Average over the 16 equivalent maps: somewhat better, 16 times slower.
    level
        Probability within the interval.
    noise
        Whether the noise floor that `gnd` knows counts in interval, spread and range.
    progress
        Called with the part that is done, 0..1; an exception from it cancels.

    Returns
    -------
    ArticleDensity

    Raises
    ------
    MissingDataError
        When the GND densities per slip system were not kept.
    InputError
        When pixels are not square or an argument is out of range.
    ModelError
        When the model cannot be loaded.

    Notes
    -----
    Zhang and Ngan, doi:10.1016/j.ijplas.2018.11.008. Unlike there, planes are added up, not
    averaged, and each plane is laid onto the map with its vectors.
    """
    if not hasattr(gnd, "per_system") or not hasattr(gnd, "scan"):
        raise InputError(f"gnd must be the result of gnd_density, not {type(gnd).__name__}.")
    step = square_step(gnd.scan.step)
    systems = system_planes(gnd, part_of(progress, 0.0, _PLANES_SHARE))
    planes = predict_planes(
        systems.gnd, step, plane_thickness, model, symmetric=symmetric, level=level,
        progress=part_of(progress, _PLANES_SHARE),
    )  # fmt: skip
    # A pixel of one phase has zeros, not gaps, in the systems of the others.
    known = np.asarray(np.isfinite(planes.mean).all(axis=0))
    # Slip systems of another grain have the same numbers, but lie elsewhere.
    side = 2 * DislocationModel.load(model).network.radius + 1
    one_grain = maximum_filter(gnd.grains, side) == minimum_filter(gnd.grains, side)
    valid = np.asarray(planes.valid.all(axis=0) & one_grain & (gnd.grains > 0))
    size = np.nan_to_num(planes.magnitude)
    floor = _noise_floor(gnd, known.shape) if noise else np.zeros(known.shape)
    outside = np.where(planes.in_range, 0, size).sum(axis=0)
    in_range = known & (outside <= np.maximum(IGNORED_PART * size.sum(axis=0), floor))
    # Too little to judge: such planes count as measured, with no lines that cancel.
    as_measured = in_range & ~planes.in_range
    above = getattr(gnd, "above_noise", known) if noise else known
    above = known & np.asarray(above)

    def added(values: NDArray[Any], otherwise: NDArray[Any] | float) -> NDArray[Any]:
        return np.asarray(np.where(as_measured, otherwise, values).sum(axis=0))

    with np.errstate(invalid="ignore"):
        mean, median, bound = (
            np.where(known, added(getattr(planes, name), size), np.nan).astype(np.float32)
            for name in ("mean", "median", "magnitude")
        )
        own = np.where(known, np.sqrt(added(np.square(planes.std), 0)), np.nan)
        tilt = (systems.tilt * size).sum(axis=0) / bound
    interval = np.maximum(log_normal_interval(mean, own, level), bound[..., None])
    interval = add_noise(interval, mean, SPREAD_OF_FLOOR * floor, level)
    quiet = known & ~above
    interval[quiet, 0] = 0
    interval[quiet, 1] = np.maximum(interval[quiet, 1], floor[quiet])
    return ArticleDensity(
        mean,
        median,
        np.hypot(own, SPREAD_OF_FLOOR * floor).astype(np.float32),
        interval.astype(np.float32),
        np.where(known, added(planes.n_lines, 0), -1).astype(np.int32),
        in_range,
        valid,
        above,
        bound,
        planes,
        systems,
        np.where(known & (bound > 0), tilt, np.nan).astype(np.float32),
        float(plane_thickness),
        step,
    )


def _noise_floor(gnd: GndDensity, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Noise floor of every pixel in 1/m^2; zero where it is not known."""
    floor = getattr(gnd, "noise_floor", None)
    return np.zeros(shape) if floor is None else np.nan_to_num(np.asarray(floor, np.float64))
