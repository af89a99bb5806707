"""Flow stress from dislocation density: Taylor's formula, and the metals' constants."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, SupportsFloat, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_ebsdml.errors import InputError


@dataclass(frozen=True)
class TaylorMaterial:
    """Constants of Taylor's formula for one metal at room temperature.

    Parameters
    ----------
    alpha
        Strength of the dislocations' interaction.
    shear_modulus
        In GPa.
    burgers
        Length of the Burgers vector in angstrom.
    taylor_factor
        M of a polycrystal; depends on texture, so give your own where it is known.
    source
        Where the constants come from.
    assumed
        Names of the constants that are usual values, not measured ones of this metal.
    """

    alpha: float
    shear_modulus: float
    burgers: float
    taylor_factor: float
    source: str
    assumed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("alpha", "shear_modulus", "burgers", "taylor_factor"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0):
                raise InputError(f"{name} of a material must be positive and finite, not {value}.")

    @property
    def factor(self) -> float:
        """M alpha mu b in MPa m: stress in MPa per square root of density in 1/m."""
        return self.taylor_factor * self.alpha * self.shear_modulus * 1e3 * self.burgers * 1e-10


_FROST = "mu, b: Frost and Ashby, Deformation-Mechanism Maps (1982), Tables 4.1 and 5.1, 300 K; "
_FCC = (
    _FROST
    + "M: Taylor (1938), random texture, {111}<110>; alpha is ASSUMED: 0.3 is usual for fcc, "
    "0.2 to 0.5 are reported"
)
_BCC = (
    _FROST
    + "M: Rosenberg and Piehler (1971), random texture, pencil glide; alpha is ASSUMED: that "
    "of alpha-iron"
)


def _like(mu: float, b: float, fcc: bool) -> TaylorMaterial:
    """A metal with the M of its lattice and an assumed alpha."""
    if fcc:
        return TaylorMaterial(0.3, mu, b, 3.06, _FCC, ("alpha",))
    return TaylorMaterial(0.23, mu, b, 2.73, _BCC, ("alpha",))


MATERIALS: Mapping[str, TaylorMaterial] = MappingProxyType(
    {
        "alpha-iron": TaylorMaterial(
            0.23,
            82.0,
            2.482,
            2.86,
            "Zhang and Ngan, doi:10.1016/j.ijplas.2018.11.008, Section 4 (alpha from Kassner, "
            "doi:10.1016/j.actamat.2003.08.019; M of their specimens)",
        ),
        "austenite": _like(81.0, 2.58, True),
        "nickel": _like(78.9, 2.49, True),
        "copper": _like(42.1, 2.56, True),
        "aluminium": _like(25.4, 2.86, True),
        "silver": _like(26.4, 2.86, True),
        "tungsten": _like(160.0, 2.74, False),
        "molybdenum": _like(134.0, 2.73, False),
        "tantalum": _like(61.2, 2.86, False),
        "niobium": _like(44.3, 2.86, False),
    }
)
"""Constants by metal. Only cubic metals: a random hexagonal polycrystal has no single M.

