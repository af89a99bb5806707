"""Where a segmenter looks: what becomes of its answer when something is hidden from it.

The article that this package follows asks it of its own networks (section 5.4 of hal-03450484) with
two altered maps: orientations averaged over grains, and pixels that are not indexed filled in. Both
are here, besides each channel hidden by itself, and the surroundings of a grain.
"""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from napari_ebsdml._atomic import replacing
from napari_ebsdml._parallel import Progress, nth_of
from napari_ebsdml._paths import as_path
from napari_ebsdml.errors import InputError, WriteError
from napari_ebsdml.learning.device import pick_device
from napari_ebsdml.maps.grains import segment_grains
from napari_ebsdml.maps.mean_orientation import variants_and_means
from napari_ebsdml.maps.symmetry import phase_table
from napari_ebsdml.segmentation.inputs.channels import GRAIN_THRESHOLD, compute_channels
from napari_ebsdml.segmentation.labels.data import Classes, check_label_image
from napari_ebsdml.segmentation.models.predict import TILE, answering, softmax, stack_of
from napari_ebsdml.segmentation.results.judging import doubted

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan
    from napari_ebsdml.segmentation.inputs.planes import ChannelStack
    from napari_ebsdml.segmentation.models.model import TrainedModel

AVERAGED, FILLED, SURROUNDINGS = (
    "orientations averaged over grains", "pixels not indexed filled in", "surroundings",
)  # fmt: skip
"""What can be hidden, besides a channel."""

_MOST_SIDE = 1024


