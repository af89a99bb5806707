"""The button "?" of the docks."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from npe2 import PluginManifest

from napari_ebsdml._napari.shell.help import HelpButton
from napari_ebsdml._napari.shell.scan_widget import ScanWidget
from tests.napari.docks import PLUGIN

DOCS = Path(__file__).parents[3] / "docs"


def docks() -> list[type[ScanWidget]]:
    """Docks of the plugin that work on a map."""
    manifest = PluginManifest.from_distribution(PLUGIN)
    offered = {widget.command for widget in manifest.contributions.widgets or []}
    places = [c.python_name for c in manifest.contributions.commands or [] if c.id in offered]
    classes = [
        getattr(import_module(module), name)
        for module, _, name in (str(place).partition(":") for place in places)
    ]
    return [one for one in classes if isinstance(one, type) and issubclass(one, ScanWidget)]


@pytest.mark.parametrize("dock", docks(), ids=lambda dock: dock.__name__)
def test_every_dock_tells_what_it_does(dock: type[ScanWidget], qtbot: Any) -> None:
    text = dock.HELP
    assert text is not None
    assert (DOCS / text.page).is_file(), text.page
    assert text.steps
    button = HelpButton(text)
    qtbot.addWidget(button)
    titles = [action.text() for action in button.menu().actions() if action.text()]
    assert titles[0] == "Documentation"
    assert len(titles) == 1 + len(text.cite)
