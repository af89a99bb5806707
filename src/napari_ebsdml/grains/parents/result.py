"""What a reconstruction of parent grains found."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.grains.parents.evidence import Evidence
from napari_ebsdml.maps.relationships import known_relationships
from napari_ebsdml.scan import NOT_INDEXED, Scan, Source

if TYPE_CHECKING:
    from napari_ebsdml.maps.relationships import OrientationRelationship

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]

_DOUBTFUL = 0.5
"""Mean confidence below which the whole reconstruction is doubtful."""


@dataclass(frozen=True)
class GrainSize:
    """ASTM grain size of parent grains, twins counted with the grain that they lie in.

    Attributes
    ----------
    number
        G of ASTM E112; NaN without grains.
    n
        Grains counted.
    whole
        Those of them that the edge of the map does not cut.
    mean_area
        um^2.
    sentence
        The same in words.
    """

    number: float
    n: int
    whole: int
    mean_area: float

    @property
    def sentence(self) -> str:
        """The figures in words."""
        if not self.n:
            return "ASTM grain size: no grains."
        if not self.whole:
            return f"ASTM grain size: none, no grain of {self.n} is whole."
        text = (
            f"ASTM grain size {self.number:.1f} (mean area {self.mean_area:.3g} µm², "
            f"n = {self.n} grains, {self.whole} of them whole)"
        )
        return text + ("." if self.whole >= 50 else "; E112 asks for 50 whole grains.")


@dataclass(frozen=True, eq=False)
class ParentGrains:
    """Parent grains of a map, and what each pixel is in its parent.

    Attributes
    ----------
    parent_id : (rows, columns) int32
        Parent grain of each pixel, from 1; 0 for none. A twin of a parent has a number of its own.
    orientations : (parents + 1, 4) float64
        Specimen -> parent crystal, in the fundamental zone; row i is that of number i, row 0
        is 0.
    variant : (rows, columns) uint8
        Number of the variant in its parent, from 1, as `orientation_relationship.variants` counts
        them in the axes of `orientations`; 0 for none and in retained parent.
    packet, bain_group : (rows, columns) uint8
        Of that variant; 0 for none, or where the relationship knows none.
    block : (rows, columns) int32
        Connected pixels of one parent, packet and Bain group, from 1; 0 for none.
    misfit : (rows, columns) float32
        Degrees between the measured orientation and the nearest variant in its parent, or the
        parent where it is retained; NaN where there is no orientation or no parent.
    confidence : (rows, columns) float32
        0 to 1: votes of the neighbours for this parent, times odds against its twins; 0 for none.
    orientation_relationship
        The one that was used, refined if asked for.
    deviations : dict of name -> float
        Its angle to each known one of the same crystals, degrees.
    scatter
        Standard deviation about each axis of child grains to their parents, degrees.
    grain_of : (parents + 1,) int32
        Grain of each parent when twins count with what they lie in, from 1.
    retained : (parents + 1,) int64
        Pixels of retained parent phase in each.
    retained_deviation
        Median angle in degrees between retained grains and the parents that the child grains
        around them give without their help; NaN without any.
    evidence
        What the boundaries between child grains say of the relationship; see `Evidence`.
    noise
        Orientation noise of the map about each axis, degrees, as estimated.
    scan
        The map that it was found in.
    child, parent
        `Scan.phase_id` of the two; None where no pixel is of the parent.
    settings
        What it was computed with.
    """

    parent_id: Ints
    orientations: Floats
    variant: NDArray[np.uint8]
    packet: NDArray[np.uint8]
    bain_group: NDArray[np.uint8]
    block: Ints
    misfit: NDArray[np.float32]
    confidence: NDArray[np.float32]
    orientation_relationship: OrientationRelationship
    scatter: float
    grain_of: Ints
    retained: NDArray[np.int64]
    retained_deviation: float
    evidence: Evidence
    noise: float
    scan: Scan
    child: int
    parent: int | None
    settings: dict[str, Any]

    @property
    def parent_quaternions(self) -> Floats:
        """Orientation of each pixel's parent, (rows, columns, 4), 0 for none."""
        return np.asarray(self.orientations[self.parent_id])

    @property
    def count(self) -> int:
        """Number of parents, twins counted."""
        return len(self.orientations) - 1

    @cached_property
    def deviations(self) -> dict[str, float]:
        """Angle of the relationship to the known ones of the same crystals, degrees."""
        own = self.orientation_relationship
        return {
            name: own.deviation(known)
            for name, known in known_relationships().items()
            if (known.parent, known.child) == (own.parent, own.child)
        }

    @cached_property
    def grain_size(self) -> GrainSize:
        """ASTM E112 grain size number, by the planimetric (Jeffries) method for a rectangle."""
        return grain_size(self.grain_of[self.parent_id], self.scan.step)

    @cached_property
    def table(self) -> dict[str, NDArray[Any]]:
        """One row a parent; ``pandas.DataFrame(result.table)`` works.

        ``id``, ``grain`` (twins together), ``pixels``, ``area`` um^2, ``variants`` (different
        ones met), ``misfit`` (mean, degrees), ``confidence`` (mean), ``retained`` (pixels),
        ``w`` ... ``z``.
        """
        n = self.count + 1
        flat = self.parent_id.ravel()
        pixels = np.bincount(flat, minlength=n)
        known = np.isfinite(self.misfit.ravel())
        hits = np.maximum(np.bincount(flat[known], minlength=n), 1)
        misfit = np.bincount(flat[known], self.misfit.ravel()[known], n) / hits
        confidence = np.bincount(flat, self.confidence.ravel(), n) / np.maximum(pixels, 1)
        met = np.zeros((n, 256), dtype=bool)
        met[flat, self.variant.ravel()] = True
        found: dict[str, NDArray[Any]] = {
            "id": np.arange(1, n, dtype=np.int32),
            "grain": self.grain_of[1:],
            "pixels": pixels[1:],
            "area": pixels[1:] * self.scan.step[0] * self.scan.step[1],
            "variants": met[1:, 1:].sum(axis=1),
            "misfit": misfit[1:],
            "confidence": confidence[1:],
            "retained": self.retained[1:],
        }
        for letter, values in zip("wxyz", self.orientations[1:].T, strict=True):
            found[letter] = values
        return found

    @property
    def sentence(self) -> str:
        """What was found, in words."""
        indexed = int((self.scan.phase_id == self.child).sum())
        own = self.orientation_relationship
        if not self.count:
            return (
                f"No parent grains in {indexed} child pixels: too few child grains touch that "
                f"could be variants of one parent ({own.name}). Try another relationship, a "
                "lower child grain threshold or a larger map."
            )
        share = 100 * float((self.parent_id > 0).mean())
        near = " and ".join(
            f"{angle:.1f}° from {name}"
            for name, angle in sorted(self.deviations.items(), key=lambda item: item[1])[:2]
        )
        parts = [
            f"{self.count} parent{'s' * (self.count > 1)} ({int(self.grain_of.max())} without "
            f"twins) on {share:.1f} % of the map",
            f"relationship {near}" if near else f"relationship {own.name}",
            f"median misfit {float(np.nanmedian(self.misfit)):.1f}°",
            f"mean confidence {float(self.confidence[self.parent_id > 0].mean()):.2f}",
        ]
        if self.evidence.boundaries:
            parts.append(self.evidence.sentence)
        if self.retained.any():
            parts.append(
                f"{int(self.retained.sum())} pixels of retained parent, "
                f"{self.retained_deviation:.1f}° (median) from what the child grains alone give"
            )
        text = "; ".join(parts) + ". " + self.grain_size.sentence
        why = []
        if self.evidence.is_doubtful:
            why.append("boundaries are hardly more often those of variants than by chance")
        if self.confidence[self.parent_id > 0].mean() < _DOUBTFUL:
            why.append("few neighbours agree")
        if why:
            text = (
                f"Doubtful: {' and '.join(why)}; the map may show no transformed grains, or "
                f"another relationship. {text}"
            )
        return text

    def as_scan(self) -> Scan:
        """The parent grains as a map of their own, for IPF colours, grains or a file."""
        from napari_ebsdml._orix import prepare_orix

        prepare_orix()
        from orix.crystal_map import Phase, PhaseList

        if self.parent is not None:
            number, phase = self.parent, self.scan.phases[self.parent]
        else:
            number = max(self.scan.phases.ids) + 1
            name = f"parent of {self.scan.phases[self.child].name}"
            phase = Phase(name, point_group=self.orientation_relationship.parent)
        return Scan(
            quaternions=self.parent_quaternions,
            phase_id=np.where(self.parent_id > 0, number, NOT_INDEXED).astype(np.int32),
            phases=PhaseList(ids=[number], phases=[phase]),
            step=self.scan.step,
            source=Source(
                path=self.scan.source.path,
                format=self.scan.source.format,
                scan_name=f"{self.scan.source.scan_name} parents".strip(),
            ),
        )

    def __repr__(self) -> str:
        return f"ParentGrains: {self.sentence}"


def grain_size(grains: Ints, step: tuple[float, float]) -> GrainSize:
    """ASTM grain size number of labelled grains, 0 for none.

    Planimetric (Jeffries) count of a rectangle: whole grains, half of those that an edge cuts and
    one for the four corners, on the area that grains cover.

    Notes
    -----
    ASTM E112, ``G = -3.3223 log10(mean area in mm^2) - 2.954``.
    """
    edge = np.concatenate([grains[0], grains[-1], grains[:, 0], grains[:, -1]])
    corners = {int(grains[i, j]) for i in (0, -1) for j in (0, -1)} - {0}
    every, cut = set(np.unique(grains).tolist()) - {0}, set(np.unique(edge).tolist()) - {0}
    if not every:
        return GrainSize(math.nan, 0, 0, math.nan)
    whole = len(every - cut)
    number = whole + 0.5 * len(cut - corners) + 0.25 * len(corners)
    mean = float((grains > 0).sum()) * step[0] * step[1] / number
    return GrainSize(-3.3223 * math.log10(mean * 1e-6) - 2.954, len(every), whole, mean)
