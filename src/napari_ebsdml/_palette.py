"""Colours of classes, the same in the library, its docks and its pictures."""

from __future__ import annotations

CLASS_COLORS = (
    "#e6550d", "#3182bd", "#31a354", "#e7ba52", "#9467bd", "#17becf", "#e377c2", "#8c564b",
)  # fmt: skip
"""Of the classes of a segmentation, in their order, where the user chose none."""

LABEL_COLORS = (
    "#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#17becf",
)  # fmt: skip
"""Of label images that came without colours: matplotlib's, which phases of files have, too."""
