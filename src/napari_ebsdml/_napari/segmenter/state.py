"""What the panels of the segmenter share: classes, strokes, channels, model, predictions."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal

from napari_ebsdml._napari.layers.classes import LabelClass
from napari_ebsdml._napari.layers.of_scans import scans_of
from napari_ebsdml._napari.layers.turns import Turns
from napari_ebsdml._napari.segmenter.inputs import Inputs
from napari_ebsdml._napari.shell.scan_widget import ScanWidget
from napari_ebsdml._palette import CLASS_COLORS
from napari_ebsdml.errors import InputError
from napari_ebsdml.scan import Scan
from napari_ebsdml.segmentation.settings import PredictSettings

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Labels, Layer

    from napari_ebsdml.segmentation import SegmentationResult, Segmenter, TrainingSettings

MOST_CLASSES = 20


@dataclass(frozen=True)
class SegmentClass:
    """A class that can be painted: its label value (1 or more), name and ``"#rrggbb"``."""

    value: int
    name: str
    color: str


class Display(enum.Enum):
    """How a segmentation is drawn on its map."""

    TINT = "tinted map"
    FILLED = "filled"
    OUTLINES = "outlines"


@dataclass(frozen=True)
class Pair:
    """A scan and the Labels layer with its strokes; equal when both are the same objects."""

    scan: Scan
    layer: Labels

    def labels(self) -> NDArray[np.integer]:
        """Copy of what is painted on the scan: (rows, columns), 0 where nothing is."""
        data = np.asarray(self.layer.data)
        if data.ndim == 3:
            scans = scans_of(self.layer)
            whole = len(data) == len(scans) > 1 and self.scan in scans
            data = data[scans.index(self.scan) if whole else 0]
        return np.array(data)


@dataclass
class _Predictions:
    shown: dict[Scan, SegmentationResult]
    raw: dict[Scan, SegmentationResult]
    layers: dict[Scan, dict[str, Layer]]


class SegmenterState(QObject):
    """What the panels of the segmenter share; they talk through its signals alone.

    Signals
    -------
    classes_changed, pairs_changed
        Names, colours or number of classes; pairs of scans and layers.
    painted
        What is painted on some pair was changed (at most some times a second).
    channels_changed, settings_changed
    model_changed
        There is another model, or none any more.
    prediction_changed : Scan
        The scan has another prediction, or none any more.
    busy_changed : bool
        A job began or ended.

    Attributes
    ----------
    viewer
    widget : ScanWidget
        Dock whose task bar runs the jobs of all panels.
    channels : tuple of str
        As `Segmenter.train` takes them; empty: `default_channels` of the first scan.
    settings : dict
        Single settings that differ from `TrainingSettings()`; see `training_settings`.
    network : dict
        Keyword arguments of `UNetSettings`; empty: as deep as the strokes allow.
    turns : Turns
        For what may be drawn a moment later.
    options : PredictSettings
    display : Display
    predictions : dict
        Scan -> `SegmentationResult` that is shown.
    """

    classes_changed = Signal()
    pairs_changed = Signal()
    painted = Signal()
    channels_changed = Signal()
    settings_changed = Signal()
    model_changed = Signal()
    prediction_changed = Signal(object)
    busy_changed = Signal(bool)

    def __init__(self, viewer: ViewerModel, widget: ScanWidget | None = None) -> None:
        self.widget = widget if widget is not None else ScanWidget(viewer, "Train")
        super().__init__(self.widget)
        self.viewer = self.widget.viewer
        self.inputs = Inputs(self.viewer)
        self.turns = Turns(self)
        self.options = PredictSettings()
        self.display = Display.TINT
        self.network: dict[str, Any] = {}
        self._classes = tuple(
            SegmentClass(n + 1, f"class {n + 1}", CLASS_COLORS[n]) for n in range(2)
        )
        self._pairs: tuple[Pair, ...] = ()
        self._channels: tuple[str, ...] = ()
        self._settings: dict[str, Any] = {}
        self._segmenter: Segmenter | None = None
        self._predictions = _Predictions(*(self.widget.per_map() for _ in range(3)))
        self.widget.tasks.stopped.connect(lambda how: self.busy_changed.emit(False))
        self.widget.maps_gone.connect(self.inputs.forget)

    # Scan and jobs

    @property
    def scan(self) -> Scan | None:
        """The scan that is chosen on top of the dock."""
        return self.widget.scan

    @property
    def busy(self) -> bool:
        """Whether a job is under way."""
        return self.widget.tasks.running

    def run(
        self,
        scans: Scan | Sequence[Scan],
        function: Callable[..., Any],
        *arguments: Any,
        **options: Any,
    ) -> None:
        """Call a function in a worker thread; see `ScanWidget.run` and `TaskBar.start`."""
        self.widget.run(scans, function, *arguments, **options)
        self.busy_changed.emit(True)

    # Classes

    @property
    def classes(self) -> tuple[SegmentClass, ...]:
        """Classes in the order of their values."""
        return self._classes

    @classes.setter
    def classes(self, classes: Sequence[SegmentClass]) -> None:
        ordered = tuple(sorted(classes, key=lambda c: c.value))
        values = [c.value for c in ordered]
        if len(set(values)) < len(values) or any(v < 1 for v in values):
            raise InputError(f"Class values must be different whole numbers from 1, not {values}.")
        if len(ordered) > MOST_CLASSES:
            raise InputError(
                f"{len(ordered)} classes are too many; at most {MOST_CLASSES} will do."
            )
        if ordered != self._classes:
            self._classes = ordered
            self.classes_changed.emit()

    def add_class(self, name: str = "", color: str = "", value: int = 0) -> SegmentClass:
        """Add a class with the next free value."""
        used = {c.value for c in self._classes}
        value = value or next(v for v in range(1, len(used) + 2) if v not in used)
        free = [c for c in CLASS_COLORS if c not in {k.color for k in self._classes}]
        free = free or list(CLASS_COLORS)
        new = SegmentClass(value, name or f"class {value}", color or free[0])
        self.classes = (*self._classes, new)
        return new

    def change_class(self, value: int, **changes: Any) -> None:
        """Give a class another name or colour."""
        self.classes = tuple(
            replace(c, **changes) if c.value == value else c for c in self._classes
        )

    def remove_class(self, value: int) -> None:
        """Take a class away; its strokes stay until they are erased."""
        self.classes = tuple(c for c in self._classes if c.value != value)

    def label_classes(self) -> tuple[LabelClass, ...]:
        """Classes as `layers.add_result` takes them, with label 0 for no class."""
        return (
            LabelClass(0, "none", "transparent"),
            *(LabelClass(c.value, c.name, c.color) for c in self._classes),
        )

    @property
    def names(self) -> dict[int, str]:
        """Value -> name."""
        return {c.value: c.name for c in self._classes}

    @property
    def colors(self) -> dict[int, str]:
        """Value -> colour."""
        return {c.value: c.color for c in self._classes}

    # Strokes

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """Scans with the layers that hold their strokes."""
        return self._pairs

    @pairs.setter
    def pairs(self, pairs: Sequence[Pair]) -> None:
        new = tuple(dict.fromkeys(pairs))
        if new != self._pairs:
            self._pairs = new
            self.pairs_changed.emit()

    def pairs_of(self, scan: Scan | None) -> tuple[Pair, ...]:
        """Pairs of one scan."""
        return tuple(pair for pair in self._pairs if pair.scan is scan)

    def training_pairs(self) -> list[tuple[Scan, NDArray[np.integer]]]:
        """Scans, with the extra properties of `prepared`, and copies of their strokes.

        Pairs without strokes are left out; labels that are no class count as unlabelled.
        """
        known = np.array([c.value for c in self._classes])
        found = []
        for pair in self._pairs:
            labels = pair.labels()
            labels[~np.isin(labels, known)] = 0
            if labels.any():
                found.append((self.prepared(pair.scan), labels))
        return found

    def prepared(self, scan: Scan) -> Scan:
        """The scan with what other docks computed on it as properties ("GND"): to train on and
        predict. The same object each time.
        """
        return self.inputs.prepared(scan)

    # Channels and settings

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the input channels."""
        return self._channels

    @channels.setter
    def channels(self, channels: Sequence[str]) -> None:
        if tuple(channels) != self._channels:
            self._channels = tuple(channels)
            self.channels_changed.emit()

    @property
    def settings(self) -> dict[str, Any]:
        """Changes to the default `TrainingSettings`, for ``Segmenter.train(..., **settings)``,
        but for the network; see `network`.
        """
        return dict(self._settings)

    @settings.setter
    def settings(self, settings: Mapping[str, Any]) -> None:
        if dict(settings) != self._settings:
            self._settings = dict(settings)
            self.settings_changed.emit()

    def training_settings(self) -> TrainingSettings:
        """The settings as an object; imports torch, so call it in a worker."""
        from napari_ebsdml.segmentation import TrainingSettings, UNetSettings

        network = UNetSettings(**self.network) if self.network else None
        return TrainingSettings(network=network, **self._settings)

    # Model and predictions

    @property
    def segmenter(self) -> Segmenter | None:
        """The present model."""
        return self._segmenter

    @segmenter.setter
    def segmenter(self, model: Segmenter | None) -> None:
        if model is not self._segmenter:
            if model is not None:
                self._name_the_nameless(model)
            self._segmenter = model
            self.model_changed.emit()

    def _name_the_nameless(self, model: Segmenter) -> None:
        """Give classes that nobody named the model's names, whoever sets it."""
        known = model.classes
        new = {
            value: SegmentClass(value, name, color)
            for value, name, color in zip(known.values, known.names, known.colors, strict=True)
        }
        nameless = {c.value for c in self._classes if c.name == f"class {c.value}"}
        # Classes that a training was begun without must not come back.
        add = new if len(nameless) == len(self._classes) and not self.training_pairs() else {}
        named = {c.value: new.get(c.value, c) if c.value in nameless else c for c in self._classes}
        self.classes = tuple({**add, **named}.values())

    @property
    def predictions(self) -> dict[Scan, SegmentationResult]:
        """Scan -> the result that is shown."""
        return dict(self._predictions.shown)

    def raw_prediction(self, scan: Scan) -> SegmentationResult | None:
        """The result before the grain vote."""
        return self._predictions.raw.get(scan)

    def prediction_layers(self, scan: Scan) -> dict[str, Layer]:
        """``"labels"`` and ``"uncertainty"`` layers of a scan's prediction; may be empty."""
        there = self._predictions.layers.get(scan, {})
        return {key: layer for key, layer in there.items() if layer in self.viewer.layers}

    def set_prediction(
        self,
        scan: Scan,
        result: SegmentationResult | None,
        layers: Mapping[str, Layer] | None = None,
        raw: SegmentationResult | None = None,
    ) -> None:
        """Say what is predicted for a scan, and which layers show it; None takes it away.

        `prediction_layers.show_prediction` makes the layers and calls this.
        """
        if result is None:
            for part in (self._predictions.shown, self._predictions.raw, self._predictions.layers):
                part.pop(scan, None)
        else:
            self._predictions.shown[scan] = result
            self._predictions.raw[scan] = raw if raw is not None else result
            self._predictions.layers[scan] = dict(layers or {})
        self.prediction_changed.emit(scan)
