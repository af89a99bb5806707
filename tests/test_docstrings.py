"""Docstrings of the public API: what they name exists, and what exists is named (numpydoc)."""

from __future__ import annotations

import doctest
import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOMS = ("", ".maps", ".dislocations", ".segmentation", ".patterns", ".samples", ".io")
SECTION = re.compile(r"^(\w[\w ]*)\n-{3,}$", re.MULTILINE)
KNOWN = {
    "Parameters", "Returns", "Yields", "Raises", "Warns", "Attributes", "Notes", "Examples",
    "References", "See Also", "Methods",
}  # fmt: skip


def sections(text: str) -> dict[str, str]:
    """Sections of a docstring by their titles."""
    found = list(SECTION.finditer(text))
    ends = [*(one.start() for one in found[1:]), len(text)][: len(found)]
    return {one[1]: text[one.end() : end] for one, end in zip(found, ends, strict=True)}


def entries(section: str) -> list[str]:
    """Names that a section explains."""
    heads = re.findall(r"^(\*{0,2}\w[^:\n]*?)(?: : .*|:)?$", section, re.MULTILINE)
    return [name.strip() for head in heads for name in head.split(",")]


def public() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Functions, classes and methods that are public."""
    seen = set()
    for room in ROOMS:
        module = importlib.import_module(f"napari_ebsdml{room}")
        for name in module.__all__:
            thing = getattr(module, name)
            if isinstance(thing, ModuleType) or not callable(thing) or id(thing) in seen:
                continue
            seen.add(id(thing))
            yield f"{room[1:]}:{name}", thing
            if inspect.isclass(thing):
                for method, value in vars(thing).items():
                    if isinstance(value, classmethod | staticmethod):
                        value = value.__func__
                    if not method.startswith("_") and inspect.isfunction(value):
                        yield f"{room[1:]}:{name}.{method}", value


PUBLIC = dict(public())
SOURCE = Path(__file__).parents[1] / "src"
WITH_EXAMPLES = [
    ".".join(path.relative_to(SOURCE).with_suffix("").parts)
    for path in sorted(SOURCE.rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]


def problems(thing: Callable[..., Any]) -> list[str]:
    """What is wrong with a docstring."""
    text = inspect.getdoc(thing) or ""
    if not text:
        return ["no docstring"]
    found = sections(text)
    wrong = [f"section {title!r} is none of numpydoc" for title in set(found) - KNOWN]
    if inspect.isclass(thing):
        return wrong
    signature = inspect.signature(thing)
    names = [name for name in signature.parameters if name not in ("self", "cls")]
    told = [name.lstrip("*") for name in entries(found.get("Parameters", ""))]
    wrong += [f"parameter {name!r} does not exist" for name in told if name not in names]
    if "Parameters" in found:
        wrong += [f"parameter {name!r} is not explained" for name in names if name not in told]
    returned = str(signature.return_annotation)
    # A class of the package says itself what it holds.
    plain = re.search(r"\b(Any|NDArray|float|int|bool|str|list|tuple|dict|Iterator)\b", returned)
    if "Parameters" in found and plain and not {"Returns", "Yields"} & set(found):
        wrong.append(f"returns {returned}, and does not say what")
    return wrong


@pytest.mark.parametrize("name", PUBLIC)
def test_docstring(name: str) -> None:
    assert not problems(PUBLIC[name])


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_do_what_they_say(name: str) -> None:
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted
    assert not found.failed


def test_problems_are_found() -> None:
    def wrong(a: int, b: int) -> int:
        """Add.

        Parameters
        ----------
        a, c
            Numbers.
        """
        return a + b

    assert problems(wrong) == [
        "parameter 'c' does not exist",
        "parameter 'b' is not explained",
        "returns int, and does not say what",
    ]
