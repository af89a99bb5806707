"""Cubic crystals and a nearly cubic one, told from patterns one by one and together.

``python benchmarks/laue_nearly_cubic.py --masters FOLDER [--seed 52] [--crystals 9] [--pools 6]``

FOLDER holds the dynamical master pattern of zirconia (c/a 1.6 % from a cube). Ten patterns a pool,
60 to 240 pixels, noise 0.3 to 1.5, centre errors up to 0.5 %, camera told. "Before": the same
answers without what patterns tell of a distortion, and without a limit to a cubic group's
probability. "Together": those pools whose patterns hold together, as `laue_group` tells them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from laue_crystals import dynamical, patterns
from napari_ebsdml.camera import Camera
from napari_ebsdml.patterns.symmetry.decision import NAMES, Pool, probabilities
from napari_ebsdml.patterns.symmetry.laue import Trial, joint_of, place_all, told
from napari_ebsdml.patterns.symmetry.view import flat_images, views_of
from patterns_common import show

POOLED = 10
POOLS = {1: [[k] for k in range(POOLED)], 4: [[0, 1, 2, 3], [4, 5, 6, 7]],
         POOLED: [list(range(POOLED))]}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--masters", type=Path, default=Path("masters"))
    parser.add_argument("--seed", type=int, default=52)
    parser.add_argument("--crystals", type=int, default=9, help="cubic ones")
    parser.add_argument("--pools", type=int, default=6, help="of zirconia")
    given = parser.parse_args()
    made = list(dynamical(given.masters))
    cubic = [one for one in made if one[1] == "m-3m"][-given.crystals :]
    nearly = [one for one in made if one[0] == "zirconia"] * given.pools
    found: dict[tuple[str, int, str], list[tuple[bool, float, bool, int, float]]] = {}
    for at, (name, group, master) in enumerate([*cubic, *nearly]):
        rng = np.random.default_rng([given.seed, at])
        size = int(rng.choice([60, 60, 120, 240]))
        noise = float(np.exp(rng.uniform(np.log(0.3), np.log(1.5))))
        images, _, camera = patterns(master, POOLED, size, noise, float(rng.uniform(0, 0.005)), rng)
        flat, valid = flat_images(images)
        views = views_of(flat, valid, camera.bounds)
        placed = place_all(views)
        kind = name if name == "zirconia" else "cubic"
        for number, pools in POOLS.items():
            for pool in pools:
                chosen, seen = [placed[k] for k in pool], [views[k] for k in pool]
                plain = dict(zip(NAMES, probabilities(Pool(chosen)), strict=True))
                first = max(plain, key=lambda one: plain[one])
                found.setdefault((kind, number, "before"), []).append(
                    (first == group, plain[first], group == first, 1, plain["m-3m"])
                )
                joint = joint_of(seen)
                versions = {"one by one": None} | ({"together": joint} if joint else {})
                for version, what in versions.items():
                    trial = Trial(chosen, Camera(shape=(size, size), pc=None), what, seen)
                    answer = told([trial], False)
                    found.setdefault((kind, number, version), []).append(
                        (answer.best == group, answer.probability, group in answer.group,
                         len(answer.group), answer.probabilities["m-3m"])
                    )  # fmt: skip
    rows = []
    for (kind, number, version), values in sorted(found.items()):
        right, sure, held, many, whole = np.mean(values, axis=0)
        rows.append((kind, number, version, len(values), f"{100 * right:.1f}", f"{100 * sure:.1f}",
                     f"{100 * (sure - right):+.0f}", f"{100 * whole:.1f}",
                     "" if version == "before" else f"{100 * held:.1f}",
                     "" if version == "before" else f"{many:.1f}"))  # fmt: skip
    head = ("crystals", "pooled", "version", "n", "group %", "mean p %", "told minus true",
            "m-3m %", "true in set %", "in set")  # fmt: skip
    show("Nearly cubic crystals", rows, head)


if __name__ == "__main__":
    main()
