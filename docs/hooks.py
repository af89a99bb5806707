"""What MkDocs fills in when it builds the pages, so that no page repeats what stands elsewhere.

``::: napari_ebsdml.NAME`` becomes the place where a public name is defined (names are loaded when
first used, so that no parser finds it), ``<!-- include: FILE -->`` a file of the repository,
``<!-- model cards -->`` the cards of the shipped models, ``<!-- commands -->`` the options of the
command line.
"""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
WEIGHTS = ROOT / "src" / "napari_ebsdml" / "weights"
_INCLUDE = re.compile(r"<!-- include: (\S+) -->")
_DIRECTIVE = re.compile(r"^::: (napari_ebsdml\S*)", re.MULTILINE)
_OUTSIDE = "https://github.com/napari-ebsdml/napari-ebsdml/blob/main/"


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Called by MkDocs with the text of each page."""
    up = "../" * page.file.src_uri.count("/")
    text = _INCLUDE.sub(lambda found: include(found[1], up), markdown)
    text = _DIRECTIVE.sub(lambda found: f"::: {defined(found[1])}", text)
    if "<!-- model cards -->" in text:
        text = text.replace("<!-- model cards -->", model_cards())
    if "<!-- commands -->" in text:
        text = text.replace("<!-- commands -->", commands())
    return text


def defined(name: str) -> str:
    """Where a public name is defined."""
    module, _, last = name.rpartition(".")
    found = getattr(importlib.import_module(module), last)
    if isinstance(found, ModuleType):
        return name
    return f"{found.__module__}.{found.__qualname__}"


def include(name: str, up: str) -> str:
    """A file of the repository, its links turned to where they lead from a page of the docs."""
    text = (ROOT / name).read_text(encoding="utf-8")
    pages = {"CONTRIBUTING.md": "contributing", "RELEASING.md": "releasing",
             "CHANGELOG.md": "changelog"}  # fmt: skip

    def turned(found: re.Match[str]) -> str:
        target = found[1]
        if target.startswith(("http", "#", "mailto:")):
            return found[0]
        if target in pages:
            return f"]({up}developer/{pages[target]}.md)"
        if target.startswith("docs/"):
            return f"]({up}{target.removeprefix('docs/')})"
        return f"]({_OUTSIDE}{target})"

    return re.sub(r"\]\(([^)]+)\)", turned, text)


def model_cards() -> str:
    """What the card of each shipped model says."""
    return "\n".join(_card(path) for path in sorted(WEIGHTS.glob("*.json")))


def _card(path: Path) -> str:
    card = json.loads(path.read_text(encoding="utf-8"))
    rows = {
        "what it is": f"{card['kind']}, network {card['network']}",
        "reads": "; ".join(
            f"{name} ({', '.join(str(v) for v in about.values() if v)})"
            if isinstance(about, dict)
            else f"{name} ({about})"
            for name, about in card["inputs"].items()
        ),
        "answers": ", ".join(str(one) for one in card["classes"]) or "see the metrics",
        "trained with": _short(card["training"]),
        "held-out figures": _short(card["metrics"]),
        "licence": card.get("licence") or card.get("license") or "GPL-3.0-or-later, as the package",
        "authors": ", ".join(card.get("authors") or ["The napari-ebsdml developers"]),
        "made by version": card["package_version"],
        "SHA-256 of the weights": f"`{card['weights_sha256']}`",
    }
    lines = [f"## {path.stem}", "", "| | |", "|---|---|"]
    return "\n".join([*lines, *(f"| {key} | {_cell(text)} |" for key, text in rows.items()), ""])


def _short(values: Any, most: int = 900) -> str:
    text = ", ".join(
        f"{key}: {_number(value)}" for key, value in values.items() if not isinstance(value, dict)
    )
    nested = [key for key, value in values.items() if isinstance(value, dict)]
    if nested:
        text += ("; " if text else "") + f"{', '.join(nested)}: tables in the card's file"
    return text if len(text) <= most else text[:most] + " ..."


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def commands() -> str:
    """Options of every command, from the program itself."""
    import typer

    from napari_ebsdml.cli import app

    return "\n".join(_command(typer.main.get_command(app), ["ebsdml"]))


def _command(command: Any, name: list[str]) -> list[str]:
    inner = getattr(command, "commands", None)
    if inner is not None:
        return [
            line
            for key, one in inner.items()
            if not one.hidden and key != "dev"
            for line in _command(one, [*name, key])
        ]
    lines = [f"## {' '.join(name)}", "", _cell(command.help or "").split("\f")[0], ""]
    lines += ["| option | meaning | default |", "|---|---|---|"]
    for option in command.params:
        shown = ", ".join([*option.opts, *option.secondary_opts])
        if not shown.startswith("-"):
            shown = option.name
        default = option.default
        default = "" if default is None or callable(default) or option.required else default
        lines.append(f"| `{shown}` | {_cell(getattr(option, 'help', None) or '')} | {default} |")
    return [*lines, ""]
