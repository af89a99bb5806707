"""`RawClassifier`: names space groups of patterns without orientation or geometry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress
from napari_ebsdml.learning.shipped import shipped_path
from napari_ebsdml.learning.under_way import run
from napari_ebsdml.maps.settings import GRAIN_THRESHOLD
from napari_ebsdml.patterns.answers.result import SpaceGroupResult
from napari_ebsdml.patterns.classifier import SpaceGroupClassifier
from napari_ebsdml.patterns.kinds import KINDS, RAW, SHIPPED
from napari_ebsdml.patterns.raw.answer import Voting
from napari_ebsdml.patterns.raw.data import LabelledPatterns
from napari_ebsdml.patterns.raw.member import Member, RawRecipe, first_filters
from napari_ebsdml.patterns.raw.model import RawModel, joined
from napari_ebsdml.patterns.raw.model_io import load_raw, save_raw
from napari_ebsdml.patterns.raw.prediction import predict, predict_scan

if TYPE_CHECKING:
    from napari_ebsdml.learning.loop import TrainingEvent
    from napari_ebsdml.patterns.raw.explain import RawExplanation
    from napari_ebsdml.patterns.raw.training import RawTraining
    from napari_ebsdml.scan import Scan


class RawClassifier(SpaceGroupClassifier):
    """Names space groups of patterns as they are, by image networks.

    Use `train`, `training`, `load` or `ensemble`.

    Parameters
    ----------
    model
    """

    needs_orientations = KINDS[RAW].needs_orientations
    called = "a model of raw patterns (SpaceGroupClassifier.load('raw'))"

    def __init__(self, model: RawModel) -> None:
        self.model: RawModel = model

    @property
    def members(self) -> tuple[Member, ...]:
        """The networks; they vote."""
        return self.model.members

    @property
    def background(self) -> NDArray[np.float32]:
        """Prepared patterns (n, size, size) that Shapley values compare with."""
        return self.model.background

    # -- files ---------------------------------------------------------------------------------

    @classmethod
    def load(cls, path: str | Path = "raw") -> RawClassifier:
        """Load the shipped model (``"raw"``) or a model file.

        Raises
        ------
        ModelError
            When the file is missing, damaged or of another kind.
        """
        return cls(load_raw(shipped_path(path, SHIPPED)))

    def save(self, path: str | Path) -> None:
        """Write weights (half precision) and model card.

        Raises
        ------
        ModelError
            When the files cannot be written.
        """
        self.model = save_raw(path, self.model)

    # -- training ------------------------------------------------------------------------------

    @classmethod
    def training(
        cls,
        data: LabelledPatterns,
        validation: LabelledPatterns | None = None,
        recipe: RawRecipe | None = None,
        start: SpaceGroupClassifier | str | Path | None = None,
        n_threads: int | None = None,
    ) -> RawTraining[RawClassifier]:
        """Train on labelled patterns, step by step.

        Parameters
        ----------
        data
            See `from_folder`, `from_scan`, `LabelledPatterns.split`.
        validation
            Watches the training and calibrates the model. Default: a fifth of `data`.
        recipe
            Default: `RawRecipe`, the paper's with the small network.
        start
            Weights to start from: another model; ``"imagenet"`` for EfficientNet (from a package,
            see `imagenet_lite.lite0_weights`) and Xception (downloaded); a file of Xception's
            ImageNet weights (see `imagenet.imagenet_weights`). Default: random.
        n_threads
            Threads of torch. Default: as they are.

        Returns
        -------
        RawTraining
            Iterate over its events; ``close()`` cancels; ``classifier`` is the model.

        Raises
        ------
        InputError
            When there are fewer than two classes, or `start` does not fit the recipe or is a model
            of the crystal frame.
        ModelError, DownloadError, MissingDataError
            When the weights to start from cannot be had.
        """
        from napari_ebsdml.patterns.raw.training import few_shot

        first: RawModel | str | Path | None
        if start is None or isinstance(start, str | Path):
            first = start
        else:
            first = cls.required(start, "Training on raw patterns").model
        return few_shot(data, validation, recipe or RawRecipe(), first, cls, n_threads)

    @classmethod
    def train(
        cls,
        data: LabelledPatterns,
        validation: LabelledPatterns | None = None,
        recipe: RawRecipe | None = None,
        start: SpaceGroupClassifier | str | Path | None = None,
        n_threads: int | None = None,
        on_event: Callable[[TrainingEvent], object] | None = None,
    ) -> RawClassifier:
        """Train on labelled patterns; see `training`.

        Parameters
        ----------
        on_event
            Called with every `TrainingEvent`; an exception from it cancels.
        data, validation, recipe, start, n_threads
            See `training`.
        """
        return run(cls.training(data, validation, recipe, start, n_threads), on_event)

    @classmethod
    def ensemble(cls, classifiers: Sequence[SpaceGroupClassifier]) -> RawClassifier:
        """All networks of several models in one, which vote.

        Raises
        ------
        InputError
            When there is none, one is of the crystal frame, or their classes differ.
        """
        return cls(joined([cls.required(one, "An ensemble").model for one in classifiers]))

    # -- answers -------------------------------------------------------------------------------

    def predict(
        self,
        patterns: Any,
        orientations: object = None,
        detector: object = None,
        mask: NDArray[np.bool_] | None = None,
        progress: Progress = None,
        voting: Voting = "mean",
        n_threads: int | None = None,
        *,
        frame: object = None,
    ) -> SpaceGroupResult:
        """Name the space group of every pattern.

        Parameters
        ----------
        patterns : (..., rows, columns) numpy or dask array
            Raw or background-corrected. Dask arrays are read in chunks along the first axis.
        orientations, detector, frame
            Not needed, and not looked at.
        mask : (rows, columns) bool array, optional
            Pixels that carry signal. Default: found from the patterns (circular masks).
        progress
            Called with the part done; may raise to cancel.
        voting
            ``"mean"`` of the members' probabilities, or ``"majority"``.
        n_threads
            Threads of torch. Default: as they are.

        Returns
        -------
        SpaceGroupResult
            `known_score` is the part of the validation patterns that looked less familiar.

        Raises
        ------
        InputError
            When the patterns have a wrong shape, or `voting` is neither.
        """
        return predict(self.model, patterns, mask, progress, voting, n_threads)

    def predict_scan(
        self,
        scan: Scan,
        by: str = "pixel",
        detector: object = None,
        threshold: float = GRAIN_THRESHOLD,
        mask: NDArray[np.bool_] | None = None,
        progress: Progress = None,
        voting: Voting = "mean",
        n_threads: int | None = None,
        *,
        refine: object = False,
    ) -> SpaceGroupResult:
        """Name the space group of every pixel of a map.

        Parameters
        ----------
        scan
            With patterns; orientations are needed for grains only.
        by
            ``"grain"`` averages the probabilities over each grain, ``"map"`` over all pixels.
        detector, refine
            Not needed, and not looked at.
        threshold
            Disorientation in degrees that parts grains.
        mask, progress, voting, n_threads
            As for `predict`.

        Raises
        ------
        MissingDataError
            When the scan has no patterns, or no orientations to find grains by.
        InputError
            When an argument is out of range.
        """
        return predict_scan(self.model, scan, by, threshold, mask, progress, voting, n_threads)

    # -- explanations --------------------------------------------------------------------------

    def filters(self, member: int = 0) -> NDArray[np.float32]:
        """Weights of a network's first convolution, (filters, channels, k, k)."""
        return first_filters(self.model.member(member).network)

    def feature_maps(
        self, pattern: NDArray[np.generic], member: int = 0, which: Sequence[int] | None = None
    ) -> NDArray[np.float32]:
        """What the first convolution makes of a pattern, (filters, rows, columns).

        Parameters
        ----------
        pattern : (rows, columns) array
        member
            Which network of the ensemble.
        which
            Numbers of filters. Default: all.

        Raises
        ------
        InputError
            When the pattern's shape, `member` or `which` is wrong.
        """
        from napari_ebsdml.patterns.raw.explain import feature_maps

        return feature_maps(self.model.member(member), pattern, which)

    def shapley(
        self,
        pattern: NDArray[np.generic],
        background: NDArray[np.generic] | None = None,
        progress: Progress = None,
    ) -> RawExplanation:
        """Shapley values of a pattern's pixels for each space group, as DeepSHAP estimates them.

        Parameters
        ----------
        pattern : (rows, columns) array
        background : (n, rows, columns) array, optional
            Patterns to compare with; the paper takes 100 of each space group. Default: those that
            the model keeps, ten of each.
        progress
            Called with the part done; may raise to cancel.

        Raises
        ------
        InputError
            When a shape is wrong or there is no background.
        """
        from napari_ebsdml.patterns.raw.explain import shapley

        return shapley(self.model, pattern, background, progress)

    def explain(
        self,
        pattern: NDArray[np.generic],
        orientations: object = None,
        detector: object = None,
        samples: int = 64,
        *,
        frame: object = None,
    ) -> RawExplanation:
        """`shapley` with the model's own background set; the other arguments are not looked at."""
        return self.shapley(pattern)
