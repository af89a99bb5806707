"""From detector pixels to crystal directions: the one place where frames meet.

A `Scan` turns vectors of the map's frame (x right, y down, z into the screen) into the crystal;
kikuchipy's detector refers to the sample frame RD, TD, ND, which is the "edax" frame of
`napari_ebsdml.io.frames`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_ebsdml._quaternions import multiply
from napari_ebsdml.camera import Camera
from napari_ebsdml.errors import InputError, NoCameraError
from napari_ebsdml.io.frames import FRAMES

if TYPE_CHECKING:
    from kikuchipy.detectors import EBSDDetector


def to_kikuchipy(quaternions: ArrayLike) -> NDArray[np.float64]:
    """Quaternions of a `Scan` as rotations of kikuchipy's sample frame into the crystal."""
    turn = np.array(FRAMES["edax"].specimen_turn) * (1, -1, -1, -1)
    return multiply(np.asarray(quaternions, dtype=np.float64), turn)


def from_kikuchipy(quaternions: ArrayLike) -> NDArray[np.float64]:
    """Rotations of kikuchipy's sample frame into the crystal as quaternions of a `Scan`."""
    turn = np.array(FRAMES["edax"].specimen_turn)
    return multiply(np.asarray(quaternions, dtype=np.float64), turn)


@dataclass(frozen=True, eq=False)
class Geometry:
    """How detector pixels look into the sample.

    Attributes
    ----------
    bounds : (n, 4) array
        Gnomonic x_min, x_max, y_min, y_max of the detector, for one or for every pattern.
    to_sample : (3, 3) array
        Turns the detector's frame (x right, y up, z from the sample to the screen) into
        kikuchipy's sample frame.
    shape
        Detector rows and columns.
    """

    bounds: NDArray[np.float64]
    to_sample: NDArray[np.float64]
    shape: tuple[int, int]

    @classmethod
    def of(cls, detector: EBSDDetector | Camera, shape: tuple[int, int] | None = None) -> Geometry:
        """Geometry of a detector; `shape` of the patterns, which may be binned further.

        Raises
        ------
        NoCameraError
            When nobody told the camera's pattern centre.
        InputError
            When the argument is no detector or its pattern centre is not finite.
        """
        if isinstance(detector, Camera):
            if not detector.tells_centre:
                raise NoCameraError("The camera tells no pattern centre: give pc=(x, y, z).")
            detector = detector.detector()
        try:
            bounds = np.array(detector.gnomonic_bounds, dtype=np.float64).reshape(-1, 4)
            turn = (~detector.sample_to_detector).to_matrix().squeeze()
            rows, columns = (int(size) for size in detector.shape)
        except AttributeError:
            raise InputError(
                "detector must be a Camera or a kikuchipy EBSDDetector, not "
                f"{type(detector).__name__}."
            ) from None
        if not np.isfinite(bounds).all():
            raise InputError("The detector's pattern centre is not finite.")
        if shape is not None and shape != (rows, columns):
            # The gnomonic bounds belong to the screen, however many pixels it is read with.
            if abs(shape[0] * columns - shape[1] * rows) > max(rows, columns):
                raise InputError(
                    f"Patterns of {shape} pixels do not fit the detector's {(rows, columns)}: "
                    "the ratio of the sides differs."
                )
            rows, columns = shape
        return cls(bounds, np.ascontiguousarray(turn, dtype=np.float64), (rows, columns))

    @classmethod
    def from_angles(
        cls,
        pc: ArrayLike,
        shape: tuple[int, int],
        sample_tilt: float = 70.0,
        tilt: float = 0.0,
    ) -> Geometry:
        """Geometry from Bruker pattern centres (n, 3) and angles in degrees, without kikuchipy.

        Pattern centres are fractions: x from the left, y from the top, z of the detector's height.
        """
        x, y, z = np.atleast_2d(np.asarray(pc, dtype=np.float64)).T
        aspect = shape[1] / shape[0]
        bounds = np.stack([-aspect * x / z, aspect * (1 - x) / z, -(1 - y) / z, y / z], axis=1)
        return cls(bounds, _detector_to_sample(sample_tilt, tilt), shape)

    def tilted(self, degrees: float) -> Geometry:
        """The same with the camera tilted further by some degrees about its horizontal axis."""
        c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
        turn = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
        return Geometry(self.bounds, self.to_sample @ turn, self.shape)

    def moved(self, dx: float = 0.0, dy: float = 0.0, dz: float = 0.0) -> Geometry:
        """The same with the pattern centre moved by parts of the detector's height.

        dx to the right, dy down (Bruker's convention), dz away from the sample.
        """
        height = self.bounds[:, 3] - self.bounds[:, 2]
        z = 1 / height
        scale = (z / (z + dz))[:, None]
        shift = np.array([-dx, -dx, dy, dy]) * height[:, None]
        return Geometry((self.bounds + shift) * scale, self.to_sample, self.shape)

    @property
    def centre(self) -> tuple[float, float, float]:
        """Mean pattern centre in Bruker's convention, see `from_angles`."""
        x0, x1, y0, y1 = self.bounds.mean(axis=0)
        return float(-x0 / (x1 - x0)), float(y1 / (y1 - y0)), float(1 / (y1 - y0))

    def take(self, which: Any) -> Geometry:
        """Geometry of some of the patterns."""
        if len(self.bounds) == 1:
            return self
        return Geometry(self.bounds[which], self.to_sample, self.shape)

    def directions(self) -> NDArray[np.float64]:
        """Unit vectors (n, rows, columns, 3) of the pixels in kikuchipy's sample frame."""
        rows, columns = self.shape
        across = (np.arange(columns) + 0.5) / columns
        down = (np.arange(rows) + 0.5) / rows
        x0, x1, y0, y1 = (self.bounds[:, k, None] for k in range(4))
        x = np.broadcast_to((x0 + (x1 - x0) * across)[:, None, :], (len(x0), rows, columns))
        y = np.broadcast_to((y1 - (y1 - y0) * down)[:, :, None], (len(x0), rows, columns))
        vectors = np.stack([x, y, np.ones_like(x)], axis=-1) @ self.to_sample.T
        return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _detector_to_sample(sample_tilt: float, tilt: float) -> NDArray[np.float64]:
    # Columns: the detector's axes in the sample frame. Its x is TD; the sample's normal leans
    # towards the screen by 90 deg - sample_tilt + tilt about it.
    angle = np.deg2rad(90 - sample_tilt + tilt)
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[0.0, -c, s], [1.0, 0.0, 0.0], [0.0, s, c]])
