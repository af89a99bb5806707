"""Loss of the dense network, and the figures by which predictions are judged."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from napari_ebsdml.dislocations.article.network import LineOutput


def mixture_mean(out: LineOutput) -> Tensor:
    """Mean density (n, rows, columns); N = 0 counts as the bound, which is then zero."""
    chance = out.logits.softmax(1)
    means = torch.exp(out.location + 0.5 * out.sigma.square())
    return chance[:, 0] * out.bound + (chance[:, 1:] * means).sum(1)


def line_loss(
    out: LineOutput, count: Tensor, total: Tensor, weight: Tensor, scale: Tensor
) -> dict[str, Tensor]:
    """Loss of the dense network.

    Parameters
    ----------
    out
        What the network gives for a batch of maps.
    count, total : (n, rows, columns)
        True number of lines and density of the same pixels.
    weight : (n, rows, columns)
        Weight of each pixel; makes the classes balanced.
    scale : (n,) int
        Class of each map's scale (`network.SCALES`); maps of a wrong scale count for the
        scale only.

    Returns
    -------
    dict
        ``"number"``: cross-entropy of N. ``"density"``: negative log-likelihood of the density
        under the log-normal of the true N, with gradients scaled by sigma
        (arXiv:2203.09168, beta 0.5). ``"mean"``: squared error of the mixture's mean, which
        keeps map averages unbiased. ``"scale"``: cross-entropy of the scale.
    """
    weight = weight * (scale == 1).float()[:, None, None]
    norm = weight.sum().clamp_min(1e-6)
    target = count.clamp(0, out.logits.shape[1] - 1).long()
    number = (functional.cross_entropy(out.logits, target, reduction="none") * weight).sum() / norm
    which = (target - 1).clamp_min(0)[:, None]
    location = out.location.gather(1, which)[:, 0]
    sigma = out.sigma.gather(1, which)[:, 0]
    residual = (torch.log(total.clamp_min(1e-4)) - location) / sigma
    # A far outlier must not rule the batch: beyond 4 sigma the square turns linear (Huber).
    likelihood = functional.huber_loss(
        residual, torch.zeros_like(residual), reduction="none", delta=4.0
    ) + torch.log(sigma)
    some = weight * (target > 0)
    density = (likelihood * sigma.detach() * some).sum() / norm
    mean = ((mixture_mean(out) - total).clamp(-5, 5).square() * weight).sum() / norm
    seen = (out.magnitude > 1e-3).float()
    # Wrong scales are the rarer ones in training, and no less important.
    judged = functional.cross_entropy(
        out.scale,
        scale[:, None, None].expand_as(target),
        out.scale.new_tensor([4.0, 1.0, 4.0]),
        reduction="none",
    )
    return {
        "number": number,
        "density": density,
        "mean": 0.5 * mean,
        "scale": 0.1 * (judged * seen).sum() / seen.sum().clamp_min(1),
    }


def mape(predicted: NDArray[np.floating], true: NDArray[np.floating]) -> float:
    """Mean absolute percentage error as a fraction (equation 4 of the article)."""
    return float(np.mean(np.abs(predicted - true) / true))
