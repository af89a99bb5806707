"""U-Nets for maps of any size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_ebsdml.errors import InputError
from napari_ebsdml.segmentation.settings import UNetSettings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_ebsdml.segmentation.models.linear import Discriminant


class _Step(nn.Sequential):
    """Two 3 x 3 convolutions with dropout between."""

    def __init__(self, inputs: int, outputs: int, settings: UNetSettings) -> None:
        parts: list[nn.Module] = []
        for number in range(2):
            parts.append(
                nn.Conv2d(inputs if number == 0 else outputs, outputs, 3, padding=1,
                          bias=not settings.normalise)
            )  # fmt: skip
            if settings.normalise:
                parts.append(nn.BatchNorm2d(outputs))
            parts.append(nn.ReLU(inplace=True))
            if number == 0:
                parts.append(nn.Dropout(settings.dropout))
        super().__init__(*parts)


_MOST = 8.0


class _Base(nn.Module):
    """Linear discriminant that a U-Net starts from; it is fitted, not trained, but for its weight
    in the sum.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(classes, channels))
        self.register_buffer("bias", torch.zeros(classes))
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        """Logits of a batch of images, cut at where they are certain anyway."""
        with torch.autocast(x.device.type, enabled=False):
            logits = functional.conv2d(x.float(), self.weight[:, :, None, None], self.bias)
            return logits.clamp(-_MOST, _MOST)


class _OneUNet(nn.Module):
    """One U-Net, for maps whose sides are multiples of ``2 ** depth``."""

    def __init__(self, channels: int, classes: int, settings: UNetSettings) -> None:
        super().__init__()
        sizes = [
            min(settings.filters << level, settings.most_filters)
            for level in range(settings.depth + 1)
        ]
        self.base = _Base(channels, classes) if settings.linear else None
        channels += classes if settings.linear else 0
        self.down = nn.ModuleList(
            _Step(channels if level == 0 else sizes[level - 1], size, settings)
            for level, size in enumerate(sizes)
        )
        self.up = nn.ModuleList(
            _Step(sizes[level + 1] + sizes[level], sizes[level], settings)
            for level in range(settings.depth)
        )
        self.head = nn.Conv2d(sizes[0], classes, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module is not self.head:
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        if settings.linear:
            # The first answer is that of the discriminant.
            nn.init.zeros_(self.head.weight)
        else:
            nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Logits of a batch of images."""
        start = self.base(x) if self.base is not None else None
        if start is not None:
            x = torch.cat((x, start.to(x.dtype)), dim=1)
        kept: list[Tensor] = []
        for level, step in enumerate(self.down):
            if level:
                x = functional.max_pool2d(x, 2)
            x = step(x)
            kept.append(x)
        x = kept.pop()
        for step in reversed(self.up):
            x = functional.interpolate(x, scale_factor=2, mode="nearest")
            x = step(torch.cat((kept.pop(), x), dim=1))
        out: Tensor = self.head(x)
        if self.base is not None and start is not None:
            out = out.float() + self.base.scale * start
        return out


class UNet(_OneUNet):
    """U-Net: input planes (n, channels, rows, columns) -> logits (n, classes, rows, columns).

    With ``settings.linear`` it learns what a linear discriminant of the planes, given by
    `start_from`, leaves over: before training the logits are the discriminant's.

    Rows and columns may be any number; inside, the map is padded with zeros below and to the
    right to a multiple of `align`. With several members, a batch in training is dealt out to
    them, and otherwise the logits are the logarithm of their mean probability.

    Notes
    -----
    O. Ronneberger et al., arXiv:1505.04597; with `UNetSettings.paper` as in T. Martinez
    Ostormujof et al. (2021), https://hal.univ-lorraine.fr/hal-03450484, section 3.4.
    """

    def __init__(self, channels: int, classes: int, settings: UNetSettings | None = None) -> None:
        settings = settings or UNetSettings()
        if channels < 1 or classes < 2:
            raise InputError(
                f"A network needs at least 1 channel and 2 classes, not {channels} and {classes}."
            )
        super().__init__(channels, classes, settings)
        self.settings = settings
        self.channels, self.classes = channels, classes
        # The first member is the network itself, so that models of one member stay as they were.
        self.others = nn.ModuleList(
            _OneUNet(channels, classes, settings) for _ in range(settings.members - 1)
        )

    def every(self) -> list[_OneUNet]:
        """The networks side by side."""
        return [self, *(m for m in self.others if isinstance(m, _OneUNet))]

    def start_from(self, discriminants: Sequence[Discriminant], temperature: float) -> None:
        """Give each of the networks side by side its discriminant.

        Parameters
        ----------
        discriminants
            One for each network.
        temperature
            Their logits are divided by it.
        """
        for network, one in zip(self.every(), discriminants, strict=True):
            if network.base is None:
                raise InputError("This network does not start from a discriminant.")
            network.base.weight.copy_(torch.from_numpy(one.weight / temperature))
            network.base.bias.copy_(torch.from_numpy(one.bias / temperature))

    def shift(self, offsets: NDArray[np.float32]) -> None:
        """Add to the logits of each of the networks side by side; `offsets` one for each class."""
        more = torch.from_numpy(offsets)
        with torch.no_grad():
            for network in self.every():
                bias = cast("Tensor", network.head.bias)
                bias += more.to(bias)

    def one(self, member: int, image: Tensor) -> Tensor:
        """Logits of a batch of images by one of the networks side by side."""
        rows, columns = image.shape[-2:]
        below, right = -rows % self.align, -columns % self.align
        x = functional.pad(image, (0, right, 0, below)) if below or right else image
        out = super().forward(x) if member == 0 else self.others[member - 1](x)
        return cast("Tensor", out[..., :rows, :columns])

    @property
    def align(self) -> int:
        """Sides are padded to a multiple of this; tiles must begin at one."""
        return 1 << self.settings.depth

    @property
    def halo(self) -> int:
        """How many pixels away an input can change an output."""
        sight = 0
        for level in range(self.settings.depth):
            # Two convolutions on the way down and two on the way up at each level.
            sight += 4 << level
        sight += 2 << self.settings.depth
        # A pooled cell looks at whole cells: up to one cell, less a pixel, further.
        return sight + self.align - 1

    def forward(self, image: Tensor) -> Tensor:
        """Logits of a batch of images."""
        rows, columns = image.shape[-2:]
        below, right = -rows % self.align, -columns % self.align
        x = functional.pad(image, (0, right, 0, below)) if below or right else image
        return self._members(x)[..., :rows, :columns]

    def _members(self, x: Tensor) -> Tensor:
        if not len(self.others):
            return super().forward(x)
        number = self.settings.members
        if self.training and len(x) >= number:
            parts = [super().forward(x[0::number])]
            parts += [other(x[n::number]) for n, other in enumerate(self.others, start=1)]
            order = torch.cat([torch.arange(n, len(x), number) for n in range(number)])
            return torch.cat(parts)[torch.argsort(order).to(x.device)]
        every = [super().forward(x), *(other(x) for other in self.others)]
        total = torch.logsumexp(torch.stack([y.float().log_softmax(1) for y in every]), dim=0)
        return total - math.log(number)
