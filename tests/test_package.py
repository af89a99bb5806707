"""What may import what: the floor plan of docs/architecture.md, held by the source itself."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tools.import_graph import House

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "napari_ebsdml"
HOUSE = House(PACKAGE)

GUI = {"napari", "qtpy", "PyQt5", "PyQt6", "PySide6", "vispy", "superqt", "magicgui"}

GROUND = {
    "_atomic", "_orix", "_page", "_palette", "_parallel", "_paths", "_quaternion_kernels",
    "_quaternions", "camera", "errors", "materials", "options", "scan",
}  # fmt: skip
UP_TO_IO = GROUND | {"io"}
UP_TO_MAPS = UP_TO_IO | {"maps"}
JOB = UP_TO_MAPS | {"learning"}
CORE = JOB | {"dislocations", "grains", "patterns", "samples", "segmentation"}

HOUSE_ROWS = {
    "errors": set(),
    "materials": set(),
    "options": {"errors"},
    "_atomic": set(),
    "_orix": set(),
    "_page": {"_atomic"},
    "_paths": {"errors"},
    "_palette": set(),
    "_parallel": {"errors"},
    "_quaternions": {"_quaternion_kernels"},
    "_quaternion_kernels": set(),
    "camera": {"errors"},
    "scan": {"camera", "errors"},
    "io": GROUND,
    "maps": UP_TO_IO,
    "samples": UP_TO_MAPS,
    "learning": UP_TO_MAPS,
    "dislocations": JOB,
    "segmentation": JOB,
    "grains": JOB,
    "patterns": JOB,
    "batching": CORE | {"figures"},
    "figures": CORE,
    "cli": CORE | {"batching", "figures"},
    "__main__": {"cli"},
    "_napari": CORE | {"batching", "figures"},
    "demo": {"_napari"},
    "widgets": {"_napari"},
}
"""Every room of the house, and the rooms that it may import."""

PATTERNS_ROWS = {
    "frame": set(),
    "crystals": {"frame"},
    "simulated": {"crystals", "frame"},
    "search": {"crystals", "frame", "simulated"},
    "answers": {"crystals", "frame"},
    "symmetry": {"crystals", "frame", "simulated"},
    "relative": {"frame"},
}
BELOW_CLASSIFIERS = set(PATTERNS_ROWS)

DISLOCATIONS_ROWS = {
    "settings": set(),
    "slip_systems": {"_cell"},
    "structures": {"slip_systems"},
    "gnd": {"settings", "slip_systems"},
    "article": {"settings"},
}

DOCKS = (
    "crystals", "dislocations", "gnd", "grain_classes", "grains_and_poles", "maps",
    "parent_grains", "pattern_viewer", "segmenter",
)  # fmt: skip
SHARED = ("controls", "layers", "shell")
"""What docks are made of; each may import those before it."""
SHARED_OF_DOCKS = {
    "_napari.gnd.form", "_napari.gnd.layers", "_napari.gnd.script", "_napari.pattern_viewer.viewer",
}  # fmt: skip
"""What a dock may import of another dock: a total density begins with a GND density."""
QT_MOVES_OUT = ("classify", "training_work", "found_orientations")
"""Modules that say "no Qt here" and still import one that has it."""

WITHOUT_TORCH = (
    "scan", "camera", "errors", "materials", "io", "maps", "samples", "grains", "cli",
    "learning.shipped", "learning.model_card", "patterns.frame", "patterns.crystals",
    "patterns.simulated", "patterns.search", "patterns.symmetry", "patterns.answers",
    "patterns.relative", "patterns.improve",
    "patterns.kinds", "patterns.classifier",
)  # fmt: skip


def arrows(room: str) -> dict[str, set[str]]:
    """What each room of a package imports of the others when the program runs."""
    plan = HOUSE.plan(room)
    found: dict[str, set[str]] = {name: set() for name in plan.rooms}
    for a, b in plan.of_kind("load", "late"):
        found[a].add(b)
    return found


def modules_below(name: str) -> list[str]:
    """Dotted names, below the package, of a module and all that lie in it."""
    return [m for m in HOUSE.files if m == name or m.startswith(f"{name}.")]


def test_every_room_has_a_row_and_arrows_point_down() -> None:
    found = arrows("")
    assert set(found) == set(HOUSE_ROWS)
    for room, imported in found.items():
        assert imported <= HOUSE_ROWS[room], room


def test_only_the_plugin_imports_napari_and_qt() -> None:
    pattern = re.compile(rf"^\s*(?:import|from) ({'|'.join(sorted(GUI))})\b", re.MULTILINE)
    for name, path in HOUSE.files.items():
        if not name.startswith("_napari"):
            assert not pattern.search(path.read_text(encoding="utf-8")), name


def test_wings_of_patterns() -> None:
    found = arrows("patterns")
    for room, allowed in PATTERNS_ROWS.items():
        assert found[room] <= allowed, room
    assert found["crystal_frame"] <= BELOW_CLASSIFIERS | {"classifier", "kinds"}
    assert found["raw"] <= BELOW_CLASSIFIERS | {"classifier", "kinds", "crystal_frame"}
    assert found["refine"] <= BELOW_CLASSIFIERS | {"classifier", "crystal_frame"}


def test_wings_of_dislocations() -> None:
    found = arrows("dislocations")
    for room, allowed in DISLOCATIONS_ROWS.items():
        assert found[room] <= allowed, room


def test_docks_share_three_rooms_and_little_else() -> None:
    found = arrows("_napari")
    assert set(found) == {*DOCKS, *SHARED, "files", "demo", "widgets"}
    for number, room in enumerate(SHARED):
        assert found[room] <= set(SHARED[:number]), room
    assert found["files"] <= set(SHARED)
    for one in HOUSE.imports:
        source, target = one.source.split("."), one.target.split(".")
        if one.kind == "types" or source[0] != "_napari" or target[0] != "_napari":
            continue
        if len(source) > 2 and len(target) > 1 and source[1] in DOCKS and source[1] != target[1]:
            assert target[1] in (*SHARED, "files") or one.target in SHARED_OF_DOCKS, one


def test_pages_of_a_dock_know_nothing_of_each_other() -> None:
    found = arrows("_napari.crystals")
    assert set(found) == {"missing", "page", "phases", "space_groups", "widget"}
    for page in ("phases", "space_groups"):
        assert found[page] <= {"missing", "page"}, page
    assert found["page"] == found["missing"] == set()


@pytest.mark.parametrize("room", HOUSE.rooms())
def test_no_circles(room: str) -> None:
    """Imports within functions count, those for the type checker alone do not."""
    assert HOUSE.plan(room).circles == []


def load_without(names: list[str], blocked: set[str]) -> None:
    """Import modules in a process in which importing some packages fails."""
    code = f"""
