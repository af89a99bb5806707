"""How good a network is on the grains that were held out of its training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from napari_ebsdml.segmentation.inputs.crops import TrainingMap
from napari_ebsdml.segmentation.labels.folds import Folds
from napari_ebsdml.segmentation.labels.prepare import DENSE
from napari_ebsdml.segmentation.models.linear import Discriminant
from napari_ebsdml.segmentation.results.judging import Judged

if TYPE_CHECKING:
    from napari_ebsdml.segmentation.models.network import UNet

_MOST_PIXELS = 800_000
_SQUARE = 128
"""Side in pixels of the squares of large labelled areas in which all that is held out judges."""
_ENOUGH_PIXELS, _ENOUGH_UNITS = 500, 20


class HeldOut:
    """Outputs at held-out pixels, of the one of the networks side by side that did not learn them.

    They are computed on whole maps; of large ones in squares spread evenly over labelled areas, or
    in windows around stroked grains and blocks.

    Attributes
    ----------
    target, unit, fold : (pixels,) arrays
    linear : (pixels, classes) float32
        Logits of discriminants that did not learn these pixels either.
    """

    def __init__(
        self, maps: Sequence[TrainingMap], folds: Folds, network: UNet,
        discriminants: Sequence[Discriminant], device: torch.device,
    ) -> None:  # fmt: skip
        self.device, self.classes = device, network.classes
        members = min(network.settings.members, folds.number)
        # Member that judges, its image, where it judges.
        self.windows: list[tuple[int, NDArray[np.float32], NDArray[np.bool_]]] = []
        targets, units, linear, fold_of = [], [], [], []

        def add(n: int, fold: int, here: NDArray[np.bool_], window: tuple[slice, slice]) -> None:
            image = maps[n].values[(slice(None), *window)]
            at = here[window]
            self.windows.append((fold, image, at))
            targets.append(folds.painted[n][window][at])
            units.append(folds.unit[n][window][at])
            linear.append(discriminants[fold].at(image[:, at].T))
            fold_of.append(np.full(int(at.sum()), fold, np.int8))

        whole = {n for n, m in enumerate(maps) if m.values[0].size <= _MOST_PIXELS // 8}
        dense = {n for n, t in enumerate(folds.painted) if (t >= 0).mean() > DENSE} - whole
        # Drawn grain by grain, what judges would lie where grains are small.
        most = _MOST_PIXELS / max(len(maps) - len(whole), 1)
        for n in sorted(dense):
            number = max(most // (_SQUARE + 2 * network.halo) ** 2, 1)
            share = number * _SQUARE**2 / folds.painted[n].size
            for square in spread_squares(folds.painted[n].shape, share, _SQUARE):
                inside = np.zeros(folds.painted[n].shape, dtype=bool)
                inside[square] = folds.painted[n][square] >= 0
                for fold in range(members):
                    here = inside & (folds.fold[n] == fold)
                    if here.any():
                        add(n, fold, here, _window(here, network.halo, network.align))
        places = [
            (n, int(u)) for n, (t, f, k) in
            enumerate(zip(folds.painted, folds.fold, folds.unit, strict=True)) if n not in dense
            for u in np.unique(k[(t >= 0) & (f >= 0) & (f < members)])
        ]  # fmt: skip
        area = 0
        for at in np.random.default_rng(0).permutation(len(places)):
            n, unit = places[at]
            if n in whole:
                continue
            here = (folds.unit[n] == unit) & (folds.painted[n] >= 0)
            window = _window(here, network.halo, network.align)
            size = here[window].size
            if area + size > _MOST_PIXELS and area:
                break
            area += size
            add(n, int(folds.fold[n][here][0]), here, window)
        for n in sorted(whole & {n for n, _ in places}):
            for fold in range(members):
                here = (folds.fold[n] == fold) & (folds.painted[n] >= 0)
                if here.any():
                    add(n, fold, here, (slice(None), slice(None)))
        self.target = np.concatenate(targets) if targets else np.empty(0, np.int8)
        self.unit = np.concatenate(units) if units else np.empty(0, np.int32)
        self.fold = np.concatenate(fold_of) if fold_of else np.empty(0, np.int8)
        self.linear = (
            np.concatenate(linear) if linear else np.empty((0, self.classes), np.float32)
        )  # fmt: skip

    @property
    def is_telling(self) -> bool:
        """Whether there is enough to choose the best epoch by."""
        return len(self.target) >= _ENOUGH_PIXELS and len(np.unique(self.unit)) >= _ENOUGH_UNITS

    def judge(self, network: UNet) -> Judged:
        """Outputs of the network."""
        if not self.windows:
            return Judged.empty(self.classes)
        parts = []
        network.eval()
        with torch.inference_mode():
            for member, image, here in self.windows:
                batch = torch.from_numpy(np.ascontiguousarray(image))[None].to(self.device)
                out = network.one(member, batch.contiguous(memory_format=torch.channels_last))
                parts.append(out[0].float().cpu().numpy()[:, here].T)
        return Judged(np.concatenate(parts), self.target, self.unit, self.fold)

    def judge_linear(self) -> Judged:
        """Outputs of the discriminants at the same pixels."""
        return Judged(self.linear, self.target, self.unit, self.fold)

    def metrics(self, network: UNet) -> dict[str, float]:
        """Loss (every class alike) and, where enough is held out, accuracies."""
        judged = self.judge(network)
        logits = torch.from_numpy(judged.logits)
        target = torch.from_numpy(self.target.astype(np.int64))
        each = functional.cross_entropy(logits, target, reduction="none")
        present = torch.unique(target)
        loss = float(torch.stack([each[target == c].mean() for c in present]).mean())
        if not judged.is_telling:
            return {"held_out_loss": loss}
        right = (logits.argmax(1) == target).double()
        return {
            "held_out_loss": loss,
            "accuracy": float(right.mean()),
            "balanced_accuracy": float(
                torch.stack([right[target == c].mean() for c in present]).mean()
            ),
        }


def spread_squares(shape: tuple[int, ...], share: float, side: int) -> list[tuple[slice, ...]]:
    """Squares spread evenly over a map that hold about this share of it; from 1 on the whole map.

    Parameters
    ----------
    shape
        Rows and columns.
    share
        Part of the pixels.
    side
        Of the squares, in pixels.
    """
    if share >= 1:
        return [(slice(None), slice(None))]
    pitch = side / np.sqrt(share)
    starts = []
    for n in shape:
        number = max(round(n / pitch), 1)
        middles = (np.arange(number) + 0.5) * n / number
        starts.append(np.clip(middles - side / 2, 0, max(n - side, 0)).astype(int).tolist())
    return [(slice(y, y + side), slice(x, x + side)) for y in starts[0] for x in starts[1]]


def _window(here: NDArray[np.bool_], halo: int, align: int) -> tuple[slice, slice]:
    """Smallest window in which the network sees all that it would see on the whole map."""
    ends = [np.flatnonzero(here.any(axis=axis))[[0, -1]] for axis in (1, 0)]
    rows, columns = (
        slice(
            max(int(first) - halo, 0) // align * align,
            -(-(int(last) + 1 + halo) // align) * align,
        )
        for first, last in ends
    )
    return rows, columns
