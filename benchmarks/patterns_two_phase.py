"""A map of 6900 patterns of Ni and Ni3Al with known truth: the tally of the answers.

    python benchmarks/patterns_two_phase.py [--model FILE] [--seeds 3]

As Fig. 5 and Table 2 of doi:10.1038/s41598-021-87557-5; the same maps are made by
`napari_ebsdml.patterns.simulated.two_phase.two_phase_map`.
"""

from __future__ import annotations

import argparse

import torch

from napari_ebsdml.patterns import CrystalFrameClassifier
from napari_ebsdml.patterns.simulated.two_phase import two_phase_map
from patterns_common import percent, shares, show


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="default")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--noise", type=float, default=0.5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = CrystalFrameClassifier.load(options.model)
    tallies, rates = [], []
    for seed in range(options.seeds):
        sample = two_phase_map(seed=seed, noise=(options.noise, options.noise))
        for by in ("pixel", "grain"):
            result = model.predict_scan(sample.scan, by=by)
            counts = {row["space_group"]: row["number"] for row in result.tally}
            ambiguous = sum(row["ambiguous"] for row in result.tally)
            tallies.append((seed, by, *(counts[g] for g in model.space_groups), ambiguous,
                            int((~result.is_known).sum())))  # fmt: skip
            right, either = shares(result, sample.truth)
            for group in (221, 225):
                mine = sample.truth == group
                rates.append((seed, by, group, int(mine.sum()), percent(right[mine]),
                              percent(either[mine]), percent((result.family == "fcc")[mine]),
                              percent(result.is_known[mine])))  # fmt: skip
            called = result.space_group == 221
            inside = percent((sample.truth == 221)[called])
            rates.append((seed, by, "221 called", int(called.sum()), inside, "", "", ""))
    groups = [str(g) for g in model.space_groups]
    show(f"Ni with Ni3Al, 6900 patterns, noise {options.noise}", tallies,
         ("seed", "by", *groups, "of these not separable", "unknown"))  # fmt: skip
    show("Against the truth", rates,
         ("seed", "by", "truth", "n", "right %", "or n.s. %", "fcc %", "known %"))  # fmt: skip


if __name__ == "__main__":
    main()
