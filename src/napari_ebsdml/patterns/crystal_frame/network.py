"""The network of the crystal-frame classifier: folded patterns to lattice and space group."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_ebsdml.patterns.frame.triangle import COARSE, n_nodes

N_NODES = n_nodes(COARSE)


class FoldedNetwork(nn.Module):
    """A perceptron on the triangle: each position there has its own meaning, as bands do not move.

    Parameters
    ----------
    classes
        Number of joint classes (family and space group).
    components
        Principal components that the input is reduced to first.
    width
        Units of the hidden layers.
    drop
        Dropout.
    """

    def __init__(
        self, classes: int, components: int = 320, width: int = 512, drop: float = 0.4
    ) -> None:
        super().__init__()
        self.reduce = nn.Linear(N_NODES, components)
        self.body = nn.Sequential(
            nn.Linear(components, width), nn.BatchNorm1d(width), nn.GELU(), nn.Dropout(drop),
            nn.Linear(width, width // 2), nn.BatchNorm1d(width // 2), nn.GELU(), nn.Dropout(drop),
            nn.Linear(width // 2, classes),
        )  # fmt: skip

    def start_from(self, samples: NDArray[np.float32]) -> None:
        """Set the first layer to the principal components of samples, lightly whitened."""
        mean = samples.mean(axis=0)
        centred = samples - mean
        values, vectors = np.linalg.eigh(centred.T @ centred / len(samples))
        n = self.reduce.out_features
        values, vectors = values[::-1][:n], vectors[:, ::-1][:, :n]
        weight = (vectors / np.sqrt(values + values[min(40, n - 1)])).T
        with torch.no_grad():
            self.reduce.weight.copy_(torch.from_numpy(np.ascontiguousarray(weight)))
            self.reduce.bias.copy_(torch.from_numpy(-weight @ mean))

    def forward(self, x: Tensor) -> Tensor:
        """Features (n, nodes) to logits (n, classes)."""
        return self.body(self.reduce(x))


def ensemble_logits(
    networks: Sequence[FoldedNetwork], x: NDArray[np.float32], chunk: int = 4096
) -> NDArray[np.float32]:
    """Mean logits of the networks, (n, classes)."""
    parts = []
    with torch.inference_mode():
        for start in range(0, len(x), chunk):
            piece = torch.from_numpy(x[start : start + chunk])
            parts.append(torch.stack([net(piece) for net in networks]).mean(dim=0).numpy())
    return np.concatenate(parts) if parts else np.zeros((0, 1), np.float32)
