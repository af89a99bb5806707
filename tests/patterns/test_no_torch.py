"""Which rooms of `patterns` do without torch, whose import takes seconds."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import pytest

from napari_ebsdml.patterns import answers, crystals, frame, search, simulated

ROOMS = (answers, crystals, frame, search, simulated)
ALONE = (
    "napari_ebsdml.patterns.kinds", "napari_ebsdml.patterns.classifier",
    "napari_ebsdml.learning.model_card", "napari_ebsdml._napari.space_groups.models",
    "napari_ebsdml._napari.space_groups.model_panel",
)  # fmt: skip


@pytest.mark.parametrize("room", [*ROOMS, None])
def test_torch_is_not_imported(room):
    names = ALONE
    if room is not None:
        found = pkgutil.iter_modules(room.__path__, f"{room.__name__}.")
        names = tuple(module.name for module in found)
        assert len(names) > 1
    code = (
        "import importlib, sys\n"
        f"for name in {names!r}:\n"
        "    importlib.import_module(name)\n"
        "    assert 'torch' not in sys.modules, name\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
