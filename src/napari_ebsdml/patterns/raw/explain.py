"""What raw-pattern networks look at: feature maps, Shapley values."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_ebsdml._parallel import Progress
from napari_ebsdml.errors import InputError
from napari_ebsdml.patterns.answers.explanation import Explanation
from napari_ebsdml.patterns.frame.checks import check_patterns
from napari_ebsdml.patterns.frame.masks import find_mask
from napari_ebsdml.patterns.frame.resize import resize_matrix
from napari_ebsdml.patterns.raw.member import Member, to_tensor
from napari_ebsdml.patterns.raw.model import RawModel
from napari_ebsdml.patterns.raw.prediction import predict
from napari_ebsdml.patterns.raw.prepare import LIMIT, square

_BATCH = 16


@dataclass(frozen=True, eq=False, kw_only=True)
class RawExplanation(Explanation):
    """Shapley values of one pattern.

    The sum of an image is the group's score less its mean over the background set; it is 0
    outside the square in the middle that the network sees. No bands are known.

    Attributes
    ----------
    score, expected : (space groups,) arrays
        The group's score for this pattern, and its mean over the background set. The score is the
        logit of the group's most probable class less the mean of all logits.
    pattern : (size, size) array
        What the network was given.
    """

    score: NDArray[np.float64]
    expected: NDArray[np.float64]
    pattern: NDArray[np.float32]


def feature_maps(
    member: Member, pattern: NDArray[np.generic], which: Sequence[int] | None
) -> NDArray[np.float32]:
    """See `RawClassifier.feature_maps`."""
    layer = member.network.first
    numbers = range(layer.out_channels) if which is None else [int(k) for k in which]
    if any(not 0 <= k < layer.out_channels for k in numbers):
        raise InputError(f"Filters are numbered 0..{layer.out_channels - 1}.")
    x = to_tensor(_one(member, pattern), member.network.channels)
    with torch.inference_mode():
        maps = layer(x)[0].numpy()
    return np.ascontiguousarray(maps[list(numbers)], dtype=np.float32)


class _Centred(nn.Module):
    """Logits of the classes less their mean: a constant added to all changes no probability."""

    def __init__(self, member: Member) -> None:
        super().__init__()
        self.network = member.network
        self.known = member.network.head.out_features - member.has_other

    def forward(self, x: Tensor) -> Tensor:
        logits = self.network(x)[:, : self.known]
        return logits - logits.mean(dim=1, keepdim=True)


def shapley(
    model: RawModel, pattern: NDArray[np.generic], background: NDArray[np.generic] | None,
    progress: Progress = None,
) -> RawExplanation:  # fmt: skip
    """See `RawClassifier.shapley`.

    Notes
    -----
    DeepSHAP (arXiv:1705.07874): DeepLIFT's contributions against each background pattern,
    averaged; by captum. They add up to the difference of the scores.
    """
    one = _one(model.members[0], pattern)
    chances = predict(model, pattern, None, None, "mean", None).probabilities
    shape = (int(pattern.shape[0]), int(pattern.shape[1]))
    groups = model.space_groups
    total = np.zeros((len(groups), *shape), np.float64)
    score, expected = np.zeros(len(groups)), np.zeros(len(groups))
    for number, member in enumerate(model.members):
        compared = _background(model, member, background)
        x = one if member.size == one.shape[1] else _one(member, pattern)
        classes = _best_classes(model, member, x)

        def tell(part: float, number: int = number) -> None:
            if progress is not None:
                progress((number + part) / len(model.members))

        values, high, low = _deep_lift(member, x, compared, classes, tell)
        total += _on_detector(values, shape)
        score += high
        expected += low
    n = len(model.members)
    return RawExplanation(
        space_groups=groups, images=(total / n).astype(np.float32), score=score / n,
        expected=expected / n, pattern=one[0],
        probability={group: float(chances[k]) for k, group in enumerate(groups)},
    )  # fmt: skip


def _deep_lift(
    member: Member, x: NDArray[np.float32], background: NDArray[np.float32], classes: list[int],
    tell: Callable[[float], None],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:  # fmt: skip
    """Values (classes, size, size), scores of the pattern and mean scores of the background."""
    from captum.attr import DeepLift

    network = _Centred(member).eval()
    image = to_tensor(x, member.network.channels).contiguous()
    values = np.zeros((len(classes), *x.shape[1:]))
    expected = np.zeros(len(classes))
    with torch.no_grad():
        high = network(image)[0, classes].double().numpy()
    # captum warns of the hooks and gradients that it sets itself.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        for start in range(0, len(background), _BATCH):
            part = background[start : start + _BATCH]
            base = to_tensor(part, member.network.channels).contiguous()
            inputs = image.expand_as(base).contiguous()
            with torch.no_grad():
                expected += network(base)[:, classes].double().sum(dim=0).numpy()
            for row, target in enumerate(classes):
                found = DeepLift(network).attribute(inputs, base, target=target)
                values[row] += found.detach().double().sum(dim=(0, 1)).numpy()
                tell((start + _BATCH * (row + 1) / len(classes)) / (len(background) + _BATCH))
    tell(1.0)
    return values / len(background), high, expected / len(background)


def _best_classes(model: RawModel, member: Member, x: NDArray[np.float32]) -> list[int]:
    """Most probable class of each space group."""
    chance = member.probability(member.logits(x))[0]
    best = []
    for group in model.space_groups:
        mine = [k for k, (_, g) in enumerate(model.classes) if g == group]
        best.append(max(mine, key=lambda k: float(chance[k])))
    return best


def _one(member: Member, pattern: NDArray[np.generic]) -> NDArray[np.float32]:
    if check_patterns(pattern) != ():
        raise InputError(f"Need one pattern (rows, columns), not {np.shape(pattern)}.")
    stack = np.asarray(pattern)[None]
    return member.inputs(stack, find_mask(stack))


def _background(
    model: RawModel, member: Member, given: NDArray[np.generic] | None
) -> NDArray[np.float32]:
    if given is not None:
        if check_patterns(given) == () or given.ndim != 3 or not len(given):
            raise InputError(f"background must be patterns (n, rows, columns), not {given.shape}.")
        return member.inputs(given, find_mask(given))
    if not len(model.background):
        raise InputError("The model keeps no background set; give background=patterns.")
    resize = resize_matrix(model.background.shape[1], member.size)
    return np.clip(resize @ model.background @ resize.T, -LIMIT, LIMIT).astype(np.float32)


def _on_detector(values: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.float64]:
    """Values (n, size, size) spread over the pattern's middle square; sums are kept."""
    cut = square(shape)
    side = cut[0].stop - cut[0].start
    resize = resize_matrix(side, values.shape[1]).astype(np.float64)
    # The transpose of the resizing sends each input pixel's share back to where it came from.
    out = np.zeros((len(values), *shape))
    out[(slice(None), *cut)] = resize.T @ values @ resize
    return out
