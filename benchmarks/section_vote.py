"""What it gains to vote in grains through all sections of a stack, not in each section alone.

    python benchmarks/section_vote.py [--seeds 10] [--first 0] [--sections 6]

Grains of a random Voronoi structure in space, a third of them martensite, cut by parallel sections
0.5 um apart: 100 x 120 pixels of 0.25 um, grains of 5 um. What a section shows of pattern quality
(BC) differs from section to section of one grain (polishing) by as much as the two classes' means
do. Strokes are in the middle section alone; the linear discriminant on BC and its mean over the
grain labels all sections. Grains are connected through the sections as `ebsdml volume` does.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy.spatial import cKDTree

import napari_ebsdml as ebsdml
from napari_ebsdml import samples
from napari_ebsdml.maps import connect_grains
from napari_ebsdml.segmentation import Segmenter, vote_in_volume
from segmentation_strokes import paint

SHAPE, STEP, SPACING, SIZE = (100, 120), 0.25, 0.5, 5.0


def stack(seed: int, sections: int) -> tuple[list[ebsdml.Scan], np.ndarray]:
    """Scans, and the true classes (sections, rows, columns), 1 and 2."""
    rng = np.random.default_rng(seed)
    phases = samples.martensite((8, 8)).scan.phases
    extent = np.array([sections * SPACING, SHAPE[0] * STEP, SHAPE[1] * STEP])
    low, high = -SIZE * np.ones(3), extent + SIZE
    points = rng.uniform(low, high, (int(np.prod(high - low) / SIZE**3), 3))
    quaternions = rng.normal(size=(len(points), 4))
    quaternions /= np.linalg.norm(quaternions, axis=1, keepdims=True)
    kind = np.where(rng.random(len(points)) < 0.33, 2, 1)
    tree = cKDTree(points)
    scans, truth = [], []
    y, x = np.indices(SHAPE) * STEP
    for number in range(sections):
        place = np.stack([np.full(SHAPE, number * SPACING), y, x], axis=-1)
        grain = tree.query(place)[1]
        polish = rng.normal(0, 20, len(points))
        quality = np.where(kind == 2, 120.0, 150.0) + polish
        bc = quality[grain] + rng.normal(0, 10, SHAPE)
        scans.append(
            ebsdml.Scan(
                quaternions=quaternions[grain], phase_id=np.ones(SHAPE, np.int32), phases=phases,
                step=(STEP, STEP), prop={"BC": bc.clip(0, 255)},
            )
        )  # fmt: skip
        truth.append(kind[grain])
    return scans, np.array(truth)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--sections", type=int, default=6)
    args = parser.parse_args()
    rows = []
    for seed in range(args.first, args.first + args.seeds):
        scans, truth = stack(seed, args.sections)
        middle = args.sections // 2
        labels = paint(truth[middle].astype(np.uint8), 10, 0.03, seed)
        model = Segmenter.train([(scans[middle], labels)], ("BC", "BC@grain"), epochs=0)
        alone = [model.predict(scan, warn=False) for scan in scans]
        each = [one.grain_vote(scan) for one, scan in zip(alone, scans, strict=True)]
        together = vote_in_volume(alone, connect_grains(scans))
        rows.append(
            [
                np.mean(
                    [(one.labels == true).mean() for one, true in zip(found, truth, strict=True)]
                )
                for found in (alone, each, together)
            ]
        )
    table = 100 * np.array(rows)
    print(f"{args.sections} sections, seeds {args.first}-{seed}; per cent of the pixels right\n")
    print("| answer | mean | worst seed |\n|---|---|---|")
    names = ("pixel by pixel", "vote in each section", "vote through the sections")
    for name, values in zip(names, table.T, strict=True):
        print(f"| {name} | {values.mean():.1f} | {values.min():.1f} |")


if __name__ == "__main__":
    main()
