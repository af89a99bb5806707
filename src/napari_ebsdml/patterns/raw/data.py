"""Labelled patterns: from folders, from scans whose phases are known, and how to split them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.errors import FileFormatError, InputError, MissingDataError
from napari_ebsdml.patterns.frame.masks import find_mask
from napari_ebsdml.patterns.kinds import RAW
from napari_ebsdml.patterns.raw.prepare import prepare
from napari_ebsdml.scan import Scan

STORED = 128
"""Patterns larger than this are stored at this size: a training set stays within memory."""


@dataclass(frozen=True, eq=False)
class LabelledPatterns:
    """Patterns with their space groups and materials.

    Attributes
    ----------
    patterns : (n, rows, columns) array
    space_groups : (n,) int array
    materials : (n,) str array
        Name of the material of each; a phase's or a folder's name.
    families : (n,) str array
        Lattice family of each where known, else "".
    """

    trains: ClassVar[str] = RAW

    patterns: NDArray[Any]
    space_groups: NDArray[np.int64]
    materials: NDArray[np.str_]
    families: NDArray[np.str_]

    @classmethod
    def of(
        cls, patterns: NDArray[Any], space_groups: Iterable[int],
        materials: Iterable[str] | None = None, families: Iterable[str] | None = None,
    ) -> LabelledPatterns:  # fmt: skip
        """From arrays; materials default to the space groups' numbers.

        Raises
        ------
        InputError
            When lengths differ or a space group is not in 1..230.
        """
        groups = np.array(list(space_groups), dtype=np.int64)
        names = np.array(list(materials) if materials is not None else groups.astype(str), str)
        kinds = np.array(list(families) if families is not None else [""] * len(groups), str)
        stack = np.asarray(patterns)
        if stack.ndim != 3 or not len(stack) == len(groups) == len(names) == len(kinds):
            raise InputError(
                f"Need patterns (n, rows, columns) and n labels, not {stack.shape}, {len(groups)} "
                f"space groups, {len(names)} materials and {len(kinds)} families."
            )
        if len(groups) and (groups.min() < 1 or groups.max() > 230):
            raise InputError("Space groups are numbers in 1..230.")
        return cls(stack, groups, names, kinds)

    def __len__(self) -> int:
        return len(self.space_groups)

    def take(self, which: NDArray[np.intp] | NDArray[np.bool_]) -> LabelledPatterns:
        """Some of them."""
        return LabelledPatterns(
            self.patterns[which], self.space_groups[which], self.materials[which],
            self.families[which],
        )  # fmt: skip

    def joined(self, other: LabelledPatterns) -> LabelledPatterns:
        """Both sets; patterns of another size are resized to this set's.

        Raises
        ------
        InputError
            When there is nothing to join.
        """
        theirs = other.patterns
        if theirs.shape[1:] != self.patterns.shape[1:]:
            theirs = resized(theirs, self.patterns.shape[1])
        mine = self.patterns
        if mine.shape[1:] != theirs.shape[1:]:
            mine = resized(mine, theirs.shape[1])
        return LabelledPatterns(
            np.concatenate([mine, theirs]),
            np.concatenate([self.space_groups, other.space_groups]),
            np.concatenate([self.materials, other.materials]),
            np.concatenate([self.families, other.families]),
        )

    @property
    def classes(self) -> tuple[tuple[str, int], ...]:
        """Pairs of lattice family ("" where not known) and space group, sorted."""
        pairs = zip(self.families.tolist(), self.space_groups.tolist(), strict=True)
        return tuple(sorted(set(pairs), key=lambda pair: (pair[1], pair[0])))

    def counts(self) -> list[dict[str, Any]]:
        """Rows ``space_group``, ``material``, ``number`` for a table."""
        pairs = zip(self.space_groups.tolist(), self.materials.tolist(), strict=True)
        return [
            {"space_group": group, "material": name, "number": n}
            for (group, name), n in sorted(Counter(pairs).items())
        ]

    def split(self, train: int = 400, validation: int = 100, seed: int = 0) -> FewShotSplit:
        """The paper's split: so many patterns of each space group, evenly over its materials.

        Parameters
        ----------
        train, validation
            Patterns of each space group. A group that has fewer gives four fifths of what it has
            to training and validation, in the proportion asked for.
        seed

        Raises
        ------
        InputError
            When a space group has fewer than three patterns.
        """
        if train < 1 or validation < 1:
            raise InputError("train and validation must be at least 1.")
        rng = np.random.default_rng(seed)
        parts: tuple[list[int], list[int], list[int]] = ([], [], [])
        for group in np.unique(self.space_groups):
            mine = self.space_groups == group
            if mine.sum() < 3:
                raise InputError(f"Space group {group} has {mine.sum()} patterns; 3 is the least.")
            names = np.unique(self.materials[mine])
            stacks = [rng.permutation(np.flatnonzero(mine & (self.materials == n))) for n in names]
            asked = train + validation
            total = int(mine.sum())
            part = min(1.0, 0.8 * total / asked) if total < asked + 1 else 1.0
            quota = _even([len(s) for s in stacks], round(asked * part))
            held = _even(quota, max(1, round(sum(quota) * validation / asked)))
            for stack, most, few in zip(stacks, quota, held, strict=True):
                parts[1].extend(stack[:few])
                parts[0].extend(stack[few:most])
                parts[2].extend(stack[most:])
        first, second, third = (self.take(np.array(sorted(p), dtype=np.intp)) for p in parts)
        return FewShotSplit(first, second, third)


@dataclass(frozen=True, eq=False)
class FewShotSplit:
    """Patterns to train on, to watch the training with, and the rest, to test on."""

    train: LabelledPatterns
    validation: LabelledPatterns
    test: LabelledPatterns


def _even(have: Sequence[int], total: int) -> list[int]:
    """Share `total` out as evenly as what each has allows."""
    given = [0] * len(have)
    left = min(total, sum(have))
    while left > 0:
        open_ = [k for k in range(len(have)) if given[k] < have[k]]
        each = max(1, left // len(open_))
        for k in open_:
            more = min(each, have[k] - given[k], left)
            given[k] += more
            left -= more
    return given


def resized(patterns: NDArray[Any], size: int) -> NDArray[np.float32]:
    """The middle square of patterns at another size; the background is removed."""
    return prepare(patterns, size, find_mask(patterns))


def _stored(patterns: NDArray[Any]) -> NDArray[Any]:
    side = min(patterns.shape[1:])
    return resized(patterns, STORED).astype(np.float16) if side > STORED else patterns


def group_of(name: str) -> int | None:
    """Space group that a folder's name begins with: "225", "225 Ni", "sg_225", "Fm-3m"."""
    found = re.match(r"(?:sg|space[_ -]?group)?[_ -]*0*(\d{1,3})(?!\d)", name, re.IGNORECASE)
    if found and 1 <= int(found[1]) <= 230:
        return int(found[1])
    from diffpy.structure.spacegroups import GetSpaceGroup

    first = re.split(r"[ ,;(]", name.strip())[0].replace("_", "")
    try:
        number = int(GetSpaceGroup(first).number)
    except ValueError:
        return None
    return number if 1 <= number <= 230 else None


