"""Trained networks for total dislocation density: those that ship, and those in files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

import torch

from napari_ebsdml.dislocations.article.network import LineNetwork
from napari_ebsdml.errors import ModelError
from napari_ebsdml.learning.model_card import Entries, ModelCard, model_paths
from napari_ebsdml.learning.model_file import build, load_model
from napari_ebsdml.learning.shipped import shipped_path

KIND = "dislocation-density"
SHIPPED: Mapping[str, str] = MappingProxyType(
    {"default": "dislocations-default", "wide": "dislocations-wide"}
)
"""Names of the models that ship -> their files in the package's folder `weights`."""
_LARGEST = {"radius": 64, "width": 4096, "classes": 4096}


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
        files = [file.stat() for file in model_paths(path) if file.is_file()]
        return _load(str(model), path, tuple((file.st_mtime_ns, file.st_size) for file in files))


@lru_cache(maxsize=4)
def _load(name: str, path: Path, stamp: tuple[tuple[int, int], ...]) -> DislocationModel:
    """Cached by name, path, and time of change and size of weights and card."""
    weights, card = load_model(path, KIND)
    if card.network != "LineNetwork":
        raise ModelError(f"{path}: the network is {card.network!r}, not 'LineNetwork'.")
    settings, extra = Entries(path, card.settings), Entries(path, card.extra)
    settings.refuse_others(_LARGEST)
    # Sizes that a card leaves out are the network's defaults.
    sizes = {
        name: settings.whole(name, 1, most)
        for name, most in _LARGEST.items()
        if name in card.settings
    }
    network = build(lambda: LineNetwork(**sizes), weights, path)
    network.fuse().requires_grad_(False)
    shares = extra.numbers("scale_prior", 3, 1e-9, 1) if "scale_prior" in card.extra else None
    # Channels last is the fast layout for small convolutions on a CPU.
    return DislocationModel(
        name,
        network.to(memory_format=torch.channels_last),  # type: ignore[call-overload]
        card,
        extra.positive("temperature", 1.0),
        extra.positive("spread", 1.0),
        extra.positive("largest_gnd", 8.0),
        shares or (1 / 3, 1 / 3, 1 / 3),
        extra.positive("excess", 1.0),
        extra.positive("excess_balanced", 1.0),
    )
