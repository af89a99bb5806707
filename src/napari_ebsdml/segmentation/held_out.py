"""How good a network is on the blocks that were held out of its training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from napari_ebsdml.learning.calibration import fit_temperature, reliability
from napari_ebsdml.segmentation.data import TrainingMap
from napari_ebsdml.segmentation.evaluation import metrics_of
from napari_ebsdml.segmentation.predict import network_logits, softmax
from napari_ebsdml.segmentation.split import Split

if TYPE_CHECKING:
    from napari_ebsdml.segmentation.network import UNet

_MOST_PIXELS = 800_000


class HeldOut:
    """Network outputs at held-out pixels, from whole windows around their blocks."""

    def __init__(
        self, maps: Sequence[TrainingMap], split: Split, network: UNet, device: torch.device
    ) -> None:
        self.device = device
        self.windows: list[tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.int8]]] = []
        self.target = np.empty(0, np.int8)
        self.blocks = np.empty(0, np.int32)
        rng = np.random.default_rng(0)
        area, blocks = 0, []
        places = [
            (n, int(b)) for n, (h, k) in enumerate(zip(split.held_out, split.blocks, strict=True))
            for b in np.unique(k[h >= 0])
        ]  # fmt: skip
        whole = {
            n for n, m in enumerate(maps[: len(split.held_out)])
            if m.target.size <= _MOST_PIXELS // 8
        }  # fmt: skip
        for at in rng.permutation(len(places)):
            n, number = places[at]
            if n in whole:
                continue
            here = (split.blocks[n] == number) & (split.held_out[n] >= 0)
            window = _window(here, network.halo, network.align)
            size = here[window].size
            if area + size > _MOST_PIXELS and area:
                break
            area += size
            self._add(maps[n], split, n, here, window)
            blocks.append(np.full(int(here.sum()), number))
        for n in sorted(whole):
            here = split.held_out[n] >= 0
            if here.any():
                self._add(maps[n], split, n, here, (slice(None), slice(None)))
                blocks.append(split.blocks[n][here])
        if self.windows:
            self.target = np.concatenate([t[h] for _, h, t in self.windows])
            self.blocks = np.concatenate(blocks)

    def _add(
        self, source: TrainingMap, split: Split, number: int, here: NDArray[np.bool_],
        window: tuple[slice, slice],
    ) -> None:  # fmt: skip
        self.windows.append(
            (source.values[(slice(None), *window)], here[window], split.held_out[number][window])
        )

    @property
    def is_telling(self) -> bool:
        """Whether there is enough to choose the best epoch by."""
        return len(self.target) >= 500 and len(np.unique(self.blocks)) >= 8

    def logits(self, network: nn.Module) -> NDArray[np.float32]:
        """(pixels, classes) outputs in the order of `target`."""
        return np.concatenate(
            [
                network_logits(network, image, self.device)[:, here].T
                for image, here, _ in self.windows
            ]
        )

    def metrics(self, network: nn.Module) -> dict[str, float]:
        """Loss (every class alike), accuracy and balanced accuracy."""
        logits = torch.from_numpy(self.logits(network))
        target = torch.from_numpy(self.target.astype(np.int64))
        each = functional.cross_entropy(logits, target, reduction="none")
        right = (logits.argmax(1) == target).double()
        present = torch.unique(target)
        return {
            "held_out_loss": float(torch.stack([each[target == c].mean() for c in present]).mean()),
            "accuracy": float(right.mean()),
            "balanced_accuracy": float(
                torch.stack([right[target == c].mean() for c in present]).mean()
            ),
        }

    def report(self, network: nn.Module, classes: int) -> tuple[float, dict[str, Any]]:
        """Temperature, and figures on the held-out pixels.

        The reliability is cross-fitted: blocks are dealt to two halves, and each half is judged
        with the temperature of the other one. The returned temperature is fitted to all.
        """
        logits, target = self.logits(network), self.target.astype(np.int64)
        temperature = fit_temperature(logits, target)
        number = np.unique(self.blocks, return_inverse=True)[1]
        half = number % 2
        figures: dict[str, Any] = {"pixels": len(target), "blocks": int(number.max()) + 1}
        if half.any():
            probability = np.empty_like(logits, dtype=np.float64)
            for h in range(2):
                other = fit_temperature(logits[half != h], target[half != h])
                probability[half == h] = softmax(logits[half == h] / other)
            figures["calibration_error"] = reliability(probability, target).error
            figures["calibration_error_before"] = reliability(softmax(logits), target).error
        figures |= metrics_of(target, logits.argmax(1), classes)
        return temperature, figures


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
