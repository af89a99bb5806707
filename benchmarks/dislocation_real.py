"""Total dislocation density where no truth is known: measured maps, empty maps, the article.

    python benchmarks/dislocation_real.py article
    python benchmarks/dislocation_real.py checks [--maps 48]
    python benchmarks/dislocation_real.py maps FILE ... --output FOLDER [--thickness 0.02 0.1 ...]

article   The increments of flow stress of the article's Figure 6 from the densities in its Table 2,
          beside the model with one constant, density = c x GND.
checks    On simulated maps: which part is in range when the scale is right or wrong by 2, and how
          often the interval holds the truth, both with noise in the GND; the answer to no GND.
maps      On measured maps: which part is in range, at which plane thickness; the mean; what the
          divergence criteria select. Draws the maps at the first thickness into FOLDER.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import maximum_filter
from scipy.optimize import minimize_scalar

import napari_ebsdml as ebsdml
from napari_ebsdml.dislocations.article.divergence import divergence_free
from napari_ebsdml.dislocations.taylor import stress_increment
from napari_ebsdml.learning.device import threads

GND = {"1, 4 %": 1.81e14, "1, 10 %": 2.85e14, "2, 1 %": 1.50e14, "2, 6 %": 2.48e14,
       "2, 10 %": 2.98e14}  # fmt: skip
"""Table 2 of the article, 1/m^2: sum over slip systems of |GND|, by sample and strain."""
NETWORK = {"1, 4 %": 9.28e14, "1, 10 %": 1.16e15, "2, 1 %": 8.80e14, "2, 6 %": 1.17e15,
           "2, 10 %": 1.26e15}  # fmt: skip
"""Table 2 of the article, 1/m^2: total density by its network."""
STRESS = {"1, 4 %": 603.6, "1, 10 %": 652.2, "2, 1 %": 526.8, "2, 6 %": 605.4, "2, 10 %": 635.5}
"""Table 2 of the article, MPa: measured flow stress."""
INCREMENTS = (("1, 4 %", "1, 10 %"), ("2, 1 %", "2, 6 %"), ("2, 1 %", "2, 10 %"))
"""Increments of the article's Figure 6."""
EMPTY = 1e9
"""A window whose |GND| is nowhere larger (1/m^2) holds none."""

Row = tuple[Any, ...]


def table(head: tuple[str, ...], rows: list[Row]) -> None:
    """Print a Markdown table."""
    print("| " + " | ".join(head) + " |\n" + "|---" * len(head) + "|")
    for row in rows:
        print("| " + " | ".join(v if isinstance(v, str) else f"{v:.3g}" for v in row) + " |")
    print(flush=True)


def rises(density: dict[str, float], factor: float = 1.0) -> np.ndarray:
    """Increments of flow stress in MPa by Taylor's formula."""
    return np.array(
        [stress_increment(factor * density[a], factor * density[b]) for a, b in INCREMENTS]
    )


def article() -> None:
    measured = np.array([STRESS[b] - STRESS[a] for a, b in INCREMENTS])

    def error(found: np.ndarray) -> float:
        return float(np.sqrt(np.mean(np.square(found - measured))))

    def fitted(which: list[int]) -> float:
        # The increments go with the root of the constant: least squares has a closed form.
        base = rises(GND)[which]
        return float((base @ measured[which] / (base @ base)) ** 2)

    best = fitted([0, 1, 2])
    check = minimize_scalar(lambda c: error(rises(GND, c)), bounds=(0.5, 8), method="bounded").x
    assert abs(check - best) < 1e-3, (check, best)
    first, second = fitted([0]), fitted([1, 2])
    head = ("estimate of the total density", *(f"{a} to {b}" for a, b in INCREMENTS), "RMS error")
    rows: list[Row] = [("measured", *measured, "")]
    for name, found in (
        ("GND", rises(GND)),
        ("the article's network", rises(NETWORK)),
        (f"{best:.2f} x GND, fitted to all three", rises(GND, best)),
        (f"{first:.2f} x GND, fitted to sample 1", rises(GND, first)),
        (f"{second:.2f} x GND, fitted to sample 2", rises(GND, second)),
    ):
        rows.append((name, *found, error(found)))
    table(head, rows)
    ratios = [NETWORK[key] / GND[key] for key in GND]
    print(
        f"Network / GND: {min(ratios):.2f} to {max(ratios):.2f}, falling with strain. Its five "
        f"densities lie between {min(NETWORK.values()):.2g} and {max(NETWORK.values()):.2g} 1/m^2."
    )


