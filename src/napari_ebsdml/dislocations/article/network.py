"""The dense network: GND map of a slip plane -> number of lines and total density per pixel.

Fully convolutional, so that a whole map costs one pass. For each pixel it gives the
probability of N = 0, 1, ... lines and, for each N >= 1, a log-normal distribution of the
density whose median is never below |GND|: the total of lines is at least their vector sum.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from napari_ebsdml.errors import InputError

SMALLEST_SIGMA = 0.02
LARGEST_SIGMA = 1.5
NOISE_REACH = 2.5
"""How many standard deviations of noise may have made |GND| too large."""
SCALES = ("too small", "right", "too large")
"""Classes of the check of the input's scale."""


@dataclass(frozen=True, eq=False)
class LineOutput:
    """What the network says of each pixel; all in units of one line across a pixel.

    Attributes
    ----------
    logits : (n, classes, rows, columns)
        Of N = 0, 1, ...; the last class stands for its N and more.
    location, sigma : (n, classes - 1, rows, columns)
        Mean and standard deviation of log density for N = 1, 2, ...
    scale : (n, 3, rows, columns)
        Logits of `SCALES`.
    magnitude, bound : (n, rows, columns)
        |GND| of the pixel; the density that cannot be undercut, which is |GND| less what its
        noise may have added.
    noise : (n, rows, columns) or (n, 1, 1)
        Standard deviation of the noise on each component of the GND.
    """

    logits: Tensor
    location: Tensor
    sigma: Tensor
    scale: Tensor
    magnitude: Tensor
    bound: Tensor
    noise: Tensor


