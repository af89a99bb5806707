"""Calibration of a trained dense network on maps that it was not trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from napari_ebsdml.dislocations.mixture import summarise
from napari_ebsdml.dislocations.network import LineNetwork, LineOutput
from napari_ebsdml.dislocations.training_data import map_batches
from napari_ebsdml.learning.calibration import coverage, fit_temperature

_SEED_SHIFT = 1_000_003


@dataclass(frozen=True)
class Calibration:
    """What `calibrate` finds.

    Attributes
    ----------
    temperature
        Divides the logits of N.
    spread
        Multiplies every sigma, for the 90 % interval to hold 90 %.
    cover_before, cover_after
        Part of densities within their 90 % interval.
    prior
        Share of each N in the training, by weight.
    largest_gnd
        1.2 times the largest |GND| of the maps, in units of one line across a pixel.
    """

    temperature: float
    spread: float
    cover_before: float
    cover_after: float
    prior: tuple[float, ...]
    largest_gnd: float


def calibrate(
    network: LineNetwork, data: str, seed: int, batches: int = 40, samples: int = 20_000
) -> Calibration:
    """Fit temperature and spread.

    Parameters
    ----------
    network
        In evaluation mode.
    data
        Kind of training data; see `map_batches`.
    seed
        Seed of the training; the maps have another.
    batches
        Batches of 16 maps.
    samples
        Pixels drawn from them in proportion to their training weight.
    """
    r = network.radius
    device = next(network.parameters()).device
    rng = np.random.default_rng(seed)
    parts: list[tuple[torch.Tensor, ...]] = []
    largest = 0.0
    shares = np.zeros(network.classes)
    for batch in map_batches(
        0, batches, seed + _SEED_SHIFT, data, r, network.classes, 16, wrong_scale=0.0
    ):
        with torch.no_grad():
            out = network(batch.gnd.to(device))
        largest = max(largest, float(out.magnitude.max()))
        weight = batch.weight[:, r:-r, r:-r].reshape(-1).double().numpy()
        if not weight.any():
            continue
        numbers = batch.count[:, r:-r, r:-r].reshape(-1).clamp_max(network.classes - 1).numpy()
        shares += np.bincount(numbers, weight, network.classes)
        picks = rng.choice(len(weight), samples // batches, p=weight / weight.sum())

        def pick(field: torch.Tensor, at: np.ndarray = picks) -> torch.Tensor:
            """Picked pixels as (n, channels)."""
            flat = field.movedim(1, -1).reshape(-1, field.shape[1])
            return flat[torch.from_numpy(at)].cpu()

        fields = (out.logits, out.location, out.sigma, out.magnitude[:, None])
        truth = (field[:, r:-r, r:-r].float()[:, None] for field in (batch.count, batch.total))
        parts.append(tuple(pick(field) for field in (*fields, *truth)))
    logits, location, sigma, magnitude, count, total = (
        torch.cat(group) for group in zip(*parts, strict=True)
    )
    target = count[:, 0].numpy().astype(np.intp).clip(0, network.classes - 1)
    temperature = fit_temperature(logits.numpy(), target)
    some = torch.from_numpy(target > 0)
    true = total[some, 0].numpy()
    output = LineOutput(
        logits[some][..., None, None],
        location[some][..., None, None],
        sigma[some][..., None, None],
        torch.zeros(len(true), 3, 1, 1),
        magnitude[some][..., None],
    )

    def cover(spread: float, heat: float) -> float:
        found = summarise(output, 0.9, None, heat, spread)
        # A single line's density is |GND| itself, to rounding.
        return coverage(found.low.ravel() * (1 - 1e-4), found.high.ravel() * (1 + 1e-4), true)

    low, high = 0.3, 4.0
    for _ in range(14):
        middle = (low * high) ** 0.5
        if cover(middle, temperature) < 0.9:
            low = middle
        else:
            high = middle
    spread = (low * high) ** 0.5
    # A number that never occurs must not become infinitely likely elsewhere.
    prior = np.maximum(shares / shares.sum(), 1e-4)
    return Calibration(
        temperature,
        spread,
        cover(1.0, 1.0),
        cover(spread, temperature),
        tuple(float(share) for share in prior),
        1.2 * largest,
    )
