"""What a new model says of the maps that it was trained on, and in words what answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from napari_ebsdml.segmentation.learning.held_out import spread_squares
from napari_ebsdml.segmentation.models.linear import Discriminant
from napari_ebsdml.segmentation.models.predict import answering, predict_logits, softmax
from napari_ebsdml.segmentation.results.judging import Judged, doubted

if TYPE_CHECKING:
    from napari_ebsdml.segmentation.inputs.crops import TrainingMap
    from napari_ebsdml.segmentation.labels.folds import Folds
    from napari_ebsdml.segmentation.models.model import TrainedModel
    from napari_ebsdml.segmentation.models.network import UNet

LINEAR_ALONE = "The linear discriminant answers: no network was trained."
_SIDE, _WINDOWS = 192, 8
_PIXELS = 400_000
"""By so many, drawn at random, the shares of the classes are fitted."""
_LOOK = 2_000_000
"""Of so many they are drawn."""


def adapted_to(grains: int, foreign: bool = False) -> str:
    """Sentence on a ready model that strokes have corrected."""
    what = "grain" if grains == 1 else "grains"
    more = " The map is not like those of its training: only the strokes vouch for it."
    return (
        f"The ready model answers, corrected by strokes in {grains} {what}."
        f"{more if foreign else ''}"
    )


class Look:
    """What a new model says of the maps that it was trained on, in a sample of windows."""

    def __init__(
        self, model: TrainedModel, maps: Sequence[TrainingMap],
        every: Sequence[NDArray[np.int8]], device: torch.device,
    ) -> None:  # fmt: skip
        self.classes = model.classes
        answer = answering(model, device)
        rng = np.random.default_rng(0)
        self.sure: list[float] = []
        self.number: list[int] = []
        self.right = np.zeros(len(self.classes), dtype=np.int64)
        self.painted = np.zeros(len(self.classes), dtype=np.int64)
        # Coarser copies of the maps come after them.
        for one, painted in zip(maps, every, strict=False):
            image = one.values
            fast = model.network is None and isinstance(model.linear, Discriminant)
            for window in _windows(painted, rng, fast):
                logits = answer(image[(slice(None), *window)], None) / model.temperature
                target = painted[window]
                chance = doubted(softmax(logits, axis=0), model.doubt, 0).max(axis=0)
                rest = target < 0
                self.sure.append(float(chance[rest].sum()))
                self.number.append(int(rest.sum()))
                best = logits.argmax(axis=0)
                for c in range(len(self.classes)):
                    self.painted[c] += int((target == c).sum())
                    self.right[c] += int(((target == c) & (best == c)).sum())

    def expected(self) -> float:
        """Mean chance that the label of a pixel that was not painted is right."""
        return sum(self.sure) / max(sum(self.number), 1) if sum(self.number) else float("nan")

    def vanished(self) -> tuple[str, ...]:
        """Sentences on classes that not even their own strokes get."""
        return tuple(
            f"{self.classes.names[c]} vanishes: the model gives it to none of the {n} pixels "
            "that were painted so. The channels do not show it, or other classes outweigh it."
            for c, n in enumerate(self.painted) if n and not self.right[c]
        )  # fmt: skip


def _windows(
    painted: NDArray[np.int8], rng: np.random.Generator, fast: bool
) -> list[tuple[slice, slice]]:
    """The whole map where that is quick, otherwise some squares, around each class the first."""
    if fast or painted.size <= _WINDOWS * _SIDE**2:
        return [(slice(None), slice(None))]
    middles = [
        np.argwhere(painted == c)[0] for c in np.unique(painted[painted >= 0])
    ]  # fmt: skip
    while len(middles) < _WINDOWS:
        middles.append(np.array([rng.integers(n) for n in painted.shape]))
    return [
        (slice(max(y - _SIDE // 2, 0), y + _SIDE // 2), slice(max(x - _SIDE // 2, 0),
                                                              x + _SIDE // 2))
        for y, x in middles
    ]  # fmt: skip


def ensemble_temperature(
    network: UNet, maps: Sequence[TrainingMap], temperature: float, device: torch.device
) -> float:
    """Temperature for the mean of networks side by side, of which each asks for `temperature`.

    Held-out grains judge single networks, which alone have not seen them. The mean of their
    probabilities is right more often than each, and yet less sure where they differ; with the
    same temperature it would be told as too bad; if it were as sure in the mean as they are, as
    too good, on grains without a stroke above all. So it is half-way, which was chosen while
    looking at seeds 0 to 2 of benchmarks/segmentation_learning.py.
    """
    if not len(network.others):
        return temperature
    rng = np.random.default_rng(0)
    single: list[NDArray[np.float32]] = []
    together: list[NDArray[np.float32]] = []
    network.eval()
    with torch.inference_mode():
        for one in maps[:_WINDOWS]:
            rows, columns = one.values.shape[1:]
            y, x = (int(rng.integers(max(n - _SIDE, 0) + 1)) for n in (rows, columns))
            image = np.ascontiguousarray(one.values[:, y : y + _SIDE, x : x + _SIDE])
            batch = torch.from_numpy(image)[None].to(device)
            batch = batch.contiguous(memory_format=torch.channels_last)
            for member in range(len(network.every())):
                out = network.one(member, batch)[0].float().cpu().numpy()
                single.append(softmax(out / temperature, axis=0).max(axis=0).ravel())
            together.append(network(batch)[0].float().cpu().numpy().reshape(network.classes, -1))
    aim = float(np.concatenate(single).mean())
    logits = np.concatenate(together, axis=1)
    low, high = 0.4 * temperature, temperature
    for _ in range(24):
        middle = 0.5 * (low + high)
        surer = float(softmax(logits / middle, axis=0).max(axis=0).mean()) > aim
        low, high = (middle, high) if surer else (low, middle)
    as_sure = 0.5 * (low + high)
    return float(np.sqrt(temperature * as_sure))


def labels_judged(
    network: UNet, maps: Sequence[TrainingMap], folds: Folds, device: torch.device
) -> Judged:
    """What a network says of the labels it was trained on, those held out among them.

    Of whole labelled maps, or, beyond some 2 million pixels, of squares spread evenly over all of
    them. A single square of each map will not do: classes lie in regions as large as it is, and
    the offsets of networks that needed none scattered by 0.5 and more from square to square.
    Held-out grains alone, a fifth of all, tell the shares of classes badly for the same reason.
    """
    rng = np.random.default_rng(0)
    share = _LOOK / sum(painted.size for painted in folds.painted)
    logits, targets, units = [], [], []
    network.eval()
    for one, painted, unit in zip(maps, folds.painted, folds.unit, strict=False):
        for window in spread_squares(painted.shape, share, _SIDE):
            here = painted[window] >= 0
            out = predict_logits(network, one.values[(slice(None), *window)], device)
            logits.append(out[:, here].T)
            targets.append(painted[window][here])
            units.append(unit[window][here])
    target = np.concatenate(targets)
    kept = rng.permutation(len(target))[:_PIXELS]
    return Judged(
        np.concatenate(logits)[kept], target[kept], np.concatenate(units)[kept],
        np.zeros(len(kept), np.int8),
    )  # fmt: skip


def verdict(network: Judged, linear: Judged, kept: bool, asked: bool, dense: bool) -> str:
    """Which of the two answers, and what held-out grains said."""
    who = "The U-Net" if kept else "The linear discriminant"
    why = ", as was asked for" if asked else ", as whole areas are labelled" if dense else ""
    if not network.is_telling:
        few = "strokes in too few grains to tell whether the U-Net is better"
        return f"{who} answers{why}." if why else f"{who} answers: {few}."
    a, b = 100 * network.wrong().mean(), 100 * linear.wrong().mean()
    return (
        f"{who} answers{why}: on {network.units} held-out grains the U-Net is wrong at {a:.1f} %, "
        f"the linear discriminant at {b:.1f} %."
    )
