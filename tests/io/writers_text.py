"""Text maps as vendors write them, made without the package's own writers."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

PHASES = {
    1: ("Ferrite", "43", (2.87, 2.87, 2.87, 90, 90, 90), 11, 229),
    2: ("Titanium", "62", (2.95, 2.95, 4.68, 90, 90, 120), 9, 194),
}


@dataclass
class Points:
    """A made-up map, x fastest."""

    shape: tuple[int, int]
    step: tuple[float, float]
    euler: np.ndarray
    phase: np.ndarray
    quality: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def x(self) -> np.ndarray:
        return np.tile(np.arange(self.shape[1]) * self.step[1], self.shape[0])

    @property
    def y(self) -> np.ndarray:
        return np.repeat(np.arange(self.shape[0]) * self.step[0], self.shape[1])


def make_points(
    shape: tuple[int, int] = (4, 6),
    step: tuple[float, float] = (0.5, 0.25),
    n_phases: int = 1,
    seed: int = 0,
    not_indexed: float = 0.2,
) -> Points:
    """Random orientations with 5 decimals (radians), phase 0 where not indexed."""
    rng = np.random.default_rng(seed)
    n = shape[0] * shape[1]
    euler = np.round(rng.uniform(0, (2 * np.pi, np.pi, 2 * np.pi), (n, 3)), 5)
    phase = rng.integers(1, n_phases + 1, n)
    phase[rng.random(n) < not_indexed] = 0
    if not phase.any():
        phase[0] = 1
    quality = {
        "IQ": np.round(rng.uniform(10, 9e5, n), 1),
        "CI": np.round(rng.uniform(0, 1, n), 3),
        "SEM": rng.integers(-1000, 1000, n),
        "fit": np.round(rng.uniform(0, 3, n), 3),
        "MAD": np.round(rng.uniform(0, 2, n), 4),
        "BC": rng.integers(0, 256, n),
        "BS": rng.integers(0, 256, n),
        "Bands": rng.integers(0, 12, n),
    }
    return Points(shape, step, euler, phase, quality)


def ang_phases(numbers: list[int], blank_between: bool = True) -> str:
    lines = []
    for number in numbers:
        name, symmetry, lattice, *_ = PHASES[number]
        lines += [
            f"# Phase {number}",
            f"# MaterialName  \t{name}",
            f"# Formula     \t{name[:2]}",
            "# Info \t\t",
            f"# Symmetry              {symmetry}",
            "# LatticeConstants      " + " ".join(f"{v:.3f}" for v in lattice),
            "# NumberFamilies        1",
            "# hklFamilies   \t 1  1  0 1 0.000000 1",
            "# Categories0 0 0 0 0 ",
        ]
        lines += ["#"] if blank_between else []
    return "\n".join(lines) + "\n"


def ang_grid(points: Points) -> str:
    rows, columns = points.shape
    return (
        "# GRID: SqrGrid\n"
        f"# XSTEP: {points.step[1]:f}\n# YSTEP: {points.step[0]:f}\n"
        f"# NCOLS_ODD: {columns}\n# NCOLS_EVEN: {columns}\n# NROWS: {rows}\n#\n"
    )


ANG_TOP = (
    "# TEM_PIXperUM          1.000000\n# x-star                0.521600\n"
    "# y-star                0.845600\n# z-star                0.690000\n"
    "# WorkingDistance       14.000000\n#\n"
)
NEW_OIM = (
    "# VERSION 7\n# NOTES: Start\n# Version 1: phi1, PHI, phi2, x, y, iq (x*=0.1 & y*=0.1)\n"
    "# Phase index: 0 for single phase, starting at 1 for multiphase\n# NOTES: End\n"
    "# COLUMN_COUNT: 13\n"
    "# COLUMN_HEADERS: phi1, PHI, phi2, x, y, IQ, CI, Phase index, SEM, Fit, PRIAS Bottom Strip, "
    "PRIAS Center Square, PRIAS Top Strip\n"
    "# COLUMN_UNITS: radians, radians, radians, microns, microns, , , , , degrees, , , \n"
    "# COLUMN_NOTES: Start\n# Column 1: phi1 [radians]\n# COLUMN_NOTES: End\n"
)


def ang_edax(points: Points, variant: str = "old") -> str:
    """EDAX: "old" 10 columns, "new" 13 columns and phase -1, "cropped" without blank lines."""
    single = points.phase.max() == 1
    numbers = sorted({1, int(points.phase.max())})
    head = ANG_TOP + ang_phases(numbers, variant != "cropped") + ang_grid(points)
    head += NEW_OIM if variant == "new" else ""
    rows = []
    for i, phase in enumerate(points.phase):
        q = points.quality
        none = phase == 0
        euler = [4 * np.pi] * 3 if none else points.euler[i]
        ci, fit = (-1, 180) if none else (q["CI"][i], q["fit"][i])
        shown = (-1 if variant == "new" else 0) if none else 0 if single else phase
        row = "".join(f"{angle:10.5f}" for angle in euler)
        row += f"{points.x[i]:13.5f}{points.y[i]:13.5f} {q['IQ'][i]:8.1f} {ci:6.3f} {shown:2d} "
        row += f"{q['SEM'][i]:6d} {fit:7.3f}"
        row += " 10.000 20.500 30.250" if variant == "new" else ""
        rows.append(row + " ")
    return head + "\n".join(rows) + "\n"


def ang_emsoft(points: Points) -> str:
    head = ANG_TOP + ang_phases([1, 2], False).replace("Info \t\t", "Info  indexed using EMsoft")
    rows = [
        "  ".join(f"{a:.5f}" for a in points.euler[i])
        + f"  {points.x[i]:.5f}  {points.y[i]:.5f}  {points.quality['CI'][i] * 99:.1f}"
        + f"  {points.quality['CI'][i]:.3f}  {max(1, points.phase[i])}"
        for i in range(len(points.phase))
    ]
    return head + ang_grid(points) + "\n".join(rows) + "\n"


def ang_astar(points: Points) -> str:
    """ASTAR: lengths in nm, no numbers of phases in the header."""
    head = (
        "# File created from ACOM RES results\n# ni.res\n#     \n#     \n"
        "# MaterialName      Nickel\n# Formula\n# Symmetry          43\n"
        "# LatticeConstants  3.520  3.520  3.520  90.000  90.000  90.000\n"
        "# NumberFamilies    4\n# hklFamilies       1  1  1 1 0.000000\n#\n# GRID: SqrGrid#\n"
    )
    rows = [
        "".join(f"{a:9.6f}" for a in points.euler[i])
        + f"{points.x[i] * 1000:10.3f}{points.y[i] * 1000:10.3f}{22.2:7.1f}{0.06:7.3f}{1:3d}{6:8d}"
        for i in range(len(points.phase))
    ]
    return head + "\n".join(rows) + "\n"


CTF_TITLES = ["Phase", "X", "Y", "Bands", "Error", "Euler1", "Euler2", "Euler3", "MAD", "BC", "BS"]
CTF_MARKS = {
    "oxford": ("Prj\tsteel.cpr", "AZtec", "[Fe.cry]"),
    "bruker": ("Prj unnamed", "[Unknown]", ""),
    "emsoft": ("EMsoft v. 5_0; BANDS=pattern index, MAD=CI, BC=OSM, BS=IQ", "Me", ""),
    "astar": ("Prj\tC:\\scan.res", "File created from ACOM RES results", ""),
    "mtex": ("Prj /some/where/mtex.ctf", "Me", "Created from mtex"),
}


def ctf(
    points: Points,
    writer: str = "oxford",
    *,
    comma: bool = False,
    end: str = "\r\n",
    titles: list[str] | None = None,
    decimals: int = 4,
    step_text: str = "",
    acquisition: tuple[float, float, float] = (0, 0, 0),
) -> str:
    """A .ctf file; `titles` orders, leaves out or adds columns (those unknown are 7)."""
    titles = titles or CTF_TITLES
    second, author, remark = CTF_MARKS[writer]
    rows, columns = points.shape
    numbers = range(1, max(1, int(points.phase.max())) + 1)
    head = ["Channel Text File", second, f"Author\t{author}", "JobMode\tGrid"]
    head += [f"XCells\t{columns}", f"YCells\t{rows}"]
    head += [f"XStep\t{step_text or points.step[1]}", f"YStep\t{step_text or points.step[0]}"]
    head += [f"AcqE{i}\t{angle:g}" for i, angle in enumerate(acquisition, 1)]
    head += ["Euler angles refer to Sample Coordinate system (CS0)!\tMag\t400\tKV\t20.5"]
    head += [f"Phases\t{len(numbers)}"]
    for number in numbers:
        name, _, lattice, laue, group = PHASES[number]
        group = 0 if writer == "mtex" else group
        text = ";".join(map(str, lattice[:3])) + "\t" + ";".join(map(str, lattice[3:]))
        head += [f"{text}\t{name}\t{laue}\t{group}\t\t\t{remark}"]
    head += ["\t".join(titles)]
    q = points.quality
    degrees = np.degrees(points.euler)
    table = []
    for i, phase in enumerate(points.phase):
        none = phase == 0
        values = {
            "Phase": f"{phase}",
            "X": f"{points.x[i]:.{decimals}f}",
            "Y": f"{points.y[i]:.{decimals}f}",
            "Bands": f"{q['Bands'][i] * (30_000 if writer == 'emsoft' else 1)}",
            "Error": "3" if none else "0",
            **{f"Euler{k + 1}": f"{0 if none else degrees[i, k]:.4f}" for k in range(3)},
            "MAD": f"{0 if none else q['MAD'][i]:.4f}",
            "BC": f"{q['BC'][i]}",
            "BS": f"{q['BS'][i]}",
        }
        table.append("\t".join(values.get(title, "7") for title in titles))
    text = end.join([*head, *table]) + end
    return text.replace(".", ",") if comma else text


OIM_TYPE_1 = """\
# Header: Project1::plate::All data::Grain Size	1/22/2008
#
# Column 1-3: phi1, PHI, phi2 (orientation of point in radians)
# Column 4-5: x, y (coordinates of point in microns)
# Column 6:   IQ (image quality)
# Column 7:   CI (confidence index)
# Column 8:   Fit (degrees)
# Column 9:   Grain ID (integer)
# Column 10:  edge (1 for grains at edges of scan and 0 for interior grains)
# Column 11:  phase name
"""
OIM_NAMES = {0: "Iron - Alpha", 1: "Iron - Alpha", 2: "Titanium (Alpha)"}


def oim_rows(points: Points, tail, degrees: bool = False) -> list[str]:
    """A row for each point: up to the fit, and then what `tail` says of it."""
    out = []
    for k, (e, x, y) in enumerate(zip(points.euler, points.x, points.y, strict=True)):
        q = points.quality
        ci = -1 if points.phase[k] == 0 else q["CI"][k]
        e = np.degrees(e) if degrees else e
        out.append(
            f"  {e[0]:.5f}   {e[1]:.5f}   {e[2]:.5f}      {x:.5f}      {y:.5f}  {q['IQ'][k]:.1f}"
            f"  {ci:.3f}  {q['fit'][k]:.3f}  {tail(k)}"
        )
    return out


def oim_grains(points: Points, degrees: bool = False) -> str:
    """OIM: grain file of type 1; no phase is without a name, CI of -1 marks what is not indexed."""

    def tail(k: int) -> str:
        return f"{k + 1}  {k % 2}  {OIM_NAMES[points.phase[k]]}"

    header = OIM_TYPE_1.replace("in radians", "in degrees") if degrees else OIM_TYPE_1
    return "\r\n".join([*header.splitlines(), *oim_rows(points, tail, degrees)]) + "\r\n"