The article's constants are those of alpha-iron. For every other metal `alpha` is assumed (see
`TaylorMaterial.assumed`), which alone makes its stress uncertain by some 30 %: give your own.
"""

_OTHER_NAMES = {
    "iron": "alpha-iron", "ferrite": "alpha-iron", "alpha-fe": "alpha-iron", "fe": "alpha-iron",
    "gamma-iron": "austenite", "aluminum": "aluminium", "ni": "nickel", "cu": "copper",
    "al": "aluminium", "ag": "silver", "w": "tungsten", "mo": "molybdenum", "ta": "tantalum",
    "nb": "niobium",
}  # fmt: skip


def taylor_material(material: str | TaylorMaterial, **changes: SupportsFloat) -> TaylorMaterial:
    """Constants of a metal by name, with some of them changed.

    Parameters
    ----------
    material
        A name of `MATERIALS` or a `TaylorMaterial`.
    **changes
        ``alpha``, ``shear_modulus`` (GPa), ``burgers`` (angstrom) or ``taylor_factor``.

    Raises
    ------
    InputError
        When the metal is unknown or a constant is not positive.
    """
    if isinstance(material, str):
        key = material.strip().casefold().replace(" ", "-").replace("α", "alpha")
        key = _OTHER_NAMES.get(key, key)
        if key not in MATERIALS:
            raise InputError(
                f"No Taylor constants for {material!r}; there are {', '.join(MATERIALS)}. "
                "Give a TaylorMaterial for another metal."
            )
        material = MATERIALS[key]
    unknown = set(changes) - {"alpha", "shear_modulus", "burgers", "taylor_factor"}
    if unknown:
        raise InputError(f"Taylor's formula has no constant {', '.join(sorted(unknown))}.")
    numbers = {name: float(value) for name, value in changes.items()}
    return dataclasses.replace(material, **numbers)  # type: ignore[arg-type]


def _density(values: Any) -> NDArray[np.float64]:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(
            f"A density must be a number or an array of numbers in 1/m^2, not "
            f"{type(values).__name__}."
        ) from None
    if np.any(array < 0):
        raise InputError(
            f"A dislocation density cannot be negative; the least is {np.nanmin(array):g}."
        )
    return array


@overload
def taylor_stress(
    density: SupportsFloat,
    material: str | TaylorMaterial = ...,
    friction: float = ...,
    **changes: SupportsFloat,
) -> float: ...
@overload
def taylor_stress(
    density: ArrayLike,
    material: str | TaylorMaterial = ...,
    friction: float = ...,
    **changes: SupportsFloat,
) -> NDArray[np.float64]: ...
def taylor_stress(
    density: Any,
    material: str | TaylorMaterial = "alpha-iron",
    friction: float = 0.0,
    **changes: SupportsFloat,
) -> Any:
    """Flow stress of a polycrystal, sigma = sigma* + M alpha mu b sqrt(density).

    Parameters
    ----------
    density : float or array
        Total dislocation density in 1/m^2; NaN gives NaN. For the stress of a specimen take
        the mean of the map first: ``taylor_stress(gnd.average(), ...)``.
    material
        A name of `MATERIALS` or a `TaylorMaterial`.
    friction
        sigma* in MPa.
    **changes
        Constants to use in place of the material's; see `taylor_material`. ``taylor_factor`` may
        be a `TaylorFactor`, the measured texture's.

    Returns
    -------
    float or array
        Stress in MPa.

    Raises
    ------
    InputError
        When a density is negative or no number, or the material is unknown.

    Notes
    -----
    Equation 5 of Zhang and Ngan, doi:10.1016/j.ijplas.2018.11.008.

    Examples
    --------
    >>> round(taylor_stress(1e14, "nickel", friction=20.0))  # MPa
    200
    """
    array = _density(density)
    if not np.isfinite(friction):
        raise InputError(f"friction must be a finite stress in MPa, not {friction}.")
    stress = friction + taylor_material(material, **changes).factor * np.sqrt(array)
    return float(stress) if stress.ndim == 0 else stress


def stress_increment(
    before: Any, after: Any, material: str | TaylorMaterial = "alpha-iron", **changes: SupportsFloat
) -> Any:
    """Rise of the flow stress, M alpha mu b (sqrt(after) - sqrt(before)), in MPa.

    Parameters
    ----------
    before, after : float or array
        Total dislocation densities in 1/m^2.
    material, **changes
        See `taylor_stress`.

    Returns
    -------
    float or array
        MPa.

    Raises
    ------
    InputError
        As `taylor_stress`; also when the shapes do not go together.

    Notes
    -----
    Equation 6 of Zhang and Ngan, doi:10.1016/j.ijplas.2018.11.008.
    """
    first, second = _density(before), _density(after)
    try:
        root = np.sqrt(second) - np.sqrt(first)
    except ValueError:
        raise InputError(
            f"before and after have shapes {first.shape} and {second.shape}, which do not fit."
        ) from None
    stress = taylor_material(material, **changes).factor * root
    return float(stress) if np.ndim(stress) == 0 else stress
