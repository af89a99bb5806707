"""Muon: orthogonal updates for matrices, AdamW for the rest."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from napari_ebsdml.learning.muon import Muon, orthogonalise


@pytest.mark.parametrize("shape", [(8, 40), (40, 8), (16, 16)])
def test_singular_values_come_near_one(shape):
    torch.manual_seed(0)
    matrix = torch.randn(shape)
    found = orthogonalise(matrix)
    values = torch.linalg.svdvals(found)
    assert values.min() > 0.6
    assert values.max() < 1.3
    # The singular vectors stay: the product with the polar factor is nearly the identity.
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    product = u.T @ found @ v.T
    torch.testing.assert_close(product, torch.diag(product.diagonal()), atol=1e-3, rtol=0)


def network():
    torch.manual_seed(1)
    net = nn.Sequential(nn.Conv2d(2, 8, 3), nn.ReLU(), nn.Conv2d(8, 1, 1))
    net.readout = ("2",)
    return net.to(memory_format=torch.channels_last)


def test_the_readout_and_the_biases_follow_adamw():
    a, b = network(), network()
    ours = Muon.of(a, 1e-2, 0.1)
    adam = torch.optim.AdamW(b.parameters(), 1e-2, weight_decay=0.1)
    x = torch.randn(4, 2, 7, 7)
    for _ in range(3):
        b[0].load_state_dict(a[0].state_dict())
        for net, optimiser in ((a, ours), (b, adam)):
            optimiser.zero_grad()
            net(x).square().mean().backward()
            optimiser.step()
    torch.testing.assert_close(a[2].weight, b[2].weight)
    torch.testing.assert_close(a[0].bias, b[0].bias)
    assert not torch.allclose(a[0].weight, b[0].weight)


def test_it_learns():
    net = network()
    optimiser = Muon.of(net, 2e-3)
    x = torch.randn(64, 2, 7, 7)
    y = (x[:, :1] * x[:, 1:])[..., 1:-1, 1:-1]
    losses = []
    for _ in range(60):
        loss = (net(x) - y).square().mean()
        losses.append(loss.item())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert losses[-1] < 0.6 * losses[0]
