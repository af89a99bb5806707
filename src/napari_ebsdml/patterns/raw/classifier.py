"""`RawClassifier`: names space groups of patterns without orientation or geometry."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.errors import InputError, MissingDataError
from napari_ebsdml.learning.device import threads
from napari_ebsdml.learning.model_file import ModelCard
from napari_ebsdml.patterns.classifier import SpaceGroupClassifier
from napari_ebsdml.patterns.fold import find_mask
from napari_ebsdml.patterns.raw.answers import Classes, Voting, fill, vote
from napari_ebsdml.patterns.raw.data import LabelledPatterns
from napari_ebsdml.patterns.raw.member import Member, RawRecipe, first_filters
from napari_ebsdml.patterns.raw.model_io import KIND, load_raw, save_raw, shipped
from napari_ebsdml.patterns.raw.prepare import check_patterns, prepare
from napari_ebsdml.patterns.result import SpaceGroupResult, no_answers
from napari_ebsdml.patterns.stream import blocks

if TYPE_CHECKING:
    from napari_ebsdml.learning.loop import TrainingEvent
    from napari_ebsdml.patterns.raw.explain import RawExplanation
    from napari_ebsdml.patterns.raw.training import RawTraining
    from napari_ebsdml.scan import Scan

BACKGROUND = 10
"""Patterns of each space group that a model keeps as the background set of Shapley values."""

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
        members, classes, background, unknown, card = load_raw(shipped(path))
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
        from napari_ebsdml.patterns.raw.training import run

        return run(cls.training(data, validation, recipe, start, n_threads), on_event)

    @classmethod
    def made(
        cls, members: list[Member], classes: Classes, recipe: RawRecipe, data: LabelledPatterns,
        validation: LabelledPatterns, transferred: bool,
    ) -> RawClassifier:  # fmt: skip
        """A classifier of trained members, with its card and figures on validation patterns."""
        from napari_ebsdml.patterns.raw.scores import class_table

        background = background_set(data, members[0].size, recipe.seed)
        made = cls(members, classes, background, recipe.unknown)
        answer = made.predict(validation.patterns)
        table = class_table(validation.space_groups, answer.space_group)
        digest = hashlib.sha256(np.ascontiguousarray(data.patterns).tobytes()).hexdigest()
        made.card = ModelCard(
            KIND, recipe.network,
            training={
                "patterns": data.counts(), "sha256": digest, "epochs": recipe.epochs,
                "learning_rate": recipe.learning_rate, "weight_decay": recipe.weight_decay,
                "batch": recipe.batch, "patience": recipe.patience, "seed": recipe.seed,
                "min_delta": recipe.min_delta, "augment": recipe.augment,
                "start": "other weights" if transferred else "random",
            },
            metrics={
                "validation_patterns": len(validation),
                **{f"validation_{row.name}_f1": round(row.f1, 4) for row in table},
            },
        )  # fmt: skip
        return made

    @classmethod
    def ensemble(cls, classifiers: Sequence[RawClassifier]) -> RawClassifier:
        """All networks of several models in one, which vote.

        Raises
        ------
        InputError
            When there is none, or their classes differ.
        """
        if not classifiers:
            raise InputError("An ensemble needs at least one classifier.")
        first = classifiers[0]
        for other in classifiers[1:]:
            if other.classes != first.classes:
                raise InputError(
                    f"The classifiers name different classes: {first.classes}, {other.classes}."
                )
        members = [member for one in classifiers for member in one.members]
        unknown = float(np.mean([one.unknown for one in classifiers]))
        return cls(members, first.classes, first.background, unknown)

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
        shape = check_patterns(patterns)
        flat = no_answers((int(np.prod(shape, dtype=int)),), self.space_groups)
        with threads(n_threads):
            for part, block, seen in _masked(patterns, mask, progress):
                chance, score = self._ask(block, seen, voting)
                at = np.arange(part.start, part.stop)
                fill(flat, at, chance, score, self.classes, self.unknown)
        return flat.reshaped(shape)

    def predict_scan(
        self,
        scan: Scan,
        by: Literal["pixel", "grain", "map"] = "pixel",
        detector: object = None,
        threshold: float = 5.0,
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
        if by not in ("pixel", "grain", "map"):
            raise InputError(f"by must be 'pixel', 'grain' or 'map', not {by!r}.")
        if scan.patterns is None:
            raise MissingDataError(f"{scan.name} has no patterns.")
        if by == "pixel":
            return self.predict(scan.patterns, None, None, mask, progress, voting, n_threads)
        if by == "map":
            labels = np.ones(scan.shape, np.int32)
        elif scan.is_indexed.any():
            from napari_ebsdml.maps.grains import segment_grains

            labels = segment_grains(scan, threshold=threshold)
        else:
            raise MissingDataError(
                f"{scan.name} has no orientations to find grains by; use by='pixel' or 'map'."
            )
        number = int(labels.max())
        flat = labels.ravel().astype(np.intp) - 1
        chances = np.zeros((number, len(self.classes)))
        scores = np.zeros(number)
        counts = np.zeros(number)
        with threads(n_threads):
            for part, block, seen in _masked(scan.patterns, mask, progress):
                chance, score = self._ask(block, seen, voting)
                kept = flat[part] >= 0
                np.add.at(chances, flat[part][kept], chance[kept])
                np.add.at(scores, flat[part][kept], score[kept])
                np.add.at(counts, flat[part][kept], 1)
        grains = no_answers((number,), self.space_groups)
        at = np.flatnonzero(counts)
        each = counts[at]
        fill(grains, at, chances[at] / each[:, None], scores[at] / each, self.classes, self.unknown)
        return grains.spread(labels)

    def _ask(
        self, block: NDArray[np.generic], mask: NDArray[np.bool_], voting: Voting
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        inputs: dict[int, NDArray[np.float32]] = {}
        logits = []
        for member in self.members:
            if member.size not in inputs:
                inputs[member.size] = member.inputs(block, mask)
            logits.append(member.logits(inputs[member.size]))
        return vote(self.members, logits, voting)

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


def background_set(data: LabelledPatterns, size: int, seed: int) -> NDArray[np.float32]:
    """Some prepared patterns of each space group, (n, size, size)."""
    rng = np.random.default_rng([seed, 12])
    side = min(size, 96)
    picked = []
    for group in np.unique(data.space_groups):
        mine = np.flatnonzero(data.space_groups == group)
        picked.append(rng.permutation(mine)[:BACKGROUND])
    at = np.sort(np.concatenate(picked))
    return prepare(data.patterns[at], side, find_mask(data.patterns))


def _masked(
    patterns: Any, mask: NDArray[np.bool_] | None, progress: Progress
) -> Iterator[tuple[slice, NDArray[np.generic], NDArray[np.bool_]]]:
    """Patterns piece by piece, with the pixels that count."""
    total = max(1, int(np.prod(patterns.shape[:-2], dtype=int)))
    for start, block in blocks(patterns):
        if mask is None:
            mask = find_mask(block)
        yield slice(start, start + len(block)), block, mask
        if progress is not None:
            progress((start + len(block)) / total)
