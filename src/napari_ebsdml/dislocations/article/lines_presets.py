"""Rules by which random dislocation lines are drawn and put on pixels, and named sets of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from napari_ebsdml.errors import InputError

Lattice = Literal["nodes", "edges"]
Binning = Literal["exact", "midpoint"]
Length = Literal["chord", "arc"]


@dataclass(frozen=True)
class LineRules:
    """How random dislocation lines are made and how a pixel's density is counted.

    Lines are random walks across a square slip plane, smoothed to B-splines. All lengths are
    fractions of the plane's side, so that one set of rules serves every pixel size.

    Parameters
    ----------
    pixels
        Pixels along one side of the map: the pixel size is side / pixels.
    lattice
        ``"nodes"``: the walk visits the `nodes` x `nodes` corners of a square lattice, steps to
        one of the 8 neighbours (or stays), and avoids places it has been to.
        ``"edges"``: the walk visits the midpoints of the edges of a `nodes` x `nodes` grid of
        cells and steps to one of the 5 other edges of the two cells that share its edge, save
        the one that it came from.
    nodes
        Size of the walk's lattice.
    walk_length
        Fewest and most points of a walk that is kept.
    smoothing
        The walk is replaced by points on its own cubic B-spline, four fifths as many each time,
        until at most this many remain; more points make rougher lines. 0: smooth once only.
    samples
        Points on each finished line, per point that controls it, and at most.
    binning
        ``"exact"``: lines are cut where they cross a pixel's edge.
        ``"midpoint"``: a line is cut at the middle of each sampled segment that crosses one.
    shift
        ``"midpoint"`` finds a piece's pixel after moving it back by this part of the side;
        the published script moves by 1/900, which gives away the shortest pieces.
    length
        A line's length within a pixel: straight from entry to exit (``"chord"``) or along the
        line (``"arc"``).
    lines
        Fewest and most lines on a map.
    shortest
        Shortest chord in a pixel that counts, in pixel sides. Shorter pieces are left out of
        the GND, the total and the number alike.
    noise
        Standard deviation of Gaussian noise on each component of the GND vector, in units of
        one line straight across a pixel.
    """

    pixels: int = 21
    lattice: Lattice = "nodes"
    nodes: int = 16
    walk_length: tuple[int, int] = (41, 59)
    smoothing: int = 5
    samples: tuple[int, int] = (40, 200)
    binning: Binning = "exact"
    shift: float = 0.0
    length: Length = "chord"
    lines: tuple[int, int] = (5, 19)
    shortest: float = 0.02
    noise: float = 0.0

    def __post_init__(self) -> None:
        def check(good: bool, text: str) -> None:
            if not good:
                raise InputError(f"Line rules: {text}")

        check(3 <= self.pixels <= 1024, f"pixels must lie in 3..1024, not {self.pixels}.")
        check(self.lattice in ("nodes", "edges"), f"unknown lattice {self.lattice!r}.")
        check(4 <= self.nodes <= 256, f"nodes must lie in 4..256, not {self.nodes}.")
        low, high = self.walk_length
        check(4 <= low <= high <= 4096, f"walk_length {self.walk_length} is not in 4..4096.")
        check(self.smoothing == 0 or self.smoothing >= 5, "smoothing must be 0 or at least 5.")
        check(self.samples[0] >= 4 and self.samples[1] >= 16, "samples must be at least (4, 16).")
        check(self.binning in ("exact", "midpoint"), f"unknown binning {self.binning!r}.")
        check(0 <= self.shift < 0.1, f"shift must lie in 0..0.1, not {self.shift}.")
        check(self.length in ("chord", "arc"), f"unknown length {self.length!r}.")
        few, many = self.lines
        check(0 <= few <= many <= 10_000, f"lines {self.lines} is not a range in 0..10000.")
        check(0 <= self.shortest < 1, f"shortest must lie in 0..1, not {self.shortest}.")
        check(0 <= self.noise < 100, f"noise must lie in 0..100, not {self.noise}.")

    def replace(self, **changes: object) -> LineRules:
        """Return the same rules with some changed."""
        try:
            return dataclasses.replace(self, **changes)  # type: ignore[arg-type]
        except TypeError as error:
            raise InputError(f"Line rules have no such setting: {error}.") from None


_CODE = LineRules(binning="midpoint", shift=1 / 900, shortest=1e-6)

PRESETS: Mapping[str, LineRules] = MappingProxyType(
    {
        # The published script on the 21 x 21 pixels of the article: this pair gives the
        # article's Figure 3, a correlation of number and density of 0.898.
        "paper": _CODE,
        "code-31": _CODE.replace(pixels=31),
        # What the article's text says: edge midpoints, one spline, length along the line.
        # It gives no limits for the walk's length; very short walks are no dislocation lines.
        "text": LineRules(
            lattice="edges",
            nodes=21,
            walk_length=(20, 240),
            smoothing=0,
            samples=(8, 2048),
            length="arc",
            shortest=1e-6,
        ),
        "exact": LineRules(),
    }
)
"""Named rules.

paper
    The public script's rules on 21 x 21 pixels; reproduces Figure 3 of the article.
code-31
    The public script as it stands, on 31 x 31 pixels.
text
    The article's text, Section 2.2.
exact
    Walks of the public script, cut exactly at the pixels' edges.

Source: Zhang and Ngan, "Extracting dislocation microstructures by deep learning",
International Journal of Plasticity 115 (2019) 18-28, doi:10.1016/j.ijplas.2018.11.008.
"""


def line_rules(rules: str | LineRules) -> LineRules:
    """Rules by name, or the rules themselves.

    Raises
    ------
    InputError
        When no preset has that name.
    """
    if isinstance(rules, LineRules):
        return rules
    if rules not in PRESETS:
        raise InputError(f"No line rules {rules!r}; there are {', '.join(PRESETS)}.")
    return PRESETS[rules]
