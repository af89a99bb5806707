"""Training data as they are given: classes, and pairs of maps and labels. Loads no torch."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_ebsdml._palette import CLASS_COLORS
from napari_ebsdml.errors import InputError

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
