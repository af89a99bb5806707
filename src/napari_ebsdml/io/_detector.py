"""What a file says of its detector, made into a `Camera`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_ebsdml.camera import Camera


def camera_of_file(
    shape: Sequence[int] | None,
    warnings: list[str],
    pc: ArrayLike | None = None,
    convention: str = "bruker",
    **settings: float | None,
) -> Camera | None:
    """The camera that a file describes; None when it does not even tell the patterns' size.

    Parameters
    ----------
    shape : (2,), optional
        Rows and columns of the patterns.
    warnings
        Gets a sentence when something cannot be right, which then counts as not told.
    pc : (3,) or (n, 3) array, optional
        Pattern centre of the map or of each point. Points without a finite one get the mean.
    convention
        Of `pc`, by kikuchipy's name.
    **settings
        Further values of `Camera`, tilts in degrees; None where the file is silent.
    """
    if shape is None or min(shape) < 1:
        return None
    camera = Camera(shape=(int(shape[0]), int(shape[1])), convention=convention, source="file")
    told = {}
    for name, value in settings.items():
        if value is None:
            continue
        if np.isfinite(value) and (value > 0 or name not in ("binning", "px_size")):
            told[name] = float(value)
        else:
            warnings.append(
                f"The file says that the detector's {name} is {value:g}, which cannot be; "
                f"{getattr(camera, name):g} is taken."
            )
    camera = dataclasses.replace(camera, **told)  # type: ignore[arg-type]
    centres = _usable(camera, pc, warnings)
    return camera if centres is None else dataclasses.replace(camera, pc=centres)


def _usable(
    camera: Camera, pc: ArrayLike | None, warnings: list[str]
) -> NDArray[np.float64] | None:
    """Pattern centres (3,) or (n, 3) without gaps, or None when there are none to be used."""
    if pc is None:
        return None
    centres = np.array(pc, dtype=np.float64)
    finite = np.isfinite(centres).all(axis=-1)
    if not finite.any():
        warnings.append("The file's pattern centres are no numbers; its geometry is not known.")
        return None
    mean: NDArray[np.float64] = np.atleast_2d(centres)[np.atleast_1d(finite)].mean(axis=0)
    if fault := camera.fault(mean):
        warnings.append(f"{fault} It is not used: the file does not tell the geometry.")
        return None
    if centres.ndim == 1 or np.ptp(centres[finite], axis=0).max() == 0:
        return mean
    centres[~finite] = mean
    return centres
