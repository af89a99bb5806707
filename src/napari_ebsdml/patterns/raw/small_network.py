"""A small network for patterns: fast enough for a camera, on processors without a GPU."""

from __future__ import annotations

from torch import Tensor, nn


def _layer(before: int, after: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(),
    )


class _Block(nn.Module):
    """Two 3 x 3 convolutions around which the input passes."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = _layer(width, width)
        self.second = nn.Sequential(
            nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        )
        self.last = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.last(x + self.second(self.first(x)))


class SmallNetwork(nn.Module):
    """Convolutions that halve the image four times, then the mean over the image.

    Parameters
    ----------
    classes
        Number of outputs.
    channels
        Of the input: 1, or 3 for pseudo-RGB.
    width
        Filters of the first layer; deeper layers have up to five times as many.
    drop
        Dropout before the last layer.

    Notes
    -----
    At width 32 and 14 classes 0.8 million parameters and 27 million multiplications for an image
    of 64 x 64 pixels.
    """

    def __init__(self, classes: int, channels: int = 1, width: int = 32, drop: float = 0.2) -> None:
        super().__init__()
        self.channels = channels
        self.width = width
        second, third, fourth = 3 * width // 2, 3 * width, 5 * width
        self.body = nn.Sequential(
            _layer(channels, width, 5, 2),
            _layer(width, second, 3, 2),
            _layer(second, second),
            _layer(second, third, 3, 2),
            _layer(third, third),
            _layer(third, fourth, 3, 2),
            _Block(fourth),
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.drop = nn.Dropout(drop)
        self.head = nn.Linear(fourth, classes)

    @property
    def first(self) -> nn.Conv2d:
        """First convolution."""
        layer = self.body[0][0]  # type: ignore[index]
        assert isinstance(layer, nn.Conv2d)
        return layer

    def forward(self, x: Tensor) -> Tensor:
        """Images (n, channels, rows, columns) to logits (n, classes)."""
        return self.head(self.drop(self.pool(self.body(x)).flatten(1)))
