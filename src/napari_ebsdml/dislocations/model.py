"""Trained networks for total dislocation density: those that ship, and those in files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

import torch

from napari_ebsdml.dislocations.network import LineNetwork
from napari_ebsdml.errors import ModelError
from napari_ebsdml.learning.model_card import ModelCard
from napari_ebsdml.learning.model_file import load_model, put_weights
from napari_ebsdml.learning.shipped import shipped_path

KIND = "dislocation-density"
SHIPPED: Mapping[str, str] = MappingProxyType(
    {"default": "dislocations-default", "wide": "dislocations-wide"}
)
"""Names of the models that ship -> their files in the package's folder `weights`."""


@dataclass(frozen=True, eq=False)
class DislocationModel:
    """A trained network and what its card says of its use.

    Attributes
    ----------
    name
        As asked for.
    network
        In evaluation mode, batch normalisations folded into the convolutions.
    card
    temperature, spread
        Calibration of the interval: of N and of the densities; 1 where the card has none.
    excess, excess_balanced
        Calibration of the mean: for pixels as they come on maps, where few lines are more
        frequent than many, and for all N equally frequent; 1 where the card has none.
    largest
        Largest |GND| of the training, in units of one line across a pixel.
    scale_prior
        Share of each of `network.SCALES` in the training.
    """

    name: str
    network: LineNetwork
    card: ModelCard
    temperature: float
    spread: float
    largest: float
    scale_prior: tuple[float, ...] = (1 / 3, 1 / 3, 1 / 3)
    excess: float = 1.0
    excess_balanced: float = 1.0

    def calibration(self, balanced: bool) -> dict[str, float]:
        """What `mixture.summarise` takes of it; `balanced`: all N equally frequent."""
        excess = self.excess_balanced if balanced else self.excess
        return {"temperature": self.temperature, "spread": self.spread, "excess": excess}

    @classmethod
    def load(cls, model: str | Path | DislocationModel = "default") -> DislocationModel:
        """Load a model.

        Parameters
        ----------
        model
            ``"default"`` (window of 7 x 7 pixels), ``"wide"`` (11 x 11), a model file, or a
            loaded model.

        Raises
        ------
        ModelError
            When the file is missing, damaged or of another kind.
        InputError
            When there is no model of that name.
        """
        if isinstance(model, DislocationModel):
            return model
        path = shipped_path(model, SHIPPED)
        file = path.with_suffix(".safetensors")
        stamp = file.stat().st_mtime_ns if file.is_file() else 0
        return _load(str(model), path, stamp)


@lru_cache(maxsize=4)
def _load(name: str, path: Path, stamp: int) -> DislocationModel:
    """Cached by name, path and time of change."""
    weights, card = load_model(path, KIND)
    if card.network != "LineNetwork":
        raise ModelError(f"{path}: the network is {card.network!r}, not 'LineNetwork'.")
    try:
        network = LineNetwork(**{key: int(value) for key, value in card.settings.items()})
    except (TypeError, ValueError) as error:
        raise ModelError(f"{path}: bad settings of the network: {error}.") from None
    put_weights(network, weights, path)
    network.fuse().requires_grad_(False)

    def number(key: str, default: float) -> float:
        value = card.extra.get(key, default)
        if not isinstance(value, int | float) or not value > 0:
            raise ModelError(f"{path}: {key!r} in the card's extra must be a positive number.")
        return float(value)

    def shares(key: str, length: int) -> tuple[float, ...] | None:
        values = card.extra.get(key)
        if values is None:
            return None
        if (
            not isinstance(values, list)
            or len(values) != length
            or not all(isinstance(share, float) and share > 0 for share in values)
        ):
            raise ModelError(f"{path}: {key!r} in the card's extra must be {length} shares.")
        return tuple(values)

    # Channels last is the fast layout for small convolutions on a CPU.
    return DislocationModel(
        name,
        network.to(memory_format=torch.channels_last),  # type: ignore[call-overload]
        card,
        number("temperature", 1.0),
        number("spread", 1.0),
        number("largest_gnd", 8.0),
        shares("scale_prior", 3) or (1 / 3, 1 / 3, 1 / 3),
        number("excess", 1.0),
        number("excess_balanced", 1.0),
    )
