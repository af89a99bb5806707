"""Xception as published: Chollet 2017, doi:10.1109/CVPR.2017.195, figure 5."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_EPSILON, _MOMENTUM = 1e-3, 0.01
"""Keras' batch normalisation, whose momentum is counted the other way round (0.99)."""
_BELOW_ALL = -1e4
LEAST = 71
"""Smallest side of the input that leaves at least one pixel after all poolings (Keras' rule)."""


class SeparableConv(nn.Module):
    """3 x 3 convolution of each channel, then 1 x 1 over the channels; no bias, no activation."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(before, before, 3, padding=1, groups=before, bias=False)
        self.pointwise = nn.Conv2d(before, after, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Images (n, before, rows, columns) to (n, after, rows, columns)."""
        return self.pointwise(self.depthwise(x))


def _norm(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=_EPSILON, momentum=_MOMENTUM)


class _SamePool(nn.Module):
    """Maximum over 3 x 3 with stride 2; TensorFlow's "same" pads one side only when it must."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = int(x.shape[-2]), int(x.shape[-1])
        pads = []
        for size in (columns, rows):
            more = max((-(-size // 2) - 1) * 2 + 3 - size, 0)
            pads += [more // 2, more - more // 2]
        # Minus infinity would give no number in differences (DeepLift).
        return self.pool(nn.functional.pad(x, pads, value=_BELOW_ALL))


class _Down(nn.Module):
    """Two separable convolutions and a pooling, beside a 1 x 1 convolution of stride 2."""

    def __init__(self, before: int, middle: int, after: int, activate_first: bool = True) -> None:
        super().__init__()
        self.activate = nn.ReLU() if activate_first else nn.Identity()
        self.conv1, self.norm1 = SeparableConv(before, middle), _norm(middle)
        self.between = nn.ReLU()
        self.conv2, self.norm2 = SeparableConv(middle, after), _norm(after)
        self.pool = _SamePool()
        self.side_conv = nn.Conv2d(before, after, 1, 2, bias=False)
        self.side_norm = _norm(after)

    def forward(self, x: Tensor) -> Tensor:
        y = self.between(self.norm1(self.conv1(self.activate(x))))
        return self.pool(self.norm2(self.conv2(y))) + self.side_norm(self.side_conv(x))


class _Middle(nn.Module):
    """Three activated separable convolutions around which the input passes."""

    def __init__(self, width: int) -> None:
        super().__init__()
        for number in (1, 2, 3):
            self.add_module(f"activate{number}", nn.ReLU())
            self.add_module(f"conv{number}", SeparableConv(width, width))
            self.add_module(f"norm{number}", _norm(width))

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for layer in self.children():
            y = layer(y)
        return x + y


class Xception(nn.Module):
    """Entry, middle and exit flow of depthwise separable convolutions; 36 convolution layers.

    Parameters
    ----------
    classes
        Number of outputs; with 1000 there are 22 855 952 trainable parameters.
    channels
        Of the input: 3, as for photographs and pseudo-RGB, or 1 for a grey-level network from
        scratch.
    """

    def __init__(self, classes: int = 1000, channels: int = 3) -> None:
        super().__init__()
        self.channels = channels
        self.conv1, self.norm1 = nn.Conv2d(channels, 32, 3, 2, bias=False), _norm(32)
        self.relu1 = nn.ReLU()
        self.conv2, self.norm2 = nn.Conv2d(32, 64, 3, bias=False), _norm(64)
        self.relu2 = nn.ReLU()
        self.block2 = _Down(64, 128, 128, activate_first=False)
        self.block3 = _Down(128, 256, 256)
        self.block4 = _Down(256, 728, 728)
        self.middle = nn.Sequential(*(_Middle(728) for _ in range(8)))
        self.block13 = _Down(728, 728, 1024)
        self.conv3, self.norm3 = SeparableConv(1024, 1536), _norm(1536)
        self.relu3 = nn.ReLU()
        self.conv4, self.norm4 = SeparableConv(1536, 2048), _norm(2048)
        self.relu4 = nn.ReLU()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(2048, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(module.weight)  # Keras' default start
        torch.nn.init.zeros_(self.head.bias)

    @property
    def first(self) -> nn.Conv2d:
        """First convolution."""
        return self.conv1

    def forward(self, x: Tensor) -> Tensor:
        """Images (n, channels, rows, columns) to logits (n, classes)."""
        x = self.relu1(self.norm1(self.conv1(x)))
        x = self.relu2(self.norm2(self.conv2(x)))
        x = self.block4(self.block3(self.block2(x)))
        x = self.block13(self.middle(x))
        x = self.relu3(self.norm3(self.conv3(x)))
        x = self.relu4(self.norm4(self.conv4(x)))
        return self.head(self.pool(x).flatten(1))
