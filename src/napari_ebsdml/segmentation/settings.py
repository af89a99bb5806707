"""Settings of trainings and predictions. Light: a form or a command line reads it first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Annotated, Any

from napari_ebsdml.errors import InputError
from napari_ebsdml.learning.model_card import Entries
from napari_ebsdml.maps.settings import GRAIN_THRESHOLD
from napari_ebsdml.options import Option

TRUTH_GRAIN_THRESHOLD = 2.0
"""Misorientation in degrees at which a grain of a ground truth ends, as the article takes it."""


@dataclass(frozen=True)
class UNetSettings:
    """Sizes of a U-Net.

    Parameters
    ----------
    depth
        Number of times that the map is halved; the number of convolution steps is twice that
        plus one.
    filters
        Filters at full resolution.
    most_filters
        They double with each halving up to this number.
    dropout
        Part of the filters' outputs that is dropped between two convolutions, in training.
    normalise
        Batch normalisation after each convolution.
    members
        Number of networks that learn side by side, each from its own part of every batch; their
        probabilities are averaged. From few grains single networks come out very differently.
    linear
        Learn what a linear discriminant of the planes leaves over, in place of everything.
    """

    depth: int = 3
    filters: int = 16
    most_filters: int = 64
    dropout: float = 0.1
    normalise: bool = True
    members: int = 1
    linear: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.depth <= 6 or self.filters < 1 or self.most_filters < self.filters:
            raise InputError(
                f"A U-Net needs depth 1..6 and 1 <= filters <= most_filters, not {self}."
            )
        if not 1 <= self.members <= 16:
            raise InputError(f"members must be 1 to 16, not {self.members}.")
        if not 0 <= self.dropout < 1:
            raise InputError(f"dropout must lie in 0..1, not {self.dropout}.")

    @classmethod
    def paper(cls, steps: int = 7) -> UNetSettings:
        """The network of the article: 3, 5 or 7 steps of two convolutions, 32 filters at the top.

        Raises
        ------
        InputError
            When `steps` is another number.
        """
        if steps not in (3, 5, 7):
            raise InputError(f"The article's network has 3, 5 or 7 steps, not {steps}.")
        return cls((steps - 1) // 2, 32, 256, 0.2, False, linear=False)

    @classmethod
    def of_card(cls, entries: Entries) -> UNetSettings:
        """What `as_dict` put into a model card; sizes that an older card lacks are the default.

        Raises
        ------
        ModelError
            When an entry is no size of a network.
        """
        entries.refuse_others([field.name for field in fields(cls)])
        given: dict[str, Any] = {
            name: entries.whole(name, 1, 1 << 16)
            for name in ("depth", "filters", "most_filters", "members")
            if name in entries.table
        }
        if "dropout" in entries.table:
            given["dropout"] = entries.number("dropout", 0.0, 1.0)
        for name in ("normalise", "linear"):
            if name in entries.table:
                given[name] = entries.flag(name)
        # Models from before there was such a thing.
        given.setdefault("linear", False)
        return cls(**given)

    def as_dict(self) -> dict[str, Any]:
        """The sizes as plain values."""
        return asdict(self)


_NETWORKS: dict[UNetSettings | None, str] = {
    None: "as the strokes allow",
    **{UNetSettings(depth=depth): str(depth) for depth in range(1, 5)},
    **{UNetSettings.paper(steps): f"article, {steps} steps" for steps in (3, 5, 7)},
}


@dataclass(frozen=True)
class TrainingSettings:
    """How a segmenter is trained.

    Parameters
    ----------
    network
        Sizes of the U-Net; ``UNetSettings.paper(7)`` for the article's. None: as deep as the
        labels allow (see `depth_for`), and four side by side on small maps (`members_for`).
    epochs, steps
        Most epochs, and batches in each. No epochs: the linear discriminant alone, in no time.
    batch, crop
        Crops in a batch, and their side in pixels; smaller maps give more and smaller ones.
    learning_rate, weight_decay
        Highest learning rate and weight decay of AdamW.
    keep
        What answers after a training: ``"better"``, the U-Net where held-out grains say that it is
        better than the linear discriminant, and otherwise that; ``"network"``, the U-Net.
    patience
        Stop after so many epochs without improvement on the held-out grains; 0: never.
    held_out
        Part of the labels to hold out in whole grains and blocks: for early stopping, for the
        calibration and for the metrics on the model card. Networks side by side hold out
        another part each.
    grow
        Labels spread from strokes through their grain (2 degrees) over so many pixels, where
        no stroke of another class touches the grain; 0: not. Only on maps of which less than a
        fifth is labelled.
    gap
        Labelled pixels this close to a held-out one do not train.
    balance
        Weight of the classes in the loss: 0 as they come, 1 every class alike. A U-Net from whole
        labelled maps is set to how often they are labelled afterwards.
    turns, coarser, brightness, lost
        Augmentation: the eight turns of a map onto its grid; every second pixel (twice the
        step); change of brightness and contrast in units of the spread; largest part of pixels
        that lose their indexing.
    mix
        Part of the crops that get a rectangle of another crop pasted in, labels and all: the
        network cannot learn strokes by heart from what surrounds them (arXiv:1905.04899).
    blur
        Strength of what keeps a network from telling single grains by their exact figures:
        noise of each pixel, shift of each plane, both in units of the spread; and the part of
        planes that is blanked in a crop.
    average
        Memory of the moving average of the weights, in steps: ``1 - 1 / n``.
    seconds
        Stop after so many seconds, with the best weights so far; 0: no limit.
    seed
    """

    network: Annotated[
        UNetSettings | None,
        Option(
            "Depth",
            "How often the map is halved. A deep network sees far, and learns the surroundings of "
            "a few strokes by heart",
            choices=_NETWORKS, more_choices=True,
        ),
    ] = None  # fmt: skip
    epochs: Annotated[
        int,
        Option(
            "Effort",
            "Most epochs; a training stops earlier when the held-out grains get no better",
            "epochs", 0,
            choices={
                0: "none, linear discriminant", 8: "quick, 8 epochs", 15: "normal, 15 epochs",
                40: "thorough, 40 epochs",
            },
            more_choices=True,
        ),
    ] = 15  # fmt: skip
    steps: int = 15
    batch: int = 6
    crop: int = 96
    learning_rate: float = 4e-3
    weight_decay: float = 1e-2
    keep: Annotated[
        str,
        Option("After training", "Which of the two answers",
               choices={"better": "the better one on held-out grains", "network": "the U-Net"}),
    ] = "better"  # fmt: skip
    patience: int = 8
    held_out: Annotated[
        float,
        Option("Held out",
               "Part of the strokes, in whole grains, that does not train but tells how good the "
               "model is, and when to stop",
               "", 0, 0.5, 0.05, 0, ("%", 100)),
    ] = 0.2  # fmt: skip
    gap: int = 3
    grow: Annotated[
        int,
        Option("Spread strokes in grains",
               "Strokes spread through their grain (2°) so far, unless another class touches it. "
               "0: not",
               "px", 0, 200),
    ] = 12  # fmt: skip
    balance: Annotated[
        float,
        Option("Balance of classes", "0: as painted; full: every class counts alike", "", 0, 1,
               0.1, 0, ("%", 100)),
    ] = 0.5  # fmt: skip
    turns: Annotated[
        bool,
        Option("Turn and mirror the map",
               "Train on all eight turns; orientations turn with the specimen"),
    ] = True  # fmt: skip
    coarser: Annotated[
        bool,
        Option("Also train at twice the step",
               "So that the model also suits maps that were measured more coarsely"),
    ] = True  # fmt: skip
    brightness: float = 0.1
    lost: float = 0.05
    mix: float = 0.5
    blur: float = 0.1
    average: float = 0.95
    seconds: Annotated[
        float,
        Option("Time limit",
               "The training stops then, with the best model so far. 0: no limit",
               "s", 0, 36_000, 60, 0, ("min", 1 / 60), at_minimum="none"),
    ] = 0.0  # fmt: skip
    seed: Annotated[
        int, Option("Seed", "Of all that is random: same seed, same model", "", 0, 999_999)
    ] = 0

    def __post_init__(self) -> None:
        for name in ("held_out", "balance", "lost", "mix", "blur", "average"):
            value = getattr(self, name)
            high = 0.5 if name == "held_out" else 1.0
            if not 0 <= value <= high or (name == "average" and value == 1):
                raise InputError(f"{name} must lie in 0..{high:g}, not {value}.")
        if self.keep not in ("better", "network"):
            raise InputError(f"keep must be 'better' or 'network', not {self.keep!r}.")
        least = {"epochs": 0, "steps": 1, "batch": 1, "crop": 8, "gap": 0, "grow": 0}
        for name, lowest in least.items():
            if getattr(self, name) < lowest:
                raise InputError(f"{name} must be at least {lowest}, not {getattr(self, name)}.")
        if self.brightness < 0 or self.seconds < 0:
            raise InputError("brightness and seconds must not be negative.")

    def as_dict(self) -> dict[str, Any]:
        """All settings as plain values."""
        return asdict(self)


@dataclass(frozen=True)
class PredictSettings:
    """How maps are segmented: arguments of `Segmenter.predict`."""

    grain_vote: Annotated[
        bool,
        Option("One class per grain", "Each grain gets the class of the highest mean probability"),
    ] = False
    grain_threshold: Annotated[
        float,
        Option("Grains end at", "Misorientation at which a grain ends, for the vote",
               "°", 0.1, 180, 0.5, 1, when="grain_vote"),
    ] = GRAIN_THRESHOLD  # fmt: skip
    not_indexed: Annotated[
        str,
        Option(
            "Pixels not indexed",
            "The model reads the pattern quality there, but no orientation",
            choices={"classify": "classify, too", "leave_out": "leave out"},
        ),
    ] = "classify"
    standardise: Annotated[
        str,
        Option(
            "Brightness",
            "Of pattern quality: as it is, or scaled to that of the training, for a detector that "
            "was set otherwise",
            choices={"as_trained": "as trained", "this_map": "standardised to this map"},
        ),
    ] = "as_trained"
    turns: Annotated[
        int,
        Option(
            "Turns of the map", "The mean over eight turns is a little better", "", 1, 8,
            choices={1: "as it lies", 8: "mean of all eight"}, more_choices=True,
        ),
    ] = 1  # fmt: skip


def depth_for(regions: int) -> int:
    """Depth of the network for a number of separately labelled grains or strokes.

    A deep network sees far, and from a few strokes learns their surroundings by heart: in a
    duplex steel with strokes on 2 % of the pixels, depth 1 got 7 points more than depth 3.
    """
    return 1 if regions < 100 else 2 if regions < 500 else 3


def members_for(pixels: int, dense: bool = True) -> int:
    """Number of networks side by side for a number of pixels in all training maps.

    Small maps hold few grains, and what a network makes of them is then a matter of chance; and
    on small maps four networks still are quick. From strokes on large maps there are three, so
    that most strokes are held out by one of them and can judge.
    """
    return 4 if pixels < 50_000 else 1 if dense else 3


def settings_from(
    settings: TrainingSettings | None, changes: Mapping[str, Any]
) -> TrainingSettings:
    """Settings with single values changed.

    Raises
    ------
    InputError
        When a name is unknown or a value out of range.
    """
    unknown = set(changes) - {f.name for f in fields(TrainingSettings)}
    if unknown:
        names = ", ".join(f.name for f in fields(TrainingSettings))
        raise InputError(f"Unknown training setting {sorted(unknown)[0]!r}; there are {names}.")
    return replace(settings or TrainingSettings(), **changes)
