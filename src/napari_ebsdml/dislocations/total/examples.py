"""Examples that the estimator of the total density learns from: windows of simulated structures."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from napari_ebsdml._atomic import replacing
from napari_ebsdml.dislocations.gnd.noise import orientation_noise
from napari_ebsdml.dislocations.structures.copies import random_shifts, with_copies
from napari_ebsdml.dislocations.structures.generate import BETWEEN, KINDS
from napari_ebsdml.dislocations.structures.measurement import (
    NOISE_RANGE,
    SimulatedMap,
    Window,
    random_map,
)
from napari_ebsdml.dislocations.structures.store import read_stored
from napari_ebsdml.dislocations.total.statistics import NAMES, features
from napari_ebsdml.dislocations.total.sums import SUMS, window_sums
from napari_ebsdml.errors import InputError

TOLD = 0.6
"""Part of the maps whose noise is told."""
TOLD_ERROR = 0.1
"""Relative error of a noise that is told."""
PER_MAP = 3
"""Windows of each map."""
_UNIT = 0.02
"""Largest rotation in radians when the noise is measured: small, so that rotations just add."""
CLASSES = tuple(name for name in KINDS if name != BETWEEN)
"""Classes that are left out of training one by one."""


@dataclass(frozen=True, eq=False)
class Examples:
    """Windows as the network sees them, and what is true of them; one row a window.

    Attributes
    ----------
    inputs : (n, len(statistics.NAMES)) float32
    lines : (n,) float32
        log10 of the lines per pixel, rho s^2.
    polarised : (n,) float32
        Part of the lines that do not cancel over the window.
    noise : (n,) float32
        True orientation noise in b / s.
    white : (n,) bool
        Whether the errors are white noise and nothing else.
    kinds : (n, len(KINDS)) bool
        Classes that the structure has lines of.
    structure : (n,) int64
        Number of the structure.
    """

    inputs: NDArray[np.float32]
    lines: NDArray[np.float32]
    polarised: NDArray[np.float32]
    noise: NDArray[np.float32]
    white: NDArray[np.bool_]
    kinds: NDArray[np.bool_]
    structure: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.lines)

    @property
    def strength(self) -> NDArray[np.float64]:
        """log10 of rho (b / sigma)^2: what decides whether a map tells its density."""
        return np.asarray(self.lines - 2 * np.log10(self.noise.astype(np.float64)))

    def select(self, rows: NDArray[Any]) -> Examples:
        """Some of the rows."""
        return Examples(*(getattr(self, f.name)[rows] for f in fields(self)))

    def of(self, kind: str) -> NDArray[np.bool_]:
        """Windows of structures of one class and no other."""
        return np.asarray(self.kinds[:, list(KINDS).index(kind)] & (self.kinds.sum(axis=1) == 1))

    @property
    def free_surface(self) -> NDArray[np.bool_]:
        """Windows of free surfaces."""
        return np.asarray(self.inputs[:, NAMES.index("free surface")] > 0.5)

    def without(self, kind: str) -> NDArray[np.bool_]:
        """Windows of structures that have no line of a class."""
        return np.asarray(~self.kinds[:, list(KINDS).index(kind)])

    def write(self, path: Path) -> None:
        """Keep as an .npz file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part, part.open("wb") as file:
            np.savez(file, **{f.name: getattr(self, f.name) for f in fields(self)})

    @classmethod
    def read(cls, path: Path) -> Examples:
        """Examples that `write` kept."""
        with np.load(path, allow_pickle=False) as file:
            return cls(*(file[f.name] for f in fields(cls)))

    @classmethod
    def join(cls, parts: Sequence[Examples]) -> Examples:
        """Examples of several sources."""
        if not parts:
            raise InputError("There are no examples to join.")
        return cls(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)))


@dataclass(frozen=True, eq=False)
class MeasuredWindow:
    """A window, and the noise in b / s that is known of it: told, or measured on its map."""

    window: Window
    noise: float
    measured: bool


def measured_noise(simulated: SimulatedMap) -> float:
    """Noise of a map in b / s as the product measures it; NaN where it cannot."""
    unit = _UNIT / max(float(np.abs(simulated.rotation).max()), 1e-9)
    turn = Rotation.from_rotvec(unit * simulated.rotation.reshape(-1, 3))
    quaternions = turn.as_quat(scalar_first=True).reshape(*simulated.indexed.shape, 4)
    sigma = orientation_noise(quaternions, simulated.indexed.astype(np.int64), "1")
    return float(np.radians(sigma) / unit)


