"""Network that reads a window's structure functions, and how its answers are calibrated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RegularGridInterpolator

from napari_ebsdml.dislocations.total.posterior import Posterior
from napari_ebsdml.dislocations.total.statistics import NAMES
from napari_ebsdml.errors import InputError, ModelError
from napari_ebsdml.learning.plain_layers import (
    Layers,
    networks_of,
    tensors_of,
    through,
    widths_of,
)
from napari_ebsdml.learning.shipped import shipped_path

KIND = "total-density"
SHIPPED: Mapping[str, str] = {"default": "total-density"}
POLARISED_LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Quantiles of the polarised part that the network gives."""
COMPONENTS = 3
"""Normal distributions in the posterior of log N that each network gives."""
CLIP = 5.0
"""Standard deviations from the training's mean at which an input is held."""
SPREADS = (-4.0, 1.5)
"""Natural logarithm of the smallest and largest spread of a component."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """Factors on the two halves of the 90 % interval.

    They depend on the strength of the answer and on the lines in a pixel: where these are many,
    more of them cancel within the pixel, and classes of structures differ more.

    Attributes
    ----------
    strength : (k,) array
        log10 of the estimated rho (b / sigma)^2, rising.
    lines : (m,) array
        log10 of the estimated lines per pixel, rising.
    down, up : (k, m) arrays
        Factors on the distance from the median to the 5 % and to the 95 % quantile; linear in
        between, constant beyond.
    shared
        Part of the error's variance that windows of one map have in common.
    known
        Mean and standard deviation of log10 N of the windows that were learned from.
    """

    strength: NDArray[np.float64]
    lines: NDArray[np.float64]
    down: NDArray[np.float64]
    up: NDArray[np.float64]
    shared: float = 0.0
    known: tuple[float, float] = (0.3, 1.7)

    @classmethod
    def none(cls) -> Calibration:
        """Calibration that changes nothing."""
        one = np.ones((2, 2))
        return cls(np.array([0.0, 1.0]), np.array([0.0, 1.0]), one, one)

    def interval(
        self, posterior: Posterior, noise: NDArray[Any]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Median and the ends of the calibrated 90 % interval of log10 N.

        Parameters
        ----------
        posterior
        noise : (n,) array
            Orientation noise in b / s.
        """
        low, median, high = (posterior.quantile(level) for level in (0.05, 0.5, 0.95))
        at = (
            np.clip(median - 2 * np.log10(noise), self.strength[0], self.strength[-1]),
            np.clip(median, self.lines[0], self.lines[-1]),
        )
        down, up = (
            RegularGridInterpolator((self.strength, self.lines), table)(np.stack(at, axis=-1))
            for table in (self.down, self.up)
        )
        return median, median - down * (median - low), median + up * (high - median)


