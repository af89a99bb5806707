"""Colours that are readable on dark and on light themes."""

from __future__ import annotations

from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QWidget

from napari_ebsdml._palette import CURVES

_MUTED = ("#9aa0a6", "#5b6168")


def is_light(widget: QWidget) -> bool:
    """Whether a widget stands on a light ground.

    Its text tells: a ground that is transparent has no colour of its own.
    """
    return bool(widget.palette().windowText().color().lightness() < 128)


def muted(widget: QWidget) -> str:
    """Colour of text of lesser importance, as ``"#rrggbb"``."""
    return _MUTED[is_light(widget)]


def shades(widget: QWidget) -> tuple[str, ...]:
    """Colours of curves, easy to tell apart, as ``"#rrggbb"``."""
    return CURVES[is_light(widget)]


def changes_theme(event: QEvent | None) -> bool:
    """Whether an event of `changeEvent` may come from a new theme."""
    kinds = (QEvent.Type.PaletteChange, QEvent.Type.StyleChange)
    return event is not None and event.type() in kinds