def noise_input(simulated: SimulatedMap, random: np.random.Generator) -> tuple[float, bool]:
    """Noise as a user would give it, and whether it was measured on the same map."""
    sigma = simulated.errors.sigma
    if random.random() < TOLD:
        return sigma * float(np.exp(TOLD_ERROR * random.standard_normal())), False
    value = measured_noise(simulated)
    if np.isfinite(value) and value > 0:
        return float(np.clip(value, *NOISE_RANGE)), True
    return sigma, False


def windows_of_maps(
    maps: Sequence[SimulatedMap], random: np.random.Generator, number: int, **settings: Any
) -> list[MeasuredWindow]:
    """Some windows of each map; those that less than one line crosses are left out.

    `settings` are those of `SimulatedMap.window`.
    """
    found = []
    for one in maps:
        noise, measured = noise_input(one, random)
        for _ in range(number):
            window = one.window(random, **settings)
            if window.lines * window.inside.sum() >= 1:
                found.append(MeasuredWindow(window, noise, measured))
    return found


def examples_of_windows(
    windows: Sequence[MeasuredWindow], kinds: NDArray[Any], number: int
) -> Examples:
    """Examples of the windows of one structure, the `number`-th, with lines of some `KINDS`."""
    sums = np.zeros((len(windows), SUMS))
    zero = np.zeros(1, dtype=np.int64)
    for n, one in enumerate(windows):
        segments = np.where(one.window.inside, 0, -1)
        window_sums(one.window.rotation, segments, zero, 0, len(segments), sums[n : n + 1])
    told = np.array([one.noise for one in windows])
    measured = np.array([one.measured for one in windows])
    surface = np.array([one.window.surface for one in windows])
    lines = np.array([one.window.lines for one in windows])
    whole = [one.window.errors for one in windows]
    return Examples(
        features(sums, told, measured, surface).astype(np.float32),
        np.log10(np.maximum(lines, 1e-6)).astype(np.float32),
        np.array([one.window.polarised for one in windows], dtype=np.float32),
        np.array([e.sigma for e in whole], dtype=np.float32),
        np.array([not (e.correlation or e.drift or e.cleaned or e.missing) for e in whole]),
        np.repeat(np.asarray(kinds, dtype=bool)[None], len(windows), axis=0),
        np.full(len(windows), number, dtype=np.int64),
    )


def make_examples(
    files: Sequence[Path],
    per_structure: int,
    seed: int = 0,
    progress: Callable[[float], object] | None = None,
    folder: Path | None = None,
    copies: int = 0,
) -> Examples:
    """Windows of all structures in some files.

    Parameters
    ----------
    files
        From `structures.store.simulate`.
    per_structure
        Maps of each; each gives `PER_MAP` windows.
    seed
    progress
        Called with the part that is done, 0..1.
    folder
        Where the examples of each file are kept, and looked for; None: nowhere.
    copies
        Further maps of each structure with shifted copies of itself (`structures.copies`). They
        count as of `BETWEEN` besides the structure's own classes.
    """
    parts = []
    for index, path in enumerate(files):
        for what, maps in (("", per_structure), ("-copies", copies)):
            kept = None if folder is None else folder / f"{path.stem}{what}-{maps}-{seed}.npz"
            if not maps:
                continue
            if kept is not None and kept.exists():
                parts.append(Examples.read(kept))
            else:
                parts.append(_of_file(path, maps, seed, bool(what)))
                if kept is not None:
                    parts[-1].write(kept)
        if progress is not None:
            progress((index + 1) / len(files))
    return Examples.join([part for part in parts if len(part)])


def _of_file(path: Path, maps: int, seed: int, copied: bool) -> Examples:
    names = list(KINDS)
    code = zlib.crc32(path.stem.encode())
    found = []
    for place, stored in enumerate(read_stored(path)):
        random = np.random.default_rng([seed, code, place, *([1] if copied else [])])
        kinds = np.array([name in stored.kinds or (copied and name == BETWEEN) for name in names])
        if copied and "taylor" in stored.kinds:
            continue  # copies would be finer lattices, of lines that cancel within a pixel
        drawn = [
            random_map(with_copies(stored, random_shifts(random)) if copied else stored, random)
            for _ in range(maps)
        ]
        windows = windows_of_maps(drawn, random, PER_MAP)
        if windows:
            found.append(examples_of_windows(windows, kinds, code * 100 + place))
    return Examples.join(found or [examples_of_windows([], np.zeros(len(names), dtype=bool), 0)])
