"""Maps of a file of a batch: in memory, or in a folder where they are large."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from napari_ebsdml._atomic import sweep_folder

if TYPE_CHECKING:
    from napari_ebsdml.batching.large.store import LargeMap
    from napari_ebsdml.io.frames import ReferenceFrame
    from napari_ebsdml.scan import Scan

AUTOMATIC = 8_000_000
"""Pixels from which on a map is worked on in bands, if nothing else is said: some 2 GB for a GND
density in memory."""


@contextmanager
def scratch(output: Path) -> Iterator[Path]:
    """A folder in that of the results, which is gone with the block; it need not exist.

    There, and not in the system's own, which may be in memory.
    """
    sweep_folder(output)
    folder = output / scratch_name(uuid.uuid4().hex[:8])
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def scratch_name(mark: str) -> str:
    """Of a folder of this process."""
    from napari_ebsdml._atomic import writer

    return f".bands.{writer()}-{mark}.part"


def read_maps(
    path: Path, frame: str | ReferenceFrame | None, band: int | None, folder: Path
) -> list[tuple[Scan, LargeMap | None]]:
    """Maps of a file, each with its arrays in a folder where it is larger than a band.

    Parameters
    ----------
    path
    frame
        See `napari_ebsdml.read`.
    band
        Pixels; None: `AUTOMATIC` tells; 0: never.
    folder
        For the arrays.

    Raises
    ------
    EbsdmlError
        As of `napari_ebsdml.read_all`, and when bands would be too small.
    """
    from napari_ebsdml.batching.large.reading import known_size, read_large
    from napari_ebsdml.batching.large.store import BAND_PIXELS, LargeMap
    from napari_ebsdml.io import read_all

    limit = AUTOMATIC if band is None else band
    pixels = band or BAND_PIXELS
    if limit and known_size(path) > limit:
        large = read_large(path, folder / "0", frame, pixels)
        return [(large.scan, large)]
    found: list[tuple[Scan, LargeMap | None]] = []
    for number, scan in enumerate(read_all(path, ref_frame=frame)):
        rows, columns = scan.shape
        # Points of a hexagonal grid are not those of the pixels: their GND needs all of them.
        if not limit or rows * columns <= limit or scan.source.hexagonal is not None:
            found.append((scan, None))
            continue
        large = LargeMap.of(scan, folder / str(number), pixels)
        found.append((scan if scan.patterns is not None else large.scan, large))
    return found
