"""What a training leaves: everything that a prediction needs, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from napari_ebsdml.segmentation.inputs.domain import Ranges
from napari_ebsdml.segmentation.inputs.familiar import Familiar
from napari_ebsdml.segmentation.inputs.normalise import Normaliser
from napari_ebsdml.segmentation.labels.data import Classes
from napari_ebsdml.segmentation.models.boosted import BoostedTrees
from napari_ebsdml.segmentation.models.linear import Discriminant
from napari_ebsdml.segmentation.models.network import UNet


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """Data of a trained model; see `Segmenter`, which adds what one does with them."""

    network: UNet | None
    channels: tuple[str, ...]
    normaliser: Normaliser
    classes: Classes
    temperature: float
    step: tuple[float, float]
    phases: tuple[str, ...]
    record: Mapping[str, Any]
    metrics: Mapping[str, Any]
    linear: Discriminant | BoostedTrees | None = None
    ranges: Ranges | None = None
    familiar: Familiar | None = None

    @property
    def doubt(self) -> float:
        """Part of all chances that is shared by the classes alike; see `Judged.calibration`."""
        return float(self.record.get("doubt", 0.0))
