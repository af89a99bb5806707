"""Step "maps": KAM, grains, boundaries and the like, with the GND density."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

import napari_ebsdml as ebsdml
from napari_ebsdml._parallel import part_of
from napari_ebsdml.batching.large.gnd import gnd_density as in_bands
from napari_ebsdml.batching.large.maps import ways_of
from napari_ebsdml.batching.pictures import of_ipf
from napari_ebsdml.batching.step import Outcome, Step, Work
from napari_ebsdml.batching.steps.gnd import gnd_columns
from napari_ebsdml.batching.writing import rows_of_columns
from napari_ebsdml.errors import Cancelled, EbsdmlError
from napari_ebsdml.maps.compute import HERE, compute_maps
from napari_ebsdml.maps.settings import MapSettings

GRAINS = "grains.csv"
_GND_SHARE = 0.5


def run(work: Work) -> Outcome:
    """Maps of `MapSettings`, a row for each grain, and the GND density unless a step does it."""
    scan, chosen = work.scan, work.of(MapSettings)
    threshold, gnd = work.settings["threshold"], work.settings["gnd"]
    if threshold is not None:
        chosen = dataclasses.replace(chosen, kam_threshold=threshold, grain_threshold=threshold)
    if gnd is None:
        gnd = "gnd" not in work.steps
    arrays: dict[str, Any] = {}
    row: dict[str, Any] = {}
    tables: dict[str, Any] = {}
    notes: list[str] = []
    grains = None
    share = 1 - _GND_SHARE * gnd
    large = work.large
    ways = HERE if large is None else ways_of(large, work.client)
    for found in compute_maps(scan, chosen, part_of(work.progress, 0.0, share), ways):
        if isinstance(found, str):
            continue
        arrays[found.name] = found.data
        grains = found.grains if found.grains is not None else grains
        if found.name == "grains":
            row["grains"] = int(found.data.max())
            tables[GRAINS] = rows_of_columns(found.measured)
    if "kam" in arrays:
        known = arrays["kam"][scan.is_indexed]
        row["mean_kam_deg"] = round(float(known.mean()), 4) if known.size else ""
    if gnd:
        how: dict[str, Any] = {
            "grain_threshold": chosen.grain_threshold, "min_pixels": chosen.grain_min_pixels,
            "progress": part_of(work.progress, share),
        }  # fmt: skip
        try:
            if large is None:
                density = ebsdml.gnd_density(scan, grains=grains, **how)
            else:
                density = in_bands(large, **how, client=work.client)
        except Cancelled:
            raise
        except EbsdmlError as error:  # the other maps stand on their own
            notes.append(str(error))
            arrays["gnd"] = np.full(scan.shape, np.nan)
        else:
            arrays["gnd"] = density.total
            row |= gnd_columns(density, large)
            notes += density.notes
    picture = None
    if scan.is_indexed.any():
        picture = of_ipf(scan)
    return Outcome(row, arrays | {"step": np.array(scan.step)}, {}, tables, notes, picture=picture)


STEP = Step("maps", run, "", (MapSettings,), {"threshold": None, "gnd": None})
