from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_ebsdml.errors import InputError
from napari_ebsdml.segmentation.models.linear import Discriminant
from napari_ebsdml.segmentation.models.network import UNet, UNetSettings
from napari_ebsdml.segmentation.models.predict import network_logits, predict_logits
from napari_ebsdml.segmentation.settings import depth_for, members_for

CPU = torch.device("cpu")


@pytest.mark.parametrize("steps", [3, 5, 7])
def test_paper_network_has_its_steps(steps):
    network = UNet(4, 3, UNetSettings.paper(steps))
    convolutions = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    dropouts = [m for m in network.modules() if isinstance(m, torch.nn.Dropout)]
    assert len(convolutions) == 2 * steps + 1
    assert len(dropouts) == steps
    assert {d.p for d in dropouts} == {0.2}
    assert network.head.in_channels == 32
    assert network(torch.zeros(1, 4, 20, 24)).shape == (1, 3, 20, 24)


@pytest.mark.parametrize("shape", [(1, 1), (5, 17), (33, 40)])
def test_any_size(shape):
    network = UNet(2, 2, UNetSettings(filters=4, most_filters=8)).eval()
    out = network_logits(network, np.ones((2, *shape), np.float32), CPU)
    assert out.shape == (2, *shape)
    assert np.isfinite(out).all()


@pytest.mark.parametrize(
    "settings", [UNetSettings(depth=1, members=2), UNetSettings(), UNetSettings(depth=2)]
)
def test_tiled_equals_untiled(settings):
    torch.manual_seed(0)
    network = UNet(3, 2, settings)
    for name, value in network.named_buffers():
        if name.endswith("running_mean"):
            torch.nn.init.normal_(value, std=0.2)
        elif name.endswith("running_var"):
            torch.nn.init.uniform_(value, 0.5, 1.5)
    torch.nn.init.normal_(network.head.weight)
    network.eval()
    image = np.random.default_rng(0).normal(size=(3, 205, 263)).astype(np.float32)
    whole = network_logits(network, image, CPU)
    tiles = predict_logits(network, image, CPU, tile=32)
    assert whole.std() > 0.1
    np.testing.assert_allclose(tiles, whole, atol=1e-5 * np.abs(whole).max(), rtol=1e-5)


def test_halo_is_how_far_the_network_sees():
    torch.manual_seed(1)
    network = UNet(1, 2, UNetSettings(depth=2, filters=8, most_filters=8)).eval()
    torch.nn.init.normal_(network.head.weight)
    image = torch.randn(1, 1, 160, 160, requires_grad=True)
    network(image)[0, 0, 80, 80].backward()
    rows = np.flatnonzero(image.grad[0, 0].abs().sum(1).numpy())
    assert max(80 - rows[0], rows[-1] - 80) <= network.halo
    assert max(80 - rows[0], rows[-1] - 80) >= network.halo - network.align - 1


def test_members_share_batches_and_average_probabilities():
    torch.manual_seed(2)
    settings = UNetSettings(depth=1, filters=4, most_filters=8, dropout=0.0, members=3)
    assert settings.linear
    network = UNet(2, 2, settings)
    for member in (network, *network.others):
        torch.nn.init.normal_(member.head.weight)
    x = torch.randn(7, 2, 10, 13)
    network.eval()
    one = UNetSettings(depth=1, filters=4, most_filters=8, dropout=0.0)
    singles = []
    for member in (network, *network.others):
        single = UNet(2, 2, one).eval()
        single.load_state_dict(
            {k: v for k, v in member.state_dict().items() if not k.startswith("others.")}
        )
        singles.append(single)
    each = torch.stack([single(x).softmax(1) for single in singles])
    assert each.std(0).max() > 0.05
    torch.testing.assert_close(network(x).softmax(1), each.mean(0))
    # In training every image goes to one member alone, and comes back in its place.
    network.train()
    got = network(x)
    for n, single in enumerate(singles):
        single.train()
        torch.testing.assert_close(got[n::3], single(x[n::3]))


def test_bad_sizes_are_refused():
    with pytest.raises(InputError, match="members"):
        UNetSettings(members=0)
    with pytest.raises(InputError, match="3, 5 or 7"):
        UNetSettings.paper(4)
    with pytest.raises(InputError, match="2 classes"):
        UNet(1, 1)


def test_depth_follows_the_labels():
    assert [depth_for(n) for n in (1, 99, 100, 499, 500, 9999)] == [1, 1, 2, 2, 3, 3]


def test_small_maps_get_several_members():
    assert members_for(100 * 39) > 1
    assert members_for(856 * 1141) == 1
    assert members_for(856 * 1141, dense=False) == 3


def test_a_network_starts_as_its_discriminants():
    rng = np.random.default_rng(3)
    settings = UNetSettings(depth=1, filters=4, most_filters=8, members=2)
    network = UNet(3, 2, settings).eval()
    own = [
        Discriminant(rng.normal(size=(2, 3)).astype(np.float32), np.zeros(2, np.float32))
        for _ in range(2)
    ]
    network.start_from(own, 2.0)
    image = rng.normal(size=(3, 9, 11)).astype(np.float32)
    with torch.inference_mode():
        for member, one in enumerate(own):
            got = network.one(member, torch.from_numpy(image)[None])[0].numpy()
            np.testing.assert_allclose(got, one.logits(image) / 2, rtol=1e-4, atol=1e-5)
    # The discriminant is given, not learned; its weight in the sum is.
    learned = dict(network.named_parameters())
    assert "base.scale" in learned
    assert "base.weight" not in learned
    with pytest.raises(InputError, match="does not start"):
        UNet(3, 2, UNetSettings.paper(3)).start_from(own[:1], 1.0)


def test_an_ensemble_is_half_as_soft_as_its_mean():
    """The mean probability is softer than each; its temperature makes up for half of that."""
    from napari_ebsdml.segmentation.inputs.crops import TrainingMap
    from napari_ebsdml.segmentation.learning.look import ensemble_temperature
    from napari_ebsdml.segmentation.models.predict import softmax

    torch.manual_seed(0)
    sizes = UNetSettings(depth=1, filters=4, most_filters=4, members=3, linear=False)
    network = UNet(2, 3, sizes).eval()
    for one in network.every():
        torch.nn.init.normal_(list(one.parameters())[-2], std=2.0)
    values = np.random.default_rng(0).normal(size=(2, 40, 50)).astype(np.float32)
    maps = [TrainingMap(values, (), None)]
    found = ensemble_temperature(network, maps, 1.5, CPU)
    assert 0.6 < found < 1.5
    with torch.inference_mode():
        batch = torch.from_numpy(values)[None]
        single = [softmax(network.one(m, batch)[0].numpy() / 1.5, axis=0) for m in range(3)]
        # Of the two temperatures that it is the geometric mean of, one is given.
        mean = softmax(network(batch)[0].numpy() / (found**2 / 1.5), axis=0)
    assert mean.max(axis=0).mean() == pytest.approx(
        np.mean([s.max(axis=0) for s in single]), abs=1e-3
    )
    alone = UNet(2, 3, UNetSettings(depth=1, filters=4, most_filters=4, linear=False))
    assert ensemble_temperature(alone, maps, 1.5, CPU) == 1.5
