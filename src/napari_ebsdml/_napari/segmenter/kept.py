"""What outlives the dock while the viewer is open: classes, channels and the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from napari_ebsdml._napari.segmenter.state import SegmentClass, SegmenterState
    from napari_ebsdml.segmentation import Segmenter


@dataclass(frozen=True)
class Kept:
    """State of a dock that was closed."""

    classes: tuple[SegmentClass, ...]
    channels: tuple[str, ...]
    own_choice: bool
    segmenter: Segmenter | None


_kept: WeakKeyDictionary[Any, Kept] = WeakKeyDictionary()


def keep(state: SegmenterState, own_choice: bool) -> None:
    """Remember what a dock holds, for the next one in its viewer.

    `own_choice` says whether the user chose the channels.
    """
    _kept[state.viewer] = Kept(state.classes, state.channels, own_choice, state.segmenter)


def kept_of(viewer: Any) -> Kept | None:
    """What the last dock in a viewer held; None for the first one."""
    return _kept.get(viewer)
