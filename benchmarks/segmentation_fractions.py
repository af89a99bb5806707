"""Which estimate of a phase fraction errs least, from strokes on one synthetic steel.

    python benchmarks/segmentation_fractions.py [--seeds 20] [--first 0] [--maps 120 121 122 ...]

Ten strokes a class on 0.5 % of a T2 map of 300 x 400 (as in segmentation_learning.py), the linear
discriminant; other maps are segmented, T1, T2, T3 in turns. Estimates: the labels counted; the
same after the grain vote; the mean probability; the count adjusted by the recall on grains that
were held out (W. J. Rogan, B. Gladen, Am. J. Epidemiol. 107 (1978) 71,
doi:10.1093/oxfordjournals.aje.a112510); the prior that the map itself asks for (M. Saerens et al.,
Neural Comput. 14 (2002) 21, doi:10.1162/089976602753284446); and the count above Otsu's threshold
of the logits of the map.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy.special import expit, logit
from skimage.filters import threshold_otsu

from napari_ebsdml.samples import VARIANTS, dual_phase_steel
from napari_ebsdml.segmentation import SegmentationResult, Segmenter, default_channels
from segmentation_strokes import paint

SHAPE = (300, 400)


def estimates(model: Segmenter, result: SegmentationResult, voted: SegmentationResult) -> dict:
    """Fraction of the second class, by each way."""
    chance = np.clip(result.probability[..., 1].ravel().astype(float), 1e-7, 1 - 1e-7)
    logits = logit(chance)
    count = float((result.labels == 2).mean())
    out = {
        "labels counted": count,
        "counted after the vote": float((voted.labels == 2).mean()),
        "mean probability": float(chance.mean()),
    }
    false, true = 1 - model.metrics["recall"][0], model.metrics["recall"][1]
    out["adjusted by held-out recall"] = float(np.clip((count - false) / (true - false), 0, 1))
    prior = 0.5
    for _ in range(100):
        prior = float(np.clip(expit(logits + logit(prior)).mean(), 1e-6, 1 - 1e-6))
    out["prior of the map (Saerens)"] = prior
    out["above Otsu's threshold"] = float((logits > threshold_otsu(logits)).mean())
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--maps", type=int, nargs="+", default=list(range(120, 126)))
    args = parser.parse_args()
    kinds = list(VARIANTS.values())
    others = [dual_phase_steel(SHAPE, kinds[n % 3], seed=n) for n in args.maps]
    errors: dict[str, list[float]] = {}
    for seed in range(args.first, args.first + args.seeds):
        sample = dual_phase_steel(SHAPE, VARIANTS["T2"], seed=seed)
        labels = paint(sample.truth, 10, 0.005, seed)
        items = [(sample.scan, labels)]
        model = Segmenter.train(items, default_channels(sample.scan), seed=seed, epochs=0)
        for other in others:
            result = model.predict(other.scan, warn=False)
            true = float((other.truth == 2).mean())
            found = estimates(model, result, result.grain_vote(other.scan))
            for name, value in found.items():
                errors.setdefault(name, []).append(100 * (value - true))
    print(f"seeds {args.first}-{seed}, maps {args.maps}\n")
    print("| estimate | mean size of the error, points | mean error | worst |")
    print("|---|---|---|---|")
    for name, values in errors.items():
        e = np.array(values)
        print(f"| {name} | {np.abs(e).mean():.2f} | {e.mean():+.2f} | {np.abs(e).max():.1f} |")


if __name__ == "__main__":
    main()
