"""One network with all that it needs to answer, and the recipe it was trained by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from torch import Tensor, nn

from napari_ebsdml.errors import InputError
from napari_ebsdml.patterns.kinds import RAW
from napari_ebsdml.patterns.raw.efficientnet import EfficientNetLite0
from napari_ebsdml.patterns.raw.prepare import LIMIT, prepare
from napari_ebsdml.patterns.raw.small_network import SmallNetwork
from napari_ebsdml.patterns.raw.xception import LEAST, Xception

NetworkName = Literal["small", "efficientnet", "xception"]
Network = SmallNetwork | EfficientNetLite0 | Xception
_SIZES = {"small": 64, "efficientnet": 96, "xception": 299}
_LEAST = {"small": 32, "efficientnet": 32, "xception": LEAST}
NETWORKS = tuple(_SIZES)
"""Names of the networks."""
_QUANTILES = 200
_BATCH = 64


@dataclass(frozen=True)
class RawRecipe:
    """How to train; the defaults are the paper's (doi:10.1038/s41598-021-87557-5).

    Parameters
    ----------
    network
        ``"small"``, which trains on a processor in minutes, ``"efficientnet"`` (Lite0), three
        times as slow, or ``"xception"``.
    size
        Side of the network's input in pixels. Default: 64, 96 and 299.
    pseudo_rgb
        Give the pattern three times, as colours, which weights learned on photographs need.
        Default: when starting from such weights.
    epochs
        At most so many.
    patience, min_delta
        Stop after so many epochs in which the validation loss did not fall by `min_delta`.
    batch, learning_rate
        Adam at a constant rate.
    weight_decay
        L2 penalty: times the sum of the squared weights of convolutions and the last layer.
    augment
        Mirror patterns at random. A mirrored pattern of a crystal with inversion is that of the
        crystal in another orientation. Not in the paper.
    members
        Networks trained one after the other from different starts; they vote.
    unknown
        Part of validation patterns that may be called unknown.
    bfloat16
        Compute in bfloat16: twice as fast where the processor has it.
    seed
    """

    trains: ClassVar[str] = RAW

    network: NetworkName = "small"
    size: int | None = None
    pseudo_rgb: bool | None = None
    epochs: int = 100
    patience: int = 15
    min_delta: float = 1e-3
    batch: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 1e-5
    augment: bool = False
    members: int = 1
    unknown: float = 0.03
    bfloat16: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.network not in _SIZES:
            known = ", ".join(map(repr, NETWORKS))
            raise InputError(f"network must be one of {known}, not {self.network!r}.")
        least = _LEAST[self.network]
        if self.size is not None and self.size < least:
            raise InputError(f"size must be at least {least}, not {self.size}.")
        for name in ("epochs", "batch", "members"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, not {getattr(self, name)}.")
        if not 0 <= self.unknown < 1:
            raise InputError(f"unknown must lie in 0..1, not {self.unknown}.")
        if not self.learning_rate > 0:
            raise InputError(f"learning_rate must be positive, not {self.learning_rate}.")

    @property
    def side(self) -> int:
        """Side of the network's input in pixels."""
        return self.size or _SIZES[self.network]


def build(name: str, outputs: int, channels: int) -> Network:
    """A network with random weights."""
    if name == "xception":
        return Xception(outputs, channels)
    if name == "efficientnet":
        return EfficientNetLite0(outputs, channels)
    return SmallNetwork(outputs, channels)


@dataclass(eq=False)
class Member:
    """A network, its input and its calibration.

    Attributes
    ----------
    network
    name
        One of `NETWORKS`.
    size
        Side of its input in pixels.
    temperature
        Logits are divided by it.
    has_other
        Whether a last output stands for patterns of no class.
    typical : (m,) array
        Ascending: how familiar validation patterns looked; unknown ones lie below most of them.
    """

    network: Network
    name: str
    size: int
    temperature: float = 1.0
    has_other: bool = False
    typical: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    def inputs(
        self, patterns: NDArray[np.generic], mask: NDArray[np.bool_] | None = None
    ) -> NDArray[np.float32]:
        """Prepared patterns, (n, size, size)."""
        return prepare(patterns, self.size, mask)

    def logits(
        self, prepared: NDArray[np.float32], progress: Callable[[float], None] | None = None
    ) -> NDArray[np.float64]:
        """Logits (n, outputs), not divided by the temperature; the last is "other" if there."""
        parts = []
        self.network.eval()
        with torch.inference_mode():
            for start in range(0, len(prepared), _BATCH):
                x = to_tensor(prepared[start : start + _BATCH], self.network.channels)
                parts.append(self.network(x).double().numpy())
                if progress is not None:
                    progress(min(1.0, (start + _BATCH) / len(prepared)))
        outputs = self.network.head.out_features
        return np.concatenate(parts) if parts else np.zeros((0, outputs))

    def familiarity(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """How much a pattern looks like one of the classes, (n,); larger is more.

        Free energy (doi:10.48550/arXiv.2010.03759), less the logit of "other" where there is one.
        """
        known = logits[:, :-1] if self.has_other else logits
        top = known.max(axis=1)
        energy = top + np.log(np.exp(known - top[:, None]).sum(axis=1))
        return energy - logits[:, -1] if self.has_other else energy

    def probability(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """Calibrated probabilities of the classes, given that it is one of them."""
        known = (logits[:, :-1] if self.has_other else logits) / self.temperature
        calibrated: NDArray[np.float64] = softmax(known, axis=1)
        return calibrated

    def known_score(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """Part of the validation patterns that looked less familiar, (n,): a conformal p-value."""
        if not len(self.typical):
            return np.ones(len(logits))
        rank = np.searchsorted(self.typical, self.familiarity(logits), side="right")
        return rank / len(self.typical)

    def calibrate(self, logits: NDArray[np.float64], target: NDArray[np.intp]) -> None:
        """Fit temperature and familiarity on validation patterns."""
        from napari_ebsdml.learning.calibration import fit_temperature

        known = logits[:, :-1] if self.has_other else logits
        self.temperature = fit_temperature(known, target)
        at = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
        self.typical = np.quantile(self.familiarity(logits), at)


def to_tensor(prepared: NDArray[np.float32], channels: int) -> Tensor:
    """Prepared patterns as a network's input in -1..1, (n, channels, size, size).

    More channels than one hold the same pattern: pseudo-RGB.
    """
    x = torch.from_numpy(np.ascontiguousarray(prepared))[:, None] / LIMIT
    if channels > 1:
        x = x.expand(-1, channels, -1, -1)
    return x.contiguous(memory_format=torch.channels_last)


def first_filters(network: Network) -> NDArray[np.float32]:
    """Weights of the first convolution, (filters, channels, k, k)."""
    return network.first.weight.detach().float().cpu().numpy().copy()


def decayed(network: nn.Module) -> list[Tensor]:
    """Weights under the L2 penalty: of convolutions and linear layers, no biases or norms."""
    return [p for p in network.parameters() if p.ndim > 1]


def settings_of(member: Member) -> dict[str, Any]:
    """What rebuilds a member, as plain JSON."""
    return {
        "network": member.name, "size": member.size, "channels": member.network.channels,
        "outputs": member.network.head.out_features, "temperature": member.temperature,
        "has_other": member.has_other, "typical": [round(float(v), 4) for v in member.typical],
    }  # fmt: skip
