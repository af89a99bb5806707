"""Total dislocation density of an EBSD map from its GND densities per slip system."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter, minimum_filter, uniform_filter

from napari_ebsdml.dislocations.divergence import divergence_free, square_step
from napari_ebsdml.dislocations.model import DislocationModel
from napari_ebsdml.dislocations.predict import PlanePrediction, predict_planes
from napari_ebsdml.errors import InputError, MissingDataError

if TYPE_CHECKING:
    from napari_ebsdml.dislocations.gnd import GndDensity

INFORMATION_DEPTH = 0.02
"""Depth in um that Kikuchi patterns come from, some tens of nanometres in metals (Dingley,
doi:10.1111/j.0022-2720.2004.01321.x): the thickness of the layer whose lines a map shows."""


@dataclass(frozen=True, eq=False)
class SystemPlanes:
    """GND of each slip system as vectors in its slip plane, turned into the map.

    Attributes
    ----------
    gnd : (planes, rows, columns, 2) float32
        Vector of rho_edge l + rho_screw b/|b|, turned with the plane by the smallest rotation
        that lays the plane onto the map; 1/m^2.
    tilt : (planes, rows, columns) float32
        Angle between slip plane and map in degrees, 0..90.
    labels
        Names of the edge systems, one per plane.
    """

    gnd: NDArray[np.float32]
    tilt: NDArray[np.float32]
    labels: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class TotalDensity:
    """Result of `total_dislocation_density`; maps have the shape (rows, columns) of the scan.

    Attributes
    ----------
    mean
        Expected total density in 1/m^2, summed over the slip planes; NaN where not known. Use
        it for averages and Taylor's formula.
    median
        Sum of the planes' estimates with the smallest relative error, 1/m^2.
    std
        Standard deviation in 1/m^2, planes taken as independent.
    interval : (rows, columns, 2)
        Interval in 1/m^2 that holds `planes.level` of the probability: a log-normal of this
        mean and standard deviation.
    n_lines
        Number of dislocation lines, summed over the slip planes; -1 where not known.
    in_range
        Where every plane that carries GND is within what the network was trained on.
    valid
        Where the network's window is wholly known and in one grain. Elsewhere estimates are
        guesses.
    gnd
        Sum over planes of |GND| in 1/m^2: the lower bound.
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
        return f"TotalDensity: {middle} over {int(good.sum())} valid pixels, {inside}"


def system_planes(gnd: GndDensity) -> SystemPlanes:
    """GND vectors of each edge system's slip plane, in map axes.

    Screws belong to a Burgers vector, not to a plane: their density is shared among the planes
    of that Burgers vector in proportion to the |edge| density within 7 x 7 pixels, evenly where
    there is none.

    Parameters
    ----------
    gnd
        Result of `gnd_density` with `per_system` kept.

    Raises
    ------
    MissingDataError
        When the densities per system are missing.
    InputError
        When no system is an edge system.
    """
    if gnd.per_system is None:
        raise MissingDataError(
            "The GND densities per slip system were not kept; call gnd_density with "
            "keep_per_system=True."
        )
    systems = gnd.systems
    edges = np.flatnonzero(systems.is_edge)
    if not len(edges):
        raise InputError("Slip planes need edge systems; these slip systems are screws only.")
    rows, columns = gnd.per_system.shape[:2]
    # Scan quaternions turn specimen -> crystal: the transpose brings crystal axes to the map.
    w, x, y, z = np.moveaxis(gnd.scan.quaternions, -1, 0)
    matrix = np.empty((rows, columns, 3, 3))
    matrix[..., 0, :] = np.stack(
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], -1
    )
    matrix[..., 1, :] = np.stack(
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], -1
    )
    matrix[..., 2, :] = np.stack(
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], -1
    )
    to_map = np.swapaxes(matrix, -1, -2)
    unit_b = systems.burgers / systems.burgers_lengths[:, None]
    screws = np.flatnonzero(~systems.is_edge)
    owner = _screw_of(unit_b[edges], unit_b[screws], _phase_of(gnd)[edges], _phase_of(gnd)[screws])
    size = np.abs(np.nan_to_num(gnd.per_system[..., edges]))
    local = uniform_filter(size, (7, 7, 1), mode="constant") + 0.0
    vectors = np.empty((len(edges), rows, columns, 2), np.float32)
    tilt = np.empty((len(edges), rows, columns), np.float32)
    for k, edge in enumerate(edges):
        vector = gnd.per_system[..., edge, None].astype(np.float64) * systems.lines[edge]
        if owner[k] >= 0:
            mates = np.flatnonzero(owner == owner[k])
            whole = local[..., mates].sum(-1)
            share = np.where(
                whole > 0, local[..., k] / np.where(whole > 0, whole, 1), 1 / len(mates)
            )
            screw = screws[owner[k]]
            vector = vector + (gnd.per_system[..., screw] * share)[..., None] * systems.lines[screw]
        vectors[k], tilt[k] = _lay_down(to_map @ systems.normals[edge], _apply(to_map, vector))
    return SystemPlanes(vectors, tilt, tuple(systems.labels[i] for i in edges))


