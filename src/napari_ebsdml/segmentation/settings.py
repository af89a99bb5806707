"""Settings of a training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from napari_ebsdml.errors import InputError
from napari_ebsdml.segmentation.network import UNetSettings


@dataclass(frozen=True)
class TrainingSettings:
    """How a segmenter is trained.

    Parameters
    ----------
    network
        Sizes of the U-Net; ``UNetSettings.paper(7)`` for the article's. None: as deep as the
        labels allow (see `depth_for`), and four side by side on small maps (`members_for`).
    epochs, steps
        Most epochs, and batches in each.
    batch, crop
        Crops in a batch, and their side in pixels; smaller maps give more and smaller ones.
    learning_rate, weight_decay
        Highest learning rate and weight decay of AdamW.
    patience
        Stop after so many epochs without improvement on the held-out blocks; 0: never.
    held_out
        Part of the labelled pixels to hold out in whole blocks: for early stopping, for the
        calibration and for the metrics on the model card.
    grow
        Labels spread from strokes through their grain (2 degrees) over so many pixels, where
        no stroke of another class touches the grain; 0: not. Only on maps of which less than a
        fifth is labelled.
    gap
        Labelled pixels this close to a held-out block are not used at all.
    balance
        Weight of the classes in the loss: 0 as they come, 1 every class alike.
    turns, coarser, brightness, lost
        Augmentation: the eight turns of a map onto its grid; every second pixel (twice the
        step); change of brightness and contrast in units of the spread; largest part of pixels
        that lose their indexing.
    mix
        Part of the crops that get a rectangle of another crop pasted in, labels and all: the
        network cannot learn strokes by heart from what surrounds them (arXiv:1905.04899).
    blur
        Strength of what keeps a network from telling single grains by their exact figures:
        noise of each pixel, shift of each plane, both in units of the spread; and the part of
        planes that is blanked in a crop.
    average
        Memory of the moving average of the weights, in steps: ``1 - 1 / n``.
    seconds
        Stop after so many seconds, with the best weights so far; 0: no limit.
    seed
    """

    network: UNetSettings | None = None
    epochs: int = 15
    steps: int = 15
    batch: int = 6
    crop: int = 96
    learning_rate: float = 4e-3
    weight_decay: float = 1e-2
    patience: int = 8
    held_out: float = 0.2
    gap: int = 3
    grow: int = 12
    balance: float = 0.5
    turns: bool = True
    coarser: bool = True
    brightness: float = 0.1
    lost: float = 0.05
    mix: float = 0.5
    blur: float = 0.1
    average: float = 0.95
    seconds: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("held_out", "balance", "lost", "mix", "blur", "average"):
            value = getattr(self, name)
            high = 0.5 if name == "held_out" else 1.0
            if not 0 <= value <= high or (name == "average" and value == 1):
                raise InputError(f"{name} must lie in 0..{high:g}, not {value}.")
        least = {"epochs": 1, "steps": 1, "batch": 1, "crop": 8, "gap": 0, "grow": 0}
        for name, lowest in least.items():
            if getattr(self, name) < lowest:
                raise InputError(f"{name} must be at least {lowest}, not {getattr(self, name)}.")
        if self.brightness < 0 or self.seconds < 0:
            raise InputError("brightness and seconds must not be negative.")

    def as_dict(self) -> dict[str, Any]:
        """All settings as plain values."""
        return asdict(self)


def depth_for(regions: int) -> int:
    """Depth of the network for a number of separately labelled grains or strokes.

    A deep network sees far, and from a few strokes learns their surroundings by heart: in a
    duplex steel with strokes on 2 % of the pixels, depth 1 got 7 points more than depth 3.
    """
    return 1 if regions < 100 else 2 if regions < 500 else 3


def members_for(pixels: int) -> int:
    """Number of networks side by side for a number of pixels in all training maps.

    Small maps hold few grains, and what a network makes of them is then a matter of chance; and
    on small maps four networks still are quick.
    """
    return 4 if pixels < 50_000 else 1


def settings_from(
    settings: TrainingSettings | None, changes: Mapping[str, Any]
) -> TrainingSettings:
    """Settings with single values changed.

    Raises
    ------
    InputError
        When a name is unknown or a value out of range.
    """
    unknown = set(changes) - {f.name for f in fields(TrainingSettings)}
    if unknown:
        names = ", ".join(f.name for f in fields(TrainingSettings))
        raise InputError(f"Unknown training setting {sorted(unknown)[0]!r}; there are {names}.")
    return replace(settings or TrainingSettings(), **changes)