def from_folder(path: str | Path) -> LabelledPatterns:
    """Patterns in a folder of each space group, or of each material within it.

    ``225/*.tif`` or ``225/Ni/*.tif``; the class folder's name begins with the number or the
    symbol ("225", "225 Ni", "Fm-3m"). Images of other sizes than the first are resized.

    Raises
    ------
    FileFormatError
        When there are no class folders, a name tells no space group, a folder is empty or an
        image cannot be decoded.
    """
    from napari_ebsdml.io.pattern_folder import _images, read_image

    root = Path(path)
    if not root.is_dir():
        raise FileFormatError(root, "no such folder.")
    folders = sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not folders:
        raise FileFormatError(root, "there is no folder for each space group, such as '225'.")
    found: LabelledPatterns | None = None
    for folder in folders:
        group = group_of(folder.name)
        if group is None:
            raise FileFormatError(
                folder, "the folder's name tells no space group; begin it with its number."
            )
        inner = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
        sets = [(place.name, _images(place)) for place in inner] or [(folder.name, _images(folder))]
        if not any(files for _, files in sets):
            raise FileFormatError(folder, "the folder holds no pattern images.")
        for name, files in sets:
            shapes: dict[tuple[int, ...], list[NDArray[Any]]] = {}
            for file in files:
                image = read_image(file)
                if min(image.shape) < 16:
                    raise FileFormatError(file, f"{image.shape} pixels are too few.")
                shapes.setdefault(image.shape, []).append(image)
            for images in shapes.values():
                stack = _stored(np.stack(images))
                part = LabelledPatterns.of(stack, [group] * len(stack), [name] * len(stack))
                found = part if found is None else found.joined(part)
    assert found is not None
    return found


def from_scan(scan: Scan, per_class: int | None = None, seed: int = 0) -> LabelledPatterns:
    """Patterns of a scan whose phases are known.

    Parameters
    ----------
    scan
        With patterns, and phases with a space group.
    per_class
        At most so many of each phase, drawn at random; only these are read. Default: 2000.
    seed

    Raises
    ------
    MissingDataError
        When the scan has no patterns, or no indexed phase has a space group.
    """
    if scan.patterns is None:
        raise MissingDataError(f"{scan.name} has no patterns.")
    rng = np.random.default_rng(seed)
    picked: list[NDArray[np.intp]] = []
    groups: list[int] = []
    names: list[str] = []
    for number, phase in scan.phases:
        if number < 0 or phase.space_group is None:
            continue
        places = np.flatnonzero(scan.phase_id == number)
        most = 2000 if per_class is None else per_class
        if len(places) > most:
            places = rng.choice(places, most, replace=False)
        if not len(places):
            continue
        picked.append(np.sort(places))
        groups += [int(phase.space_group.number)] * len(places)
        names += [str(phase.name)] * len(places)
    if not picked:
        raise MissingDataError(
            f"No phase of {scan.name} that occurs in the map has a space group; set it "
            "(scan.phases) first."
        )
    order = np.argsort(np.concatenate(picked), kind="stable")
    at = np.concatenate(picked)[order]
    rows, columns = np.divmod(at, scan.shape[1])
    stacks = []
    # Row by row: lazy arrays are read in whole blocks anyway.
    for row in np.unique(rows):
        line = np.asarray(scan.patterns[int(row)])
        stacks.append(_stored(line[columns[rows == row]]))
    return LabelledPatterns.of(
        np.concatenate(stacks), np.array(groups)[order], np.array(names)[order]
    )


def from_scans(
    scans: Iterable[Scan], per_class: int | None = None, seed: int = 0
) -> LabelledPatterns:
    """`from_scan` of several scans, joined.

    Raises
    ------
    InputError
        When there is no scan.
    MissingDataError
        As for `from_scan`.
    """
    found: LabelledPatterns | None = None
    for scan in scans:
        part = from_scan(scan, per_class, seed)
        found = part if found is None else found.joined(part)
    if found is None:
        raise InputError("There is no scan to learn from.")
    return found
