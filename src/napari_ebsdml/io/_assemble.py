"""From a file's decoded points to a `Scan`: grid, frame, phases, not-indexed pixels."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.camera import Camera
from napari_ebsdml.errors import FileFormatError, GridError, InputError
from napari_ebsdml.io._grid import Grid, grid_from_coordinates, raster_grid
from napari_ebsdml.io._lazy_patterns import BIG_ROW
from napari_ebsdml.io._orient import quaternions_from_euler
from napari_ebsdml.io._phases import crystal_turns, phase_list
from napari_ebsdml.io._raw import RawMap
from napari_ebsdml.io.frames import FRAMES, ReferenceFrame, multiply
from napari_ebsdml.scan import NOT_INDEXED, HexagonalPoints, Scan, Source

if TYPE_CHECKING:
    import dask.array as da
    from orix.crystal_map import PhaseList


def scan_from_raw(raw: RawMap, ref_frame: str | ReferenceFrame | None = None) -> Scan:
    """Make a `Scan`.

    Parameters
    ----------
    raw
        What a format module decoded.
    ref_frame
        Frame to use instead of the vendor's: a key of `frames.FRAMES` or a `ReferenceFrame`.

    Raises
    ------
    FileFormatError
        When arrays do not agree or a phase is not in the header.
    GridError
        When the points form no map.
    InputError
        When `ref_frame` is unknown.
    """
    n = _count_points(raw)
    frame = _frame(ref_frame or raw.frame)
    warnings = [*raw.warnings, *raw.layout_warnings]
    phases, phase_warnings = phase_list(raw.phases)
    warnings += phase_warnings
    phase_id = _phase_id(raw, phases, n, warnings)
    quaternions = _quaternions(raw, phases, phase_id, frame)
    grid = _grid(raw, n)
    warnings += grid.warnings
    pixels = _Pixels(grid, raw.measured)

    hexagonal = None
    if grid.hexagonal_step is not None and raw.x is not None and raw.y is not None:
        assert grid.point_of_pixel is not None
        hexagonal = HexagonalPoints(
            x=raw.x,
            y=raw.y,
            step=grid.hexagonal_step,
            nearest=pixels.points if pixels.points is not None else grid.point_of_pixel,
            quaternions=quaternions,
            phase_id=phase_id,
            prop=raw.prop,
        )
    return Scan(
        quaternions=pixels.lay(quaternions, 0.0),
        phase_id=pixels.lay(phase_id, NOT_INDEXED),
        phases=phases,
        step=grid.step,
        prop={name: pixels.lay(values, None) for name, values in raw.prop.items()},
        units=raw.units,
        is_measured=pixels.is_measured,
        patterns=pixels.lay_patterns(raw.patterns),
        camera=pixels.lay_camera(raw.camera),
        source=Source(
            path=raw.path,
            format=raw.format,
            scan_name=raw.scan_name,
            reference_frame=frame.name,
            header=raw.header,
            warnings=tuple(dict.fromkeys(warnings)),
            hexagonal=hexagonal,
        ),
    )


def _frame(frame: str | ReferenceFrame) -> ReferenceFrame:
    if isinstance(frame, ReferenceFrame):
        return frame
    if frame not in FRAMES:
        raise InputError(f"No reference frame {frame!r}; there are {', '.join(FRAMES)}.")
    return FRAMES[frame]


def _count_points(raw: RawMap) -> int:
    """Number of points; every array of the file must have as many."""
    arrays: dict[str, Any] = {
        "phase": raw.phase,
        "Euler angles": raw.euler,
        "quaternions": raw.quaternions,
        "x": raw.x,
        "y": raw.y,
        "not indexed": raw.not_indexed,
        "measured": raw.measured,
        "patterns": raw.patterns,
        "pattern centres": _centres(raw.camera),
        **raw.prop,
    }
    lengths = {name: len(values) for name, values in arrays.items() if values is not None}
    if not lengths:
        raise FileFormatError(raw.path, "the file holds neither a map nor patterns")
    n = next(iter(lengths.values()))
    for name, length in lengths.items():
        if length != n:
            first = next(iter(lengths))
            raise FileFormatError(
                raw.path, f"{name} has {length} points, but {first} has {n}; the file is damaged"
            )
    if n == 0:
        raise GridError(raw.path, "the file holds no measured point")
    return n


def _centres(camera: Camera | None) -> NDArray[np.float64] | None:
    """Pattern centres (n, 3) of a camera that has one for each point."""
    return None if camera is None or camera.pc is None or camera.pc.ndim != 2 else camera.pc


def _phase_id(raw: RawMap, phases: PhaseList, n: int, warnings: list[str]) -> NDArray[np.int32]:
    """Phase of each point, -1 where it has no usable orientation."""
    if raw.euler is None and raw.quaternions is None:
        return np.full(n, NOT_INDEXED, dtype=np.int32)
    if raw.phase is None:
        raise FileFormatError(raw.path, "the file has orientations but no phases")
    phase_id = np.array(raw.phase, dtype=np.int32)
    if raw.not_indexed is not None:
        phase_id[raw.not_indexed] = NOT_INDEXED
    if raw.measured is not None:
        phase_id[~raw.measured] = NOT_INDEXED
    orientation = raw.euler if raw.euler is not None else raw.quaternions
    assert orientation is not None
    # A sum is NaN or infinite exactly when one of its few terms is: one pass, no big temporary.
    broken = ~np.isfinite(orientation.sum(axis=1)) & (phase_id != NOT_INDEXED)
    n_broken = int(np.count_nonzero(broken))
    if n_broken:
        phase_id[broken] = NOT_INDEXED
        warnings.append(
            f"{n_broken} points have a phase but no finite orientation; they count as not indexed."
        )
    low, high = int(phase_id.min()), int(phase_id.max())
    if high - low > 10_000:
        raise FileFormatError(raw.path, f"phase numbers run from {low} to {high}; that is no phase")
    present = low + np.flatnonzero(np.bincount(phase_id - low))
    unknown = sorted(set(present.tolist()) - set(phases.ids) - {NOT_INDEXED})
    if unknown:
        raise FileFormatError(
            raw.path,
            f"points belong to phase {', '.join(map(str, unknown))}, "
            f"but the header lists phases {', '.join(map(str, phases.ids)) or 'none'}",
        )
    return phase_id


def _quaternions(
    raw: RawMap, phases: PhaseList, phase_id: NDArray[np.int32], frame: ReferenceFrame
) -> NDArray[np.float64]:
    skip = phase_id == NOT_INDEXED
    left = np.array([[1.0, 0.0, 0.0, 0.0]])
    for number, turn in crystal_turns(phases, frame).items():
        left = np.where((phase_id == number)[:, None], turn, left)
    right = np.asarray(frame.specimen_turn, dtype=np.float64)
    if raw.euler is not None:
        return quaternions_from_euler(np.asarray(raw.euler, dtype=np.float64), left, right, skip)
    if raw.quaternions is not None:
        turned = multiply(multiply(left, raw.quaternions), right)
        turned[skip] = 0
        return turned
    return np.zeros((phase_id.size, 4))


def _grid(raw: RawMap, n: int) -> Grid:
    if raw.x is None or raw.y is None:
        if raw.hexagonal:
            raise GridError(raw.path, "a hexagonal grid without coordinates cannot be laid out")
        return raster_grid(raw.path, n, raw.shape, raw.step)
    x, y = np.asarray(raw.x, dtype=np.float64), np.asarray(raw.y, dtype=np.float64)
    if raw.measured is not None and not raw.measured.all():
        at = np.flatnonzero(raw.measured)
        grid = grid_from_coordinates(raw.path, x[at], y[at], raw.shape, raw.step, raw.hexagonal)
        # Indices back to all points of the file.
        points = grid.point_of_pixel
        if points is None:
            points = np.arange(at.size).reshape(grid.shape)
        points = np.where(points >= 0, at[points], -1)
        return dataclasses.replace(grid, point_of_pixel=points)
    return grid_from_coordinates(raw.path, x, y, raw.shape, raw.step, raw.hexagonal)


class _Pixels:
    """Lays arrays of points on the grid."""

    def __init__(self, grid: Grid, measured: NDArray[np.bool_] | None) -> None:
        self.shape = grid.shape
        points = grid.point_of_pixel
        if points is None and measured is not None and not measured.all():
            points = np.arange(measured.size).reshape(grid.shape)
        if points is not None and measured is not None:
            points = np.where((points >= 0) & measured[points], points, -1)
        self.points = points
        self.empty = points < 0 if points is not None else None

    @property
    def is_measured(self) -> NDArray[np.bool_] | None:
        return ~self.empty if self.empty is not None and self.empty.any() else None

    def lay_camera(self, camera: Camera | None) -> Camera | None:
        """Camera with the pattern centres on the map; their mean where no point was measured."""
        centres = _centres(camera)
        if camera is None or centres is None:
            return camera
        return dataclasses.replace(camera, pc=self.lay(centres, centres.mean(axis=0)))

    def lay(self, values: NDArray[Any], fill: float | NDArray[Any] | None) -> NDArray[Any]:
        """Map of `values`; `fill` (NaN or 0 by type when None) where no point was measured."""
        values = np.asarray(values)
        if self.points is None or self.empty is None:
            return values.reshape(self.shape + values.shape[1:])
        out = values[self.points]
        if self.empty.any():
            if fill is None:
                fill = np.nan if values.dtype.kind == "f" else 0
            out[self.empty] = fill
        return out

    def lay_patterns(self, patterns: da.Array | None) -> da.Array | None:
        """Map of patterns, still lazy; zeros where no point was measured."""
        if patterns is None:
            return None
        import dask.array as da

        if self.points is None or self.empty is None:
            rows, columns = self.shape
            if columns * patterns[0].nbytes < BIG_ROW:
                return patterns.reshape(self.shape + patterns.shape[1:])
            # Reshaping would merge a whole row into one chunk, to be read for a single pattern.
            return da.stack([patterns[i * columns : (i + 1) * columns] for i in range(rows)])

        index = self.points.ravel().copy()
        if self.empty.any():
            blank = da.zeros((1, *patterns.shape[1:]), dtype=patterns.dtype)
            index[index < 0] = len(patterns)
            patterns = da.concatenate([patterns, blank])
        return patterns[index].reshape(self.shape + patterns.shape[1:])
