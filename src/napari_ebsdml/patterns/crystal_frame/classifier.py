"""`CrystalFrameClassifier`: names space groups of patterns in the frame of the crystal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress
from napari_ebsdml.learning.shipped import shipped_path
from napari_ebsdml.maps.settings import GRAIN_THRESHOLD
from napari_ebsdml.patterns.answers.result import SpaceGroupResult
from napari_ebsdml.patterns.classifier import SpaceGroupClassifier
from napari_ebsdml.patterns.crystal_frame.model import CrystalModel
from napari_ebsdml.patterns.crystal_frame.model_io import load_crystal, save_crystal
from napari_ebsdml.patterns.crystal_frame.prediction import predict, predict_scan
from napari_ebsdml.patterns.crystal_frame.training import Recipe, train_model
from napari_ebsdml.patterns.crystals.library import Library
from napari_ebsdml.patterns.kinds import CRYSTAL_FRAME, KINDS, SHIPPED

if TYPE_CHECKING:
    import numpy as np
    from kikuchipy.detectors import EBSDDetector

    from napari_ebsdml.camera import Camera
    from napari_ebsdml.learning.loop import TrainingEvent
    from napari_ebsdml.patterns.crystal_frame.explain import CrystalExplanation
    from napari_ebsdml.patterns.frame.geometry import Geometry
    from napari_ebsdml.scan import Scan


class CrystalFrameClassifier(SpaceGroupClassifier):
    """Names space groups of Kikuchi patterns in the frame of the crystal.

    Patterns are folded by their orientation into the fundamental triangle of Laue group m-3m,
    where all crystals share one frame, and read there by a small ensemble of networks. A scan
    gives orientations that are right for cubic crystals even where the phase is not; where there
    are none, they are searched for.

    Use `load`, or `train` on a library of master patterns.

    Parameters
    ----------
    model
    """

    needs_orientations = KINDS[CRYSTAL_FRAME].needs_orientations
    called = "a model of the crystal frame (SpaceGroupClassifier.load('default'))"

    def __init__(self, model: CrystalModel) -> None:
        self.model: CrystalModel = model

    # -- files ---------------------------------------------------------------------------------

    @classmethod
    def load(cls, path: str | Path = "default") -> CrystalFrameClassifier:
        """Load the shipped model (``"default"``) or a model file.

        Raises
        ------
        ModelError
            When the file is missing, damaged or of another kind.
        """
        return cls(load_crystal(shipped_path(path, SHIPPED)))

    def save(self, path: str | Path) -> None:
        """Write weights (half precision) and model card.

        Raises
        ------
        ModelError
            When the files cannot be written.
        """
        self.model = save_crystal(path, self.model)

    # -- training ------------------------------------------------------------------------------

    @classmethod
    def train(
        cls,
        library: Library | str | Path,
        recipe: Recipe | None = None,
        strangers: Sequence[NDArray[np.floating]] | NDArray[np.floating] | None = None,
        on_event: Callable[[TrainingEvent], object] | None = None,
    ) -> CrystalFrameClassifier:
        """Train on simulated patterns of a library of master patterns.

        Parameters
        ----------
        library
            Or the file of one. Make one with ``ebsdml dev library``.
        recipe
            Default: that of the shipped model.
        strangers : arrays (2, side, side), optional
            Master patterns outside m-3m as further examples of what is unknown.
        on_event
            Called with every `TrainingEvent`; an exception from it cancels.

        Raises
        ------
        InputError
            When the library is too small.
        FileFormatError
            When the file is no library.
        """
        if not isinstance(library, Library):
            library = Library.load(library)
        steps = train_model(library, recipe or Recipe(), strangers)
        while True:
            try:
                event = next(steps)
            except StopIteration as end:
                return cls(end.value)
            if on_event is not None:
                on_event(event)

    # -- answers -------------------------------------------------------------------------------

    def predict(
        self,
        patterns: Any,
        orientations: Any = None,
        detector: EBSDDetector | Camera | Geometry | None = None,
        mask: NDArray[np.bool_] | None = None,
        progress: Progress = None,
        *,
        frame: str | None = None,
    ) -> SpaceGroupResult:
        """Name the space group of every pattern.

        Parameters
        ----------
        patterns : (..., rows, columns) numpy or dask array
            Raw or background-corrected. Dask arrays are read in chunks along the first axis.
        orientations : (..., 4) array, or orix Rotation, Orientation or CrystalMap
            Specimen -> crystal; 0, NaN or no phase where unknown: those patterns get no answer.
            Without the argument, orientations are searched for: some hundred patterns a second.
        detector
            kikuchipy `EBSDDetector` or `Camera`, with one pattern centre or one per pattern.
            Without it and orientations, the pattern centre is searched for first, on a dozen
            patterns, in some ten seconds; where too few of them fit any camera, all patterns are
            unknown, and `SpaceGroupResult.reason` says why.
        mask : (rows, columns) bool array, optional
            Pixels that carry signal. Default: found from the patterns: without the corners of a
            round screen, blank and shadowed parts, hot and dead pixels.
        progress
            Called with the part done; may raise to cancel.
        frame
            Specimen axes that the orientations refer to: "map" (those of a `Scan`: x right, y
            down, z into the screen), "kikuchipy" (RD, TD, ND, as its detectors) or another key of
            `napari_ebsdml.io.frames.FRAMES`, see docs/explanation/frames.md. Default: "map" for
            arrays, "kikuchipy" for orix' objects, which cannot tell; where the patterns clearly say
            otherwise, the frame has to be named.

        Returns
        -------
        SpaceGroupResult
            `orientations`, `fit` and `geometry` tell what was searched for and found.

        Raises
        ------
        NoCameraError
            When orientations are given without a detector.
        InputError
            When shapes do not fit, or no frame is named and the patterns contradict the default.
        """
        return predict(self.model, patterns, orientations, detector, mask, progress, frame)

    def predict_scan(
        self,
        scan: Scan,
        by: str = "pixel",
        detector: EBSDDetector | Camera | Geometry | None = None,
        threshold: float = GRAIN_THRESHOLD,
        mask: NDArray[np.bool_] | None = None,
        progress: Progress = None,
        *,
        refine: bool | Literal["auto"] = False,
    ) -> SpaceGroupResult:
        """Name the space group of every pixel of a map.

        Parameters
        ----------
        scan
            With patterns. Without any orientation they are searched for, as by `predict`, and so
            is the pattern centre where there is no detector either.
        by
            ``"grain"`` averages the folded patterns of each grain, ``"map"`` all of them;
            every pixel then has the common answer.
        detector
            Default: the scan's.
        threshold
            Disorientation in degrees that parts grains.
        mask, progress
            As for `predict`.
        refine
            Whether to refine pattern centre and tilt first, as `refine_scan` does; ``"auto"``:
            only where a quick look says that another geometry fits much better, which is
            otherwise told in `SpaceGroupResult.warnings`.

        Returns
        -------
        SpaceGroupResult
            `geometry` is the refined one, where it was.

        Raises
        ------
        MissingDataError
            When the scan has no patterns.
        NoCameraError
            When it has orientations and there is no detector.
        InputError
            When an argument is out of range.
        """
        return predict_scan(self.model, scan, by, detector, threshold, mask, progress, refine)

    def explain(
        self,
        pattern: NDArray[np.generic],
        orientations: Any = None,
        detector: EBSDDetector | Camera | Geometry | None = None,
        samples: int = 64,
        *,
        frame: str | None = None,
    ) -> CrystalExplanation:
        """Which parts of a pattern speak for and against each space group.

        Parameters
        ----------
        pattern : (rows, columns) array
            Or (n, rows, columns), e.g. of a grain: they are averaged.
        orientations, detector, frame
            As for `predict`; of a whole map's pattern centres the mean is taken. One quaternion
            is that of all patterns.
        samples
            Random paths of the estimate of Shapley values.

        Raises
        ------
        NoCameraError, InputError
            As for `predict`; orientations are needed here.
        """
        from napari_ebsdml.patterns.crystal_frame.explain import explain

        return explain(self.model, pattern, orientations, detector, samples, frame)
