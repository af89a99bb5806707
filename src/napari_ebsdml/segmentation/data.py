"""Training data: maps with labels, and the crops drawn from them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from napari_ebsdml._palette import CLASS_COLORS
from napari_ebsdml.errors import InputError
from napari_ebsdml.segmentation.augment import (
    TURNS,
    lose_indexing,
    turn_crop,
    turn_map,
    vary_brightness,
)
from napari_ebsdml.segmentation.normalise import Normaliser
from napari_ebsdml.segmentation.planes import ChannelStack, Plane
from napari_ebsdml.segmentation.settings import TrainingSettings

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan


@dataclass(frozen=True)
class Classes:
    """Classes of a segmentation.

    Attributes
    ----------
    values
        Value of each class in label images, ascending, from 1.
    names, colors
        Of each class; colors as ``"#rrggbb"``.
    """

    values: tuple[int, ...]
    names: tuple[str, ...]
    colors: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.values)

    @classmethod
    def of(
        cls,
        present: Sequence[int],
        names: Mapping[int, str] | Sequence[str] | None = None,
        colors: Mapping[int, str] | Sequence[str] | None = None,
    ) -> Classes:
        """Classes of label values, with names and colors where given.

        Raises
        ------
        InputError
            When there are fewer than two classes, or names or colors do not fit them.
        """
        values = tuple(sorted(int(v) for v in present))
        if len(values) < 2:
            raise InputError(
                f"The labels hold {'class ' + str(values[0]) if values else 'no class'} alone; "
                "mark at least two classes (1, 2, ...; 0 is unlabelled)."
            )
        if len(values) > 100:
            raise InputError(f"The labels hold {len(values)} values; at most 100 classes will do.")

        def given(what: str, each: Any, default: Any) -> tuple[str, ...]:
            if each is None:
                return tuple(default(i, v) for i, v in enumerate(values))
            if isinstance(each, Mapping):
                return tuple(str(each.get(v, default(i, v))) for i, v in enumerate(values))
            if isinstance(each, str) or len(each) != len(values):
                raise InputError(f"There are {len(values)} classes {values}, but {what} {each!r}.")
            return tuple(str(e) for e in each)

        return cls(
            values,
            given("names", names, lambda i, v: f"class {v}"),
            given("colors", colors, lambda i, v: CLASS_COLORS[i % len(CLASS_COLORS)]),
        )

    @classmethod
    def marked(
        cls,
        pairs: Sequence[tuple[Scan, NDArray[np.integer]]],
        names: Mapping[int, str] | Sequence[str] | None = None,
        colors: Mapping[int, str] | Sequence[str] | None = None,
    ) -> Classes:
        """Classes that are marked in label images; see `of`."""
        present = set[int]().union(*(np.unique(labels[labels > 0]).tolist() for _, labels in pairs))
        return cls.of(sorted(present), names, colors)

    def index(self, labels: NDArray[np.integer]) -> NDArray[np.int8]:
        """Class index of each label value, -1 for 0.

        Raises
        ------
        InputError
            When a value belongs to no class.
        """
        out = np.full(labels.shape, -1, dtype=np.int8)
        rest = labels != 0
        for number, value in enumerate(self.values):
            here = labels == value
            out[here] = number
            rest &= ~here
        if rest.any():
            raise InputError(
                f"Label {int(labels[rest][0])} is none of the classes {self.values} "
                f"({', '.join(self.names)})."
            )
        return out


def check_label_image(scan: Scan, labels: ArrayLike) -> NDArray[np.integer]:
    """Label image of a scan, checked.

    Raises
    ------
    InputError
        When shape or values do not fit.
    """
    array = np.asarray(labels)
    if array.shape != scan.shape:
        raise InputError(f"labels have shape {array.shape}; {scan.name} has {scan.shape}.")
    if array.dtype.kind == "b":
        array = array.astype(np.uint8)
    if array.dtype.kind not in "iu":
        raise InputError(f"labels must be whole numbers (0 = unlabelled), not {array.dtype}.")
    if array.size and array.min() < 0:
        raise InputError(f"labels must not be negative (0 = unlabelled); found {array.min()}.")
    return array


def check_items(items: Any) -> list[tuple[Scan, NDArray[np.integer]]]:
    """Pairs of scan and labels, checked.

    Raises
    ------
    InputError
        When there is none, or one is no such pair.
    """
    from napari_ebsdml.scan import Scan

    try:
        pairs = [tuple(item) for item in items]
    except TypeError:
        pairs = [()]
    for pair in pairs:
        if len(pair) != 2 or not isinstance(pair[0], Scan):
            raise InputError("Training data are pairs: [(scan, labels), ...].")
    if not pairs:
        raise InputError("Training needs at least one pair (scan, labels).")
    return [(scan, check_label_image(scan, labels)) for scan, labels in pairs]


def data_hash(items: Sequence[tuple[Scan, NDArray[np.integer]]]) -> str:
    """SHA-256 of label images and of the orientations and properties below them."""
    digest = hashlib.sha256()
    for scan, labels in items:
        digest.update(repr((scan.shape, scan.step)).encode())
        digest.update(np.ascontiguousarray(labels.astype(np.int32)).tobytes())
        digest.update(np.ascontiguousarray(scan.quaternions).tobytes())
        for name in sorted(scan.prop):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(scan.prop[name]).tobytes())
    return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class TrainingMap:
    """Standardised planes of one map, and the class of its labelled pixels (-1: none)."""

    values: NDArray[np.float32]
    target: NDArray[np.int8]
    stack: ChannelStack

    @property
    def quaternion_planes(self) -> slice | None:
        """Which planes are w, x, y, z."""
        roles = [plane.role for plane in self.stack.planes]
        if "quaternion" not in roles:
            return None
        first = roles.index("quaternion")
        return slice(first, first + 4)


class Crops:
    """Batches of crops around labelled pixels, each class as often as the others."""

    def __init__(
        self, maps: Sequence[TrainingMap], normaliser: Normaliser, settings: TrainingSettings,
        classes: int, members: int = 1,
    ) -> None:  # fmt: skip
        self.maps, self.normaliser, self.settings = list(maps), normaliser, settings
        self.planes: tuple[Plane, ...] = normaliser.planes
        # Maps narrower than a crop would fill it with empty margins.
        width = max(min(m.target.shape) for m in self.maps)
        self.crop = min(settings.crop, max(-(-width // 8) * 8, 8))
        self.batch = settings.batch * min(round((settings.crop / self.crop) ** 2), 4)
        # Networks side by side share a batch.
        self.batch *= 2 if members > 1 else 1
        # Where each class is, over all maps.
        self.places: list[NDArray[np.int32]] = []
        for c in range(classes):
            found = [
                np.column_stack((np.full((m.target == c).sum(), n), *np.nonzero(m.target == c)))
                for n, m in enumerate(self.maps)
            ]
            self.places.append(np.concatenate(found).astype(np.int32))
        self.used = [c for c in range(classes) if len(self.places[c])]

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
                image, target = self._one(rng)
                rows, columns = target.shape
                images[n, :, :rows, :columns] = image
                targets[n, :rows, :columns] = target
            self._mix(images, targets, rng)
            yield torch.from_numpy(images), torch.from_numpy(targets)

    def _mix(
        self, images: NDArray[np.float32], targets: NDArray[np.int64], rng: np.random.Generator
    ) -> None:
        settings = self.settings
        if settings.mix and len(images) > 1:
            before, labels = images.copy(), targets.copy()
            for n in np.flatnonzero(rng.random(len(images)) < settings.mix):
                other = int(rng.integers(len(images)))
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

    def _one(self, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
        places = self.places[self.used[rng.integers(len(self.used))]]
        number, row, column = places[rng.integers(len(places))]
        source = self.maps[number]
        starts = []
        for at, length in zip((row, column), source.target.shape, strict=True):
            lowest, highest = max(at - self.crop + 1, 0), max(min(at, length - self.crop), 0)
            starts.append(int(rng.integers(min(lowest, highest), highest + 1)))
        window = tuple(slice(s, s + self.crop) for s in starts)
        image = source.values[(slice(None), *window)].copy()
        target = source.target[window]
        settings = self.settings
        if settings.lost and rng.random() < 0.5:
            lose_indexing(image, self.planes, self.normaliser.empty, settings.lost, rng)
        if settings.brightness:
            vary_brightness(image, self.planes, settings.brightness, rng)
        if settings.turns:
            turn = int(rng.integers(len(TURNS)))
            grains = source.stack.grains
            image = turn_crop(
                image, turn, source.quaternion_planes, source.stack.variants,
                None if grains is None else grains[window],
            )  # fmt: skip
            target = turn_map(target, turn)
        return image, target