@dataclass(frozen=True, eq=False)
class TotalDensityModel:
    """Ensemble of small networks from `statistics.features` to a posterior of the density.

    Attributes
    ----------
    networks
        For each network its layers, (weight, bias) with weight (outputs, inputs).
    mean, scale : (inputs,) arrays
        Of the training's inputs.
    low, high : (inputs,) arrays
        Smallest and largest input of nearly all of the training's windows.
    calibration
    name
        For people.
    """

    networks: tuple[Layers, ...]
    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    calibration: Calibration
    name: str = "user"

    def predict(self, inputs: NDArray[Any]) -> tuple[Posterior, NDArray[np.float64]]:
        """Posterior of log10 N, and quantiles (n, 5) of the polarised part.

        Parameters
        ----------
        inputs : (n, len(statistics.NAMES)) array
        """
        x = np.clip((np.asarray(inputs) - self.mean) / self.scale, -CLIP, CLIP)
        weights, means, spreads, parts = [], [], [], []
        k = COMPONENTS
        for layers in self.networks:
            value = through(layers, x)
            score = value[:, :k] - value[:, :k].max(axis=1, keepdims=True)
            share = np.exp(score)
            weights.append(share / share.sum(axis=1, keepdims=True))
            means.append(value[:, k : 2 * k])
            spreads.append(np.exp(np.clip(value[:, 2 * k : 3 * k], *SPREADS)))
            steps = value[:, 3 * k :]
            # The first output is the lowest quantile's logit, the others are steps up from it.
            rising = np.cumsum(np.logaddexp(0, steps[:, 1:]), axis=1)
            logit = np.concatenate((steps[:, :1], steps[:, :1] + rising), axis=1)
            parts.append(1 / (1 + np.exp(-np.clip(logit, -60, 60))))
        number = len(self.networks)
        posterior = Posterior(
            np.concatenate(weights, axis=1) / number,
            np.concatenate(means, axis=1),
            np.concatenate(spreads, axis=1),
        )
        return posterior, np.mean(parts, axis=0)

    def in_range(self, inputs: NDArray[Any]) -> NDArray[np.bool_]:
        """Whether nearly all numbers of a window are such as the training had, (n,)."""
        outside = (inputs < self.low) | (inputs > self.high)
        return np.asarray(outside.mean(axis=1) < 0.1)

    def save(self, path: str | Path, card: Mapping[str, Any] | None = None) -> None:
        """Write weights (safetensors) and model card (JSON).

        Parameters
        ----------
        path
        card
            ``training``, ``metrics`` and ``extra`` of the card.
        """
        import torch

        from napari_ebsdml.learning.model_card import ModelCard
        from napari_ebsdml.learning.model_file import save_model

        tensors = tensors_of(self.networks)
        for name in ("mean", "scale", "low", "high"):
            tensors[name] = torch.from_numpy(np.array(getattr(self, name)))
        c = self.calibration
        given = dict(card or {})
        extra = {
            **given.pop("extra", {}),
            "calibration": {
                "strength": c.strength.tolist(),
                "lines": c.lines.tolist(),
                "down": c.down.tolist(),
                "up": c.up.tolist(),
                "shared": c.shared,
                "known": list(c.known),
            },
        }
        save_model(
            path,
            tensors,
            ModelCard(
                KIND,
                "TotalDensityModel",
                {"networks": len(self.networks), "widths": widths_of(self.networks)},
                inputs=dict.fromkeys(NAMES, "rotations in b / s, lengths in steps s"),
                extra=extra,
                **given,
            ),
        )

    @classmethod
    def load(cls, model: str | Path | TotalDensityModel = "default") -> TotalDensityModel:
        """A shipped model by name, or one from a file.

        Raises
        ------
        ModelError
            When a file is missing, damaged or of another kind.
        InputError
            When no model has the name.
        """
        if isinstance(model, TotalDensityModel):
            return model
        if not isinstance(model, str | Path):
            raise InputError(f"model must be a name, a file or a model, not {model!r}.")
        from napari_ebsdml.learning.model_file import load_model

        path = shipped_path(model, SHIPPED)
        weights, card = load_model(path, KIND)
        arrays = {name: tensor.numpy() for name, tensor in weights.items()}
        try:
            if list(card.inputs) != list(NAMES):
                raise ModelError(f"{path}: the model was made for other inputs than these.")
            networks = networks_of(arrays, card.settings)
            found = card.extra["calibration"]
            strength, lines, down, up = (
                np.array(found[name], dtype=np.float64)
                for name in ("strength", "lines", "down", "up")
            )
            calibration = Calibration(
                strength, lines, down, up, float(found["shared"]),
                (float(found["known"][0]), float(found["known"][1])),
            )  # fmt: skip
            name = model if isinstance(model, str) and model in SHIPPED else path.stem
            return cls(
                networks, arrays["mean"], arrays["scale"], arrays["low"], arrays["high"],
                calibration, name,
            )  # fmt: skip
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{path}: the model lacks {error}.") from None