def checks(maps: int) -> None:
    from napari_ebsdml.dislocations.article.lines import simulate_maps
    from napari_ebsdml.dislocations.article.lines_presets import line_rules
    from napari_ebsdml.dislocations.article.predict import predict_planes

    unit = 1e12  # step and plane thickness of 1 um
    inner = (slice(None), slice(3, -3), slice(3, -3))
    empty = predict_planes(np.zeros((1, 40, 40, 2)), 1.0, 1.0, symmetric=False)
    print(f"No GND: mean {empty.mean.max():g}, interval {empty.interval.max():g}, "
          f"in range {100 * empty.in_range.mean():.0f} %.\n")  # fmt: skip
    ranges: list[Row] = []
    covers: list[Row] = []
    for lines in ((5, 19), (1, 6)):
        clean = simulate_maps(maps, line_rules("exact").replace(lines=lines), seed=90_210)
        true, count = clean.total[inner] * unit, clean.count[inner]
        for noise in (0.0, 0.02, 0.05, 0.1, 0.2):
            random = np.random.default_rng(0).standard_normal(clean.gnd.shape)
            gnd = (clean.gnd + noise * random) * unit
            label = (f"{lines[0]} to {lines[1] - 1}", f"{100 * noise:.0f}")
            found_right = []
            parts = []
            for told in (False, True) if noise else (False,):
                for factor in (0.5, 1.0, 2.0):
                    out = predict_planes(
                        gnd * factor, 1.0, 1.0, symmetric=False,
                        noise=noise * unit * factor if told else None,
                    )  # fmt: skip
                    size = out.magnitude[inner]
                    parts.append(100 * float(size[out.in_range[inner]].sum() / size.sum()))
                    if factor == 1.0:
                        found_right.append(out)
            ranges.append((*label, *(parts if noise else 2 * parts)))
            cells = []
            for found in found_right if noise else 2 * found_right:
                low, high = np.moveaxis(found.interval[inner], -1, 0)
                inside = (low <= true * 1.0001) & (true <= high * 1.0001)
                groups = [inside[count == n].mean() for n in range(1, 6) if (count == n).any()]
                cells += [100 * inside.mean(), 100 * float(np.mean(groups)),
                          found.mean[inner].mean(dtype=float) / true.mean()]  # fmt: skip
            covers.append((*label, *cells))
    head = ("lines in a map", "noise, % of one line")
    print("Part of the GND in range, %, noise not told | told")
    scales = ("scale x 0.5", "right", "x 2")
    table((*head, *scales, *scales), ranges)
    print(
        "Truth within the 90 % interval, %: all pixels, mean of N = 1..5; mean / true mean; "
        "noise not told | told"
    )
    columns = ("all", "N = 1..5", "mean / true")
    table((*head, *columns, *columns), covers)