import importlib, importlib.abc, importlib.machinery, sys
class Absent(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            return importlib.machinery.ModuleSpec(name, self)
    def create_module(self, spec):
        raise ImportError(spec.name + " is blocked here")
    def exec_module(self, module):
        raise AssertionError
sys.meta_path.insert(0, Absent())
for name in {names!r}:
    importlib.import_module(name)
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def ours(names: list[str]) -> list[str]:
    return [f"napari_ebsdml.{name}" if name else "napari_ebsdml" for name in names]


def test_modules_without_torch_load_without_it() -> None:
    names = [module for room in WITHOUT_TORCH for module in modules_below(room)]
    assert len(names) > 60
    load_without(ours(names), {"torch", "kikuchipy"} | GUI)


def test_modules_that_say_so_load_without_qt() -> None:
    names = []
    for name in modules_below("_napari"):
        doc = HOUSE.files[name].read_text(encoding="utf-8").split('"""')[1]
        says_so = re.search(r"\bno Qt\b(?! widgets)", doc, re.IGNORECASE)
        if says_so and not name.endswith(QT_MOVES_OUT):
            names.append(name)
    assert len(names) >= 5
    load_without(ours(names), GUI)


def test_the_core_loads_without_the_plugin() -> None:
    names = [name for name in HOUSE.files if name != "__main__" and not name.startswith("_napari")]
    load_without(ours(names), GUI)
