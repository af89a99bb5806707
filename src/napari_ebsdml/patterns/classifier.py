"""`SpaceGroupClassifier`: names the space group of Kikuchi patterns in the crystal frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_ebsdml.errors import InputError
from napari_ebsdml.learning.model_file import ModelCard, read_card
from napari_ebsdml.learning.shipped import shipped_path
from napari_ebsdml.maps.settings import GRAIN_THRESHOLD
from napari_ebsdml.patterns.answers.result import SpaceGroupResult
from napari_ebsdml.patterns.crystal_frame.known import KnownScore, fit_known
from napari_ebsdml.patterns.crystal_frame.model_io import KIND, load_parts, save_parts
from napari_ebsdml.patterns.crystal_frame.network import FoldedNetwork
from napari_ebsdml.patterns.crystal_frame.prediction import (
    predict_indexed,
    predict_scan,
    predict_unindexed,
)
from napari_ebsdml.patterns.crystal_frame.selection import covering
from napari_ebsdml.patterns.crystal_frame.training import (
    Recipe,
    joint_classes,
    train_networks,
)
from napari_ebsdml.patterns.crystals.library import Library
from napari_ebsdml.patterns.frame.checks import check_given
from napari_ebsdml.patterns.frame.geometry import Geometry
from napari_ebsdml.patterns.search.orientations import OrientationSearch
from napari_ebsdml.patterns.search.templates import Templates

if TYPE_CHECKING:
    from kikuchipy.detectors import EBSDDetector

    from napari_ebsdml.camera import Camera
    from napari_ebsdml.learning.loop import TrainingEvent
    from napari_ebsdml.patterns.crystal_frame.explain import Explanation
    from napari_ebsdml.patterns.raw import LabelledPatterns, RawRecipe
    from napari_ebsdml.scan import Scan

SHIPPED = {"default": "space-groups-default", "raw": "space-groups-raw"}

Progress = Callable[[float], None] | None


class SpaceGroupClassifier:
    """Names space groups of Kikuchi patterns in the frame of the crystal.

    Patterns are folded by their orientation into the fundamental triangle of Laue group m-3m,
    where all crystals share one frame, and read there by a small ensemble of networks. A scan
    gives orientations that are right for cubic crystals even where the phase is not; where there
    are none, they are searched for.

    Use `load`, or `train` on a library of master patterns.

    Attributes
    ----------
    needs_orientations
        False for models of raw patterns, see `napari_ebsdml.patterns.raw.RawClassifier`.
    """

    needs_orientations = True
    _search: OrientationSearch | None = None

    def __init__(
        self,
        networks: list[FoldedNetwork],
        classes: tuple[tuple[str, int], ...],
        temperature: float,
        templates: Templates,
        known: KnownScore,
        card: ModelCard | None = None,
    ) -> None:
        self.networks = networks
        self.classes = classes
        self.temperature = temperature
        self.templates = templates
        self.known = known
        self.card = card
        self.space_groups = tuple(sorted({group for _, group in classes}))
        self.families = tuple(sorted({family for family, _ in classes}))
        self._group_of = np.array([self.space_groups.index(group) for _, group in classes])
        self._family_of = np.array([self.families.index(family) for family, _ in classes])
        self._real = templates.take(np.array(["#" not in name for name in templates.names]))
        self._alike = self._real.alike

    # -- files ---------------------------------------------------------------------------------

    @classmethod
    def load(cls, path: str | Path = "default") -> SpaceGroupClassifier:
        """Load a shipped model or a model file.

        Parameters
        ----------
        path
            ``"default"``: in the crystal frame; ``"raw"``: of raw patterns, which needs no
            orientations. Or a file of either kind.

        Returns
        -------
        SpaceGroupClassifier
            A `RawClassifier` for a model of raw patterns.

        Raises
        ------
        ModelError
            When the file is missing, damaged or of another kind.
        InputError
            When there is no shipped model of that name.
        """
        path = shipped_path(path, SHIPPED)
        if read_card(path).kind == "space-groups-raw":
            from napari_ebsdml.patterns.raw import RawClassifier

            return RawClassifier.load(path)
        return cls(*load_parts(path))

    def save(self, path: str | Path) -> None:
        """Write weights (half precision) and model card.

        Raises
        ------
        ModelError
            When the files cannot be written.
        """
        self.card = save_parts(path, self)

    # -- training ------------------------------------------------------------------------------

    @classmethod
    def train(
        cls,
        library: Library | LabelledPatterns | str | Path,
        recipe: Recipe | RawRecipe | None = None,
        strangers: Sequence[NDArray[np.floating]] | NDArray[np.floating] | None = None,
        on_event: Callable[[TrainingEvent], object] | None = None,
    ) -> SpaceGroupClassifier:
        """Train on simulated patterns of a library of master patterns, or on labelled patterns.

        Parameters
        ----------
        library
            Or the file of one. Make one with ``ebsdml dev library``.
            Labelled patterns train a raw-pattern network, see `RawClassifier.train`.
        recipe
            Default: that of the shipped model; for labelled patterns `RawRecipe`.
        strangers : arrays (2, side, side), optional
            Master patterns outside m-3m as further examples of what is unknown.
        on_event
            Called with every `TrainingEvent`; an exception from it cancels.

        Raises
        ------
        InputError
            When the library is too small, or the recipe is one for the other kind of model.
        FileFormatError
            When the file is no library.
        """
        from napari_ebsdml.patterns.raw import LabelledPatterns, RawClassifier, RawRecipe

        labelled = isinstance(library, LabelledPatterns)
        if recipe is not None and isinstance(recipe, RawRecipe) != labelled:
            raise InputError("Labelled patterns need a RawRecipe, a library of masters a Recipe.")
        if isinstance(library, LabelledPatterns):
            assert recipe is None or isinstance(recipe, RawRecipe)
            return RawClassifier.train(library, recipe=recipe, on_event=on_event)
        assert not isinstance(recipe, RawRecipe)
        recipe = recipe or Recipe()
        if not isinstance(library, Library):
            library = Library.load(library)
        steps = train_networks(library, recipe)
        while True:
            try:
                event = next(steps)
            except StopIteration as end:
                networks, temperature, figures = end.value
                break
            if on_event is not None:
                on_event(event)
        templates = Templates.of(library)
        made = cls(
            networks, joint_classes(library), temperature, templates.take(covering(templates)),
            KnownScore(),
            ModelCard(
                KIND, "FoldedNetwork",
                training={"crystals": len(library), "patterns": recipe.patterns,
                          "epochs": recipe.epochs, "seed": recipe.seed},
                metrics=figures,
            ),
        )  # fmt: skip
        made.known = fit_known(made.templates, library, strangers, recipe.seed)
        return made

    # -- answers -------------------------------------------------------------------------------

    def predict(
        self,
        patterns: Any,
        quaternions: ArrayLike | None = None,
        detector: EBSDDetector | Camera | Geometry | None = None,
        mask: NDArray[np.bool_] | None = None,
        progress: Progress = None,
    ) -> SpaceGroupResult:
        """Name the space group of every pattern.

        Parameters
        ----------
        patterns : (..., rows, columns) numpy or dask array
            Raw or background-corrected. Dask arrays are read in chunks along the first axis.
        quaternions : (..., 4) array
            Specimen -> crystal as in `Scan`; 0 or NaN where unknown: those patterns get no answer.
            Without the argument, orientations are searched for: some hundred patterns a second.
        detector
            kikuchipy `EBSDDetector` or `Camera`, with one pattern centre or one per pattern.
            Without it and orientations, the pattern centre is searched for first, on a dozen
            patterns, in some ten seconds; where too few of them fit any camera, all patterns are
            unknown, and `SpaceGroupResult.reason` says why.
        mask : (rows, columns) bool array, optional
            Pixels that carry signal. Default: found from the patterns (circular masks).
        progress
            Called with the part done; may raise to cancel.

        Returns
        -------
        SpaceGroupResult
            `orientations`, `fit` and `geometry` tell what was searched for and found.

        Raises
        ------
        InputError
            When orientations are given without a detector, or shapes do not fit.
        """
        if quaternions is None:
            return predict_unindexed(self, patterns, detector, mask, progress)
        return predict_indexed(self, patterns, quaternions, detector, mask, progress)

    def predict_scan(
        self,
        scan: Scan,
        by: Literal["pixel", "grain", "map"] = "pixel",
        detector: EBSDDetector | Camera | Geometry | None = None,
        threshold: float = GRAIN_THRESHOLD,
        mask: NDArray[np.bool_] | None = None,
        progress: Progress = None,
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

        Raises
        ------
        MissingDataError
            When the scan has no patterns, or orientations without a detector.
        InputError
            When an argument is out of range.
        """
        return predict_scan(self, scan, by, detector, threshold, mask, progress)

    def explain(
        self,
        pattern: NDArray[np.generic],
        quaternions: ArrayLike | None = None,
        detector: EBSDDetector | Camera | Geometry | None = None,
        samples: int = 64,
    ) -> Explanation:
        """Which parts of a pattern speak for and against each space group.

        Parameters
        ----------
        pattern : (rows, columns) array
            Or (n, rows, columns), e.g. of a grain: they are averaged.
        quaternions, detector
            As for `predict`; of a whole map's pattern centres the mean is taken.
        samples
            Random paths of the estimate of Shapley values.

        Returns
        -------
        Explanation

        Raises
        ------
        InputError
            As for `predict`.
        """
        from napari_ebsdml.patterns.crystal_frame.explain import explain

        return explain(self, pattern, quaternions, detector, samples)

    # -- inside --------------------------------------------------------------------------------

    @property
    def search(self) -> OrientationSearch:
        """The search for orientations that are not given, made when first asked for."""
        if self._search is None:
            self._search = OrientationSearch(self.templates)
        return self._search

    def _check(
        self, patterns: Any, quaternions: ArrayLike | None, detector: Any
    ) -> tuple[tuple[int, ...], NDArray[np.float64], Geometry]:
        return check_given(patterns, quaternions, detector)
