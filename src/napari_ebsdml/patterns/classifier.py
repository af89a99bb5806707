"""`SpaceGroupClassifier`: names the space group of Kikuchi patterns in the crystal frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_ebsdml.errors import InputError, MissingDataError
from napari_ebsdml.learning.model_file import ModelCard, read_card
from napari_ebsdml.patterns.answer import answer
from napari_ebsdml.patterns.fold import Folded, find_mask, fold_patterns
from napari_ebsdml.patterns.geometry import Geometry
from napari_ebsdml.patterns.known import KnownScore, examples, witnesses
from napari_ebsdml.patterns.library import Library
from napari_ebsdml.patterns.model_io import KIND, load_parts, save_parts
from napari_ebsdml.patterns.network import FoldedNetwork
from napari_ebsdml.patterns.result import SpaceGroupResult, no_answers
from napari_ebsdml.patterns.stream import blocks
from napari_ebsdml.patterns.templates import Templates
from napari_ebsdml.patterns.train import (
    Recipe,
    joint_classes,
    train_networks,
)

if TYPE_CHECKING:
    from kikuchipy.detectors import EBSDDetector

    from napari_ebsdml.learning.loop import TrainingEvent
    from napari_ebsdml.patterns.explain import Explanation
    from napari_ebsdml.patterns.raw import LabelledPatterns, RawClassifier, RawRecipe
    from napari_ebsdml.scan import Scan

SHIPPED = {"default": "space-groups-default", "raw": "space-groups-raw"}

Progress = Callable[[float], None] | None


class SpaceGroupClassifier:
    """Names space groups of Kikuchi patterns whose orientation is known.

    Patterns are folded by their orientation into the fundamental triangle of Laue group m-3m,
    where all crystals share one frame, and read there by a small ensemble of networks. A scan
    gives orientations that are right for cubic crystals even where the phase is not.

    Use `load`, or `train` on a library of master patterns.

    Attributes
    ----------
    needs_orientations
        False for models of raw patterns, see `napari_ebsdml.patterns.raw.RawClassifier`.
    """

    needs_orientations = True
    _raw: RawClassifier | str | None = None

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
        name = path
        if isinstance(path, str) and path in SHIPPED:
            path = Path(__file__).resolve().parents[1] / "weights" / SHIPPED[path]
        elif isinstance(path, str) and Path(path).name == path and not Path(path).suffix:
            raise InputError(
                f"No model {path!r}; there is {', '.join(SHIPPED)}, or give a .safetensors file."
            )
        if read_card(path).kind == "space-groups-raw":
            from napari_ebsdml.patterns.raw import RawClassifier

            return RawClassifier.load(path)
        made = cls(*load_parts(path))
        if name == "default":
            made._raw = "raw"
        return made

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
        strangers: NDArray[np.floating] | None = None,
        on_event: Callable[[TrainingEvent], object] | None = None,
    ) -> SpaceGroupClassifier:
        """Train on simulated patterns of a library of master patterns, or on labelled patterns.

        Parameters
        ----------
        library
            Or the file of one. Make one with ``python -m napari_ebsdml.patterns.library``.
            Labelled patterns train a raw-pattern network, see `RawClassifier.train`.
        recipe
            Default: that of the shipped model; for labelled patterns `RawRecipe`.
        strangers : (m, 2, side, side) array, optional
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
        made = cls(
            networks, joint_classes(library), temperature, Templates.of(library),
            KnownScore((0.0,) * 4, 0.0),
            ModelCard(
                KIND, "FoldedNetwork",
                training={"crystals": len(library), "patterns": recipe.patterns,
                          "epochs": recipe.epochs, "seed": recipe.seed},
                metrics=figures,
            ),
        )  # fmt: skip
        made.known = made._fit_known(library, strangers, recipe.seed)
        return made

    def _fit_known(
        self, library: Library, strangers: NDArray[np.floating] | None, seed: int
    ) -> KnownScore:
        own = np.array([self.templates.names.index(name) for name in library.names])
        tables = {}
        for kind, (folded, which) in examples(library, strangers, 2000, seed).items():
            match = self.templates.correlate(folded)
            if which is not None:
                match[np.arange(len(match)), own[which]] = np.nan
            tables[kind] = witnesses(folded, match)
        # Noise and wrong orientations are easily told; strangers are what the score is for.
        value = {"strangers": 2.0, "noise": 0.3, "misindexed": 0.3}
        bad = {kind: t for kind, t in tables.items() if kind in value}
        weight = np.concatenate([np.full(len(t), value[kind]) for kind, t in bad.items()])
        return KnownScore.fit(
            tables["known"], np.concatenate(list(bad.values())), tables["moderate"], weight
        )

    # -- answers -------------------------------------------------------------------------------

    def predict(
        self,
        patterns: Any,
        quaternions: ArrayLike | None = None,
        detector: EBSDDetector | Geometry | None = None,
        mask: NDArray[np.bool_] | None = None,
        progress: Progress = None,
    ) -> SpaceGroupResult:
        """Name the space group of every pattern.

        Parameters
        ----------
        patterns : (..., rows, columns) numpy or dask array
            Raw or background-corrected. Dask arrays are read in chunks along the first axis.
        quaternions : (..., 4) array
            Specimen -> crystal as in `Scan`; 0 or NaN where unknown. Without them the shipped
            model answers by its raw-pattern network, which is less sure of new materials.
        detector
            kikuchipy `EBSDDetector`, with one pattern centre or one per pattern.
        mask : (rows, columns) bool array, optional
            Pixels that carry signal. Default: found from the patterns (circular masks).
        progress
            Called with the part done; may raise to cancel.

        Raises
        ------
        InputError
            When orientations or detector are missing, or shapes do not fit.
        """
        if quaternions is None and self._raw is not None:
            return self._raw_model().predict(patterns, mask=mask, progress=progress)
        shape, rays, geometry = self._check(patterns, quaternions, detector)
        flat = no_answers((len(rays),), self.space_groups)
        for part, folded, good in self._folded(patterns, rays, geometry, mask, progress):
            answer(self, folded, flat, part.start + np.flatnonzero(good))
        return flat.reshaped(shape)

    def predict_scan(
        self,
        scan: Scan,
        by: Literal["pixel", "grain", "map"] = "pixel",
        detector: EBSDDetector | Geometry | None = None,
        threshold: float = 5.0,
        mask: NDArray[np.bool_] | None = None,
        progress: Progress = None,
    ) -> SpaceGroupResult:
        """Name the space group of every pixel of a map.

        Parameters
        ----------
        scan
            With patterns and orientations.
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
            When the scan has no patterns, orientations or detector.
        InputError
            When an argument is out of range.
        """
        if by not in ("pixel", "grain", "map"):
            raise InputError(f"by must be 'pixel', 'grain' or 'map', not {by!r}.")
        if scan.patterns is None:
            raise MissingDataError(f"{scan.name} has no patterns.")
        if not scan.is_indexed.any():
            raise MissingDataError(f"{scan.name} has no orientations; index it first.")
        camera = scan.detector if detector is None else detector
        if camera is None:
            raise MissingDataError(
                f"{scan.name} has no detector geometry; give detector=EBSDDetector(...)."
            )
        if by == "pixel":
            return self.predict(scan.patterns, scan.quaternions, camera, mask, progress)
        if by == "map":
            labels = scan.is_indexed.astype(np.int32)
        else:
            from napari_ebsdml.maps.grains import segment_grains

            labels = segment_grains(scan, threshold=threshold)
        _, rays, geometry = self._check(scan.patterns, scan.quaternions, camera)
        number = int(labels.max())
        total: Folded | None = None
        flat_labels = labels.ravel().astype(np.intp) - 1
        for part, folded, good in self._folded(scan.patterns, rays, geometry, mask, progress):
            mine = flat_labels[part][good]
            if total is None:
                empty = np.zeros((number, *folded.sums.shape[1:]), np.float32)
                total = Folded(empty, empty.copy(), folded.steps)
            kept = mine >= 0
            np.add.at(total.sums, mine[kept], folded.sums[kept])
            np.add.at(total.weights, mine[kept], folded.weights[kept])
        grains = no_answers((number,), self.space_groups)
        if total is not None:
            seen = np.flatnonzero(total.weights.sum(axis=(1, 2)) > 0)
            for start in range(0, len(seen), 4096):
                at = seen[start : start + 4096]
                answer(self, Folded(total.sums[at], total.weights[at], total.steps), grains, at)
        return grains.spread(labels)

    def explain(
        self,
        pattern: NDArray[np.generic],
        quaternions: ArrayLike | None = None,
        detector: EBSDDetector | Geometry | None = None,
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
        from napari_ebsdml.patterns.explain import explain

        return explain(self, pattern, quaternions, detector, samples)

    # -- inside --------------------------------------------------------------------------------

    def _raw_model(self) -> RawClassifier:
        from napari_ebsdml.patterns.raw import RawClassifier

        if not isinstance(self._raw, RawClassifier):
            self._raw = RawClassifier.load(self._raw or "raw")
        return self._raw

    def _check(
        self, patterns: Any, quaternions: ArrayLike | None, detector: Any
    ) -> tuple[tuple[int, ...], NDArray[np.float64], Geometry]:
        if getattr(patterns, "ndim", 0) < 2:
            raise InputError("patterns must be an array (..., rows, columns).")
        shape = tuple(int(n) for n in patterns.shape[:-2])
        if quaternions is None:
            raise InputError(
                "This model needs orientations: give quaternions (..., 4), specimen -> crystal, "
                "for example those of an indexed scan (Hough indexing of a cubic phase will do), "
                "or use the raw-pattern model: SpaceGroupClassifier.load('raw')."
            )
        if detector is None:
            raise InputError("This model needs the geometry: give detector=EBSDDetector(...).")
        q = np.asarray(quaternions, dtype=np.float64)
        if q.shape != (*shape, 4):
            raise InputError(f"quaternions have shape {q.shape}, not {(*shape, 4)}.")
        size = (int(patterns.shape[-2]), int(patterns.shape[-1]))
        if min(size) < 16:
            raise InputError(f"Patterns of {size} pixels are too small; 16 x 16 is the least.")
        geometry = detector if isinstance(detector, Geometry) else Geometry.of(detector, size)
        rays = q.reshape(-1, 4)
        if len(geometry.bounds) not in (1, len(rays)):
            raise InputError(
                f"The detector has {len(geometry.bounds)} pattern centres for {len(rays)} patterns."
            )
        return shape, rays, geometry

    def _folded(
        self, patterns: Any, rays: NDArray[np.float64], geometry: Geometry,
        mask: NDArray[np.bool_] | None, progress: Progress,
    ) -> Iterator[tuple[slice, Folded, NDArray[np.bool_]]]:  # fmt: skip
        """Read, mask and fold piece by piece; only patterns with an orientation."""
        for start, block in blocks(patterns):
            part = slice(start, start + len(block))
            if mask is None:
                mask = find_mask(block)
            norm = np.linalg.norm(rays[part], axis=1)
            good = np.isfinite(norm) & (norm > 0.5)
            if good.any():
                whole = bool(good.all())
                folded = fold_patterns(
                    block if whole else block[good],
                    rays[part][good] / norm[good, None],
                    geometry.take(part).take(good), mask,
                )  # fmt: skip
                yield part, folded, good
            if progress is not None:
                progress(part.stop / max(1, len(rays)))
