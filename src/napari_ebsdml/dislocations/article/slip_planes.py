"""GND densities of slip systems as vector maps of their slip planes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from napari_ebsdml._parallel import Progress
from napari_ebsdml._quaternions import to_matrix
from napari_ebsdml.errors import InputError, MissingDataError

if TYPE_CHECKING:
    from napari_ebsdml.dislocations.gnd.density import GndDensity


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


def system_planes(gnd: GndDensity, progress: Progress = None) -> SystemPlanes:
    """GND vectors of each edge system's slip plane, in map axes.

    Screws belong to a Burgers vector, not to a plane: their density is shared among the planes
    of that Burgers vector in proportion to the |edge| density within 7 x 7 pixels, evenly where
    there is none.

    Parameters
    ----------
    gnd
        Result of `gnd_density` with `per_system` kept.
    progress
        Called with the fraction done; what it raises ends the computation.

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
    to_map = np.swapaxes(to_matrix(gnd.scan.quaternions), -1, -2)
    unit_b = systems.burgers / systems.burgers_lengths[:, None]
    screws = np.flatnonzero(~systems.is_edge)
    owner = _screw_of(unit_b[edges], unit_b[screws], _phase_of(gnd)[edges], _phase_of(gnd)[screws])
    size = np.abs(np.nan_to_num(gnd.per_system[..., edges]))
    local = uniform_filter(size, (7, 7, 1), mode="constant") + 0.0
    vectors = np.empty((len(edges), rows, columns, 2), np.float32)
    tilt = np.empty((len(edges), rows, columns), np.float32)
    for k, edge in enumerate(edges):
        if progress is not None:
            progress(k / len(edges))
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
