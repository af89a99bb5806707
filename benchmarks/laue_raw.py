"""Laue groups of raw patterns: `laue_group` as it is, and without dividing by the patterns' mean.

``python benchmarks/laue_raw.py [--crystals 1] [--first 200] [--pooled 10] [--search]``

Crystals of all 11 groups, and white noise, under the static background of kikuchipy's nickel
patterns, their bands and noise 6 % of the brightness. Patterns of one orientation, and patterns
without a background: both are to stay as they are. Then kikuchipy's nine nickel patterns
themselves, that were looked at. --search: the pattern centre is not told.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from unittest import mock

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

import napari_ebsdml as ebsdml
from laue_crystals import crystal, patterns
from napari_ebsdml.io.static_background import static_background
from napari_ebsdml.patterns.frame.geometry import Geometry
from napari_ebsdml.patterns.symmetry import laue
from napari_ebsdml.patterns.symmetry.even import common_background
from napari_ebsdml.patterns.symmetry.groups import GROUPS, SYSTEMS
from patterns_common import show

_CONTRAST = 0.06
"""Standard deviation of bands and noise as a part of the brightness."""


def raw(images: NDArray, background: NDArray) -> NDArray:
    """Patterns under a background, as the camera counts."""
    z = (images - images.mean((1, 2), keepdims=True)) / images.std((1, 2), keepdims=True)
    return background * (1 + _CONTRAST * z)


def both(stack: NDArray, detector: object) -> tuple[str, str]:
    """Laue group without the mean divided out, and as it is told; "none" for no symmetry."""
    now = laue.laue_group(stack, detector).best or "none"
    if common_background(stack) is None:
        return now, now
    with mock.patch.object(laue, "common_background", return_value=None):
        before = laue.laue_group(stack, detector).best or "none"
    return before, now


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--crystals", type=int, default=1, help="of each group, and of noise 11")
    parser.add_argument("--first", type=int, default=200)
    parser.add_argument("--pooled", type=int, default=10)
    parser.add_argument("--search", action="store_true")
    given = parser.parse_args()
    nickel = ebsdml.read(ebsdml.samples.fetch("nickel_patterns"))
    background = np.asarray(static_background(nickel), float)
    background /= gaussian_filter(background, 8)
    start = time.process_time()
    told: dict[str, list[tuple[str, str, str]]] = {
        "crystals": [], "white noise": []
    }  # fmt: skip
    divided: dict[str, list[bool]] = {}

    def note(kind: str, stack: NDArray) -> None:
        divided.setdefault(kind, []).append(common_background(stack) is not None)

    for number in range(given.first, given.first + given.crystals):
        for order, group in enumerate(GROUPS):
            rng = np.random.default_rng([number, order])
            noise = float(np.exp(rng.uniform(np.log(0.3), np.log(1.5))))
            try:
                master = crystal(group, number).master()
            except LookupError as missing:
                print(missing, flush=True)
                continue
            images, _, camera = patterns(master, given.pooled, 60, noise, 0.0, rng)
            detector = None if given.search else camera
            told["crystals"].append((group, *both(raw(images, background), detector)))
            note("crystals", raw(images, background))
            # What is not divided has its answer as before.
            note("without a background", images)
            if detector is None:
                detector = Geometry.from_angles((0.5, 0.3, 0.55), (60, 60))
            # A user may give patterns of one grain: their bands are what they have in common.
            one = np.repeat(images[:1], given.pooled, axis=0)
            one = one + one.std() * rng.normal(0, noise, one.shape)
            note("one orientation", one)
            note("one orientation, raw", raw(one, background))
            white = rng.normal(0, 1, images.shape)
            told["white noise"].append(("none", *both(raw(white, background), detector)))
            print(number, group, *(told[kind][-1][1:] for kind in told if told[kind]), flush=True)
    head = ("set", "n", "pooled", "way", "group %", "system %", "none %", "wrong %")
    rows = []
    for kind, answers in told.items():
        for at, way in ((1, "as they are"), (2, "laue_group")):
            n = len(answers)
            right = sum(one[0] == one[at] for one in answers)
            system = sum(
                SYSTEMS.get(one[0], "none") == SYSTEMS.get(one[at], "none") for one in answers
            )
            none = sum(one[at] == "none" for one in answers)
            wrong = sum(one[at] not in ("none", one[0]) for one in answers)
            shares = (f"{100 * v / n:.1f}" for v in (right, system, none, wrong))
            rows.append((kind, n, given.pooled, way, *shares))
    assert nickel.patterns is not None
    nine = np.asarray(nickel.patterns, float).reshape(9, 60, 60)
    before, now = both(nine, None if given.search else nickel.detector)
    show("Raw patterns", rows, head)
    for kind, values in divided.items():
        print(f"{kind}: {sum(values)} of {len(values)} pools are divided")
    changed = Counter((one[1], one[2]) for one in told["crystals"] if one[1] != one[2])
    print("changed:", dict(changed))
    print(f"nickel, nine: {before} as they are, {now} by laue_group")
    print(f"{time.process_time() - start:.0f} processor seconds")


if __name__ == "__main__":
    main()
