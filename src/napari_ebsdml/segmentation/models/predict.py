"""Networks on whole maps, tile by tile."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from napari_ebsdml._parallel import Progress, nth_of, part_of
from napari_ebsdml.errors import MissingDataError, ModelError
from napari_ebsdml.learning.tiling import tiled
from napari_ebsdml.segmentation.inputs.augment import TURNS, turn_crop, turn_map
from napari_ebsdml.segmentation.inputs.channels import compute_channels
from napari_ebsdml.segmentation.inputs.crops import quaternion_planes
from napari_ebsdml.segmentation.models.network import UNet
from napari_ebsdml.segmentation.results.judging import doubted

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan
    from napari_ebsdml.segmentation.inputs.planes import ChannelStack
    from napari_ebsdml.segmentation.inputs.relative import MapMeasures
    from napari_ebsdml.segmentation.models.model import TrainedModel

TILE = 384
"""Side of a tile in pixels: some 100 MB of memory with the default network."""

# Of the progress of a prediction, about what the channels take of its time.
_CHANNELS_SHARE = 0.3


def network_logits(
    network: nn.Module, image: NDArray[np.float32], device: torch.device
) -> NDArray[np.float32]:
    """Outputs (classes, rows, columns) of one image (planes, rows, columns), in one piece."""
    with torch.inference_mode():
        batch = torch.from_numpy(np.ascontiguousarray(image))[None].to(device)
        return network(batch.contiguous(memory_format=torch.channels_last))[0].float().cpu().numpy()


def predict_logits(
    network: UNet,
    image: NDArray[np.float32],
    device: torch.device,
    tile: int = TILE,
    progress: Progress = None,
) -> NDArray[np.float32]:
    """Outputs of a whole map, equal to those in one piece to rounding.

    Parameters
    ----------
    network
    image : (planes, rows, columns)
    device
    tile
        Side of a tile, overlap included, in pixels.
    progress
        Called with the fraction done; may raise to cancel.
    """
    network.eval()

    def whole(piece: NDArray[Any]) -> NDArray[Any]:
        return network_logits(network, piece, device)

    return tiled(whole, image, max(tile, 3 * network.halo), network.halo, network.align, progress)


def softmax(logits: NDArray[Any], axis: int = -1) -> NDArray[Any]:
    """Probabilities of logits."""
    e = np.exp(logits - logits.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def answering(
    model: TrainedModel, device: torch.device, tile: int = TILE
) -> Callable[[NDArray[np.float32], Progress], NDArray[np.float32]]:
    """Function that gives the logits of standardised planes, by what answers for the model."""
    if model.network is None:
        linear = model.linear
        assert linear is not None

        def at_once(image: NDArray[np.float32], progress: Progress) -> NDArray[np.float32]:
            logits = linear.logits(image)
            if progress is not None:
                progress(1.0)
            return logits

        return at_once
    # A copy: the model stays on its device, and other threads may be using it.
    network = copy.deepcopy(model.network).to(device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return lambda image, progress: predict_logits(network, image, device, tile, progress)


def stack_of(
    model: TrainedModel, scan: Scan, turns: int, progress: Progress = None,
    measures: MapMeasures | None = None,
) -> ChannelStack:  # fmt: skip
    """Input planes of a scan for a model; see `compute_channels`.

    Raises
    ------
    ModelError
        When the scan lacks a channel of the model.
    """
    try:
        return compute_channels(
            scan, model.channels, part_of(progress, 0.0, _CHANNELS_SHARE), turns > 1, measures
        )
    except MissingDataError as error:
        raise ModelError(
            f"The model needs the channels {', '.join(model.channels)}: {error}"
        ) from None


def predict_probability(
    model: TrainedModel, stack: ChannelStack, turns: int, tile: int, device: torch.device,
    progress: Progress,
) -> NDArray[np.float32]:  # fmt: skip
    """Probabilities (rows, columns, classes); see `Segmenter.predict`."""
    image = model.normaliser(stack)
    slot = quaternion_planes(stack.planes)
    answer = answering(model, device, tile)
    total: NDArray[np.float32] | None = None
    networks_part = part_of(progress, _CHANNELS_SHARE)
    for turn in range(turns):
        turned = turn_crop(image, turn, slot, stack.variants, stack.grains)
        part = nth_of(networks_part, turn, turns)
        logits = answer(turned, part)
        probability = doubted(softmax(logits / model.temperature, axis=0), model.doubt, 0)
        # Back: a mirror undoes itself, quarter turns go the other way round.
        quarters, mirror, _ = TURNS[turn]
        probability = np.rot90(probability, -quarters, axes=(-2, -1))
        probability = turn_map(probability, 4) if mirror else probability
        total = probability if total is None else total + probability
    assert total is not None
    return np.ascontiguousarray(np.moveaxis(total / turns, 0, -1), dtype=np.float32)
