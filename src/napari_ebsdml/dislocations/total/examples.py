"""Examples that the estimator of the total density learns from: windows of simulated structures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.dislocations.gnd.structure_function import CHI_MEDIAN
from napari_ebsdml.dislocations.structures.generate import KINDS
from napari_ebsdml.dislocations.structures.measurement import Window, random_window
from napari_ebsdml.dislocations.structures.store import read_stored
from napari_ebsdml.dislocations.total.statistics import SUMS, features, window_sums
from napari_ebsdml.errors import InputError

TOLD_ERROR = 0.1
"""Relative error of a noise that is told."""
MEASURED_ERROR = 0.25
"""Relative error of a noise that is measured where dislocations do not disturb."""


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

    def without(self, kind: str) -> NDArray[np.bool_]:
        """Windows of structures that have no line of a class."""
        return np.asarray(~self.kinds[:, list(KINDS).index(kind)])

    @classmethod
    def join(cls, parts: Sequence[Examples]) -> Examples:
        """Examples of several sources."""
        if not parts:
            raise InputError("There are no examples to join.")
        return cls(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)))


def measured_noise(window: Window) -> float:
    """Noise of a window in b / s, as `dislocations.gnd.noise` measures that of a map."""
    inside = np.where(window.inside[..., None], window.rotation, np.nan)
    lengths = [np.linalg.norm(np.diff(inside, 2, axis=axis), axis=-1).ravel() for axis in (0, 1)]
    known = np.concatenate(lengths)
    known = known[np.isfinite(known)]
    return float(np.median(known) / CHI_MEDIAN / np.sqrt(6)) if known.size else float("nan")


def noise_input(window: Window, random: np.random.Generator) -> tuple[float, bool]:
    """Noise as a user would give it, and whether it was measured on the same map."""
    if random.random() < 0.5:
        return window.errors.sigma * float(np.exp(TOLD_ERROR * random.standard_normal())), False
    if random.random() < 0.5:
        value = measured_noise(window)
        if value > 0:
            return value, True
    return window.errors.sigma * float(np.exp(MEASURED_ERROR * random.standard_normal())), True


def examples_of_windows(
    windows: Sequence[Window], random: np.random.Generator, kinds: NDArray[Any], number: int
) -> Examples:
    """Examples of the windows of one structure."""
    sums = np.zeros((len(windows), SUMS))
    noise, measured = np.zeros(len(windows)), np.zeros(len(windows), dtype=bool)
    for n, window in enumerate(windows):
        segments = np.where(window.inside, 0, -1)
        window_sums(window.rotation, segments, 0, len(segments), sums[n : n + 1])
        noise[n], measured[n] = noise_input(window, random)
    lines = np.array([window.lines for window in windows])
    whole = [w.errors for w in windows]
    return Examples(
        features(sums, noise, measured).astype(np.float32),
        np.log10(np.maximum(lines, 1e-6)).astype(np.float32),
        np.array([w.polarised for w in windows], dtype=np.float32),
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
    **settings: Any,
) -> Examples:
    """Windows of all structures in some files.

    Parameters
    ----------
    files
        From `structures.store.simulate`.
    per_structure
        Windows of each; those that less than one line crosses are left out.
    seed
    progress
        Called with the part that is done, 0..1.
    **settings
        For `structures.measurement.random_window`.
    """
    parts = []
    names = list(KINDS)
    for index, path in enumerate(files):
        random = np.random.default_rng([seed, index])
        for place, stored in enumerate(read_stored(path)):
            windows = [random_window(stored, random, **settings) for _ in range(per_structure)]
            windows = [w for w in windows if w.lines * w.inside.sum() >= 1]
            if windows:
                kinds = np.array([name in stored.kinds for name in names])
                number = index * 1000 + place
                parts.append(examples_of_windows(windows, random, kinds, number))
        if progress is not None:
            progress((index + 1) / len(files))
    return Examples.join(parts)
