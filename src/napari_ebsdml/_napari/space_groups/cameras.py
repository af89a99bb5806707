"""Where the detector's geometry comes from, and what is searched for; no Qt here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from napari_ebsdml.errors import MissingDataError
from napari_ebsdml.patterns.frame.checks import told_camera
from napari_ebsdml.scan import Scan

FILE, OWN, REFINED, SEARCH = "file", "own", "refined", "search"


@dataclass(frozen=True, eq=False)
class Camera:
    """Where the detector's geometry comes from.

    Attributes
    ----------
    source
        `FILE`, `OWN` (the figures below), `REFINED` (`geometry`), or `SEARCH`: it is found from
        the patterns, and orientations with it.
    pc, convention
        Pattern centre and how kikuchipy names its convention: "tsl", "bruker" or "oxford".
    sample_tilt, tilt
        Degrees.
    geometry
        A `Geometry` that was refined.
    """

    source: str = FILE
    pc: tuple[float, float, float] = (0.5, 0.5, 0.5)
    convention: str = "tsl"
    sample_tilt: float = 70.0
    tilt: float = 0.0
    geometry: Any = None


@dataclass(frozen=True)
class Way:
    """What a model in the crystal's frame has to search for.

    A pattern centre that is searched for leaves the camera's tilt open, so that orientations of a
    file do not go with it: orientations are then searched for as well.

    Attributes
    ----------
    orientations, geometry
    """

    orientations: bool = False
    geometry: bool = False


def tells_centre(scan: Scan) -> bool:
    """Whether a file tells the pattern centre; kikuchipy is mostly not imported for it.

    Readers of files without one (.up1, .ebsp, .dat, folders of images) leave kikuchipy's default,
    the middle of the screen, which no map was ever measured with.
    """
    maker = scan.detector_or_maker
    if isinstance(maker, partial):
        # As `io._detector.detector_maker` leaves it: the screen's shape, then the settings.
        settings = next((part for part in maker.args if isinstance(part, dict)), None)
        pc = None if settings is None else settings.get("pc")
        return pc is not None and not (np.asarray(pc) == 0.5).all()
    return maker is not None and told_camera(scan) is not None


def way_of(scan: Scan, camera: Camera) -> Way:
    """What is searched for in a map, as far as can be told without kikuchipy."""
    if camera.source == SEARCH:
        return Way(True, True)
    if scan.is_indexed.any():
        return Way()
    return Way(True, camera.source == FILE and not tells_centre(scan))


def camera_of(scan: Scan, camera: Camera) -> Any:
    """Detector or geometry for a scan; imports kikuchipy.

    Raises
    ------
    MissingDataError
        When the file tells no geometry, or it is to be searched for.
    """
    if camera.source == REFINED and camera.geometry is not None:
        return camera.geometry
    if camera.source == SEARCH:
        raise MissingDataError(
            f"{scan.name}: here the geometry has to be known, not searched for. Choose that of the "
            "file under Detector, or enter it."
        )
    if camera.source == FILE:
        if not tells_centre(scan) or scan.detector is None:
            raise MissingDataError(
                f"{scan.name} does not tell the detector's geometry. Enter it under Detector, or "
                "choose a raw-pattern model, which needs none."
            )
        return scan.detector
    from kikuchipy.detectors import EBSDDetector

    assert scan.patterns is not None
    rows, columns = (int(size) for size in scan.patterns.shape[2:])
    return EBSDDetector(
        shape=(rows, columns), pc=camera.pc, convention=camera.convention,
        sample_tilt=camera.sample_tilt, tilt=camera.tilt,
    )  # fmt: skip
