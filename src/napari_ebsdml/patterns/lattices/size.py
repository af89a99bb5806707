"""Size of a lattice from the profiles of its bands.

A band is twice the Bragg angle wide, arcsin(lambda / 2d), but no single edge of it can be read:
the screen, the orientations and the crystal itself soften it, and the orders of one plane lie upon
each other. So a small network, trained on dynamical patterns of invented crystals, reads each
direction's profile and says how probable each Bragg angle is. Bragg angles of one lattice have
known ratios: the sum over directions tells its size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.errors import ModelError
from napari_ebsdml.learning.plain_layers import (
    Layers,
    networks_of,
    tensors_of,
    through,
    widths_of,
)
from napari_ebsdml.learning.shipped import shipped_path
from napari_ebsdml.patterns.lattices.fit import Guess
from napari_ebsdml.patterns.lattices.profiles import NODES, Profiles, profiles_of
from napari_ebsdml.patterns.simulated.kinematic import wavelength
from napari_ebsdml.patterns.symmetry.sphere import MeasuredSphere

Floats = NDArray[np.float64]

KIND = "lattice-size"
SHIPPED = {"default": "lattice-size"}
ANGLES = np.log(np.geomspace(0.003, 0.12, 75))
"""Logarithms of the sine of a Bragg angle that the network tells the probability of."""
FACTORS = np.linspace(-0.5, 0.5, 81)
"""Logarithms of factors on the Bragg angles of a guess."""
INPUTS = (
    *(f"height {x:.3f}" for x in NODES[:-1]), *(f"own height {x:.3f}" for x in NODES[:-1]),
    "log number of bands / 2", "log strength",
)  # fmt: skip
_WEAK = 0.05
_AGAIN = 0.25


@dataclass(frozen=True)
class Size:
    """How large a lattice is.

    Attributes
    ----------
    factor
        On the lengths that were asked about.
    error
        Standard error of the factor, as a part of it.
    """

    factor: float
    error: float


@dataclass(frozen=True, eq=False)
class SizeModel:
    """Small networks from `inputs_of` to logits of the Bragg angles `ANGLES`.

    Attributes
    ----------
    networks
        For each network its layers, (weight, bias) with weight (outputs, inputs).
    widening
        Factor on the standard deviation that the networks tell, from crystals held out.
    """

    networks: tuple[Layers, ...]
    widening: float = 1.0

    def tell(self, profiles: Profiles) -> Size:
        """Size of the lattice whose profiles are given, a factor of 0.61 to 1.65."""
        inputs = inputs_of(profiles)
        logits = np.mean([through(layers, inputs) for layers in self.networks], axis=0)
        middle = np.log(profiles.half_width)
        total = sum(
            np.interp(at + FACTORS, ANGLES, row) for at, row in zip(middle, logits, strict=True)
        )
        chance = np.exp(total - np.max(total))
        chance /= chance.sum()
        mean = float(chance @ FACTORS)
        spread = float(np.sqrt(chance @ (FACTORS - mean) ** 2))
        return Size(float(np.exp(-mean)), self.widening * spread)

    def save(self, path: str | Path, card: Mapping[str, Any]) -> None:
        """Write weights (safetensors) and model card (JSON).

        Parameters
        ----------
        path
        card
            ``training``, ``metrics`` and ``about`` of the card.
        """
        from napari_ebsdml.learning.model_card import ModelCard
        from napari_ebsdml.learning.model_file import save_model

        settings = {"networks": len(self.networks), "widths": widths_of(self.networks)}
        save_model(path, tensors_of(self.networks), ModelCard(
            KIND, "SizeModel", settings,
            inputs=dict.fromkeys(INPUTS, "standard deviations of all profiles"),
            extra={"widening": self.widening}, **card,
        ))  # fmt: skip

    @classmethod
    def load(cls, model: str | Path = "default") -> SizeModel:
        """The shipped model, or one from a file.

        Raises
        ------
        ModelError
            When a file is missing, damaged or of another kind.
        """
        from napari_ebsdml.learning.model_file import load_model

        path = shipped_path(model, SHIPPED)
        weights, card = load_model(path, KIND)
        arrays = {name: tensor.numpy() for name, tensor in weights.items()}
        try:
            if list(card.inputs) != list(INPUTS):
                raise ModelError(f"{path}: the model was made for other inputs than these.")
            return cls(networks_of(arrays, card.settings), float(card.extra["widening"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{path}: its card is not whole ({error}).") from None


def inputs_of(profiles: Profiles) -> NDArray[np.float32]:
    """What the network reads of each direction: (n, len(INPUTS))."""
    values, number = profiles.values, profiles.number[:, None]
    total = np.sqrt((values**2 * number).sum() / number.sum())
    values = values / max(float(total), 1e-9)
    own = np.maximum(np.sqrt((values**2).mean(axis=1, keepdims=True)), _WEAK)
    found = [values, values / own, np.log(number) / 2, np.log(own)]
    return np.concatenate(found, axis=1).astype(np.float32)


@cache
def _shipped() -> SizeModel:
    return SizeModel.load()


def size_of(sphere: MeasuredSphere, guess: Guess, energy: float = 20.0) -> Size:
    """Size of a lattice as the profiles of its bands in a sphere tell it.

    Parameters
    ----------
    sphere
        Merged from patterns of the crystal.
    guess
        The lattice in a size that may be wrong by a half.
    energy
        Of the beam in keV: lengths go with the wavelength.
    """
    profiles = profiles_of(sphere, guess, wavelength(energy) / 2)
    size = _shipped().tell(profiles)
    if abs(np.log(size.factor)) < _AGAIN:
        return size
    # What the networks tell ends at the edge of the factors.
    nearer = Profiles(profiles.values, profiles.half_width / size.factor, profiles.number)
    again = _shipped().tell(nearer)
    return Size(size.factor * again.factor, again.error)
