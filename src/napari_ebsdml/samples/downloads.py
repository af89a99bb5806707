"""Measured maps and patterns that anyone can get: downloaded once, or installed with kikuchipy."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from napari_ebsdml.errors import DownloadError, InputError, MissingDataError

CACHE_VARIABLE = "EBSDML_CACHE_DIR"
"""Environment variable that names the folder for downloaded samples."""

NICKEL = "nickel_patterns"
"""Name of the patterns that kikuchipy installs."""

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
    """Maps that can be downloaded, by the name of the sample."""
    text = files("napari_ebsdml").joinpath("sample_data", "registry.json").read_text("utf-8")
    return {key: Download(**entry) for key, entry in json.loads(text).items()}


def fetch(name: str) -> Path:
    """File of a measured sample.

    Parameters
    ----------
    name
        "duplex_steel" or "dc06_steel", maps that are downloaded once and kept in the user's cache
        folder (or that of the variable ``EBSDML_CACHE_DIR``); "nickel_patterns", nine Kikuchi
        patterns with orientations that kikuchipy installs.

    Returns
    -------
    pathlib.Path
        For `napari_ebsdml.read`.

    Raises
    ------
    InputError
        When there is no such sample.
    DownloadError
        When the download fails or its checksum is wrong.
    MissingDataError
        When this version of kikuchipy does not have the patterns.
    """
    if name == NICKEL:
        return _nickel()
    import pooch

    if name not in registry():
        raise InputError(f"No sample {name!r}; there are {', '.join(registry())}, {NICKEL}.")
    sample = registry()[name]
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


def _nickel() -> Path:
    # Importing kikuchipy takes seconds; only its folder is needed.
    spec = find_spec("kikuchipy")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "data" / "kikuchipy_h5ebsd" / "patterns.h5"
        if path.is_file():
            return path
    raise MissingDataError("kikuchipy is not installed with its nickel patterns (patterns.h5).")
