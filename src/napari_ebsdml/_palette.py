"""Colours, the same in the library, its docks and its figures.

Every two colours of a set differ by at least 20 (CIEDE2000) for people with normal
sight, without green cones (deuteranopes) and without red ones (protanopes), as Machado, Oliveira
and Fernandes simulate it (doi:10.1109/TVCG.2009.113); tests hold it.
"""

from __future__ import annotations

CLASS_COLORS = (
    "#d41500", "#806aff", "#eabf2a", "#2a8080", "#bfbfff", "#802a40", "#80bfaa", "#2a4095",
)  # fmt: skip
"""Of the classes of a segmentation, in their order, where the user chose none."""

LABEL_COLORS = CLASS_COLORS
"""Of label images that came without colours."""

RIGHT, WRONG = "#0072b2", "#e69f00"
"""Of an answer beside the truth."""

SAME, DIFFERENT = RIGHT, WRONG
"""Of two answers."""

BETWEEN, NO_ANSWER = "#d5f3ff", "#505050"
"""Of answers that overlap, and where one of the two does not know."""

DIFFERS_ON_CLASSES = "#ffffff"
"""Of pixels that differ, drawn over the first four class colours."""

UNKNOWN = "#7d7f8a"
"""Of what nothing is known of, among classes."""

SPACE_GROUP_COLORS = {
    221: "#eabf2a", 223: "#802a40", 225: "#2a4095", 227: "#bfbfff", 229: "#d41500", 230: "#806aff",
}  # fmt: skip
"""Of the space groups of the shipped models."""

SPACE_GROUP_SETS = {(221, 225): "#bfffbf", (225, 229): "#bf9580", (225, 230): "#eaffff"}
"""Of those that a pattern often cannot tell apart."""

MEASURED, BOUND = RIGHT, WRONG
"""Of a density that was measured, and of an upper bound."""

CURVES = (
    ("#00d4ff", "#ffff2a", "#ea0000", "#d4ffea", "#006aea", "#159580"),
    ("#0000aa", "#bf6a00", "#806aff", "#801500", "#406a6a", "#2a0015"),
)
"""Of curves on a dark and on a light ground."""

BOUNDARY_COLORS = {1: "#f0e442", 2: "#000000", 3: "#d55e00", 4: "#56b4e9"}
"""Of boundaries by their `BoundaryKind`: low angle, high angle, twin, phase."""

BOUNDARIES_ON_DARK = {1: "#e69f00", 2: "#ffffff", 3: "#56b4e9", 4: "#aa5555"}
"""The same on napari's black canvas."""

NOTHING = "#d9d9d9"
"""Of pixels without an orientation or a value, in figures."""
