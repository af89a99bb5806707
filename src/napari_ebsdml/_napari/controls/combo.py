"""Combo boxes that are as narrow as a dock."""

from __future__ import annotations

from typing import TypeVar

from qtpy.QtWidgets import QComboBox, QSizePolicy

Box = TypeVar("Box", bound=QComboBox)


def narrow(box: Box) -> Box:
    """Let a combo box cut a long text off; open, it shows all of it.

    Otherwise the longest entry would make the whole dock wider.
    """
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(8)
    box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return box


def narrow_combo() -> QComboBox:
    """A new combo box of this kind."""
    return narrow(QComboBox())
