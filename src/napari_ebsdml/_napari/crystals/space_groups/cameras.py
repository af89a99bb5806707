"""Where the detector's geometry comes from, and what is searched for; no Qt here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from napari_ebsdml.camera import Camera
from napari_ebsdml.errors import MissingDataError
from napari_ebsdml.options import Option
from napari_ebsdml.scan import Scan

FILE, OWN, REFINED, SEARCH = "file", "own", "refined", "search"
_OWN = f"camera={OWN}"

REFINE_PATTERNS = 80
"""Patterns that a geometry is refined on."""


@dataclass(frozen=True)
class GeometrySettings:
    """What the form says of the geometry; centre and tilts count where they are entered."""

    camera: Annotated[
        str,
        Option(
            "Geometry",
            "Where the pattern centre and the tilts come from. A search finds the pattern centre, "
            "and orientations with it, from the patterns alone",
            choices={FILE: "from the file", OWN: "enter it", SEARCH: "search for it"},
        ),
    ] = FILE
    convention: Annotated[
        str,
        Option(
            "Convention", "How the vendor counts the pattern centre, as in kikuchipy", when=_OWN,
            choices={"tsl": "EDAX TSL", "bruker": "Bruker", "oxford": "Oxford"},
        ),
    ] = "tsl"  # fmt: skip
    pcx: Annotated[float, Option("Pattern centre x", "", "", -2, 3, 0.01, 4, when=_OWN)] = 0.5
    pcy: Annotated[float, Option("Pattern centre y", "", "", -2, 3, 0.01, 4, when=_OWN)] = 0.7
    pcz: Annotated[
        float, Option("Pattern centre z", "Detector distance", "", 0.05, 5, 0.01, 4, when=_OWN)
    ] = 0.6
    sample_tilt: Annotated[float, Option("Sample tilt", "", "°", 0, 90, 1, 1, when=_OWN)] = 70.0
    tilt: Annotated[float, Option("Camera tilt", "", "°", -90, 90, 1, 1, when=_OWN)] = 0.0

    def choice(self, geometry: Any = None) -> CameraChoice:
        """As the dock hands it on; a refined `geometry` takes the place of the figures."""
        return CameraChoice(
            self.camera if geometry is None else REFINED, (self.pcx, self.pcy, self.pcz),
            self.convention, self.sample_tilt, self.tilt, geometry,
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class CameraChoice:
    """Where the user wants the detector's geometry to come from.

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
    """Whether a map knows the pattern centre, without which the geometry is not known."""
    return scan.camera is not None and scan.camera.tells_centre


def way_of(scan: Scan, camera: CameraChoice) -> Way:
    """What is searched for in a map, without importing kikuchipy."""
    if camera.source == SEARCH:
        return Way(True, True)
    if scan.is_indexed.any():
        return Way()
    return Way(True, camera.source == FILE and not tells_centre(scan))


def camera_of(scan: Scan, camera: CameraChoice) -> Any:
    """Detector or geometry for a scan; imports kikuchipy.

    Raises
    ------
    MissingDataError
        When the file tells no geometry, or it is to be searched for.
    InputError
        When no detector can have the figures that were entered.
    """
    if camera.source == REFINED and camera.geometry is not None:
        return camera.geometry
    if camera.source == SEARCH:
        raise MissingDataError(
            f"{scan.name}: here the geometry has to be known, not searched for. Choose that of the "
            "file under Detector, or enter it."
        )
    if camera.source == FILE:
        if scan.detector is None:
            raise MissingDataError(
                f"{scan.name} does not tell the detector's geometry. Enter it under Detector, or "
                "choose a raw-pattern model, which needs none."
            )
        return scan.detector
    assert scan.patterns is not None
    entered = Camera(
        shape=scan.patterns.shape[2:], pc=np.array(camera.pc), convention=camera.convention,
        sample_tilt=camera.sample_tilt, tilt=camera.tilt,
    )  # fmt: skip
    return entered.detector()
