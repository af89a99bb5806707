"""Segmentation of a large map; equal to that of the whole in one piece."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress, part_of
from napari_ebsdml.batching.large.bands import over_bands
from napari_ebsdml.batching.large.grains import grain_extents, map_measures, rows_of_grains
from napari_ebsdml.batching.large.maps import labelled
from napari_ebsdml.batching.large.store import Band, LargeMap
from napari_ebsdml.errors import InputError, MissingDataError, ModelError
from napari_ebsdml.segmentation.inputs.channels import (
    GRAIN_THRESHOLD,
    grain_rings,
    needs_measures,
)
from napari_ebsdml.segmentation.models.baselines import ForestSegmenter
from napari_ebsdml.segmentation.settings import PredictSettings

if TYPE_CHECKING:
    from distributed import Client

    from napari_ebsdml.segmentation import SegmentationResult, Segmenter
    from napari_ebsdml.segmentation.inputs.relative import MapMeasures

_NEAR, _FAR = 16, 40
"""Rows that a channel looks at: of neighbourhoods of 3 pixels (4 sigma) and less, and of 9."""


@dataclasses.dataclass(frozen=True)
class _How:
    """What a band needs to know."""

    model: Any
    changes: dict[str, tuple[float, float]]
    not_indexed: str
    tile: int
    device: str
    extents: NDArray[np.int32] | None
    grains: str
    margin: int
    rings: int
    measures: MapMeasures | None
    names: tuple[str, str]


def predict(
    model: Segmenter | ForestSegmenter,
    large: LargeMap,
    *,
    grain_vote: bool = PredictSettings.grain_vote,
    grain_threshold: float = PredictSettings.grain_threshold,
    not_indexed: str = PredictSettings.not_indexed,
    standardise: str = PredictSettings.standardise,
    turns: int = PredictSettings.turns,
    tile: int = 384,
    device: str = "auto",
    progress: Progress = None,
    warn: bool = True,
    client: Client | None = None,
) -> SegmentationResult:
    """Segment a large map; see `napari_ebsdml.Segmenter.predict`.

    Parameters
    ----------
    model
        A network, a discriminant, boosted trees or a forest.
    large
    grain_vote, grain_threshold, not_indexed, standardise, tile, device, progress, warn
        As `Segmenter.predict` takes them.
    turns
        1: turned maps are cut into other cells.
    client
        See `over_bands`.

    Returns
    -------
    SegmentationResult
        Its maps are mapped from files in the map's folder.

    Raises
    ------
    InputError
        When an argument is out of range, or the map is to be turned.
    ModelError
        When the map lacks a channel of the model, or the model is of another kind.

    Notes
    -----
    Where channels are measured on grains, a band is read with all of the grains that it touches,
    and for their relations with all neighbours of those: memory grows with the grains.
    """
    from napari_ebsdml.segmentation.results.result import SegmentationResult, check_not_indexed
    from napari_ebsdml.segmentation.segmenter import ModelWarning

    check_not_indexed(not_indexed)
    if turns != 1:
        raise InputError("A map in bands is not turned: turns must be 1, or the bands larger.")
    if standardise not in ("as_trained", "this_map"):
        raise InputError(f"standardise must be 'as_trained' or 'this_map', not {standardise!r}.")
    if not works_in_bands(model):
        raise ModelError(f"A {type(model).__name__} sees a map as a whole: ask for larger bands.")
    changes = _changes(model, large, standardise)
    rings = grain_rings(model.channels)
    grains, extents = "", None
    if rings:
        grains = labelled(large, GRAIN_THRESHOLD, 1, part_of(progress, 0.0, 0.1), client)
        extents = grain_extents(large, grains, client)
    measures = None
    if needs_measures(model.channels):
        measures = map_measures(large, grains, extents, changes, client)
    classes = len(model.classes)
    labels = large.new(np.uint8 if max(model.classes.values) < 256 else np.int32)
    names = (labels, large.new(np.float32, (classes,)))
    margin = _FAR if any(name.endswith("@far") for name in model.channels) else _NEAR
    how = _How(
        model, changes, not_indexed, tile, device, extents, grains, margin, rings, measures, names
    )  # fmt: skip
    bands = large.bands(*_halo(model))
    share = 0.85 if grain_vote else 1.0
    sampled = over_bands(_predict, large, bands, (how,), part_of(progress, 0.1, share), client)
    foreign, notes = _notes(model, large, changes, sampled)
    for note in notes if warn else ():
        warnings.warn(f"{large.head.name}: {note}", ModelWarning, stacklevel=2)
    if grain_vote:
        voting = labelled(large, grain_threshold, 1, part_of(progress, share, 0.95), client)
        means = _means(large, voting, names, classes, client)
        over_bands(
            _vote, large, large.bands(), (voting, names, means, model.classes),
            part_of(progress, 0.95), client,
        )  # fmt: skip
    return SegmentationResult(
        large.array(labels), large.array(names[1]), model.classes, notes,
        tuple(model.record.get("fraction_errors", ())), bool(foreign),
    )  # fmt: skip


def works_in_bands(model: Any) -> bool:
    """Whether `predict` takes a model: networks, discriminants, boosted trees and forests."""
    return isinstance(model, ForestSegmenter) or hasattr(model, "network")


def _changes(
    model: Segmenter | ForestSegmenter, large: LargeMap, standardise: str
) -> dict[str, tuple[float, float]]:
    """Slope and shift of properties, see `Ranges.matching`."""
    if standardise != "this_map":
        return {}
    if isinstance(model, ForestSegmenter):
        raise InputError("Only a segmenter can standardise to this map, not a forest.")
    if model.ranges is None:
        raise ModelError(
            "The model is of an earlier version and does not know what its training maps looked "
            "like: train it anew to standardise to this map."
        )
    return model.ranges.matching(large.scan)


def _notes(
    model: Segmenter | ForestSegmenter, large: LargeMap, changes: Any,
    sampled: Sequence[tuple[Any, Any]],
) -> tuple[str, tuple[str, ...]]:  # fmt: skip
    """Whether the map is foreign, in a sentence, and all that there is to say of it."""
    if isinstance(model, ForestSegmenter):
        return "", ()
    foreign, hard = _foreign(model, [pixels for _, pixels in sampled])
    said = _said(model, large, changes, [kam for kam, _ in sampled])
    return foreign, (*filter(None, (foreign, hard)), *model.check(_head(large)), *said)


def _halo(model: Any) -> tuple[int, int]:
    """Rows beside a band that its answer needs, and what the first of them is a multiple of."""
    if isinstance(model, ForestSegmenter):
        return model.reach, 1
    return (0, 1) if model.network is None else (model.network.halo, model.network.align)


def _head(large: LargeMap) -> Any:
    """A map of one pixel of each phase, with the large one's step."""
    ids = np.array([large.present() or [-1]], dtype=np.int32)
    q = np.zeros((*ids.shape, 4))
    q[..., 0] = ids >= 0
    return dataclasses.replace(large.head, phase_id=ids, quaternions=q, prop={})