def maps(files: list[Path], folder: Path, thicknesses: list[float], denoise: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        scan = ebsdml.read(file)
        gnd = ebsdml.gnd_density(scan, denoise=denoise)
        print(f"## {scan.name}\n{gnd!r}\n{gnd.noise_sentence}\n")
        rows: list[Row] = []
        for number, thickness in enumerate(thicknesses):
            total = ebsdml.article_density(gnd, plane_thickness=thickness)
            valid = total.valid
            size = np.nan_to_num(total.planes.magnitude)[:, valid]
            judged = (size * total.planes.in_range[:, valid]).sum() / size.sum()
            loud = valid & total.above_noise
            typical = size[size > EMPTY]
            rows.append(
                (1000 * thickness, total.planes.unit, np.median(typical) / total.planes.unit,
                 100 * judged, 100 * total.in_range[valid].mean(),
                 100 * total.in_range[loud].mean(), total.gnd[valid].mean(dtype=float),
                 total.mean[valid].mean(dtype=float))
            )  # fmt: skip
            if number == 0:
                draw(total, scan, folder / f"{scan.name}-{1000 * thickness:.0f}nm.png")
                criteria(total)
        table(
            ("plane thickness, nm", "one line, 1/m^2", "median plane, lines", "GND in range, %",
             "valid pixels in range, %", "those above noise, %", "mean GND, 1/m^2",
             "mean total, 1/m^2"),
            rows,
        )  # fmt: skip


def criteria(total: Any) -> None:
    """What the divergence criteria select, and how much of it is empty."""
    field = total.systems.gnd
    size = np.nan_to_num(np.hypot(field[..., 0], field[..., 1]))
    largest = maximum_filter(size, (1, 7, 7))
    rows: list[Row] = []
    for criterion in ("paper", "relative"):
        chosen = divergence_free(field, total.step, 7, criterion) & total.valid
        n = int(chosen.sum())
        some = largest[chosen]
        empty = 100 * float((some < EMPTY).mean()) if n else float("nan")
        faint = 100 * float((some < 0.05 * total.planes.unit).mean()) if n else float("nan")
        value, number = total.article_average(criterion)
        rows.append((criterion, f"{n}", 100 * n / (total.valid.sum() * len(field)), empty, faint,
                     f"{number}", value))  # fmt: skip
    table(("criterion", "windows", "of all, %", "empty, %", "no 1/20 of a line, %", "averaged",
           "their mean, 1/m^2"), rows)  # fmt: skip


def draw(total: Any, scan: Any, path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = total.interval[..., 1] / total.interval[..., 0]
        panels = (
            ("log10 GND", np.log10(total.gnd), (12, 16)),
            ("log10 mean", np.log10(total.mean), (12, 16)),
            ("log10 median", np.log10(total.median), (12, 16)),
            ("N", np.where(total.n_lines < 0, np.nan, total.n_lines), (0, 12)),
            ("interval, high / low", np.where(np.isfinite(ratio), ratio, np.nan), (1, 10)),
            ("in range", total.in_range.astype(float), (0, 1)),
            ("valid", total.valid.astype(float), (0, 1)),
            ("above noise", total.above_noise.astype(float), (0, 1)),
        )
    figure, axes = plt.subplots(2, 4, figsize=(20, 12), layout="constrained")
    for axis, (title, image, limits) in zip(axes.flat, panels, strict=True):
        shown = axis.imshow(image, vmin=limits[0], vmax=limits[1], interpolation="nearest")
        axis.set_title(title)
        figure.colorbar(shown, ax=axis, shrink=0.7)
    figure.suptitle(f"{scan.name}, plane thickness {1000 * total.plane_thickness:g} nm")
    figure.savefig(path, dpi=60)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("article", "checks", "maps"))
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--output", type=Path, default=Path("dislocation_real"))
    parser.add_argument("--maps", type=int, default=48, help="simulated maps for the checks")
    parser.add_argument("--denoise", action="store_true")
    parser.add_argument(
        "--thickness", type=float, nargs="+", default=[0.02, 0.00025, 0.05, 0.1, 0.2, 0.5, 1.0],
        help="plane thickness in um",
    )  # fmt: skip
    given = parser.parse_args()
    with threads(1):
        if given.what == "article":
            article()
        elif given.what == "checks":
            checks(given.maps)
        elif not given.files:
            parser.error("maps needs at least one FILE")
        else:
            maps(given.files, given.output, given.thickness, given.denoise)


if __name__ == "__main__":
    main()
