"""GND density of measured maps: unchanged by a change of the code, rows of hexagonal maps, steps.

    python benchmarks/gnd_maps.py save FILE ... --to before.npz
    python benchmarks/gnd_maps.py compare FILE ... --with before.npz
    python benchmarks/gnd_maps.py rows cu_hexgrid.ang
    python benchmarks/gnd_maps.py steps FILE ... [--to steps.png]

`save` and `compare` take curvature and line energy with two versions of the code (PYTHONPATH).
`rows` prints the power of the row averages at the period of skipped rows, over the mean power:
on the square pixels, and on the measured points. `steps` prints mean and slope against the step,
with the noise, and what the grain threshold does.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import numpy as np

import napari_ebsdml as ebsdml


def arrays(files: list[str]) -> dict[str, np.ndarray]:
    """Curvature in 1/um and energy in 1/m^2 of each map."""
    found = {}
    for path in files:
        gnd = ebsdml.gnd_density(ebsdml.read(path), keep_per_system=False)
        found[f"{Path(path).name} curvature"] = gnd.curvature
        found[f"{Path(path).name} energy"] = gnd.energy
    return found


def compare(files: list[str], before: str) -> None:
    """Largest differences from another version's."""
    with np.load(before) as old:
        for name, new in arrays(files).items():
            was = old[name]
            gaps = int((np.isnan(was) != np.isnan(new)).sum())
            size = np.nanmax(np.abs(was))
            print(f"{name:45s} {new.shape} NaN differ {gaps}, largest difference over the "
                  f"largest value {np.nanmax(np.abs(was - new)) / size:.1e}")  # fmt: skip


def rows(path: str) -> None:
    """Power of the row averages at the period of skipped rows."""
    scan = ebsdml.read(path)
    points = scan.source.hexagonal
    assert points is not None, "no hexagonal map"
    # A row of pixels is skipped where rows of points, sqrt(3) / 2 steps apart, fall behind.
    period = 1 / (1 / min(points.step) * scan.step[0] - 1)
    plain = dataclasses.replace(scan, source=dataclasses.replace(scan.source, hexagonal=None))
    print(f"{scan.name}: rows skipped every {abs(period):.2f}")
    for name, one in (("square pixels", plain), ("measured points", scan)):
        total = ebsdml.gnd_density(one, keep_per_system=False).total
        known = np.isfinite(total)
        logs = np.where(known, np.log10(np.maximum(total, 1e12)), 0).sum(axis=1)
        some = known.mean(axis=1) > 0.5
        at = np.arange(len(some))
        means = np.interp(at, at[some], (logs / known.sum(axis=1).clip(1))[some])
        power = np.abs(np.fft.rfft((means - means.mean()) * np.hanning(len(means)))) ** 2
        periods = len(means) / np.maximum(np.arange(power.size), 1e-9)
        near = np.abs(periods - abs(period)) < 0.3
        short = periods < 20
        strongest = periods[short][power[short].argmax()]
        print(
            f"  {name:16s} power at this period {power[near].max() / power[short].mean():5.1f} "
            f"times the mean of periods below 20 rows, the strongest of which is {strongest:.2f}"
        )


def steps(files: list[str], to: str | None) -> None:
    """Mean density against step, and what the threshold does."""
    found = []
    for path in files:
        gnd = ebsdml.gnd_density(ebsdml.read(path), keep_per_system=False)
        one = gnd.step_dependence()
        found.append((gnd.scan.name, one))
        print(f"{gnd.scan.name}: {one.sentence}")
        for step, mean, noise in zip(one.steps, one.averages, one.noise, strict=True):
            low, high = mean.interval
            print(f"  {step:6.3g} um: {mean.density:.2e} ({low:.1e} to {high:.1e}), with noise "
                  f"{mean.raw_mean:.2e}, noise alone {noise:.1e}")  # fmt: skip
        print(f"  {gnd.threshold_dependence().sentence}")
    if to is not None:
        import matplotlib.pyplot as plt

        figure, every = plt.subplots(1, len(found), figsize=(4 * len(found), 3.2), squeeze=False)
        for axes, (name, one) in zip(every[0], found, strict=True):
            mean = np.array([a.density for a in one.averages])
            low, high = np.array([a.interval for a in one.averages]).T
            axes.errorbar(one.steps, mean, (mean - low, high - mean), fmt="o", label="mean")
            axes.plot(one.steps, [a.raw_mean for a in one.averages], "s--", label="with noise")
            axes.plot(one.steps, one.noise, ":", label="noise alone")
            axes.set(xscale="log", yscale="log", xlabel="step [µm]", ylabel="GND [1/m²]",
                     title=f"{name}, slope {one.slope:.2f}")  # fmt: skip
            axes.legend()
        figure.tight_layout()
        figure.savefig(to, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("save", "compare", "rows", "steps"))
    parser.add_argument("files", nargs="+")
    parser.add_argument("--to")
    parser.add_argument("--with", dest="before")
    given = parser.parse_args()
    if given.what == "save":
        np.savez(given.to, **arrays(given.files))
    elif given.what == "compare":
        compare(given.files, given.before)
    elif given.what == "rows":
        rows(given.files[0])
    else:
        steps(given.files, given.to)


if __name__ == "__main__":
    main()
