"""Layers of a large map one by one: the window draws each before the next is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QEventLoop
from qtpy.QtWidgets import QApplication

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan

_LARGE = 1_000_000
"""Pixels from which on a layer takes a tenth of a second and more."""


def let_draw(scan: Scan) -> None:
    """Let the window draw what is new of a large map; clicks and keys wait."""
    if scan.phase_id.size >= _LARGE and QApplication.instance() is not None:
        QApplication.processEvents(QEventLoop.ProcessEventsFlag.ExcludeUserInputEvents)
