"""Calibration of a trained dense network on maps that it was not trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from napari_ebsdml.dislocations.article.mixture import summarise
from napari_ebsdml.dislocations.article.network import LineNetwork, LineOutput
from napari_ebsdml.dislocations.article.training_data import map_batches
from napari_ebsdml.learning.calibration import coverage, fit_temperature

_SEED_SHIFT = 1_000_003
_EDGE = 5
"""Pixels at each edge of a simulated map that are left out: lines are other there."""


@dataclass(frozen=True)
class Calibration:
    """What `calibrate` finds.

    Attributes
    ----------
    temperature
        Divides the logits of N.
    spread
        Multiplies every sigma, for the 90 % interval to hold 90 %.
    excess, excess_balanced
        Multiply what the mean has beyond its bound, for it to be right on average: over pixels
        as they come, and weighted as in the training.
    cover_before, cover_after
        Part of densities within their 90 % interval.
    largest_gnd
        1.2 times the largest |GND| of the maps, in units of one line across a pixel.
    """

    temperature: float
    spread: float
    excess: float
    excess_balanced: float
    cover_before: float
    cover_after: float
    largest_gnd: float


def calibrate(
    network: LineNetwork,
    data: str,
    seed: int,
    noisy: float = 0.0,
    batches: int = 160,
    samples: int = 40_000,
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
    noisy
        Part of the maps with noise.
    batches
        Batches of 16 maps.
    samples
        Pixels drawn from them in proportion to their training weight.
    """
    r = network.radius
    device = next(network.parameters()).device
    rng = np.random.default_rng(seed)
    parts: list[tuple[torch.Tensor, ...]] = []
    largest = found_beyond = true_beyond = 0.0
    for batch in map_batches(
        0,
        batches,
        seed + _SEED_SHIFT,
        data,
        max(r, _EDGE),
        network.classes,
        16,
        wrong_scale=0.0,
        noisy=noisy,
        repeats=1,
    ):
        with torch.no_grad():
            out = network(batch.gnd.to(device), batch.noise.to(device))
        largest = max(largest, float(out.magnitude.max()))
        at = slice(_EDGE - r, -(_EDGE - r) or None) if r < _EDGE else slice(None)
        beyond = torch.from_numpy(summarise(out).mean) - out.bound.cpu()
        empty = out.magnitude.cpu() == 0
        found_beyond += float(beyond.masked_fill(empty, 0)[:, at, at].sum())
        truth_beyond = batch.total[:, r:-r, r:-r] - out.bound.cpu()
        true_beyond += float(truth_beyond.masked_fill(empty, 0)[:, at, at].sum())
        kept = torch.zeros_like(batch.weight)
        kept[:, _EDGE:-_EDGE, _EDGE:-_EDGE] = batch.weight[:, _EDGE:-_EDGE, _EDGE:-_EDGE]
        weight = kept[:, r:-r, r:-r].reshape(-1).double().numpy()
        if not weight.any():
            continue
        picks = rng.choice(len(weight), samples // batches, p=weight / weight.sum())

        def pick(field: torch.Tensor, at: np.ndarray = picks) -> torch.Tensor:
            """Picked pixels as (n, channels)."""
            flat = field.movedim(1, -1).reshape(-1, field.shape[1])
            return flat[torch.from_numpy(at)].cpu()

        scalars = (out.magnitude, out.bound, out.noise.expand_as(out.bound))
        fields = (out.logits, out.location, out.sigma, *(field[:, None] for field in scalars))
        truth = (field[:, r:-r, r:-r].float()[:, None] for field in (batch.count, batch.total))
        parts.append(tuple(pick(field) for field in (*fields, *truth)))
    logits, location, sigma, magnitude, bound, noise, count, total = (
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
        *(field[some][..., None] for field in (magnitude, bound, noise)),
    )

    plain = summarise(output, 0.9, None)
    base = bound[some].double().sum().item()
    expected = plain.mean.sum(dtype=np.float64) - base
    balanced = float((true.sum(dtype=np.float64) - base) / expected)

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
    return Calibration(
        temperature,
        spread,
        true_beyond / max(found_beyond, 1e-9),
        balanced,
        cover(1.0, 1.0),
        cover(spread, temperature),
        1.2 * largest,
    )
