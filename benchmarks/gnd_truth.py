"""Noise and mean GND density that are reported against the truth, on simulated maps.

    python benchmarks/gnd_truth.py [--seeds 3]

Bent crystals, smooth fields, cells with walls, and straight dislocation lines on all fcc systems
(0.3 to 3 lines per pixel). Noise is set so that its curvature is 0.5, 1 and 2 times the lattice's
(root mean square), independent or blurred over neighbours. Truth: the same map without noise.

A straight dislocation along the unit vector l turns the lattice at r, its place perpendicular to
the line, by ``-(b_e . r) l / (2 pi r^2) + b_s r / (4 pi r^2)``, b_s = b . l and b_e = b - b_s l
(Hirth and Lothe, Theory of Dislocations, 1982, ch. 3). The factor 1 / r^2 is rounded off at the
radius of the probe. Every map has its rotations without noise, so that whatever is measured on
the noisy map can be held against the same quantity of the map without noise.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from diffpy.structure import Lattice, Structure
from numba import njit
from orix.crystal_map import Phase, PhaseList
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from napari_ebsdml.dislocations.gnd.density import GndDensity, gnd_density
from napari_ebsdml.dislocations.slip_systems import for_lattice
from napari_ebsdml.dislocations.structures.generate import KINDS, random_structure
from napari_ebsdml.dislocations.structures.measurement import Errors, add_errors
from napari_ebsdml.dislocations.structures.sections import section
from napari_ebsdml.scan import Scan

CONJUGATE = np.array([1.0, -1.0, -1.0, -1.0])
LATTICE = 3.6
STEP = 0.2
PROBE = 0.2
"""Radius in steps within which a line's rotation is rounded off."""


def scan_of(turns: np.ndarray, base: Rotation, step: float = STEP) -> Scan:
    """Scan of an fcc crystal whose lattice is turned from `base` by rotation vectors (radians)."""
    q = (Rotation.from_rotvec(turns.reshape(-1, 3)) * base).as_quat(scalar_first=True)
    lattice = Lattice(LATTICE, LATTICE, LATTICE, 90, 90, 90)
    phase = Phase("copper", space_group=225, structure=Structure(lattice=lattice))
    return Scan(
        quaternions=q.reshape(*turns.shape[:2], 4) * CONJUGATE,
        phase_id=np.zeros(turns.shape[:2], dtype=int),
        phases=PhaseList({0: phase}),
        step=(step, step),
    )


@njit(cache=True, nogil=True)
def _add_lines(points, lines, vectors, places, probe, out):  # type: ignore[no-untyped-def]
    for k in range(len(places)):
        l0, l1, l2 = lines[k, 0], lines[k, 1], lines[k, 2]
        screw = vectors[k, 0] * l0 + vectors[k, 1] * l1 + vectors[k, 2] * l2
        e0, e1, e2 = (
            vectors[k, 0] - screw * l0,
            vectors[k, 1] - screw * l1,
            vectors[k, 2] - screw * l2,
        )
        for p in range(len(points)):
            x, y, z = points[p, 0] - places[k, 0], points[p, 1] - places[k, 1], -places[k, 2]
            along = x * l0 + y * l1 + z * l2
            x -= along * l0
            y -= along * l1
            z -= along * l2
            r2 = 1 / (x * x + y * y + z * z + probe * probe)
            edge = -(e0 * x + e1 * y + e2 * z) * r2 / (2 * np.pi)
            turn = screw * r2 / (4 * np.pi)
            out[p, 0] += edge * l0 + turn * x
            out[p, 1] += edge * l1 + turn * y
            out[p, 2] += edge * l2 + turn * z


def line_field(
    shape: tuple[int, int],
    per_pixel: float,
    base: Rotation,
    random: np.random.Generator,
    polarised: float = 0.0,
    separation: float = 8.0,
    walls: bool = False,
) -> np.ndarray:
    """Rotation vectors (radians) of straight lines on all slip systems of an fcc crystal.

    `per_pixel` = density x step^2. Lines come in pairs of opposite sign, on average `separation`
    steps apart, but for the part `polarised` whose lines all have the sign of their system.
    `walls` gathers all lines on planes.
    """
    systems = for_lattice("fcc", LATTICE)
    turn = base.as_matrix()
    directions, burgers = systems.lines @ turn.T, systems.burgers @ turn.T
    rows, columns = shape
    y, x = np.indices(shape)
    points = np.stack((x.ravel() - (columns - 1) / 2, y.ravel() - (rows - 1) / 2), axis=1) * 1.0
    radius = 0.75 * np.hypot(rows, columns)
    number = random.poisson(per_pixel * np.pi * radius**2)
    system = random.integers(len(systems), size=number)
    line = directions[system]
    place = np.sqrt(random.random(number))[:, None] * radius * _across(line, random)
    if walls:
        normals = random.standard_normal((6, 3))
        normals /= np.linalg.norm(normals, axis=1)[:, None]
        offsets = random.uniform(-0.5, 0.5, 6) * max(shape)
        wall = random.integers(6, size=number)
        gap = (place * normals[wall]).sum(1) - offsets[wall]
        tilt = normals[wall] - (normals[wall] * line).sum(1)[:, None] * line
        size = (tilt**2).sum(1)
        spread = random.normal(0, 0.7, number)
        place = np.where(
            (size > 0.05)[:, None], place - ((gap - spread) / size)[:, None] * tilt, place
        )
    signs = np.sign(random.standard_normal(len(systems)))[system]
    free = random.random(number) >= polarised
    signs = np.where(free, np.where(np.arange(number) % 2, 1.0, -1.0), signs)
    # The second of each pair: same system, close to the first.
    first = np.flatnonzero(free)[::2]
    second = np.flatnonzero(free)[1::2]
    first = first[: len(second)]
    shift = random.exponential(separation, len(first))[:, None] * _across(line[first], random)
    line[second], system[second] = line[first], system[first]
    place[second] = place[first] + shift
    signs[first], signs[second] = 1.0, -1.0
    out = np.zeros((len(points), 3))
    vectors = burgers[system] * signs[:, None] * 1e-4 / STEP  # in steps
    _add_lines(points, line, vectors, place, PROBE, out)
    return out.reshape(rows, columns, 3)


