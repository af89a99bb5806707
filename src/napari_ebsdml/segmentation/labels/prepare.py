"""From painted labels to those that train and those that judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_ebsdml.maps.grain_properties import gos
from napari_ebsdml.maps.grains import segment_grains
from napari_ebsdml.segmentation.inputs.channels import NEIGHBOURHOODS
from napari_ebsdml.segmentation.labels.data import Classes
from napari_ebsdml.segmentation.labels.folds import Folds, deal
from napari_ebsdml.segmentation.labels.spread import Spread, spread_labels
from napari_ebsdml.segmentation.settings import TrainingSettings

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan

Pairs = Sequence[tuple["Scan", NDArray[np.integer]]]
DENSE = 0.2
"""Part of the pixels from which labels are no strokes any more."""

FEW_UNITS = 10
"""With strokes in fewer grains, figures of held-out ones are chance."""

# Degrees; tighter than for the channels: Widmanstaetten plates and martensite differ by little.
_GROW_THRESHOLD = 2.0


@dataclass(frozen=True, eq=False)
class Prepared:
    """Labels ready for a training.

    Attributes
    ----------
    folds
    regions
        Number of grains that were labelled; of separate labelled areas on maps without
        orientations.
    dense
        Whether whole areas are labelled, in place of strokes.
    notes
        Sentences on what was found and left undone.
    """

    folds: Folds
    regions: int
    dense: bool
    notes: tuple[str, ...]


def is_dense(pairs: Pairs) -> bool:
    """Whether whole areas of the maps are labelled."""
    marked = sum(int((labels > 0).sum()) for _, labels in pairs)
    return marked > DENSE * sum(labels.size for _, labels in pairs)


def number_of_folds(settings: TrainingSettings, members: int) -> int:
    """Number of folds: each of the networks side by side has one that it does not learn."""
    return max(round(1 / settings.held_out), members, 2) if settings.held_out else 0


def prepare(
    pairs: Pairs, classes: Classes, settings: TrainingSettings, members: int = 1,
    channels: Sequence[str] = (),
) -> Prepared:  # fmt: skip
    """Spread strokes through their grains and deal them out to folds.

    Every method that is trained or judged on strokes starts here, so that all have the same
    pixels.

    Parameters
    ----------
    pairs
        Scans and their label images.
    classes
    settings
        `grow`, `held_out`, `gap` and `seed` count.
    members
        Networks side by side.
    channels
        What the method reads: notes say what else it could.
    """
    painted = [classes.index(labels) for _, labels in pairs]
    grains = [
        segment_grains(scan, _GROW_THRESHOLD) if scan.quaternions.any() else None
        for scan, _ in pairs
    ]
    regions = sum(_regions(t, g) for t, g in zip(painted, grains, strict=True))
    spread = [
        Spread(t) if g is None or not settings.grow or (t >= 0).mean() > DENSE
        else spread_labels(t, g, settings.grow, np.nan_to_num(gos(scan, g)))
        for (scan, _), t, g in zip(pairs, painted, grains, strict=True)
    ]  # fmt: skip
    folds = deal(
        painted, [s.target for s in spread], grains, len(classes),
        number_of_folds(settings, members), settings.gap, settings.seed,
    )  # fmt: skip
    areas = sum(_areas(t) for t in painted)
    around = any(name.endswith(tuple(NEIGHBOURHOODS)) for name in channels)
    notes = _notes(folds, spread, classes, areas, around)
    return Prepared(folds, regions, is_dense(pairs), notes)


def _notes(
    folds: Folds, spread: Sequence[Spread], classes: Classes, areas: int, around: bool
) -> tuple[str, ...]:
    notes = []
    for c in folds.alone:
        notes.append(
            f"{classes.names[c]} is painted in a single place: nothing can tell how well it is "
            "found. Paint it in a few more grains."
        )
    units = folds.units()
    if units < FEW_UNITS:
        strokes = "1 stroke lies" if areas == 1 else f"{areas} strokes lie"
        notes.append(
            f"{strokes} in {units} {'grain' if units == 1 else 'grains'}; from {FEW_UNITS} grains "
            "on, the part that is right can be told."
        )
    shared, graded = sum(s.shared for s in spread), sum(s.graded for s in spread)
    if shared:
        more = "" if around else (
            " If a class can be a part of a grain, add means around each pixel to the channels, "
            "such as KAM@near and KAM@far."
        )  # fmt: skip
        notes.append(
            f"{shared} {_grains(shared)} strokes of two classes: nothing was spread there.{more}"
        )
    if graded:
        notes.append(
            f"{graded} {_grains(graded)} strokes in an orientation gradient: nothing was spread "
            "there."
        )
    return tuple(notes)


def _grains(number: int) -> str:
    return "grain holds" if number == 1 else "grains hold"


def _regions(target: NDArray[np.int8], grains: NDArray[np.int32] | None) -> int:
    """Number of grains that are labelled; of separate labelled areas where there are none."""
    labelled = target >= 0
    if grains is not None:
        return len(np.unique(grains[labelled & (grains > 0)]))
    return _areas(target)


def _areas(target: NDArray[np.int8]) -> int:
    """Number of painted areas: what hangs together, corners too, and is of one class."""
    corners = np.ones((3, 3), dtype=int)
    return int(sum(ndimage.label(target == c, corners)[1] for c in np.unique(target[target >= 0])))