class _Block(nn.Module):
    """Valid 3 x 3 convolution and a 1 x 1 convolution on a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.wide = nn.Conv2d(width, width, 3, bias=False)
        self.wide_norm = nn.BatchNorm2d(width)
        self.mix = nn.Conv2d(width, width, 1, bias=False)
        self.mix_norm = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.wide_norm(self.wide(x)))
        return functional.relu(x[..., 1:-1, 1:-1] + self.mix_norm(self.mix(y)))


def _features(gnd: Tensor, magnitude: Tensor, noise: Tensor) -> Tensor:
    """Input channels of the network.

    A line that crosses a pixel from side to side gives a component of exactly 1, two lines
    one of 0 or 2, so the phase of each component tells much; noise blurs it by a known factor.
    """
    level = noise[:, None]
    # Whether a pixel holds no line at all is worth a channel: it breaks chains of pixels.
    empty = torch.exp(-magnitude / (0.03 + level))
    phase = 2 * math.pi * gnd
    blur = torch.exp(-0.5 * (2 * math.pi * level).square())
    known = (level / (level + 0.05)).expand_as(magnitude)
    return torch.cat(
        [gnd, magnitude, empty, blur * torch.sin(phase), blur * torch.cos(phase), known], dim=1
    )


class LineNetwork(nn.Module):
    """Dense network for a slip plane's GND map.

    Parameters
    ----------
    radius
        Pixels seen to each side: 3 is the article's 7 x 7 window, 5 a window of 11 x 11.
    width
        Channels.
    classes
        Numbers of lines told apart, 0 .. classes - 1 and more.

    Raises
    ------
    InputError
        When a number is out of range.
    """

    readout = ("output",)
    """Layers that the optimiser must not treat as hidden ones."""

    def __init__(self, radius: int = 3, width: int = 64, classes: int = 9) -> None:
        super().__init__()
        if radius < 1 or width < 1 or classes < 2:
            raise InputError(
                f"radius and width must be at least 1, classes at least 2, not {radius}, "
                f"{width}, {classes}."
            )
        self.radius, self.width, self.classes = radius, width, classes
        self.stem = nn.Conv2d(9, width, 3, bias=False)
        self.stem_norm = nn.BatchNorm2d(width)
        self.blocks = nn.Sequential(*[_Block(width) for _ in range(radius - 1)])
        self.head = nn.Conv2d(width, width, 1, bias=False)
        self.head_norm = nn.BatchNorm2d(width)
        self.output = nn.Conv2d(width, classes + 2 * (classes - 1) + 3, 1)

    @property
    def settings(self) -> dict[str, int]:
        """Arguments that build the same network."""
        return {"radius": self.radius, "width": self.width, "classes": self.classes}

    def fuse(self) -> LineNetwork:
        """Fold the batch normalisations into the convolutions, for prediction only."""
        self.eval()
        pairs = [(self, "stem", "stem_norm"), (self, "head", "head_norm")]
        for block in self.blocks:
            pairs += [(block, "wide", "wide_norm"), (block, "mix", "mix_norm")]  # type: ignore[list-item]
        for owner, conv, norm in pairs:
            setattr(owner, conv, fuse_conv_bn_eval(getattr(owner, conv), getattr(owner, norm)))
            setattr(owner, norm, nn.Identity())
        return self

    def forward(self, gnd: Tensor, noise: Tensor | None = None) -> LineOutput:
        """Output for GND maps (n, 2, rows, columns); `radius` pixels are lost at each edge.

        `noise` is the standard deviation of the noise on each component of the GND, of each
        pixel (n, rows, columns) or of each map (n, 1, 1); None: there is none. Both are in
        units of one line across a pixel.
        """
        r, k = self.radius, self.classes
        if noise is None:
            noise = gnd.new_zeros(len(gnd), 1, 1)
        magnitude = gnd.norm(dim=1, keepdim=True)
        x = _features(gnd, magnitude, noise)
        x = functional.relu(self.stem_norm(self.stem(x)))
        x = self.blocks(x)
        x = functional.relu(self.head_norm(self.head(x)))
        with torch.autocast(gnd.device.type, enabled=False):
            x = self.output(x.float())
            at = (slice(None), slice(r, gnd.shape[2] - r), slice(r, gnd.shape[3] - r))
            inner = magnitude[:, 0][at].float()
            level = noise[at] if noise.shape[1:] == gnd.shape[2:] else noise
            bound = (inner - NOISE_REACH * level).clamp_min(0)
            excess = functional.softplus(x[:, k : 2 * k - 1])
            location = torch.log(bound[:, None] + excess + 1e-6)
            raw = x[:, 2 * k - 1 : 3 * k - 2]
            ratio = math.log(LARGEST_SIGMA / SMALLEST_SIGMA)
            sigma = SMALLEST_SIGMA * torch.exp(ratio * torch.sigmoid(raw))
            return LineOutput(x[:, :k], location, sigma, x[:, 3 * k - 2 :], inner, bound, level)


def symmetry_copies(gnd: Tensor) -> Iterator[tuple[Tensor, int, bool]]:
    """The 16 equivalent maps: 4 turns x mirror x reversed line sense.

    Gives (map, quarter turns, mirrored) for GND maps (n, 2, rows, columns) with the
    components x (along columns) and y (along rows); `undo` brings a scalar result back.
    """
    for mirrored in (False, True):
        flipped = gnd.flip(-1) * gnd.new_tensor([-1.0, 1.0])[:, None, None] if mirrored else gnd
        for turns in range(4):
            turned = torch.rot90(flipped, turns, (-2, -1))
            x, y = turned[:, 0], turned[:, 1]
            for _ in range(turns):
                # rot90 turns columns to -rows: a vector (x, y) becomes (y, -x).
                x, y = y, -x
            vector = torch.stack([x, y], dim=1)
            yield vector, turns, mirrored
            yield -vector, turns, mirrored


def undo(scalar: Tensor, turns: int, mirrored: bool) -> Tensor:
    """Bring a scalar map (..., rows, columns) of a symmetry copy back to the original."""
    back = torch.rot90(scalar, -turns, (-2, -1))
    return back.flip(-1) if mirrored else back


def symmetric_output(network: LineNetwork, gnd: Tensor, noise: Tensor | None = None) -> LineOutput:
    """Output averaged over the 16 equivalent maps.

    Probabilities are averaged; of the log-normals the location of the mean and the variance.
    """
    parts: list[tuple[Tensor, ...]] = []
    first: LineOutput | None = None
    for vector, turns, mirrored in symmetry_copies(gnd):
        turned = noise
        if noise is not None:
            turned = torch.rot90(noise.flip(-1) if mirrored else noise, turns, (-2, -1))
        out = network(vector, turned)
        fields = (
            out.logits.softmax(1), torch.exp(out.location), out.sigma.square(),
            out.scale.log_softmax(1),
        )  # fmt: skip
        parts.append(tuple(undo(field, turns, mirrored) for field in fields))
        first = out if first is None else first
    chance, median, variance, scale = (
        torch.stack(group).mean(0) for group in zip(*parts, strict=True)
    )
    assert first is not None
    return LineOutput(
        torch.log(chance.clamp_min(1e-12)), torch.log(median), variance.sqrt(), scale,
        first.magnitude, first.bound, first.noise,
    )  # fmt: skip
