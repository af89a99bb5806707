"""`Camera`: what is known of the detector of a map, as plain numbers that need no kikuchipy."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_ebsdml.errors import InputError, MissingDataError

if TYPE_CHECKING:
    from kikuchipy.detectors import EBSDDetector

CONVENTIONS = (
    "bruker", "tsl", "edax", "amatek", "oxford", "aztec", "emsoft", "emsoft5", "emsoft4",
)  # fmt: skip
"""Conventions of the pattern centre, by kikuchipy's names."""

_KIKUCHIPYS_DEFAULT = 0.5
# In Bruker's convention: heights of the screen between sample and screen, and how far beside the
# screen, in its sizes, the pattern centre may lie (it may be a small part of the sensor).
_NEAREST, _FARTHEST, _BESIDE = 0.05, 20.0, 3.0
# What programs write where nobody calibrated anything.
_PLACEHOLDERS = (0.0, 1.0)


@dataclass(frozen=True, eq=False, kw_only=True)
class Camera:
    """The detector of a map and how it looks at the sample.

    Two cameras are equal when all their values are.

    Parameters
    ----------
    shape : (2,)
        Rows and columns of the patterns.
    pc : (3,) or (rows, columns, 3) array, optional
        Pattern centre of the whole map or of each of its pixels. None: nobody told it.
    convention
        Of `pc`, by kikuchipy's name, one of `CONVENTIONS`.
    sample_tilt, tilt, azimuthal, twist
        Of the sample, and of the camera about its horizontal (its elevation), its vertical and
        its normal, degrees.
    binning
        Pixels of the sensor, along an edge, in one of the pattern.
    px_size
        Of the sensor, um.
    source
        Who told: the file of the patterns, the header of a map beside them, the user, or nobody
        because the patterns are simulated.

    Raises
    ------
    InputError
        When a value is not finite or out of range, or no detector can have such a pattern centre.
    """

    shape: tuple[int, int]
    pc: NDArray[np.float64] | None = None
    convention: str = "bruker"
    sample_tilt: float = 70.0
    tilt: float = 0.0
    azimuthal: float = 0.0
    twist: float = 0.0
    binning: float = 1.0
    px_size: float = 1.0
    source: Literal["file", "header", "user", "simulated"] = "user"

    def __post_init__(self) -> None:
        put = object.__setattr__
        rows, columns = (int(size) for size in self.shape)
        put(self, "shape", (rows, columns))
        if min(rows, columns) < 1:
            raise InputError(f"A detector needs rows and columns, not {self.shape}.")
        for name in ("sample_tilt", "tilt", "azimuthal", "twist", "binning", "px_size"):
            value = float(getattr(self, name))
            if not np.isfinite(value) or (name in ("binning", "px_size") and value <= 0):
                raise InputError(f"A detector's {name} cannot be {value}.")
            put(self, name, value)
        if self.convention not in CONVENTIONS:
            raise InputError(
                f"No convention {self.convention!r}; there are {', '.join(CONVENTIONS)}."
            )
        if self.pc is not None:
            pc = np.array(self.pc, dtype=np.float64)
            if pc.ndim not in (1, 2, 3) or pc.shape[-1] != 3 or not pc.size:
                raise InputError(f"Pattern centres have shape {pc.shape}, not (..., 3).")
            pc.setflags(write=False)
            put(self, "pc", pc)
            if not np.isfinite(pc).all():
                raise InputError("A pattern centre is not finite; where it is unknown, give None.")
            fault = self.fault(pc.reshape(-1, 3).mean(axis=0))
            if fault:
                raise InputError(f"{fault} Where it is unknown, give pc=None.")

    @classmethod
    def of(cls, detector: EBSDDetector, map_shape: tuple[int, int] | None = None) -> Camera:
        """Take over a kikuchipy detector.

        kikuchipy gives a detector that nobody calibrated the pattern centre (0.5, 0.5, 0.5),
        which therefore counts as not told. The convention is Bruker's, which kikuchipy keeps.

        Parameters
        ----------
        detector
        map_shape : (rows, columns), optional
            Of the map, for a detector with a flat list of as many pattern centres.

        Raises
        ------
        InputError
            When it is no such detector, or cannot be real.
        """
        try:
            pc = np.asarray(detector.pc, dtype=np.float64)
            settings: dict[str, Any] = {
                name: getattr(detector, name)
                for name in ("shape", "sample_tilt", "tilt", "azimuthal", "twist", "px_size")
            }
            # The public figure is rounded to a whole number.
            settings["binning"] = getattr(detector, "_binning", detector.binning)
        except (AttributeError, TypeError, ValueError):
            raise InputError(
                "camera must be a Camera or a kikuchipy EBSDDetector, not "
                f"{type(detector).__name__}."
            ) from None
        if pc.size == 3:
            pc = pc.ravel()
        elif map_shape is not None and pc.size == 3 * map_shape[0] * map_shape[1]:
            pc = pc.reshape(*map_shape, 3)
        return cls(pc=None if is_kikuchipys_default(pc) else pc, **settings)

    @property
    def tells_centre(self) -> bool:
        """Whether the pattern centre, without which no geometry is known, was told."""
        return self.pc is not None

    @property
    def centre(self) -> tuple[float, float, float] | None:
        """Mean pattern centre in Bruker's convention, None when it was not told."""
        return None if self.pc is None else self._in_bruker(self.pc.reshape(-1, 3).mean(axis=0))

    def fault(self, pc: ArrayLike) -> str:
        """Why no detector of this shape can have a mean pattern centre (3,); "" when one can."""
        pc = np.asarray(pc, dtype=np.float64)
        text = ", ".join(f"{value:.4g}" for value in pc)
        if not np.isfinite(pc).all():
            return f"The pattern centre ({text}) is no number."
        if any((pc == value).all() for value in _PLACEHOLDERS):
            return f"The pattern centre ({text}) is a placeholder."
        x, y, z = self._in_bruker(pc)
        if z <= 0:
            return f"The pattern centre ({text}) lies on or behind the detector."
        if not _NEAREST < z < _FARTHEST or not all(-_BESIDE < v < 1 + _BESIDE for v in (x, y)):
            return f"The pattern centre ({text}) is one that no detector has."
        return ""

    def _in_bruker(self, pc: NDArray[np.float64]) -> tuple[float, float, float]:
        """Pattern centre (3,) as fractions of width, height, height from the upper left.

        Definitions: https://kikuchipy.org/en/stable/reference/generated/kikuchipy.detectors.EBSDDetector.html
        """
        x, y, z = (float(value) for value in pc)
        rows, columns = self.shape
        if self.convention in ("tsl", "edax", "amatek"):
            return x, 1 - y, z * min(rows, columns) / rows
        if self.convention in ("oxford", "aztec"):
            return x, 1 - y * columns / rows, z * columns / rows
        if self.convention.startswith("emsoft"):
            x = -x if self.convention == "emsoft4" else x
            width, height = columns * self.binning, rows * self.binning
            return 0.5 - x / width, 0.5 - y / height, z / (height * self.px_size)
        return x, y, z

    def crop(self, at: tuple[slice, slice]) -> Camera:
        """The camera of a part of the map, which takes the pattern centres of its pixels along."""
        if self.pc is None or self.pc.ndim != 3:
            return self
        return dataclasses.replace(self, pc=self.pc[at])

    def detector(self) -> EBSDDetector:
        """Make kikuchipy's detector; the first call imports kikuchipy, which takes seconds.

        Raises
        ------
        MissingDataError
            When the pattern centre was not told.
        """
        if self.pc is None:
            raise MissingDataError(
                "The detector's pattern centre is not known; give a Camera with pc=(x, y, z)."
            )
        from kikuchipy.detectors import EBSDDetector

        return EBSDDetector(
            shape=self.shape, pc=np.array(self.pc), convention=self.convention,
            sample_tilt=self.sample_tilt, tilt=self.tilt, azimuthal=self.azimuthal,
            twist=self.twist, binning=self.binning, px_size=self.px_size,
        )  # fmt: skip

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Camera):
            return NotImplemented
        if (self.pc is None) != (other.pc is None):
            return False
        same_centre = self.pc is None or np.array_equal(self.pc, other.pc)  # type: ignore[arg-type]
        return same_centre and self._plain() == other._plain()

    def __hash__(self) -> int:
        return hash(self._plain())

    def _plain(self) -> tuple[Any, ...]:
        names = (field.name for field in dataclasses.fields(self) if field.name != "pc")
        return tuple(getattr(self, name) for name in names)


def is_kikuchipys_default(pc: ArrayLike) -> bool:
    """Whether these are the pattern centres of a kikuchipy detector that nobody calibrated."""
    return bool((np.asarray(pc) == _KIKUCHIPYS_DEFAULT).all())
