"""EfficientNet-Lite0: Tan and Le 2019 (arXiv:1905.11946), without squeezing and with ReLU6.

The layers are those of Google's ``efficientnet/lite``; small enough to train without a GPU.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

_EPSILON, _MOMENTUM = 1e-3, 0.1
"""Google counts 0.99 of what was, for millions of steps; trainings here have some hundred."""
_STEM, _HEAD, _EXPANSION, _DROP = 32, 1280, 6, 0.2


class _Stage(NamedTuple):
    blocks: int
    kernel: int
    stride: int
    width: int


_STAGES = (
    _Stage(1, 3, 1, 16), _Stage(2, 3, 2, 24), _Stage(2, 5, 2, 40), _Stage(3, 3, 2, 80),
    _Stage(3, 5, 1, 112), _Stage(4, 5, 2, 192), _Stage(1, 3, 1, 320),
)  # fmt: skip


class _SameConv(nn.Conv2d):
    """TensorFlow's "same": where the padding is odd, the end gets the larger half."""

    def forward(self, x: Tensor) -> Tensor:
        pads: list[int] = []
        for axis in (-1, -2):
            kernel, stride, size = self.kernel_size[axis], self.stride[axis], int(x.shape[axis])
            more = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads += [more // 2, more - more // 2]
        return super().forward(nn.functional.pad(x, pads) if any(pads) else x)


def _unit(before: int, after: int, kernel: int, stride: int, groups: int = 1) -> list[nn.Module]:
    return [
        _SameConv(before, after, kernel, stride, groups=groups, bias=False),
        nn.BatchNorm2d(after, eps=_EPSILON, momentum=_MOMENTUM),
    ]


class _Block(nn.Module):
    """Widen, convolve each channel, narrow; the input passes by where the shape stays."""

    def __init__(self, before: int, after: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = before * expansion
        expand = [*_unit(before, wide, 1, 1), nn.ReLU6()] if expansion > 1 else []
        self.body = nn.Sequential(
            *expand, *_unit(wide, wide, kernel, stride, wide), nn.ReLU6(),
            *_unit(wide, after, 1, 1),
        )  # fmt: skip
        self.passes = stride == 1 and before == after

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.body(x)
        return x + y if self.passes else y


class EfficientNetLite0(nn.Module):
    """Stem, seven stages of inverted bottlenecks, head; 49 convolution layers.

    Parameters
    ----------
    classes
        Number of outputs; with 1000 there are 4 652 008 trainable parameters.
    channels
        Of the input: 3, as for photographs and pseudo-RGB, or 1.
    """

    def __init__(self, classes: int = 1000, channels: int = 3) -> None:
        super().__init__()
        self.channels = channels
        layers: list[nn.Module] = [*_unit(channels, _STEM, 3, 2), nn.ReLU6()]
        width = _STEM
        for number, stage in enumerate(_STAGES):
            for block in range(stage.blocks):
                stride = stage.stride if block == 0 else 1
                expansion = _EXPANSION if number else 1
                layers.append(_Block(width, stage.width, stage.kernel, stride, expansion))
                width = stage.width
        self.body = nn.Sequential(*layers, *_unit(width, _HEAD, 1, 1), nn.ReLU6())
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.drop = nn.Dropout(_DROP)
        self.head = nn.Linear(_HEAD, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                # As TensorFlow's: by the fan of the outputs.
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    @property
    def first(self) -> nn.Conv2d:
        """First convolution."""
        layer = self.body[0]
        assert isinstance(layer, nn.Conv2d)
        return layer

    def forward(self, x: Tensor) -> Tensor:
        """Images (n, channels, rows, columns) to logits (n, classes)."""
        return self.head(self.drop(self.pool(self.body(x)).flatten(1)))
