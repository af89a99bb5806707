"""What happens in a training, as plain figures."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_ebsdml.segmentation.results.result import SegmentationResult


@dataclass(frozen=True)
class SegmentationEvent:
    """What happened in a training.

    Attributes
    ----------
    kind
        ``"start"`` once the channels are there, ``"step"`` within an epoch, ``"epoch"`` after
        each, ``"end"`` once at the end.
    epoch, epochs
        Epochs finished, and planned in all.
    fraction
        Part of the training that is done, 0..1.
    seconds
        Time since the training began.
    losses
        ``"loss"``: mean training loss since the epoch began.
    metrics
        On held-out grains: ``"held_out_loss"`` and, where they are enough to tell, ``"accuracy"``
        and ``"balanced_accuracy"``; empty when nothing is held out, and for ``"step"``.
    is_best, best_epoch
        Whether this epoch is the best so far, and which one is.
    reason
        For ``"end"``: ``"finished"``, ``"early stop"`` or ``"time"``.
    preview
        Prediction of the scan that was asked for, or None. That of ``"start"`` is by the linear
        discriminant.
    """

    kind: str
    epoch: int
    epochs: int
    fraction: float
    seconds: float
    losses: dict[str, float] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    is_best: bool = False
    best_epoch: int = 0
    reason: str = ""
    preview: SegmentationResult | None = None