def _apply(matrix: NDArray[np.float64], vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.einsum("...ij,...j->...i", matrix, vector))


def _phase_of(gnd: GndDensity) -> NDArray[np.intp]:
    phase = np.full(len(gnd.systems), -1, np.intp)
    for number, columns in gnd.system_columns.items():
        phase[columns] = number
    return phase


def _screw_of(
    edges: NDArray[np.float64],
    screws: NDArray[np.float64],
    edge_phase: NDArray[np.intp],
    screw_phase: NDArray[np.intp],
) -> NDArray[np.intp]:
    """Index of each edge's screw of the same Burgers vector and phase, -1 where there is none."""
    if not len(screws):
        return np.full(len(edges), -1, np.intp)
    same = np.abs(edges @ screws.T) > 1 - 1e-6
    same &= edge_phase[:, None] == screw_phase[None, :]
    return np.where(same.any(axis=1), same.argmax(axis=1), -1)


def _lay_down(
    normal: NDArray[np.float64], vector: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Turn vectors with their plane onto the map by the smallest rotation; also the angle."""
    # A plane has two normals; the one nearer to +z needs the smaller turn.
    n = normal * np.where(normal[..., 2:] < 0, -1.0, 1.0)
    cosine = np.clip(n[..., 2], 0.0, 1.0)
    # Rodrigues for the rotation n -> z; vectors lie in the plane, so v . n = 0 and the result
    # is v minus (v . z)/(1 + n . z) (n + z), whose z component vanishes.
    factor = (vector[..., 2] / (1.0 + cosine))[..., None]
    turned = vector[..., :2] - factor * n[..., :2]
    return turned, np.degrees(np.arccos(cosine))


def total_dislocation_density(
    gnd: GndDensity,
    model: str | Path | DislocationModel = "default",
    *,
    plane_thickness: float = INFORMATION_DEPTH,
    symmetric: bool = False,
    level: float = 0.9,
    progress: Callable[[float], None] | None = None,
) -> TotalDensity:
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
    progress
        Called with the part that is done, 0..1; an exception from it cancels.

    Returns
    -------
    TotalDensity

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
    systems = system_planes(gnd)
    planes = predict_planes(
        systems.gnd, step, plane_thickness, model, symmetric=symmetric, level=level,
        progress=progress,
    )  # fmt: skip
    # A pixel of one phase has zeros, not gaps, in the systems of the others.
    known = np.asarray(np.isfinite(planes.mean).all(axis=0))
    # Slip systems of another grain have the same numbers, but lie elsewhere.
    side = 2 * DislocationModel.load(model).network.radius + 1
    one_grain = maximum_filter(gnd.grains, side) == minimum_filter(gnd.grains, side)
    valid = np.asarray(planes.valid.all(axis=0) & one_grain & (gnd.grains > 0))
    in_range = np.asarray((planes.in_range | (planes.magnitude <= 0)).all(axis=0) & known)
    with np.errstate(invalid="ignore"):
        mean, median, bound = (
            np.where(known, getattr(planes, name).sum(axis=0), np.nan).astype(np.float32)
            for name in ("mean", "median", "magnitude")
        )
        std = np.where(known, np.sqrt(np.square(planes.std).sum(axis=0)), np.nan)
        tilt = (systems.tilt * planes.magnitude).sum(axis=0) / bound
    interval = _log_normal_interval(mean, std, level)
    interval = np.where(
        np.isfinite(bound)[..., None], np.maximum(interval, bound[..., None]), np.nan
    )
    return TotalDensity(
        mean,
        median,
        std.astype(np.float32),
        interval.astype(np.float32),
        np.where(known, planes.n_lines.sum(axis=0), -1).astype(np.int32),
        in_range,
        valid,
        bound,
        planes,
        systems,
        np.where(known & (bound > 0), tilt, np.nan).astype(np.float32),
        float(plane_thickness),
        step,
    )


def _log_normal_interval(
    mean: NDArray[np.floating], std: NDArray[np.floating], level: float
) -> NDArray[np.float64]:
    """Central interval (..., 2) of the log-normal of this mean and standard deviation."""
    from scipy.special import ndtri

    m, s = np.asarray(mean, np.float64), np.asarray(std, np.float64)
    safe = np.where(m > 0, m, 1.0)
    variance = np.log1p(np.square(s / safe))
    reach = ndtri(0.5 + 0.5 * level) * np.sqrt(variance)
    middle = np.log(safe) - 0.5 * variance
    ends = np.exp(np.stack([middle - reach, middle + reach], axis=-1))
    return np.asarray(np.where(m[..., None] > 0, ends, np.where(np.isnan(m), np.nan, 0)[..., None]))
