"""`RawClassifier`: names space groups of patterns without orientation or geometry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.errors import InputError
from napari_ebsdml.learning.model_file import ModelCard
from napari_ebsdml.learning.shipped import shipped_path
from napari_ebsdml.learning.under_way import run
from napari_ebsdml.maps.settings import GRAIN_THRESHOLD
from napari_ebsdml.patterns.answers.result import SpaceGroupResult
from napari_ebsdml.patterns.classifier import SpaceGroupClassifier
from napari_ebsdml.patterns.raw.answer import Classes, Voting
from napari_ebsdml.patterns.raw.data import LabelledPatterns
from napari_ebsdml.patterns.raw.made import classifier_of, joined
from napari_ebsdml.patterns.raw.member import Member, RawRecipe, first_filters
from napari_ebsdml.patterns.raw.model_io import SHIPPED, load_raw, save_raw
from napari_ebsdml.patterns.raw.prediction import name_map, name_patterns

if TYPE_CHECKING:
    from napari_ebsdml.learning.loop import TrainingEvent
    from napari_ebsdml.patterns.raw.explain import RawExplanation
    from napari_ebsdml.patterns.raw.training import RawTraining
    from napari_ebsdml.scan import Scan

Progress = Callable[[float], None] | None


class RawClassifier(SpaceGroupClassifier):
    """Names space groups of patterns as they are, by image networks.

    Use `train`, `training`, `load` or `ensemble`.

    Attributes
    ----------
    members : list of Member
        The networks; they vote.
    classes
        Pairs of lattice family ("" where not known) and space group.
    background : (n, size, size) array
        Prepared patterns that Shapley values compare with.
    unknown
        Patterns with a smaller known score are called unknown.
    """

    needs_orientations = False

    def __init__(
        self, members: list[Member], classes: Classes, background: NDArray[np.float32],
        unknown: float = 0.03, card: ModelCard | None = None,
    ) -> None:  # fmt: skip
        self.members = members
        self.classes = classes
        self.background = background
        self.unknown = unknown
        self.card = card
        self.space_groups = tuple(sorted({group for _, group in classes}))
        self.families = tuple(sorted({family for family, _ in classes}))

    # -- files ---------------------------------------------------------------------------------

    @classmethod
    def load(cls, path: str | Path = "raw") -> RawClassifier:
        """Load the shipped model (``"raw"``) or a model file.

        Raises
        ------
        ModelError
            When the file is missing, damaged or of another kind.
        """
        members, classes, background, unknown, card = load_raw(shipped_path(path, SHIPPED))
        return cls(members, classes, background, unknown, card)

    def save(self, path: str | Path) -> None:
        """Write weights (half precision) and model card.

        Raises
        ------
        ModelError
            When the files cannot be written.
        """
        self.card = save_raw(path, self)

    # -- training ------------------------------------------------------------------------------

    @classmethod
    def training(
        cls,
        data: LabelledPatterns,
        validation: LabelledPatterns | None = None,
        recipe: RawRecipe | None = None,
        start: RawClassifier | str | Path | None = None,
        n_threads: int | None = None,
    ) -> RawTraining:
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
            Weights to start from: another model, ``"imagenet"`` or a file of Xception's ImageNet
            weights (see `imagenet.imagenet_weights`). Default: random.
        n_threads
            Threads of torch. Default: as they are.

        Returns
        -------
        RawTraining
            Iterate over its events; ``close()`` cancels; ``classifier`` is the model.

        Raises
        ------
        InputError
            When there are fewer than two classes, or `start` does not fit the recipe.
        ModelError, DownloadError
            When the weights to start from cannot be had.
        """
        from napari_ebsdml.patterns.raw.training import few_shot

        return few_shot(data, validation, recipe or RawRecipe(), start, n_threads)

    @classmethod
    def train(  # type: ignore[override]
        cls,
        data: LabelledPatterns,
        validation: LabelledPatterns | None = None,
        recipe: RawRecipe | None = None,
        start: RawClassifier | str | Path | None = None,
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
    def made(
        cls, members: list[Member], classes: Classes, recipe: RawRecipe, data: LabelledPatterns,
        validation: LabelledPatterns, transferred: bool,
    ) -> RawClassifier:  # fmt: skip
        """A classifier of trained members, with its card and figures on validation patterns."""
        return classifier_of(cls, members, classes, recipe, data, validation, transferred)

    @classmethod
    def ensemble(cls, classifiers: Sequence[RawClassifier]) -> RawClassifier:
        """All networks of several models in one, which vote.

        Raises
        ------
        InputError
            When there is none, or their classes differ.
        """
        return joined(cls, classifiers)

    # -- answers -------------------------------------------------------------------------------

    def predict(
        self,
        patterns: Any,
        quaternions: object = None,
        detector: object = None,
        mask: NDArray[np.bool_] | None = None,
        progress: Progress = None,
        voting: Voting = "mean",
        n_threads: int | None = None,
    ) -> SpaceGroupResult:
        """Name the space group of every pattern.

        Parameters
        ----------
        patterns : (..., rows, columns) numpy or dask array
            Raw or background-corrected. Dask arrays are read in chunks along the first axis.
        quaternions, detector
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
        return name_patterns(self, patterns, mask, progress, voting, n_threads)

    def predict_scan(
        self,
        scan: Scan,
        by: Literal["pixel", "grain", "map"] = "pixel",
        detector: object = None,
        threshold: float = GRAIN_THRESHOLD,
        mask: NDArray[np.bool_] | None = None,
        progress: Progress = None,
        voting: Voting = "mean",
        n_threads: int | None = None,
    ) -> SpaceGroupResult:
        """Name the space group of every pixel of a map.

        Parameters
        ----------
        scan
            With patterns; orientations are needed for grains only.
        by
            ``"grain"`` averages the probabilities over each grain, ``"map"`` over all pixels.
        detector
            Not needed.
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
        return name_map(self, scan, by, threshold, mask, progress, voting, n_threads)

    # -- explanations --------------------------------------------------------------------------

    def filters(self, member: int = 0) -> NDArray[np.float32]:
        """Weights of a network's first convolution, (filters, channels, k, k)."""
        return first_filters(self._member(member).network)

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

        return feature_maps(self._member(member), pattern, which)

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

        return shapley(self, pattern, background, progress)

    def explain(  # type: ignore[override]
        self,
        pattern: NDArray[np.generic],
        quaternions: object = None,
        detector: object = None,
        samples: int = 64,
    ) -> RawExplanation:
        """`shapley` with the model's own background set; the other arguments are not looked at."""
        return self.shapley(pattern)

    def _member(self, number: int) -> Member:
        if not 0 <= number < len(self.members):
            raise InputError(f"member must lie in 0..{len(self.members) - 1}, not {number}.")
        return self.members[number]