@dataclass(frozen=True)
class Hidden:
    """What one thing means to the answer.

    Attributes
    ----------
    what
        Name of a channel, or one of `AVERAGED`, `FILLED`, `SURROUNDINGS`.
    changed
        Part of the pixels that get another class without it.
    lost
        Mean loss of the chance of the class that was answered, -1 to 1.
    right
        Part of the pixels that is right without it; None without a truth.
    class_changed
        `changed` for the pixels of each class that was answered; NaN where there is none.
    """

    what: str
    changed: float
    lost: float
    right: float | None
    class_changed: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Explanation:
    """What the answer of a segmenter rests on.

    Attributes
    ----------
    rows
        What was hidden, that of most weight first.
    pixels
        Number of pixels that it is about.
    chance
        Mean chance of the class that was answered, with nothing hidden.
    right
        Part of them that is right; None without a truth.
    classes
    loss : (rows, columns) float32
        Of each pixel, the largest loss of chance when a single channel is hidden; NaN elsewhere.
    """

    rows: tuple[Hidden, ...]
    pixels: int
    chance: float
    right: float | None
    classes: Classes
    loss: NDArray[np.float32]

    @property
    def sentence(self) -> str:
        """What counts most, in words."""
        first = self.rows[0]
        if first.lost < 0.01 and first.changed < 0.01:
            return "Nothing by itself matters: what one channel tells, others tell as well."
        return (
            f"{first.what} counts most: without it {100 * first.changed:.0f} % of the pixels get "
            f"another class, and the chance falls by {100 * first.lost:.0f} points."
        )

    def table(self) -> str:
        """All rows as text."""
        width = max(len(r.what) for r in self.rows)
        head = f"{'hidden':{width}}  changed %  chance lost" + (
            "  right %" if self.right is not None else ""
        )
        lines = [head]
        for r in self.rows:
            text = f"{r.what:{width}}  {100 * r.changed:9.1f}  {100 * r.lost:11.1f}"
            lines.append(text + ("" if r.right is None else f"  {100 * r.right:7.1f}"))
        if self.right is not None:
            lines.append(f"{'nothing':{width}}  {0:9.1f}  {0:11.1f}  {100 * self.right:7.1f}")
        return "\n".join(lines)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Draw the rows as bars (.png, .pdf, .svg).

        Raises
        ------
        WriteError
            When the file cannot be written, or matplotlib knows no such format.
        """
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6.4, 0.6 + 0.32 * len(self.rows)), layout="constrained")
        draw_explanation(figure.subplots(), self)
        path = as_path(path)
        path = path if path.suffix else path.with_suffix(".png")
        try:
            with replacing(path) as part:
                figure.savefig(part, dpi=150, format=path.suffix[1:])
        except OSError as error:
            raise WriteError(f"{path}: {error.strerror or error}.") from None
        except ValueError as error:
            raise WriteError(f"{path}: {error}.") from None


def draw_explanation(axes: Any, explanation: Explanation) -> None:
    """Draw an `Explanation` into axes of matplotlib."""
    rows = explanation.rows[::-1]
    place = np.arange(len(rows))
    axes.barh(place + 0.2, [100 * r.changed for r in rows], 0.38, label="other class, % of pixels")
    axes.barh(place - 0.2, [100 * r.lost for r in rows], 0.38, label="chance lost, points")
    axes.set_yticks(place, [r.what for r in rows])
    axes.axvline(0, color="0.5", lw=0.8)
    axes.set_xlabel(f"when it is hidden ({explanation.pixels} pixels)")
    axes.legend(frameon=False, fontsize="small", loc="lower right")


def explain(
    model: TrainedModel,
    scan: Scan,
    where: tuple[int, int] | ArrayLike | None = None,
    truth: ArrayLike | None = None,
    *,
    device: str = "auto",
    progress: Progress = None,
) -> Explanation:
    """Hide one thing after the other, and see what becomes of the answer.

    A channel is hidden by giving all its planes the mean of the training maps, which is what
    networks know from crops with blanked planes. Channels that tell the same stand in for each
    other: that hiding one changes little does not mean that it tells nothing.

    Parameters
    ----------
    model
        A `Segmenter`.
    scan
    where
        Whose answer to explain: (row, column), the grain of 3 degrees there; a mask
        (rows, columns); None, the whole map. For a grain, what lies round it is hidden, too.
    truth : (rows, columns) int, optional
        Labels as painted, 0 where not known.
    device
        ``"auto"``, ``"cpu"``, ``"cuda"`` ...
    progress
        Called with the fraction done; may raise to cancel.

    Returns
    -------
    Explanation

    Raises
    ------
    InputError
        When `where` or `truth` do not fit the scan, or no pixel is left.
    ModelError
        When the scan lacks a channel of the model.

    Notes
    -----
    The two altered maps: T. Martinez Ostormujof et al., Ultramicroscopy 2022, preprint
    hal-03450484, section 5.4. Occlusion: M. D. Zeiler, R. Fergus, ECCV 2014,
    doi:10.1007/978-3-319-10590-1_53.
    """
    mask, is_part = _mask_of(scan, where)
    known = None
    if truth is not None:
        known = model.classes.index(check_label_image(scan, truth)).astype(np.int64)
    stack = stack_of(model, scan, 1)
    image = model.normaliser(stack)
    window = _window(mask)
    answer = answering(model, pick_device(device), TILE)

    def chances(planes: NDArray[np.float32]) -> NDArray[np.float32]:
        logits = answer(np.ascontiguousarray(planes[(slice(None), *window)]), None)
        chance = softmax(logits / model.temperature, axis=0)[:, mask[window]]
        return doubted(chance, model.doubt, 0)

    first = chances(image)
    best = first.argmax(axis=0)
    pixel = np.arange(len(best))
    chance = first[best, pixel]
    compared = None if known is None else known[mask]
    most = np.full(len(best), -np.inf, dtype=np.float32)
    groups = _groups(stack)
    others: list[tuple[str, NDArray[np.float32]]] = []
    if scan.quaternions.any():
        others = [(AVERAGED, _planes(model, _averaged(scan)))]
        if not scan.is_indexed.all():
            others.append((FILLED, _planes(model, _filled(scan))))
    if is_part:
        others.append((SURROUNDINGS, np.where(mask, image, np.float32(0))))
    rows: list[Hidden] = []
    total = len(groups) + len(others)
    every: list[tuple[str, Any]] = [*groups.items(), *others]
    for number, (name, planes) in enumerate(every):
        if isinstance(planes, list):
            kept = image[planes].copy()
            image[planes] = 0
            now = chances(image)
            image[planes] = kept
            most = np.maximum(most, chance - now[best, pixel])
        else:
            now = chances(planes)
        part = nth_of(progress, number, total)
        if part is not None:
            part(1.0)
        rows.append(_row(name, now, best, chance, compared, len(model.classes)))
    rows.sort(key=lambda r: (-max(r.lost, 0.0) - r.changed, r.what))
    loss = np.full(scan.shape, np.nan, dtype=np.float32)
    loss[mask] = most
    return Explanation(
        tuple(rows), int(mask.sum()), float(chance.mean()), _right(best, compared), model.classes,
        loss,
    )  # fmt: skip


def _right(best: NDArray[np.integer], known: NDArray[np.integer] | None) -> float | None:
    if known is None or not (known >= 0).any():
        return None
    return float((best == known)[known >= 0].mean())


def _row(
    name: str, now: NDArray[np.float32], best: NDArray[np.integer], chance: NDArray[np.float32],
    known: NDArray[np.integer] | None, classes: int,
) -> Hidden:  # fmt: skip
    other = now.argmax(axis=0)
    moved = other != best
    each = tuple(
        float(moved[best == c].mean()) if (best == c).any() else float("nan")
        for c in range(classes)
    )
    lost = float((chance - now[best, np.arange(len(best))]).mean())
    return Hidden(name, float(moved.mean()), lost, _right(other, known), each)


def _mask_of(
    scan: Scan, where: tuple[int, int] | ArrayLike | None
) -> tuple[NDArray[np.bool_], bool]:
    """Pixels that the answer is asked of, and whether they are a part of the map."""
    if where is None:
        return np.ones(scan.shape, dtype=bool), False
    if isinstance(where, tuple) and len(where) == 2 and all(np.ndim(w) == 0 for w in where):
        try:
            row, column = (int(w) for w in where)
        except (TypeError, ValueError):
            raise InputError(f"where must be (row, column), not {where!r}.") from None
        if not (0 <= row < scan.shape[0] and 0 <= column < scan.shape[1]):
            raise InputError(f"There is no pixel ({row}, {column}) in a map of {scan.shape}.")
        if not scan.is_indexed[row, column]:
            raise InputError(f"Pixel ({row}, {column}) is not indexed: it lies in no grain.")
        grains = segment_grains(scan, GRAIN_THRESHOLD)
        return grains == grains[row, column], True
    mask = np.asarray(where)
    if mask.shape != scan.shape or mask.dtype.kind != "b":
        raise InputError(f"where must be (row, column) or a mask of shape {scan.shape}.")
    if not mask.any():
        raise InputError("The mask holds no pixel: there is nothing to explain.")
    return mask, bool((~mask).any())


def _window(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    """What of the map is looked at: all, or the mask with a margin where the map is large."""
    if max(mask.shape) <= _MOST_SIDE or mask.all():
        return slice(None), slice(None)
    found = ndimage.find_objects(mask.astype(np.int8))[0]
    margin = 96
    return tuple(slice(max(s.start - margin, 0), s.stop + margin) for s in found)  # type: ignore[return-value]


def _groups(stack: ChannelStack) -> dict[str, list[int]]:
    """Numbers of the planes of each channel."""
    out, start = {}, 0
    for channel, size in stack.groups:
        out[channel] = list(range(start, start + size))
        start += size
    return out


def _planes(model: TrainedModel, scan: Scan) -> NDArray[np.float32]:
    return model.normaliser(compute_channels(scan, model.channels))


def _averaged(scan: Scan) -> Scan:
    """Each grain with its mean orientation."""
    grains = segment_grains(scan, GRAIN_THRESHOLD)
    _, means, _ = variants_and_means(scan, grains, phase_table(scan))
    q = np.where((grains > 0)[..., None], means[grains], scan.quaternions)
    return dataclasses.replace(scan, quaternions=q)


def _filled(scan: Scan) -> Scan:
    """Pixels that are not indexed with orientation and phase of the nearest that is."""
    gone = ~scan.is_indexed
    i, j = ndimage.distance_transform_edt(gone, return_distances=False, return_indices=True)
    return dataclasses.replace(
        scan, quaternions=scan.quaternions[i, j], phase_id=scan.phase_id[i, j]
    )