def _said(model: Any, large: LargeMap, changes: Any, sampled: list[Any]) -> tuple[str, ...]:
    from napari_ebsdml.segmentation.inputs.domain import matched

    if model.ranges is None:
        return ()
    parts = [part for part in sampled if part is not None]
    kam = np.concatenate(parts) if parts else None
    found: tuple[str, ...] = model.ranges.said(matched(large.scan, changes), kam)
    return found


def _foreign(model: Any, sampled: list[Any]) -> tuple[str, str]:
    """See `Segmenter.told_of`."""
    parts = [part for part in sampled if part is not None]
    if model.familiar is None or not parts:
        return "", ""
    pixels = type(parts[0])(*(np.concatenate(each) for each in zip(*parts, strict=True)))
    told: tuple[str, str] = model.told_of(pixels)
    return told


def _predict(large: LargeMap, band: Band, how: _How) -> tuple[Any, Any]:
    """Segments a band; gives some of its KAM, and some of its pixels as `Familiar` wants them."""
    from napari_ebsdml.learning.device import pick_device
    from napari_ebsdml.segmentation.inputs.domain import matched, sampled
    from napari_ebsdml.segmentation.inputs.familiar import pixels_of
    from napari_ebsdml.segmentation.models.predict import predict_probability, stack_of
    from napari_ebsdml.segmentation.results.result import labels_of

    last = large.shape[0]
    near = slice(
        max(0, band.read.start - how.margin), min(last, band.read.stop + how.margin)
    )  # fmt: skip
    rows = rows_of_grains(large, how.grains, how.extents, near, how.rings)
    try:
        scan = matched(large.band(rows), how.changes)
        stack = stack_of(how.model, scan, 1, None, how.measures)
    except MissingDataError as error:
        raise ModelError(str(error)) from None
    cut = slice(band.read.start - rows.start, band.read.stop - rows.start)
    stack = dataclasses.replace(stack, values=stack.values[:, cut], grains=None, variants=None)
    forest = isinstance(how.model, ForestSegmenter)
    if forest:
        found = how.model.probability(stack)[band.keep]
    else:
        device = pick_device(how.device)
        found = predict_probability(how.model, stack, 1, how.tile, device, None)[band.keep]
    first, size = band.write.start * large.shape[1], large.shape[0] * large.shape[1]
    there, pixels = large.read("phase_id", band.write) != -1, None
    if not forest and how.model.familiar is not None:
        kept = dataclasses.replace(stack, values=stack.values[:, band.keep])
        pixels = pixels_of(kept, how.model.normaliser, found, there, first, size)
    if how.not_indexed == "leave_out":
        found[~there] = np.nan
    large.write(how.names[0], band.write.start, labels_of(found, how.model.classes))
    large.write(how.names[1], band.write.start, found)
    planes = [plane.name for plane in stack.planes]
    if "KAM" not in planes:
        return None, pixels
    kam = stack.values[planes.index("KAM")][band.keep]
    return sampled(kam, first, size), pixels


