"""What the dock "Dislocation density" does, as a script; no Qt here."""

from __future__ import annotations

from napari_ebsdml._napari.gnd.script import gnd_lines
from napari_ebsdml._napari.shell.script import call, reading, script, without_defaults
from napari_ebsdml.dislocations.settings import (
    DensitySettings,
    GndSettings,
    TaylorSettings,
    TotalSettings,
)
from napari_ebsdml.scan import Scan


def density_script(scan: Scan, settings: TotalSettings, taylor: TaylorSettings) -> str:
    """Compute the total density from orientations, tell its averages and save it."""
    chosen = without_defaults(settings, settings.arguments())
    averages = {"friction": taylor.friction} if taylor.friction else {}
    better = []
    if settings.improve:
        threshold = without_defaults(settings, {"grain_threshold": settings.grain_threshold})
        better = [
            f"better = {call('ebsdml.improve_orientations', 'scan', **threshold)}",
            "print(better.sentence)",
            "scan = better.scan if better.worthwhile else scan",
        ]
    table = call("rho.averages", '"phase"', repr(dict(taylor.materials or {})), **averages)
    return script(
        "Total dislocation density",
        ["import numpy as np"],
        [
            f"scan = {reading(scan)}",
            *better,
            f"rho = {call('ebsdml.total_dislocation_density', 'scan', **chosen)}",
            "print(rho.average().sentence)",
            f"table = {table}",
            "for column, values in table.items():",
            "    print(column, values)",
            'file = f"{scan.name}-density.npz"',
            "np.savez_compressed(file, density=rho.density, interval=rho.interval)",
        ],
    )


def article_script(
    scan: Scan, how: GndSettings, settings: DensitySettings, taylor: TaylorSettings
) -> str:
    """Compute the article's density, tell its averages and save it."""
    imports, lines = gnd_lines(scan, how)
    chosen = without_defaults(settings, settings.arguments())
    chosen.pop("model", None)
    averages = {"friction": taylor.friction} if taylor.friction else {}
    if settings.extrapolate:
        averages["extrapolate"] = True
    metals = repr(dict(taylor.materials or {}))
    window = "window=2 * model.network.radius + 1"
    table = call("density_averages", "total", "gnd", '"phase"', metals, window, **averages)
    return script(
        "Dislocation density the article's way",
        [
            "import numpy as np",
            *imports,
            "from napari_ebsdml.dislocations.averages import density_averages",
            "from napari_ebsdml.dislocations.article.model import DislocationModel",
        ],
        [
            *lines,
            f"model = DislocationModel.load({settings.model!r})",
            f"total = {call('ebsdml.article_density', 'gnd', 'model', **chosen)}",
            f"table = {table}",
            "for column, values in table.items():",
            "    print(column, values)",
            'file = f"{scan.name}-density.npz"',
            "np.savez_compressed(file, mean=total.mean, in_range=total.in_range)",
        ],
    )
