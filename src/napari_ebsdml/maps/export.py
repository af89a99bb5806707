"""Maps and volumes in files that other programs open, with what is computed of them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.errors import WriteError
from napari_ebsdml.io.dream3d import ENDING as DREAM3D
from napari_ebsdml.io.dream3d import write_dream3d
from napari_ebsdml.io.ome_zarr import ENDING as OME_ZARR
from napari_ebsdml.io.ome_zarr import write_ome_zarr
from napari_ebsdml.io.xdmf import ENDING as XDMF
from napari_ebsdml.io.xdmf import write_xdmf
from napari_ebsdml.maps.ipf import ipf_colors
from napari_ebsdml.maps.sections import Volume, kam_of_volume

VOLUMES = (XDMF, OME_ZARR, DREAM3D)
"""Endings of files of volumes."""


def export_volume(
    path: str | os.PathLike[str],
    volume: Volume,
    made_with: Mapping[str, Any] | None = None,
    more: Mapping[str, NDArray[Any]] | None = None,
) -> Path:
    """Write a volume as NAME.xdmf (with NAME.h5), NAME.ome.zarr or NAME.dream3d.

    It holds grains, phases, KAM with the neighbours in all three directions in degrees, and the
    properties that all sections have; .xdmf IPF colours of the sections' normal and quaternions as
    well, .dream3d Euler angles and quaternions.

    Parameters
    ----------
    path
    volume
    made_with
        Settings, to be kept with it.
    more
        Name -> (sections, rows, columns) labels, such as classes.

    Raises
    ------
    WriteError
        When the name has another ending, or the place cannot be written.
    """
    target = Path(path)
    sections = volume.sections
    shared = [name for name in sections[0].prop if all(name in s.prop for s in sections)]
    values: dict[str, Any] = {
        name: np.stack([s.prop[name] for s in sections]).astype(np.float32) for name in shared
    }
    indexed = np.stack([s.is_indexed for s in sections])
    values["KAM (deg)"] = np.where(indexed, kam_of_volume(sections), np.nan).astype(np.float32)
    labels = dict(more or {})
    told = {
        "settings": dict(made_with or {}), "shifts": volume.shifts.tolist(),
        "turns": [round(float(turn), 4) for turn in volume.turns],
    }  # fmt: skip
    if target.name.endswith(OME_ZARR):
        return write_ome_zarr(
            target,
            sections,
            values,
            {"grains": volume.grains, **labels},
            None,
            volume.step[0],
            told,
        )
    if target.suffix == DREAM3D:
        return write_dream3d(
            target, sections, volume.grains, volume.step, {**values, **labels}, told
        )
    if target.suffix != XDMF:
        raise WriteError(f"{target}: a volume is written as {', '.join(VOLUMES)}.")
    colors = [np.nan_to_num(ipf_colors(s))[..., :3] for s in sections]
    picture = np.stack(colors)
    if picture.dtype != np.uint8:
        picture = np.round(255 * picture).astype(np.uint8)
    turns = np.stack([s.quaternions for s in sections]).astype(np.float32)
    return write_xdmf(
        target,
        {
            "grains": volume.grains, **labels, "phase": np.stack([s.phase_id for s in sections]),
            "IPF-Z": picture, **values,
            **{f"quaternion {letter}": turns[..., n] for n, letter in enumerate("wxyz")},
        },
        volume.step, told,
    )  # fmt: skip
