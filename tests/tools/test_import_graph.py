"""The import graph of a made package."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

PATH = Path(__file__).resolve().parents[2] / "tools" / "import_graph.py"


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("import_graph", PATH)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


FILES = {
    "__init__.py": "import lazy_loader",
    "__init__.pyi": "from .ground import thing\nfrom .low import kernel as quick",
    "ground.py": "import os\nthing = 1",
    "low/__init__.py": "from .kernel import kernel",
    "low/kernel.py": "kernel = 1",
    "low/more.py": "from . import kernel\nfrom ..ground import thing",
    "mid/__init__.py": "",
    "mid/a.py": "def f():\n    from house.mid import b\n",
    "mid/b.py": "try:\n    from house.mid.a import f\nexcept ImportError:\n    raise",
    "mid/c.py": (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from house.mid.d import D\n"
        "else:\n    from house.mid import b\n"
    ),
    "mid/d.py": "import house.mid.c\nfrom house.low import kernel",
    "top.py": "import house\nimport house as h\nfrom house import quick\nh.thing\nhouse.thing",
    "late.py": "class C:\n    async def f(self):\n        if self:\n            import house.top\n",
}


@pytest.fixture
def house(tool, tmp_path):
    for name, text in FILES.items():
        path = tmp_path / "house" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tool.House(tmp_path / "house")


def test_arrows_of_the_house(house):
    plan = house.plan()
    assert plan.rooms == ("ground", "late", "low", "mid", "top")
    assert plan.arrows == {
        ("low", "ground"): "load",
        ("mid", "low"): "load",
        # By attribute, and by the stub's names.
        ("top", "ground"): "load",
        ("top", "low"): "load",
        ("late", "top"): "late",
    }
    assert plan.floor == {"ground": 0, "low": 1, "mid": 2, "top": 2, "late": 3}
    assert plan.up == plan.circles == plan.type_circles == []


def test_a_room_with_circles(house):
    plan = house.plan("mid")
    assert plan.arrows == {
        ("a", "b"): "late",
        ("b", "a"): "load",
        ("c", "d"): "types",
        ("c", "b"): "load",
        ("d", "c"): "load",
    }
    assert plan.circles == [["a", "b"]]
    assert plan.type_circles == [["c", "d"]]
    # The late arrow of the circle is the one that points up.
    assert plan.floor == {"a": 0, "b": 1, "c": 2, "d": 3}
    assert plan.up == [("a", "b")]
    assert plan.figures() == [4, 4, 4, 1, 1, 1, 1, 1]
    assert house.plan("low").arrows == {("more", "kernel"): "load"}


def test_what_is_printed(tool, house):
    lines = tool.table(house, house).splitlines()
    assert [line.split()[0] for line in lines] == ["room", "the", "low", "mid"]
    assert tool.faults(house) == [
        "mid: up, a -> b (late)",
        "mid: circle, a b",
        "mid: circle of types, c d",
    ]
    assert tool.floors(house.plan("mid")).splitlines()[0] == "floor 3"
    assert "  c -> b, d (types)" in tool.floors(house.plan("mid"))


def test_a_circle_of_loads_shares_a_floor(tool):
    plan = tool.Plan(("a", "b", "c"), {("a", "b"): "load", ("b", "a"): "load", ("c", "a"): "load"})
    assert plan.floor == {"a": 0, "b": 0, "c": 1}
    assert plan.up == [("a", "b"), ("b", "a")]


def test_the_real_house(tool, capsys):
    assert tool.main(["--room", "segmentation"]) == 0
    assert "segmenter -> " in capsys.readouterr().out
    house = tool.House(PATH.parents[1] / "src" / "napari_ebsdml")
    assert {"io", "maps", "_napari"} <= set(house.rooms())
    assert house.plan().arrows["segmentation", "maps"] == "load"
    assert house.plan("segmentation").circles == []
