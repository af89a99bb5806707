"""Deformed crystals whose lattice curvature is known exactly: checks of KAM and GND density."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_ebsdml._orix import prepare_orix
from napari_ebsdml._quaternions import multiply
from napari_ebsdml.errors import InputError
from napari_ebsdml.scan import Scan, Source

from ._checks import checked_seed, checked_shape, in_range
from ._rotations import conjugate, from_rotation_vector, scatter

if TYPE_CHECKING:
    from orix.crystal_map import Phase, PhaseList
    from orix.quaternion import Rotation

Floats = NDArray[np.float64]

_LATTICES: dict[str, tuple[str, int, float, float]] = {
    "bcc": ("Iron bcc", 229, 2.866, 2.866),
    "fcc": ("Nickel", 225, 3.524, 3.524),
    "hcp": ("Magnesium", 194, 3.209, 5.211),
}


class DeformedCrystal(NamedTuple):
    """A deformed single crystal; ``scan, curvature = bent_crystal()``."""

    scan: Scan
    curvature: Floats
    """Lattice curvature d(theta_i)/d(x_j) in 1/um (radians), (rows, columns, 3, 3), of the lattice
    without noise; index 2 is the rotation axis i, index 3 the derivative j, both x, y, z of the
    map. The column j = z is 0: the crystal is the same at every depth."""


def bent_crystal(
    shape: tuple[int, int] = (64, 64),
    curvature: float = 1.0,
    *,
    axis: Sequence[float] | str = "y",
    along: Sequence[float] | str | None = None,
    orientation: ArrayLike | Rotation = (0.0, 0.0, 0.0),
    phase: str | Phase = "bcc",
    noise: float = 0.0,
    step: float = 0.1,
    seed: int = 0,
) -> DeformedCrystal:
    """Crystal bent about an axis in the plane of the map.

    The lattice turns by `curvature` degrees for each um along the map direction `along`, about
    `axis`, in the right-hand sense. With `axis` across `along` this is bending, with both
    parallel torsion.

    Parameters
    ----------
    shape
        Rows and columns.
    curvature
        In degrees per um.
    axis
        Rotation axis in the map frame: "x", "y", "z", or any vector (3,).
    along
        Direction in the map along which the lattice turns: "x", "y" or a vector (2,). Default:
        in the plane, at a right angle to `axis`; "x" for the axis z.
    orientation
        Orientation at the first pixel, specimen -> crystal: Bunge Euler angles in degrees (3,), a
        quaternion w, x, y, z (4,), or an orix rotation.
    phase
        "bcc" (iron), "fcc" (nickel), "hcp" (magnesium), or an orix phase.
    noise
        Measurement error in degrees: standard deviation of each component of the rotation vector.
    step
        Distance of pixels in um.
    seed
        Of the noise.

    Returns
    -------
    DeformedCrystal

    Raises
    ------
    InputError
        When an argument is out of range or has the wrong shape.

    See Also
    --------
    curved_crystal : the general case, with rotations about several axes.
    """
    turn = _direction("axis", axis, 3)
    if along is None:
        across = np.array([turn[1], -turn[0]])
        size = float(np.linalg.norm(across))
        heading = across / size if size > 1e-9 else np.array([1.0, 0.0])
    else:
        heading = _direction("along", along, 2)
    rate = in_range("curvature", curvature, -1e4, 1e4)
    return curved_crystal(
        rate * np.outer(turn, heading),
        shape,
        orientation=orientation,
        phase=phase,
        noise=noise,
        step=step,
        seed=seed,
    )


def twisted_crystal(
    shape: tuple[int, int] = (64, 64),
    curvature: float = 1.0,
    *,
    along: Sequence[float] | str = "x",
    orientation: ArrayLike | Rotation = (0.0, 0.0, 0.0),
    phase: str | Phase = "bcc",
    noise: float = 0.0,
    step: float = 0.1,
    seed: int = 0,
) -> DeformedCrystal:
    """Crystal that turns about z, the normal of the map, along a direction in the map.

    Parameters are those of `bent_crystal`, with the axis z.
    """
    return bent_crystal(
        shape,
        curvature,
        axis="z",
        along=along,
        orientation=orientation,
        phase=phase,
        noise=noise,
        step=step,
        seed=seed,
    )


def curved_crystal(
    gradient: ArrayLike,
    shape: tuple[int, int] = (64, 64),
    *,
    orientation: ArrayLike | Rotation = (0.0, 0.0, 0.0),
    phase: str | Phase = "bcc",
    noise: float = 0.0,
    step: float = 0.1,
    seed: int = 0,
) -> DeformedCrystal:
    """Crystal whose rotation vector grows linearly over the map, about any axes.

    Parameters
    ----------
    gradient : (3, 2)
        Change of the rotation vector (x, y, z of the map frame) along x and along y, in degrees
        per um. The rotation takes the first pixel's lattice to that of the pixel.
    shape, orientation, phase, noise, step, seed
        As in `bent_crystal`.

    Returns
    -------
    DeformedCrystal

    Raises
    ------
    InputError
        When an argument is out of range or has the wrong shape.

    Notes
    -----
    With the rotation vector v(x, y) = `gradient` (x, y), of length t, the curvature is J(v) times
    the gradient, J = sin(t)/t I + (1 - sin(t)/t) u u^T + (1 - cos(t))/t [u]x with u = v / t the
    left Jacobian of the rotation group (J. Sola et al., doi:10.48550/arXiv.1812.01537, eq. 145).
    Where all rotations share one axis, J(v) leaves the gradient as it is.
    """
    rows, columns = checked_shape(shape)
    step = in_range("step", step, 1e-6, 1e6)
    noise = in_range("noise", noise, 0.0, 180.0)
    slope = np.deg2rad(_numbers("gradient", gradient, (3, 2)))
    first = _quaternion(orientation)
    y, x = np.indices((rows, columns), dtype=np.float64) * step
    vector = np.stack([x, y], axis=-1) @ slope.T
    # The rotation turns the lattice in the specimen: crystal -> specimen is R(v) g, so that
    # specimen -> crystal is g^-1 R(v)^-1.
    quaternions = multiply(first, conjugate(from_rotation_vector(vector)))
    rng = np.random.default_rng(checked_seed(seed))
    if noise > 0:
        error = scatter(rng, rows * columns, noise).reshape(rows, columns, 4)
        quaternions = multiply(error, quaternions)
    curvature = np.zeros((rows, columns, 3, 3))
    curvature[..., :2] = _left_jacobian(vector) @ slope
    scan = Scan(
        quaternions=quaternions,
        phase_id=np.zeros((rows, columns), dtype=np.int32),
        phases=_phase_list(phase),
        step=(step, step),
        source=Source(format="synthetic", scan_name="deformed crystal"),
    )
    return DeformedCrystal(scan, curvature)


def _left_jacobian(v: Floats) -> Floats:
    t = np.linalg.norm(v, axis=-1)[..., None, None]
    cross = np.zeros((*v.shape, 3))
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        cross[..., i, j] = -v[..., k]
        cross[..., j, i] = v[..., k]
    # (1 - cos t) / t^2 and (t - sin t) / t^3, with their series where t is small.
    small = t < 1e-3
    safe = np.where(small, 1.0, t)
    a = np.where(small, 0.5 - t**2 / 24, (1 - np.cos(safe)) / safe**2)
    b = np.where(small, 1 / 6 - t**2 / 120, (safe - np.sin(safe)) / safe**3)
    return np.eye(3) + a * cross + b * (cross @ cross)


def _numbers(name: str, value: ArrayLike, shape: tuple[int, ...]) -> Floats:
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{name} must hold numbers, not {value!r}.") from None
    if array.shape != shape or not np.isfinite(array).all():
        raise InputError(f"{name} must be finite numbers of shape {shape}, not {value!r}.")
    return array


def _direction(name: str, value: Sequence[float] | str, size: int) -> Floats:
    names = "xyz"[:size]
    if isinstance(value, str):
        if len(value) != 1 or value not in names:
            raise InputError(f"{name} must be one of {', '.join(names)}, not {value!r}.")
        return np.eye(size)[names.index(value)]
    vector = _numbers(name, value, (size,))
    length = float(np.linalg.norm(vector))
    if length == 0:
        raise InputError(f"{name} must not be the zero vector.")
    return vector / length


def _quaternion(orientation: ArrayLike | Rotation) -> Floats:
    data = getattr(orientation, "data", None)
    if isinstance(data, np.ndarray):  # an orix rotation; a numpy array has a memoryview there
        array = data.reshape(-1)
    else:
        try:
            array = np.asarray(orientation, dtype=np.float64)
        except (TypeError, ValueError):
            raise InputError(f"orientation must hold numbers, not {orientation!r}.") from None
    if array.shape == (3,) and np.isfinite(array).all():
        prepare_orix()
        from orix.quaternion import Rotation

        array = Rotation.from_euler(array, degrees=True).data.reshape(-1)
    if array.shape != (4,) or not np.isfinite(array).all() or not np.linalg.norm(array) > 0:
        raise InputError(
            "orientation must be three Euler angles in degrees, a quaternion w, x, y, z or one "
            f"orix rotation, not {orientation!r}."
        )
    return np.asarray(array, dtype=np.float64) / np.linalg.norm(array)


def _phase_list(phase: str | Phase) -> PhaseList:
    from diffpy.structure import Lattice, Structure

    prepare_orix()
    from orix.crystal_map import Phase, PhaseList

    if isinstance(phase, str):
        if phase not in _LATTICES:
            raise InputError(f"phase must be one of {', '.join(_LATTICES)}, not {phase!r}.")
        name, group, a, c = _LATTICES[phase]
        gamma = 120 if group == 194 else 90
        structure = Structure(title=name, lattice=Lattice(a, a, c, 90, 90, gamma))
        phase = Phase(name, space_group=group, structure=structure)
    elif not isinstance(phase, Phase):
        raise InputError(f"phase must be a name or an orix Phase, not {phase!r}.")
    return PhaseList(ids=[0], phases=[phase])
