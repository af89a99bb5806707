"""Filters for orientations, noise passed against signal passed.

    python benchmarks/gnd_denoise.py [--seeds 2] [--first 0]
    python benchmarks/gnd_denoise.py --told [--seeds 2] [--first 0]

Simulated structures as in `gnd_truth` with independent errors, whose curvature is 0.5, 1 and 2
times the lattice's. Of the curvature after a filter, `signal` is the part of the lattice's own
that is left (regression), `noise` the rest over the curvature of the errors before. Each filter
is a row for each strength; the last columns compare at equal noise: what of the signal a filter
passes where it lets 0.4 and 0.3 of the noise through.

With --told: what the package tells of its own filter (a known signal added to the map and
recovered, see `DenoiseLoss`) against what the filter does to the lattice's curvature of that map.

The filters work on rotation vectors in one grain: the package's (plane fit with Tukey's biweight);
a smoothing spline (bending energy; linear, by cosine transform); total variation of first and of
second order, and their infimal convolution (Hielscher, Silbermann, Schmidt, Ihlemann: J. Appl.
Cryst. 52 (2019) 984, doi 10.1107/S1600576719009075; Seret et al. 2019), each by half-quadratic
minimisation, i.e. weighted least squares again and again.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.fft import dctn, idctn
from scipy.sparse import bmat, diags, eye, kron, spmatrix, vstack
from scipy.sparse.linalg import splu
from scipy.spatial.transform import Rotation

sys.path.insert(0, str(Path(__file__).parent))
from gnd_truth import orientation_errors, scan_of, structures, volumes
from napari_ebsdml.dislocations.gnd.denoise import denoise_orientations
from napari_ebsdml.dislocations.gnd.density import gnd_density

ROUNDS = 8
SIDE = 36
"""Pixels along each edge of the maps that filters are compared on."""
Filter = Callable[[np.ndarray, float], np.ndarray]


def gradients(shape: tuple[int, int]) -> tuple[spmatrix, spmatrix]:
    """First and second differences of a map as matrices."""

    def line(n: int, order: int) -> spmatrix:
        stencil = {1: [-1.0, 1.0], 2: [1.0, -2.0, 1.0]}[order]
        return diags(stencil, range(order + 1), shape=(n - order, n))

    rows, columns = shape
    first = vstack([kron(eye(rows), line(columns, 1)), kron(line(rows, 1), eye(columns))])
    mixed = np.sqrt(2) * kron(line(rows, 1), line(columns, 1))
    second = vstack([kron(eye(rows), line(columns, 2)), kron(line(rows, 2), eye(columns)), mixed])
    return first.tocsr(), second.tocsr()


def reweighted(parts: list[tuple[spmatrix, float]], f: np.ndarray, scale: float) -> np.ndarray:
    """Min |f - sum u_i|^2 / 2 + sum strength_i |D_i u_i|, by weighted least squares; their sum."""
    n = f[..., 0].size
    data = f.reshape(n, 3)
    pieces = np.zeros((len(parts), n, 3))
    pieces[0] = data
    small = 0.1 * scale
    for _ in range(ROUNDS):
        blocks = []
        for i, (matrix, strength) in enumerate(parts):
            size = np.sqrt(((matrix @ pieces[i]) ** 2).sum(axis=1) + small**2)
            inner = matrix.T @ diags(strength / size) @ matrix
            blocks.append([inner + eye(n) if i == j else eye(n) for j in range(len(parts))])
        solve = splu((bmat(blocks) + 1e-9 * eye(n * len(parts))).tocsc())
        pieces = solve.solve(np.tile(data, (len(parts), 1))).reshape(len(parts), n, 3)
    return pieces.sum(axis=0).reshape(f.shape)


def filters(shape: tuple[int, int]) -> dict[str, list[tuple[str, Filter]]]:
    """Family -> (strength, filter of rotation vectors and sigma in radians)."""
    first, second = gradients(shape)
    bending = sum(
        np.square(2 - 2 * np.cos(np.pi * np.arange(n) / n)).reshape(-1, *[1] * (1 - axis))
        for axis, n in enumerate(shape)
    ) + 2 * np.multiply.outer(*(2 - 2 * np.cos(np.pi * np.arange(n) / n) for n in shape))

    def plane(radius: int, passes: int = 1) -> Filter:
        def run(f: np.ndarray, sigma: float) -> np.ndarray:
            q = Rotation.from_rotvec(f.reshape(-1, 3)).as_quat(scalar_first=True)
            out = denoise_orientations(
                q.reshape(*shape, 4), np.ones(shape, int), np.degrees(sigma), radius, passes, "1"
            )
            return (
                Rotation.from_quat(out.reshape(-1, 4), scalar_first=True)
                .as_rotvec()
                .reshape(f.shape)
            )

        return run

    def spline(strength: float) -> Filter:
        return lambda f, _: np.stack(
            [idctn(dctn(f[..., k]) / (1 + strength * bending)) for k in range(3)], axis=-1
        )

    def variation(one: float, two: float) -> Filter:
        chosen = [(first, one)] * (one > 0) + [(second, two)] * (two > 0)
        return lambda f, s: reweighted([(m, v * s) for m, v in chosen], f, s)

    return {
        "nothing": [("", lambda f, _: f)],
        "plane fit (package)": [
            (f"radius {r}, {p}x", plane(r, p))
            for r, p in ((1, 1), (1, 2), (1, 3), (1, 4), (2, 1), (3, 1))
        ],
        "smoothing spline": [(f"{v:g}", spline(v)) for v in (0.05, 0.2, 0.7, 2.0, 8.0)],
        "TV, first order": [(f"{v:g}", variation(v, 0)) for v in (0.3, 0.8, 2.0)],
        "TV, second order": [(f"{v:g}", variation(0, v)) for v in (0.2, 0.6, 1.5)],
        "infimal convolution": [
            (f"{a:g}, {b:g}", variation(a, b)) for a, b in ((0.4, 0.3), (1.2, 0.8), (3.0, 2.0))
        ],
    }


def curvature(f: np.ndarray) -> np.ndarray:
    """Gradients of rotation vectors over 3 x 3 points, inside the margin."""
    x = (f[:, 2:] - f[:, :-2])[:, :, None] / 2
    y = (f[2:] - f[:-2])[:, :, None] / 2
    x = (x[2:] + x[1:-1] + x[:-2]) / 3
    y = (y[:, 2:] + y[:, 1:-1] + y[:, :-2]) / 3
    return np.concatenate((x, y), axis=2)


def told(seeds: range) -> None:
    """What of the curvature is left: as the package tells it, and in truth."""
    rows: dict[str, list[tuple[float, float]]] = {}
    for seed in seeds:
        for base, maps in (structures(seed), volumes(seed)):
            for name, turns in maps.items():
                clean = gnd_density(scan_of(turns, base), keep_per_system=False)
                true = clean.curvature[..., :2]
                gain = 6 * (clean.curvature_gain**2).mean()
                alone = np.degrees(np.sqrt((true**2).sum((-1, -2)).mean() / gain))
                for part in (0.5, 1.0, 2.0):
                    random = np.random.default_rng(100 * seed + int(10 * part))
                    errors = orientation_errors(turns.shape[:2], part * alone, random)
                    both = Rotation.from_rotvec(errors.reshape(-1, 3)) * Rotation.from_rotvec(
                        turns.reshape(-1, 3)
                    )
                    scan = scan_of(both.as_rotvec().reshape(turns.shape), base)
                    found = gnd_density(scan, denoise=True, keep_per_system=False)
                    left = float((found.curvature[..., :2] * true).sum() / (true**2).sum())
                    rows.setdefault(name, []).append((found.denoising[0].signal, left))
    print("class             told  true  told - true: mean, rms")
    every = np.array([pair for pairs in rows.values() for pair in pairs])
    for name, pairs in [*rows.items(), ("all", every)]:
        some = np.array(pairs)
        off = some[:, 0] - some[:, 1]
        print(f"{name:16s} {some[:, 0].mean():5.2f} {some[:, 1].mean():5.2f}  {off.mean():+.2f} "
              f"{np.sqrt((off**2).mean()):.2f}   n = {len(some)}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--families", default="", help="Only those whose names begin so.")
    parser.add_argument("--told", action="store_true")
    arguments = parser.parse_args()
    if arguments.told:
        told(range(arguments.first, arguments.first + arguments.seeds))
        return
    found: dict[tuple[float, str, str], list[tuple[float, float]]] = {}
    for seed in range(arguments.first, arguments.first + arguments.seeds):
        maps = structures(seed, (SIDE, SIDE))[1]
        maps |= {name: turns[:SIDE, :SIDE] for name, turns in volumes(seed)[1].items()}
        maps = {n: t for n, t in maps.items() if n in CLASSES}
        for turns in maps.values():
            turns = turns - turns.mean(axis=(0, 1))
            true = curvature(turns)
            for part in (0.5, 1.0, 2.0):
                random = np.random.default_rng(100 * seed + int(10 * part))
                errors = orientation_errors(turns.shape[:2], 1.0, random)
                ratio = np.sqrt((true**2).mean() / (curvature(errors) ** 2).mean())
                errors *= part * ratio
                before = np.sqrt((curvature(errors) ** 2).mean())
                sigma = float(errors.std())
                for family, members in filters(turns.shape[:2]).items():
                    if not family.startswith(arguments.families):
                        continue
                    for strength, function in members:
                        after = curvature(function(turns + errors, sigma))
                        signal = float((after * true).sum() / (true**2).sum())
                        rest = float(np.sqrt(((after - signal * true) ** 2).mean())) / before
                        found.setdefault((part, family, strength), []).append((signal, rest))
    for part in (0.5, 1.0, 2.0):
        print(f"noise {part} times the lattice's curvature          signal  noise")
        rows = {k[1:]: np.mean(v, axis=0) for k, v in found.items() if k[0] == part}
        for (family, strength), (signal, rest) in rows.items():
            print(f"  {family:22s} {strength:14s} {signal:10.2f} {rest:6.2f}")
        for family in dict.fromkeys(name for name, _ in rows):
            curve = np.array([v for (name, _), v in rows.items() if name == family] + [(1.0, 1.0)])
            curve = curve[np.argsort(curve[:, 1])]
            at = [float(np.interp(level, curve[:, 1], curve[:, 0], left=np.nan))
                  for level in (0.4, 0.3)]  # fmt: skip
            print(f"  {family:22s} signal at noise 0.4: {at[0]:.2f}, at 0.3: {at[1]:.2f}")
    print(f"n = {len(next(iter(found.values())))} maps each")


CLASSES = ("cells", "smooth", "lines 3", "3-D loops", "3-D cells", "3-D walls", "3-D boundaries")

if __name__ == "__main__":
    main()
