"""Every code block of README and docs: Python is run on small maps, commands are parsed."""

from __future__ import annotations

import re
import shlex
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib
import pytest
import typer

import napari_ebsdml as ebsdml
from docs.code_blocks import ROOT, Block, blocks, pages
from docs.make_notebooks import NAMES, TUTORIALS
from napari_ebsdml.cli import app
from tests.pages.small import make_files, small_things

# `test_notebooks` runs the code of the tutorials.
WITH_PYTHON = [
    page
    for page in pages()
    if page not in [TUTORIALS / f"{name}.md" for name in NAMES]
    and any(b.language == "python" and not b.reason for b in blocks(page.read_text("utf-8")))
]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the pages call map.ctf, map.ang, map.h5, and a folder of maps."""
    folder = tmp_path_factory.mktemp("files")
    make_files(folder)
    return folder


@pytest.fixture
def here(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the files, where downloads are small synthetic maps."""
    shutil.copytree(files, tmp_path, dirs_exist_ok=True)
    for module, name, value in small_things(tmp_path):
        monkeypatch.setattr(module, name, value)
    monkeypatch.chdir(tmp_path)
    matplotlib.use("Agg")
    yield tmp_path
    matplotlib.pyplot.close("all")


def run(page: Path, block: Block, names: dict[str, Any]) -> None:
    # Line numbers of a failure are those of the page.
    code = compile("\n" * (block.line - 1) + block.code, str(page), "exec")
    exec(code, names)


@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_python_blocks_run(page: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {"__name__": "page", "ebsdml": ebsdml}
    with warnings.catch_warnings():
        # A page's map is too small for some; what it shows still has to run.
        warnings.simplefilter("ignore")
        for block in blocks(page.read_text("utf-8")):
            if block.language == "python" and not block.reason:
                run(page, block, names)


def commands() -> list[tuple[str, int, list[str]]]:
    """Page, line and words of each call of `ebsdml`."""
    found = []
    for page in pages():
        for block in blocks(page.read_text("utf-8")):
            if block.language == "python":
                continue
            text = block.code.replace("\\\n", " ")
            for offset, line in enumerate(text.splitlines()):
                words = shlex.split(line, comments=True) if line.startswith("ebsdml ") else []
                if words and "..." not in words:
                    name = page.relative_to(ROOT).as_posix()
                    found.append((name, block.line + offset, words[1:]))
    return found


@pytest.mark.parametrize(("page", "line", "words"), commands())
def test_commands_exist_with_their_options(page: str, line: int, words: list[str]) -> None:
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands"):
        assert words, f"{page}:{line} names no command"
        assert words[0] in command.commands, f"{page}:{line}: no command {words[0]}"
        command = command.commands[words.pop(0)]
    options = {name for one in command.params for name in [*one.opts, *one.secondary_opts]}
    given = {word.partition("=")[0] for word in words if word.startswith("-")}
    assert given <= options | {"--help"}, f"{page}:{line}: {sorted(given - options)}"


def test_what_is_not_run_says_why() -> None:
    for page in pages():
        for block in blocks(page.read_text("utf-8")):
            assert not block.reason or len(block.reason.split()) > 2, f"{page.name}:{block.line}"


def test_blocks_are_found() -> None:
    text = "a\n<!-- given\nx = 1\n-->\n```python\ny = x\n```\n<!-- not run: it is slow here -->\n```python\nz\n```\n```sh\nls\n```\n"  # noqa: E501
    found = blocks(text)
    assert [b.code for b in found] == ["x = 1\n", "y = x\n", "z\n", "ls\n"]
    assert [b.given for b in found] == [True, False, False, False]
    assert found[2].reason == "it is slow here"
    assert [text.splitlines()[b.line - 1] for b in found] == ["x = 1", "y = x", "z", "ls"]


def test_every_public_name_has_its_place_in_the_reference() -> None:
    text = "".join(page.read_text("utf-8") for page in (ROOT / "docs/reference").glob("*.md"))
    told = set(re.findall(r"^::: napari_ebsdml\.(\w+)$", text, re.MULTILINE))
    errors = {n for n in ebsdml.__all__ if str(getattr(ebsdml, n)).find("napari_ebsdml.errors") > 0}
    assert set(ebsdml.__all__) - errors - {"samples", "widgets"} == told - {"errors"}
