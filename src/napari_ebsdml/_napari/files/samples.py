"""Samples of the menu File > Open Sample: each a function that returns layers."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from napari_ebsdml._napari.files.reader import notify, read_layers
from napari_ebsdml._napari.shell.classes import LabelClass
from napari_ebsdml._napari.shell.layers import LayerTuple, layer_data
from napari_ebsdml.errors import DownloadError, InputError, MissingDataError

CACHE_VARIABLE = "EBSDML_CACHE_DIR"
"""Environment variable that names the folder for downloaded samples."""

_TIMEOUT_S = 30


@dataclass(frozen=True)
class Download:
    """A real map that is downloaded on demand; see ``sample_data/README.md``."""

    file: str
    url: str
    sha256: str
    what: str
    source: str
    licence: str


@cache
def registry() -> dict[str, Download]:
    """Maps that can be downloaded, by the key of the sample."""
    text = files("napari_ebsdml").joinpath("sample_data", "registry.json").read_text("utf-8")
    return {key: Download(**entry) for key, entry in json.loads(text).items()}


def fetch(key: str) -> Path:
    """Path of a real map; downloads it when it is not in the cache or damaged there.

    Raises
    ------
    InputError
        When there is no such sample.
    DownloadError
        When the download fails or its checksum is wrong.
    """
    import pooch

    if key not in registry():
        raise InputError(f"No sample {key!r} to download; there are {', '.join(registry())}.")
    sample = registry()[key]
    folder = Path(os.environ.get(CACHE_VARIABLE) or pooch.os_cache("napari-ebsdml"))
    # The registry is the one place that tells users what happens, so pooch need not log it.
    pooch.get_logger().setLevel("WARNING")
    try:
        got = pooch.retrieve(
            sample.url,
            known_hash=f"sha256:{sample.sha256}",
            fname=sample.file,
            path=folder,
            downloader=pooch.HTTPDownloader(timeout=_TIMEOUT_S),
        )
    except Exception as error:
        # requests, urllib3, pooch and the file system all raise their own kinds here.
        raise DownloadError(
            f"{sample.file} could not be downloaded from {sample.url}: "
            f"{type(error).__name__}: {error}. Check the network, or put the file (SHA-256 "
            f"{sample.sha256}) into {folder}."
        ) from error
    return Path(got)


def duplex_steel() -> list[Any]:
    """Super duplex steel: austenite and ferrite, so every pixel's phase is known."""
    return read_layers(str(fetch("duplex_steel")))


def dc06_steel() -> list[Any]:
    """DC06 steel after 2 % strain: MTEX's example of a GND density."""
    return read_layers(str(fetch("dc06_steel")))


def nickel_path() -> Path:
    """File with nine nickel patterns that kikuchipy installs.

    Raises
    ------
    MissingDataError
        When this version of kikuchipy does not have it.
    """
    # Importing kikuchipy takes seconds; only its folder is needed.
    spec = find_spec("kikuchipy")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "data" / "kikuchipy_h5ebsd" / "patterns.h5"
        if path.is_file():
            return path
    raise MissingDataError("kikuchipy is not installed with its nickel patterns (patterns.h5).")


def nickel_patterns() -> list[Any]:
    """Nine Kikuchi patterns of nickel, 60 x 60 pixels, with orientations."""
    return read_layers(str(nickel_path()))


def dual_phase_steel(shape: tuple[int, int] = (428, 570), seed: int = 0) -> list[LayerTuple]:
    """Synthetic ferrite and martensite; the truth is a hidden Labels layer.

    Parameters
    ----------
    shape : (rows, columns)
    seed
        Of the random microstructure.
    """
    from napari_ebsdml._napari.files.arrival import settle
    from napari_ebsdml._napari.files.map_layers import map_layers
    from napari_ebsdml._napari.files.reader import free_place
    from napari_ebsdml.samples import dual_phase_steel as make

    scan, truth, *_ = make(shape=shape, seed=seed)
    place = free_place()
    notify([scan])
    settle([scan])
    return [*map_layers(scan, place), truth_layer(scan, truth, place)]


def truth_layer(scan: Any, truth: Any, translate: tuple[float, float] = (0.0, 0.0)) -> LayerTuple:
    """Hidden Labels layer of the known microstructure: 1 ferrite, 2 martensite."""
    return layer_data(
        scan,
        truth,
        "truth",
        kind="labels",
        classes=(
            LabelClass(0, "none", "transparent"),
            LabelClass(1, "ferrite", "#1f77b4"),
            LabelClass(2, "martensite", "#ff7f0e"),
        ),
        translate=translate,
        visible=False,
    )
