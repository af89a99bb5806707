"""`ebsdml` on the command line: for many maps, or machines without a screen.

One module per job; each adds its commands to the app when it is imported.
"""

from napari_ebsdml.cli import (
    crystals,
    density,
    dev,
    figure,
    files,
    grains,
    improve,
    library,
    maps,
    models,
    parents,
    report,
    segment,
    segment_tools,
    spacegroups,
    volume,
)
from napari_ebsdml.cli._app import app, main

__all__ = [
    "app", "crystals", "density", "dev", "figure", "files", "grains", "improve", "library",
    "main", "maps", "models", "parents", "report", "segment", "segment_tools", "spacegroups",
    "volume",
]  # fmt: skip
