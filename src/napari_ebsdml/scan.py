"""`Scan`, the one data type: an EBSD map on a full rectangular grid."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_ebsdml.camera import Camera
from napari_ebsdml.errors import InputError, MissingDataError

if TYPE_CHECKING:
    import dask.array as da
    from kikuchipy.detectors import EBSDDetector
    from orix.crystal_map import CrystalMap, PhaseList

NOT_INDEXED = -1
"""`Scan.phase_id` of a pixel without an orientation."""

ORIENTATION_NOISE = "orientation noise"
"""Property with the standard deviation of each orientation's error about each axis in degrees."""

_LONGEST_NAME = 100


@dataclass(frozen=True, eq=False)
class HexagonalPoints:
    """Points of a hexagonal grid as measured, before resampling to a square one.

    Attributes
    ----------
    x, y : (n,) arrays
        Coordinates in um.
    step : (dy, dx)
        Row distance and point distance within a row in um; where columns are staggered, point
        distance within a column and column distance.
    nearest : (rows, columns) int array
        Index of the measured point that each pixel of the `Scan` shows.
    quaternions : (n, 4) array
        Specimen -> crystal, in the frame of the `Scan`.
    phase_id : (n,) int array
    prop : dict of (n,) arrays
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    step: tuple[float, float]
    nearest: NDArray[np.intp]
    quaternions: NDArray[np.float64]
    phase_id: NDArray[np.int32]
    prop: Mapping[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Source:
    """Where a `Scan` came from and what was done to it on the way.

    Attributes
    ----------
    path
        File that was read, or None for a map made in memory.
    format
        Name of the format, e.g. ``"ang"``; ``"memory"`` for a map made in memory.
    scan_name
        Which scan of a file that holds several.
    reference_frame
        Name of the frame that Euler angles were read in; see `napari_ebsdml.io.frames`.
    header
        What the file's header says, by the vendor's own names.
    warnings
        Sentences on everything that a careful user should know.
    hexagonal
        The points as measured when the grid was hexagonal, else None.
    """

    path: Path | None = None
    format: str = "memory"
    scan_name: str = ""
    reference_frame: str = "map"
    header: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    hexagonal: HexagonalPoints | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Scan:
    """An EBSD map on a full rectangular grid.

    The specimen frame is the map's own: x to the right (columns), y down (rows), z into the
    screen. Readers turn the vendor's frame into this one and say so in `source`.

    Parameters
    ----------
    quaternions : (rows, columns, 4) float64
        Orientation as w, x, y, z, specimen -> crystal as in orix; 0 where not indexed.
    phase_id : (rows, columns) int32
        Phase of each pixel, a key of `phases`; -1 where not indexed.
    phases : orix.crystal_map.PhaseList
    step : (dy, dx)
        Distance of rows and of columns in um.
    prop : mapping of name -> (rows, columns) array
        Everything else that the vendor measured, by the vendor's names (BC, BS, MAD, IQ, CI ...):
        numbers or booleans.
    units : mapping of name -> str, optional
        Units of properties, such as "°" or "1/m²"; those that have none, or whose unit the file
        does not tell, are left out.
    is_measured : (rows, columns) bool, optional
        False where the grid has a cell but the instrument took no point (region of interest,
        scan stopped early). Default: measured everywhere.
    patterns : dask array (rows, columns, detector rows, detector columns), optional
    camera : Camera or kikuchipy EBSDDetector, optional
        What is known of the detector; see `napari_ebsdml.camera`. A kikuchipy detector is made
        into a `Camera`.
    source : Source, optional

    Raises
    ------
    InputError
        When shapes do not agree, the step is not positive, a phase id is unknown or a property
        holds no numbers.
    """

    quaternions: NDArray[np.float64]
    phase_id: NDArray[np.int32]
    phases: PhaseList
    step: tuple[float, float]
    prop: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    is_measured: NDArray[np.bool_] | None = None
    patterns: da.Array | None = None
    camera: Camera | None = None
    source: Source = field(default_factory=Source)

    def __post_init__(self) -> None:
        put = object.__setattr__
        if not isinstance(getattr(self.phases, "ids", None), list):
            raise InputError(f"phases must be an orix PhaseList, not {type(self.phases).__name__}.")
        if not isinstance(self.prop, Mapping):
            raise InputError(f"prop must map names to arrays, not be {type(self.prop).__name__}.")
        try:
            put(self, "quaternions", np.asarray(self.quaternions, dtype=np.float64))
            put(self, "phase_id", np.asarray(self.phase_id, dtype=np.int32))
            put(self, "step", (float(self.step[0]), float(self.step[1])))
        except (TypeError, ValueError, IndexError, OverflowError) as error:
            raise InputError(f"Orientations, phases and step must be numbers ({error}).") from None
        put(self, "prop", {name: np.asarray(values) for name, values in self.prop.items()})
        put(self, "units", {name: unit for name in self.prop if (unit := self.units.get(name))})
        shape = self.phase_id.shape
        if len(shape) != 2 or 0 in shape:
            raise InputError(f"A map needs two axes and at least one pixel, not shape {shape}.")
        if self.quaternions.shape != (*shape, 4):
            raise InputError(f"quaternions have shape {self.quaternions.shape}, not {(*shape, 4)}.")
        if not (np.isfinite(self.step).all() and min(self.step) > 0):
            raise InputError(f"The step must be positive and finite, not {self.step} um.")
        for name, values in self.prop.items():
            _check_property(name, values, shape)
        if self.is_measured is not None and self.is_measured.shape != shape:
            raise InputError(f"is_measured has shape {self.is_measured.shape}, not {shape}.")
        if self.patterns is not None and (
            self.patterns.ndim != 4 or self.patterns.shape[:2] != shape
        ):
            raise InputError(
                f"patterns have shape {self.patterns.shape}; the map needs "
                f"{shape} + (detector rows, detector columns)."
            )
        given: Any = self.camera
        if given is not None and not isinstance(given, Camera):
            put(self, "camera", Camera.of(given, (shape[0], shape[1])))
        camera = self.camera
        if camera is not None and camera.pc is not None and camera.pc.shape[:-1] not in ((), shape):
            raise InputError(
                f"The camera has {camera.pc.shape[:-1]} pattern centres for a map of {shape}."
            )
        lowest, highest = int(self.phase_id.min()), int(self.phase_id.max())
        used = np.unique(self.phase_id) if highest - lowest < 1 << 16 else [lowest, highest]
        unknown = {int(i) for i in used} - set(self.phases.ids) - {NOT_INDEXED}
        if unknown:
            raise InputError(
                f"phase_id holds {sorted(unknown)}, which are not in phases {self.phases.ids}."
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = self.phase_id.shape
        return rows, columns

    @property
    def name(self) -> str:
        """Short name for layers and messages: the file's stem and the scan in it."""
        stem = self.source.path.stem if self.source.path else ""
        return " ".join(part for part in (stem, self.source.scan_name) if part) or "scan"

    @cached_property
    def is_indexed(self) -> NDArray[np.bool_]:
        """Where the vendor found an orientation, (rows, columns) bool."""
        return self.phase_id != NOT_INDEXED

    @cached_property
    def detector(self) -> EBSDDetector | None:
        """The camera as kikuchipy's `EBSDDetector`; None when nobody told the pattern centre.

        What else is known, such as tilts, is in `camera`. kikuchipy takes seconds to import.
        """
        told = self.camera is not None and self.camera.tells_centre
        return self.camera.detector() if self.camera is not None and told else None

    @cached_property
    def xmap(self) -> CrystalMap:
        """The same map as an orix `CrystalMap`; the identity stands where not indexed."""
        from orix.crystal_map import CrystalMap
        from orix.quaternion import Rotation

        quaternions = self.quaternions.reshape(-1, 4).copy()
        quaternions[~self.is_indexed.ravel()] = (1, 0, 0, 0)
        y, x = np.indices(self.shape, dtype=np.float64)
        return CrystalMap(
            rotations=Rotation(quaternions),
            phase_id=self.phase_id.ravel(),
            x=x.ravel() * self.step[1],
            y=y.ravel() * self.step[0],
            phase_list=self.phases.deepcopy(),
            prop={name: values.ravel() for name, values in self.prop.items()},
            scan_unit="um",
        )

    def get(self, name: str) -> NDArray[Any]:
        """Property `name`, whatever the case of its letters.

        Raises
        ------
        MissingDataError
            When the map has no such property; the message lists those that it has.
        """
        for key, values in self.prop.items():
            if key.casefold() == name.casefold():
                return values
        raise MissingDataError(
            f"{self.name} has no property {name!r}; it has {', '.join(self.prop) or 'none'}."
        )

    def crop(self, rows: slice = slice(None), columns: slice = slice(None)) -> Scan:
        """Part of the map; a slice step of 2 keeps every second pixel and doubles `step`."""
        at = (rows, columns)
        return dataclasses.replace(
            self,
            quaternions=self.quaternions[at],
            phase_id=self.phase_id[at],
            step=(self.step[0] * abs(rows.step or 1), self.step[1] * abs(columns.step or 1)),
            prop={name: values[at] for name, values in self.prop.items()},
            is_measured=None if self.is_measured is None else self.is_measured[at],
            patterns=None if self.patterns is None else self.patterns[at],
            camera=None if self.camera is None else self.camera.crop(at),
            source=dataclasses.replace(self.source, hexagonal=None),
        )

    def with_property(self, name: str, values: ArrayLike, unit: str = "") -> Scan:
        """The map with a further property; one of the same name, whatever its case, is replaced.

        Parameters
        ----------
        name
            Not empty, on one line, at most 100 characters.
        values : (rows, columns) array
            Numbers or booleans.
        unit
            "" for none.

        Raises
        ------
        InputError
            When the name or the values cannot be those of a property.

        Examples
        --------
        >>> import napari_ebsdml as ebsdml
        >>> scan = ebsdml.samples.dual_phase_steel((40, 50), seed=0).scan
        >>> tenth = scan.with_property("BC, tenth", scan.get("BC") / 10)
        >>> list(tenth.prop)
        ['BC', 'BS', 'MAD', 'Bands', 'Error', 'BC, tenth']
        """
        values = np.asarray(values)
        _check_property(name, values, self.shape)
        if not name.strip() or not name.isprintable() or len(name) > _LONGEST_NAME:
            raise InputError(
                f"A property needs a name on one line of 1 to {_LONGEST_NAME} characters, not "
                f"{name[: _LONGEST_NAME + 1]!r}."
            )
        name = name.strip()
        known = next((key for key in self.prop if key.casefold() == name.casefold()), name)
        prop = {**self.prop, known: values}
        # Under the name given now, in the place that it had.
        prop = {name if key == known else key: value for key, value in prop.items()}
        return dataclasses.replace(self, prop=prop, units={**self.units, name: unit})

    def without(self, where: NDArray[np.bool_]) -> Scan:
        """The map with the pixels of `where` counted as not indexed.

        For solutions that one does not trust (``scan.without(scan.get("CI") < 0.1)``) or that
        noise reduction filled in (``scan.without(scan.get("Error") == 3)``).

        Parameters
        ----------
        where : (rows, columns) bool

        Raises
        ------
        InputError
            When `where` has another shape.
        """
        where = np.asarray(where, dtype=bool)
        if where.shape != self.shape:
            raise InputError(f"The mask has shape {where.shape}, the map has {self.shape}.")
        return dataclasses.replace(
            self,
            quaternions=np.where(where[..., None], 0.0, self.quaternions),
            phase_id=np.where(where, NOT_INDEXED, self.phase_id),
        )

    def __getstate__(self) -> dict[str, Any]:
        # What is made at first use is made again: a pickle holds the fields alone.
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def __repr__(self) -> str:
        rows, columns = self.shape
        phases = ", ".join(self.phases.names) or "no phase"
        indexed = 100 * float(self.is_indexed.mean())
        patterns = f", patterns {self.patterns.shape[2:]}" if self.patterns is not None else ""
        return (
            f"Scan {self.name!r}: {rows} x {columns} pixels, step {self.step[0]:g} x "
            f"{self.step[1]:g} um, {phases}, {indexed:.1f} % indexed, "
            f"properties {', '.join(self.prop) or 'none'}{patterns}"
        )


def checked_scan(scan: Scan) -> Scan:
    """Return a scan, or say that something else was given.

    Raises
    ------
    InputError
        When it is no `Scan`.
    """
    given: object = scan
    if not isinstance(given, Scan):
        raise InputError(
            f"A Scan is needed, not {type(given).__name__}: read a file with napari_ebsdml.read."
        )
    return given


def _check_property(name: object, values: NDArray[Any], shape: tuple[int, ...]) -> None:
    """Raise an InputError when this is no property of a map of this shape."""
    if not isinstance(name, str):
        raise InputError(f"The name of a property must be a string, not {name!r}.")
    if values.shape != shape:
        raise InputError(f"Property {name!r} has shape {values.shape}, not {shape}.")
    if values.dtype.kind not in "biuf":
        raise InputError(f"Property {name!r} holds {values.dtype}; it must be numbers or booleans.")
