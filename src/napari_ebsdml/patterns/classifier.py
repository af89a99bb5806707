"""`SpaceGroupClassifier`: the face of everything that names space groups of Kikuchi patterns."""

from __future__ import annotations

import pkgutil
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress
from napari_ebsdml.errors import InputError, ModelError
from napari_ebsdml.learning.model_card import ModelCard, read_card
from napari_ebsdml.learning.shipped import shipped_path
from napari_ebsdml.maps.settings import GRAIN_THRESHOLD
from napari_ebsdml.patterns.answers.classes import Classes, ClassModel
from napari_ebsdml.patterns.answers.explanation import Explanation
from napari_ebsdml.patterns.answers.result import SpaceGroupResult
from napari_ebsdml.patterns.kinds import CRYSTAL_FRAME, KINDS, SHIPPED

if TYPE_CHECKING:
    import numpy as np
    from kikuchipy.detectors import EBSDDetector

    from napari_ebsdml.camera import Camera
    from napari_ebsdml.patterns.frame.geometry import Geometry
    from napari_ebsdml.scan import Scan

_TRAIN = ("recipe", "strangers", "on_event")


class SpaceGroupClassifier(ABC):
    """Names space groups of Kikuchi patterns.

    There are two kinds: `CrystalFrameClassifier`, which looks at patterns in the frame of the
    crystal, and `RawClassifier`, which looks at them as they are. `load` and `train` choose.

    Attributes
    ----------
    model
        What was trained: plain data.
    needs_orientations
        Whether models of this kind work in the frame of the crystal.
    called
        What people call the kind, with an article.
    """

    needs_orientations: ClassVar[bool]
    called: ClassVar[str]
    model: ClassModel

    @property
    def card(self) -> ModelCard | None:
        """Card of the model."""
        return self.model.card

    @property
    def classes(self) -> Classes:
        """Pairs of lattice family and space group, in the order of the outputs."""
        return self.model.classes

    @property
    def space_groups(self) -> tuple[int, ...]:
        """Space groups that the model names."""
        return self.model.space_groups

    @property
    def families(self) -> tuple[str, ...]:
        """Lattice families that it names."""
        return self.model.families

    @classmethod
    def required(cls, model: object, who: str) -> Self:
        """The same model when it is of this kind.

        Parameters
        ----------
        model
        who
            Name of the function that needs it.

        Raises
        ------
        InputError
            When it is of another kind, or no model at all.
        """
        if isinstance(model, cls):
            return model
        other = model.called if isinstance(model, SpaceGroupClassifier) else type(model).__name__
        raise InputError(f"{who} needs {cls.called}, not {other}.")

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
            Of the kind that the file's card tells.

        Raises
        ------
        ModelError
            When the file is missing, damaged or of another kind.
        InputError
            When there is no shipped model of that name.
        """
        path = shipped_path(path, SHIPPED)
        kind = read_card(path).kind
        if kind not in KINDS:
            raise ModelError(
                f"{path}: this is a {kind!r} model, not one that names space groups "
                f"({', '.join(KINDS)})."
            )
        return _class_of(kind).load(path)

    @abstractmethod
    def save(self, path: str | Path) -> None:
        """Write weights (half precision) and model card.

        Raises
        ------
        ModelError
            When the files cannot be written.
        """

    # -- training ------------------------------------------------------------------------------

    @classmethod
    def train(cls, data: Any, *args: Any, **options: Any) -> SpaceGroupClassifier:
        """Train on simulated patterns of a library of master patterns, or on labelled patterns.

        ``train(data, recipe=None, strangers=None, on_event=None)``, and by name whatever else the
        kind's own ``train`` takes: see `CrystalFrameClassifier` and `RawClassifier`.

        Parameters
        ----------
        data : Library, path of one, or LabelledPatterns
            A library trains a model in the crystal frame, labelled patterns one of raw patterns.
        *args, **options
            recipe : Recipe or RawRecipe, default that of the shipped model; strangers : arrays
            (2, side, side), in the crystal frame: master patterns outside m-3m as examples of what
            is unknown; on_event : called with every `TrainingEvent`, an exception from it cancels.

        Returns
        -------
        SpaceGroupClassifier

        Raises
        ------
        InputError
            When the data do not suffice, or the recipe is one for the other kind of model.
        FileFormatError
            When a file is no library.
        """
        if len(args) > len(_TRAIN):
            raise TypeError(f"train takes data and {', '.join(_TRAIN)}; give the rest by name.")
        options |= dict(zip(_TRAIN, args, strict=False))
        recipe = options.get("recipe")
        if recipe is not None and _trains(recipe) != _trains(data):
            raise InputError("Labelled patterns need a RawRecipe, a library of masters a Recipe.")
        given = {name: value for name, value in options.items() if value is not None}
        return _class_of(_trains(data)).train(data, **given)

    # -- answers -------------------------------------------------------------------------------

    @abstractmethod
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
        """Name the space group of every pattern; see the kinds for the arguments."""

    @abstractmethod
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
        """Name the space group of every pixel of a map; see the kinds for the arguments."""

    @abstractmethod
    def explain(
        self,
        pattern: NDArray[np.generic],
        orientations: Any = None,
        detector: EBSDDetector | Camera | Geometry | None = None,
        samples: int = 64,
        *,
        frame: str | None = None,
    ) -> Explanation:
        """Which parts of a pattern speak for and against each space group."""


def _class_of(kind: str) -> type[SpaceGroupClassifier]:
    found = pkgutil.resolve_name(KINDS[kind].where)
    assert isinstance(found, type)
    assert issubclass(found, SpaceGroupClassifier)
    return found


def _trains(given: object) -> str:
    """Kind of the models that data, or a recipe, are for; a library and its path need not say."""
    return str(getattr(given, "trains", CRYSTAL_FRAME))
