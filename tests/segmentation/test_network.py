from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_ebsdml.errors import InputError
from napari_ebsdml.segmentation.network import UNet, UNetSettings
from napari_ebsdml.segmentation.predict import network_logits, predict_logits
from napari_ebsdml.segmentation.settings import depth_for, members_for
from napari_ebsdml.segmentation.split import grow_labels, split_blocks

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


def test_no_held_out_pixel_is_near_a_training_pixel():
    rng = np.random.default_rng(0)
    target = np.where(rng.random((120, 90)) < 0.5, rng.integers(0, 3, (120, 90)), -1)
    target = target.astype(np.int8)
    split = split_blocks([target], 3, 0.2, 4, 0)
    held, train = split.held_out[0] >= 0, split.training[0] >= 0
    from scipy.ndimage import distance_transform_cdt

    assert held.any()
    assert train.any()
    distance = distance_transform_cdt(~held, metric="chessboard")
    assert distance[train].min() > 4
    for c in range(3):
        share = (split.held_out[0] == c).sum() / (target == c).sum()
        assert 0.1 < share < 0.36
    assert (split.held_out[0][held] == target[held]).all()


def test_a_class_in_one_block_is_not_held_out():
    target = np.full((64, 64), -1, np.int8)
    target[2:60, 2:30] = 0
    target[33:36, 57:60] = 1
    split = split_blocks([target], 2, 0.2, 2, 0)
    assert (split.training[0] == 1).sum() == 9
    assert not (split.held_out[0] == 1).any()


def test_labels_grow_within_their_grain_only():
    grains = np.ones((20, 40), np.int32)
    grains[:, 20:] = 2
    grains[:4] = 0
    target = np.full(grains.shape, -1, np.int8)
    target[10, 18] = 0
    target[10, 30] = 1
    grown = grow_labels(target, grains, 5)
    assert (grown[grains == 0] == -1).all()
    # The left grain is class 0 up to five pixels away, and class 0 does not cross the border.
    assert grown[10, 19] == 0
    assert grown[10, 13] == 0
    assert grown[10, 12] == -1
    assert grown[10, 21] == -1
    assert (grown[10, 25:36] == 1).all()
    # Two classes in a grain: nobody knows where one ends.
    target[12, 22] = 0
    np.testing.assert_array_equal(grow_labels(target, grains, 5)[:, 20:], target[:, 20:])


def test_small_grain_with_held_out_pixels_does_not_train():
    rng = np.random.default_rng(0)
    target = np.where(rng.random((96, 96)) < 0.3, rng.integers(0, 2, (96, 96)), -1).astype(np.int8)
    # Grains of 4 x 24 pixels reach over the borders of blocks of 12.
    i, j = np.indices(target.shape)
    grains = (1 + (i // 4) * 4 + j // 24).astype(np.int32)
    split = split_blocks([target], 2, 0.2, 2, 0, [grains])
    held = np.unique(grains[split.held_out[0] >= 0])
    assert len(held) > 3
    assert (split.training[0][np.isin(grains, held)] == -1).all()
    assert (split.training[0] >= 0).any()


def test_depth_follows_the_labels():
    assert [depth_for(n) for n in (1, 99, 100, 499, 500, 9999)] == [1, 1, 2, 2, 3, 3]


def test_small_maps_get_several_members():
    assert members_for(100 * 39) > 1
    assert members_for(856 * 1141) == 1
