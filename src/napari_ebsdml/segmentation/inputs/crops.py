"""What networks learn from: standardised maps, and the crops drawn from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from napari_ebsdml.segmentation.inputs.augment import (
    TURNS,
    lose_indexing,
    turn_crop,
    turn_map,
    vary_brightness,
)
from napari_ebsdml.segmentation.inputs.normalise import Normaliser
from napari_ebsdml.segmentation.inputs.planes import ChannelStack, Plane
from napari_ebsdml.segmentation.settings import TrainingSettings


def quaternion_planes(planes: Sequence[Plane]) -> slice | None:
    """Which planes are w, x, y, z; None when there are none."""
    roles = [plane.role for plane in planes]
    if "quaternion" not in roles:
        return None
    first = roles.index("quaternion")
    return slice(first, first + 4)


@dataclass(frozen=True, eq=False)
class TrainingMap:
    """Standardised planes of one map, and for each network the class of its labelled pixels.

    Attributes
    ----------
    values : (planes, rows, columns) float32
    targets
        (rows, columns) int8 for each of the networks side by side, -1 where nothing is labelled or
        the network is judged.
    stack
    """

    values: NDArray[np.float32]
    targets: tuple[NDArray[np.int8], ...]
    stack: ChannelStack

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.values.shape[1], self.values.shape[2]


class Crops:
    """Batches of crops around labelled pixels, each class as often as the others.

    Networks side by side share a batch, crop by crop, and each has labels of its own.
    """

    def __init__(
        self, maps: Sequence[TrainingMap], normaliser: Normaliser, settings: TrainingSettings,
        classes: int, members: int = 1,
    ) -> None:  # fmt: skip
        self.maps, self.normaliser, self.settings = list(maps), normaliser, settings
        self.planes: tuple[Plane, ...] = normaliser.planes
        # Maps narrower than a crop would fill it with empty margins.
        width = max(min(m.shape) for m in self.maps)
        self.crop = min(settings.crop, max(-(-width // 8) * 8, 8))
        self.batch = settings.batch * min(round((settings.crop / self.crop) ** 2), 4)
        self.members = members
        if members > 1:
            # Each network gets a batch that is worth its name.
            self.batch = max(-(-2 * self.batch // members), 2) * members
        # Where each class is, over all maps, for each network.
        self.places = [
            [self._places(member, c) for c in range(classes)] for member in range(members)
        ]
        self.used = [[c for c in range(classes) if len(each[c])] for each in self.places]

    def _places(self, member: int, c: int) -> NDArray[np.int32]:
        found = []
        for n, m in enumerate(self.maps):
            rows, columns = np.nonzero(m.targets[member] == c)
            found.append(np.column_stack((np.full(len(rows), n), rows, columns)))
        return np.concatenate(found).astype(np.int32)

    def __call__(self, epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Batches of one epoch: planes (n, planes, side, side) and classes (n, side, side)."""
        settings = self.settings
        for step in range(settings.steps):
            rng = np.random.default_rng((settings.seed, epoch, step))
            images = np.zeros(
                (self.batch, len(self.planes), self.crop, self.crop), dtype=np.float32
            )
            targets = np.full((self.batch, self.crop, self.crop), -1, dtype=np.int64)
            for n in range(self.batch):
                image, target = self._one(n % self.members, rng)
                rows, columns = target.shape
                images[n, :, :rows, :columns] = image
                targets[n, :rows, :columns] = target
            self._mix(images, targets, rng)
            yield torch.from_numpy(images), torch.from_numpy(targets)

    def _mix(
        self, images: NDArray[np.float32], targets: NDArray[np.int64], rng: np.random.Generator
    ) -> None:
        settings = self.settings
        if settings.mix and len(images) > self.members:
            before, labels = images.copy(), targets.copy()
            for n in np.flatnonzero(rng.random(len(images)) < settings.mix):
                # From the same network's crops: no labels that it must not see.
                own = np.arange(n % self.members, len(images), self.members)
                other = int(rng.choice(own))
                height, width = rng.integers(self.crop // 4, 3 * self.crop // 4 + 1, 2)
                top, left = (
                    rng.integers(self.crop - height + 1),
                    rng.integers(self.crop - width + 1),
                )
                rows, columns = slice(top, top + height), slice(left, left + width)
                images[n, :, rows, columns] = before[other, :, rows, columns]
                targets[n, rows, columns] = labels[other, rows, columns]
        if settings.blur:
            standard = np.array([p.role in ("measured", "derived") for p in self.planes])
            shape = (len(images), int(standard.sum()), 1, 1)
            part = images[:, standard]
            part += settings.blur * rng.standard_normal(part.shape, dtype=np.float32)
            part += settings.blur * rng.standard_normal(shape, dtype=np.float32)
            # With few planes blanking one would leave nothing to learn from.
            if shape[1] > 4:
                part *= rng.random(shape) >= settings.blur
            images[:, standard] = part

    def _one(
        self, member: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
        used = self.used[member]
        places = self.places[member][used[rng.integers(len(used))]]
        number, row, column = places[rng.integers(len(places))]
        source = self.maps[number]
        starts = []
        for at, length in zip((row, column), source.shape, strict=True):
            lowest, highest = max(at - self.crop + 1, 0), max(min(at, length - self.crop), 0)
            starts.append(int(rng.integers(min(lowest, highest), highest + 1)))
        window = tuple(slice(s, s + self.crop) for s in starts)
        image = source.values[(slice(None), *window)].copy()
        target = source.targets[member][window]
        settings = self.settings
        if settings.lost and rng.random() < 0.5:
            lose_indexing(image, self.planes, self.normaliser.empty, settings.lost, rng)
        if settings.brightness:
            vary_brightness(image, self.planes, settings.brightness, rng)
        if settings.turns:
            turn = int(rng.integers(len(TURNS)))
            grains = source.stack.grains
            image = turn_crop(
                image, turn, quaternion_planes(self.planes), source.stack.variants,
                None if grains is None else grains[window],
            )  # fmt: skip
            target = turn_map(target, turn)
        return image, target