def _across(lines: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Random unit vectors perpendicular to unit vectors."""
    vectors = np.cross(lines, random.standard_normal(lines.shape))
    return vectors / np.linalg.norm(vectors, axis=1)[:, None]


def smooth_field(
    shape: tuple[int, int], length: float, size: float, random: np.random.Generator
) -> np.ndarray:
    """Rotation vectors of `size` radians (root mean square per axis) that vary over `length`."""
    margin = int(4 * length)
    wide = random.standard_normal((3, shape[0] + 2 * margin, shape[1] + 2 * margin))
    field = np.stack([gaussian_filter(part, length) for part in wide], axis=-1)
    field = field[margin : margin + shape[0], margin : margin + shape[1]]
    return field * size / field.std()


def cell_field(
    shape: tuple[int, int], cells: int, size: float, random: np.random.Generator
) -> np.ndarray:
    """Rotation vectors of cells, `size` radians per axis, with walls about a pixel thick."""
    centres = random.random((cells, 2)) * np.array(shape)
    pixels = np.moveaxis(np.indices(shape), 0, -1)
    nearest = ((pixels[:, :, None, :] - centres) ** 2).sum(-1).argmin(-1)
    turns = random.standard_normal((cells, 3)) * size
    field = turns[nearest]
    return np.stack(
        [gaussian_filter(field[..., k], 0.5, mode="nearest") for k in range(3)], axis=-1
    )


def orientation_errors(
    shape: tuple[int, int], sigma: float, random: np.random.Generator, blur: float = 0.0
) -> np.ndarray:
    """Rotation vectors in radians; `sigma` degrees about each axis, blurred over `blur` pixels."""
    wide = random.standard_normal((*shape, 3))
    if blur > 0:
        wide = np.stack(
            [gaussian_filter(wide[..., k], blur, mode="wrap") for k in range(3)], axis=-1
        )
        wide /= wide.std()
    return wide * np.radians(sigma)


def structures(seed: int, shape: tuple[int, int] = (64, 64)) -> tuple[Rotation, dict]:
    """Rotation vectors of each class."""
    random = np.random.default_rng(seed)
    base = Rotation.random(rng=random)
    axis = random.standard_normal(3)
    y, x = np.indices(shape)
    slope = np.outer(axis / np.linalg.norm(axis), (1.0, 0.5)) * np.radians(0.03)
    found = {
        "bent": x[..., None] * slope[:, 0] + y[..., None] * slope[:, 1],
        "smooth": smooth_field(shape, 4.0, np.radians(0.3), random),
        "cells": cell_field(shape, 25, np.radians(0.4), random),
        "lines 0.3": line_field(shape, 0.3, base, random, 0.05),
        "lines 3": line_field(shape, 3.0, base, random, 0.05),
        "walls 3": line_field(shape, 3.0, base, random, 0.05, walls=True),
    }
    found["bent + lines"] = found["bent"] + found["lines 3"]
    return base, found


def volumes(seed: int) -> tuple[Rotation, dict]:
    """Rotation vectors on sections of three-dimensional structures, one of each kind.

    0.02 to 3 lines per pixel; the elastic field of every line, by FFT (see
    `napari_ebsdml.dislocations.structures`).
    """
    found = {}
    for number, kind in enumerate(KINDS):
        random = np.random.default_rng([seed, number])
        density = float(np.exp(random.uniform(np.log(0.02), np.log(3.0))))
        field = random_structure(random, 64, [kind], density, "fcc").field
        part = section(field, int(random.integers(3)), int(random.integers(64)))
        y, x = np.indices(part.density.shape)[..., None]
        turns = part.rotation + x * part.slope[:, 0] + y * part.slope[:, 1]
        found[f"3-D {kind}"] = turns * LATTICE / np.sqrt(2) * 1e-4 / STEP
    return Rotation.random(rng=np.random.default_rng(seed)), found


ERRORS = ("independent", "blurred", "shared")


def errors_of(
    kind: str, shape: tuple[int, int], sigma: float, random: np.random.Generator
) -> np.ndarray:
    """Orientation errors: independent, blurred over neighbours, or a fifth of each neighbour's.

    The last is no member of the family of correlations that the product fits.
    """
    if kind == "shared":
        wide = add_errors(np.zeros((*shape, 3)), Errors(1.0, 0.2), random)
        return wide * np.radians(sigma)
    return orientation_errors(shape, sigma, random, 0.5 if kind == "blurred" else 0.0)


@dataclass(frozen=True)
class Case:
    """A noisy map, and what is true of it."""

    name: str
    errors: str
    part: float
    true: float
    sigma: float
    gnd: GndDensity


def cases(seeds: Iterable[int], maps: str) -> Iterator[Case]:
    """Noisy maps: noise 0.5, 1 and 2 times the lattice's curvature, errors of each kind."""
    for seed in seeds:
        base, found = structures(seed) if maps == "fields" else volumes(seed)
        for name, turns in found.items():
            clean = gnd_density(scan_of(turns, base), keep_per_system=False)
            true = float(clean.total.mean())
            square = (clean.curvature[..., :2] ** 2).sum((-1, -2)).mean()
            alone = np.degrees(np.sqrt(square / (6 * (clean.curvature_gain**2).mean())))
            for part in (0.5, 1.0, 2.0):
                for kind in ERRORS:
                    random = np.random.default_rng(100 * seed + int(10 * part))
                    sigma = part * alone
                    errors = errors_of(kind, turns.shape[:2], sigma, random)
                    both = Rotation.from_rotvec(errors.reshape(-1, 3)) * Rotation.from_rotvec(
                        turns.reshape(-1, 3)
                    )
                    scan = scan_of(both.as_rotvec().reshape(turns.shape), base)
                    gnd = gnd_density(scan, keep_per_system=False)
                    yield Case(name, kind, part, true, sigma, gnd)


FIELDS = (
    "raw", "corrected", "holds", "upper", "width", "sigma", "sigma holds", "correlation", "bound",
)  # fmt: skip


def measured(case: Case) -> tuple[float, ...]:
    """What `FIELDS` names, of one map; densities and sigma over the true ones."""
    noise, mean = case.gnd.noise[0], case.gnd.average()
    assert noise.fit is not None
    low, high = np.degrees(np.sqrt(noise.fit.interval()))
    true, sigma = case.true, case.sigma
    return (
        mean.raw_mean / true, float(mean) / true, mean.interval[0] <= true <= mean.interval[1],
        mean.interval[1] / true, (mean.interval[1] - mean.interval[0]) / true, noise.rms / sigma,
        low <= 1.01 * sigma and high >= 0.99 * sigma, noise.correlation, mean.is_bound,
    )  # fmt: skip


def report(rows: dict[tuple[str, str, float], list[tuple[float, ...]]]) -> None:
    """Tables by class, and by the kind of errors and size of the noise."""
    print("means over seeds, but for the median of corrected/true; everything over the true value")
    print(
        "class            errors      noise |  raw corrected within 20%  holds  upper width | "
        "sigma  holds  correlation"
    )
    names = sorted({name for name, *_ in rows})
    groups = [(name, kind, None) for name in names for kind in ERRORS]
    groups += [("all", kind, part) for kind in ERRORS for part in (0.5, 1.0, 2.0)]
    groups += [("all", kind, None) for kind in ERRORS]
    for name, kind, part in groups:
        some = np.array(
            [
                value
                for (n, k, p), values in rows.items()
                for value in values
                if name in (n, "all") and k == kind and part in (p, None)
            ],
            float,
        )
        m = dict(zip(FIELDS, some.mean(axis=0), strict=True))
        off = some[:, 1] - 1
        print(
            f"{name:16s} {kind:11s} {part or 'all':>5} | {m['raw']:4.2f} {np.median(off) + 1:9.2f} "
            f"{np.mean(np.abs(off) < 0.2):10.2f} {m['holds']:6.2f} {m['upper']:6.2f} "
            f"{m['width']:5.2f} | {m['sigma']:5.2f} {m['sigma holds']:6.2f} {m['correlation']:8.2f}"
            f"   n = {len(some)}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="How many.")
    parser.add_argument("--first", type=int, default=0, help="First seed.")
    parser.add_argument("--maps", choices=("fields", "volumes"), default="fields")
    arguments = parser.parse_args()
    rows: dict[tuple[str, str, float], list[tuple[float, ...]]] = {}
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    for case in cases(seeds, arguments.maps):
        rows.setdefault((case.name, case.errors, case.part), []).append(measured(case))
    report(rows)


if __name__ == "__main__":
    main()
