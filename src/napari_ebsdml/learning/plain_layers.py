"""Small networks that answer without torch: linear layers with SiLU between them, as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor, nn

Layers = tuple[tuple[NDArray[np.float32], NDArray[np.float32]], ...]
"""Weight (outputs, inputs) and bias (outputs,) of each layer."""


def through(layers: Layers, inputs: NDArray[np.floating]) -> NDArray[np.float64]:
    """What the last layer tells of inputs (n, inputs): (n, outputs)."""
    value = np.asarray(inputs, np.float64)
    for index, (weight, bias) in enumerate(layers):
        value = np.asarray(value @ weight.T.astype(np.float64) + bias)
        if index + 1 < len(layers):
            value = value / (1 + np.exp(-np.clip(value, -60, 60)))
    return value


def layers_of(network: nn.Module) -> Layers:
    """The linear layers of a trained network, in their order."""
    from torch import nn

    return tuple(
        (layer.weight.detach().numpy().copy(), layer.bias.detach().numpy().copy())
        for layer in network.modules()
        if isinstance(layer, nn.Linear)
    )


def widths_of(networks: Sequence[Layers]) -> list[int]:
    """Outputs of each layer."""
    return [int(weight.shape[0]) for weight, _ in networks[0]]


def tensors_of(networks: Sequence[Layers]) -> dict[str, Tensor]:
    """Weights by their names in a model file."""
    import torch

    return {
        f"{n}.{index}.{name}": torch.from_numpy(np.array(value))
        for n, layers in enumerate(networks)
        for index, layer in enumerate(layers)
        for name, value in zip(("weight", "bias"), layer, strict=True)
    }


def networks_of(
    arrays: Mapping[str, NDArray[Any]], settings: Mapping[str, Any]
) -> tuple[Layers, ...]:
    """Networks of the arrays of a model file.

    Parameters
    ----------
    arrays
        By the names of `tensors_of`.
    settings
        Of its card: ``networks``, their number, and ``widths``.

    Raises
    ------
    KeyError
        When one is missing.
    """
    return tuple(
        tuple(
            (arrays[f"{n}.{index}.weight"], arrays[f"{n}.{index}.bias"])
            for index in range(len(settings["widths"]))
        )
        for n in range(int(settings["networks"]))
    )
