"""Networks, losses and the mixture's arithmetic."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar

from napari_ebsdml.dislocations.article.lines import draw_lines, simulate_crops, simulate_maps
from napari_ebsdml.dislocations.article.lines_presets import LineRules
from napari_ebsdml.dislocations.article.losses import line_loss, mape, mixture_mean
from napari_ebsdml.dislocations.article.mixture import summarise
from napari_ebsdml.dislocations.article.network import (
    NOISE_REACH,
    LineNetwork,
    LineOutput,
    symmetric_output,
    symmetry_copies,
    undo,
)
from napari_ebsdml.dislocations.article.paper_network import TableA1Network, paper_loss
from napari_ebsdml.errors import InputError


def fields(n=3, seed=0):
    gnd = simulate_maps(n, "exact", seed).gnd
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(gnd, -1, 1)))


def random_network(radius=3, **changes):
    torch.manual_seed(radius)
    net = LineNetwork(radius, **{"width": 8, **changes})
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.running_mean, 0, 0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
    return net.eval().requires_grad_(False)


def test_table_a1():
    net = TableA1Network()
    assert sum(p.numel() for p in net.parameters()) == 343_434
    logits, density = net(torch.randn(4, 2, 7, 7))
    assert logits.shape == (4, 5)
    assert density.shape == (4,)
    assert (density >= 0).all()
    convolutions = [m for m in net.modules() if isinstance(m, torch.nn.Conv2d)]
    assert len(convolutions) == 20


def test_paper_loss_by_hand():
    logits = torch.tensor([[1.0, 2.0, 0.0, 0.0, 0.0]])
    count = torch.tensor([2])
    density, total = torch.tensor([1.5]), torch.tensor([0.5])
    cal = -math.log(math.exp(2) / (math.exp(2) + math.exp(1) + 3))
    for form, reg in (("mse", 1.0), ("msle", math.log(2.5 / 1.5) ** 2)):
        for ratio in (0.0, 0.25, 1.0):
            loss = paper_loss(logits, density, count, total, ratio, form)
            want = (1 - ratio) * reg + ratio * cal
            assert float(sum(loss.values())) == pytest.approx(want, rel=1e-5, abs=1e-7)
    with pytest.raises(InputError):
        paper_loss(logits, density, count, total, 1.5)
    with pytest.raises(InputError):
        paper_loss(logits, density, count, total, 0.5, "mae")


@pytest.mark.long
def test_table_a1_learns():
    torch.manual_seed(0)
    crops = simulate_crops(256, "paper", seed=4)
    gnd = torch.from_numpy(np.ascontiguousarray(np.moveaxis(crops.gnd, -1, 1)))
    count, total = torch.from_numpy(crops.count), torch.from_numpy(crops.total)
    net = TableA1Network()
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    losses = []
    for _ in range(12):
        loss = sum(paper_loss(*net(gnd), count, total).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("radius", [3, 5])
def test_dense_is_the_same_as_crops(radius):
    net = random_network(radius)
    gnd = fields(1)
    dense = net(gnd)
    side = 2 * radius + 1
    assert dense.logits.shape[-2:] == (22 - side, 22 - side)
    for i, j in ((0, 0), (3, 5), (21 - side, 2)):
        crop = net(gnd[..., i : i + side, j : j + side])
        torch.testing.assert_close(crop.logits[0, :, 0, 0], dense.logits[0, :, i, j])
        torch.testing.assert_close(crop.location[0, :, 0, 0], dense.location[0, :, i, j])


def test_density_is_never_below_the_gnd():
    net = random_network()
    for gnd in (fields(), 20 * fields(), torch.randn(1, 2, 21, 21), torch.zeros(1, 2, 9, 9)):
        out = net(gnd)
        assert (out.location.exp() >= out.magnitude[:, None]).all()
        assert (mixture_mean(out) >= out.magnitude * (1 - 1e-5)).all()
        found = summarise(out)
        for name in ("mean", "median", "low", "high"):
            assert (getattr(found, name) >= out.magnitude.numpy() * (1 - 1e-6)).all(), name
        assert (found.low <= found.high).all()


def test_symmetry_copies_are_maps_of_turned_lines():
    # Independent of the code under test: turn the lines themselves, then put them on pixels.
    rules = LineRules(shortest=0.0, lines=(4, 4))
    gnd = fields_of(draw_lines(rules, 7))
    torch.testing.assert_close(
        gnd[0], torch.from_numpy(np.moveaxis(simulate_maps(1, rules, 7).gnd[0], -1, 0)),
        atol=5e-3, rtol=0,
    )  # fmt: skip
    copies = {(turns, mirrored, k % 2): vector
              for k, (vector, turns, mirrored) in enumerate(symmetry_copies(gnd))}  # fmt: skip
    assert len(copies) == 16
    lines = draw_lines(rules, 7)
    quarter = [np.stack([line[:, 1], 21 - line[:, 0]], 1) for line in lines]  # as numpy.rot90
    mirror = [np.stack([21 - line[:, 0], line[:, 1]], 1) for line in lines]
    back = [line[::-1] for line in lines]
    for key, want in (((1, False, 0), quarter), ((0, True, 0), mirror), ((0, False, 1), back)):
        torch.testing.assert_close(copies[key], fields_of(want), atol=1e-2, rtol=0)
    for vector, turns, mirrored in symmetry_copies(gnd):
        size = vector.norm(dim=1)
        torch.testing.assert_close(undo(size, turns, mirrored), gnd.norm(dim=1))


def fields_of(lines):
    gnd = np.zeros((21, 21, 2))
    for line in lines:
        t = np.linspace(0, 1, 100, endpoint=False)
        fine = (line[:-1, None] + t[None, :, None] * np.diff(line, axis=0)[:, None]).reshape(-1, 2)
        fine = np.vstack([fine, line[-1]])
        j, i = np.clip(((fine[:-1] + fine[1:]) / 2).astype(int), 0, 20).T
        np.add.at(gnd, (i, j), np.diff(fine, axis=0))
    return torch.from_numpy(np.moveaxis(gnd, -1, 0)[None].astype(np.float32))


def test_symmetric_output_is_equivariant():
    net = random_network()
    gnd = fields(2)
    plain, want = net(gnd), symmetric_output(net, gnd)
    different = 0.0
    for vector, turns, mirrored in symmetry_copies(gnd):
        out = symmetric_output(net, vector)
        torch.testing.assert_close(
            undo(out.location, turns, mirrored), want.location, atol=1e-5, rtol=0
        )
        torch.testing.assert_close(
            undo(out.logits, turns, mirrored), want.logits, atol=1e-4, rtol=0
        )
        once = undo(net(vector).location, turns, mirrored)
        different = max(different, float((once - plain.location).abs().max()))
    assert different > 1e-3, "without averaging the network has no symmetry"


def test_noise_loosens_the_bound():
    net = random_network()
    gnd = fields()
    quiet, told = net(gnd), net(gnd, torch.full((len(gnd), 1, 1), 0.1))
    torch.testing.assert_close(quiet.bound, quiet.magnitude)
    torch.testing.assert_close(told.bound, (told.magnitude - NOISE_REACH * 0.1).clamp_min(0))
    assert not torch.equal(quiet.logits, told.logits)
    of_pixels = net(gnd, torch.full((len(gnd), 21, 21), 0.1))
    torch.testing.assert_close(of_pixels.location, told.location)
    turned = symmetric_output(net, gnd, torch.rand(len(gnd), 21, 21))
    assert turned.noise.shape == turned.bound.shape


def test_pure_noise_may_hold_nothing():
    out = single([0.9, 0.05, 0.05], [0.0, 1.1], [0.3, 0.15], 0.1)
    noisy = dataclasses.replace(
        out, bound=torch.zeros_like(out.bound), noise=torch.full_like(out.noise, 0.1)
    )
    found = summarise(noisy)
    assert found.low.item() == found.n_lines.item() == 0
    assert 0 < found.mean.item() < summarise(out).mean.item()
    # Almost certainly no line: all that is left is what noise leaves open.
    assert 0 < found.median.item() <= 0.11


def single(chance, location, sigma, magnitude):
    def shape(values):
        return torch.tensor(values, dtype=torch.float64)[None, :, None, None]

    return LineOutput(
        torch.log(shape(chance)), shape(location), shape(sigma), torch.zeros(1, 3, 1, 1),
        *(torch.tensor([[[value]]], dtype=torch.float64) for value in (magnitude, magnitude, 0.0)),
    )  # fmt: skip


def test_mixture_against_sampling():
    rng = np.random.default_rng(0)
    chance, location, sigma = [0.1, 0.5, 0.4], [0.0, 1.1], [0.3, 0.15]
    n = 1_000_000
    which = rng.choice(3, n, p=chance)
    draw = np.exp(
        np.array([0, *location])[which] + np.array([0, *sigma])[which] * rng.normal(size=n)
    )
    bound = 0.3
    draw[which == 0] = bound
    found = summarise(single(chance, location, sigma, bound), level=0.8)
    assert found.mean.item() == pytest.approx(draw.mean(), rel=2e-3)
    assert found.std.item() == pytest.approx(draw.std(), rel=5e-3)
    low, high = np.quantile(draw, [0.1, 0.9])
    assert found.low.item() == pytest.approx(low, rel=2e-2)
    assert found.high.item() == pytest.approx(high, rel=5e-3)
    best = minimize_scalar(
        lambda c: np.mean(np.abs(draw - c) / draw), bounds=(0.2, 4), method="bounded"
    )
    loss = np.mean(np.abs(draw - found.median.item()) / draw)
    assert loss == pytest.approx(best.fun, rel=1e-3)
    assert found.n_lines.item() == 1
    only_two = summarise(single(chance, location, sigma, bound), allowed=(2, 2))
    assert only_two.n_lines.item() == 2
    assert only_two.mean.item() == pytest.approx(math.exp(1.1 + 0.15**2 / 2), rel=1e-4)


def test_calibration_moves_only_what_it_should():
    out = single([0.2, 0.5, 0.3], [0.0, 1.1], [0.3, 0.15], 0.3)
    plain, hot = summarise(out), summarise(out, temperature=2.0, spread=1.5)
    for name in ("mean", "median", "std", "n_lines"):
        assert getattr(plain, name).item() == pytest.approx(getattr(hot, name).item(), rel=2e-3)
    assert hot.low.item() <= plain.low.item() * 1.002
    assert hot.high.item() > plain.high.item()
    more = summarise(out, excess=1.5)
    assert more.mean.item() - 0.3 == pytest.approx(1.5 * (plain.mean.item() - 0.3), rel=1e-5)
    assert more.median.item() == plain.median.item()
    empty = summarise(out, nothing=0.4)
    assert empty.mean.item() == empty.high.item() == empty.n_lines.item() == 0


def test_line_loss_prefers_the_truth():
    count, total = torch.full((1, 1, 1), 2), torch.full((1, 1, 1), math.exp(1.1))
    weight, scale = torch.ones(1, 1, 1), torch.tensor([1])
    good = single([0.05, 0.05, 0.9], [0.0, 1.1], [0.3, 0.1], 0.3)
    for worse in (
        single([0.05, 0.9, 0.05], [0.0, 1.1], [0.3, 0.1], 0.3),
        single([0.05, 0.05, 0.9], [0.0, 1.5], [0.3, 0.1], 0.3),
        single([0.05, 0.05, 0.9], [0.0, 1.1], [0.3, 0.9], 0.3),
    ):
        a, b = (
            float(sum(line_loss(o, count, total, weight, scale).values())) for o in (good, worse)
        )
        assert a < b
    wrong = line_loss(good, count, total, weight, torch.tensor([0]))
    assert float(wrong["number"]) == float(wrong["density"]) == float(wrong["mean"]) == 0
    assert mape(np.array([1.0, 3.0]), np.array([2.0, 2.0])) == 0.5
    with pytest.raises(InputError):
        LineNetwork(0)