def _means(
    large: LargeMap, grains: str, names: tuple[str, str], classes: int, client: Any
) -> NDArray[np.float64]:
    """Mean probability (grains + 1, classes) of each grain."""
    parts = over_bands(_sums, large, large.bands(), (grains, names), None, client)
    most = max((int(number[-1]) for number, _, _ in parts if number.size), default=0)
    count, total = np.zeros(most + 1), np.zeros((most + 1, classes))
    for number, pixels, sums in parts:
        count[number] += pixels
        total[number] += sums
    return total / np.maximum(count, 1)[:, None]


def _sums(
    large: LargeMap, band: Band, grains: str, names: tuple[str, str]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    ids = large.read(grains, band.write)
    use = (ids > 0) & (large.read(names[0], band.write) > 0)
    number, place = np.unique(ids[use], return_inverse=True)
    probability = large.read(names[1], band.write)[use]
    sums = [np.bincount(place, plane, len(number)) for plane in probability.T]
    return number, np.bincount(place, minlength=len(number)), np.stack(sums, axis=1)


def _vote(
    large: LargeMap, band: Band, grains: str, names: tuple[str, str], means: NDArray[Any],
    classes: Any,
) -> None:  # fmt: skip
    from napari_ebsdml.segmentation.results.result import labels_of

    ids = large.read(grains, band.write)
    probability = large.read(names[1], band.write)
    use = (ids > 0) & (large.read(names[0], band.write) > 0)
    probability[use] = means[ids[use]]
    large.write(names[1], band.write.start, probability)
    large.write(names[0], band.write.start, labels_of(probability, classes))
