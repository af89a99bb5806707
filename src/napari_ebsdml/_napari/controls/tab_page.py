"""Pages of the docks' tabs."""

from __future__ import annotations

from qtpy.QtWidgets import QVBoxLayout, QWidget


def tab_page(content: QWidget) -> QWidget:
    """Content of a tab, with a margin."""
    page = QWidget()
    layout = QVBoxLayout(page)
    layout.setContentsMargins(4, 4, 4, 4)
    layout.addWidget(content)
    return page
