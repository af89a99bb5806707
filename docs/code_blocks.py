"""Code blocks of the pages, for the tests that run them and for the notebooks made of them.

A page's Python blocks are one script, in order. Comments, which no reader sees, say what else
is needed::

    <!-- given            code that runs before the next block, to make what a reader would have
    labels = ...
    -->
    <!-- not run: why -->  the next block is shown only
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

_BLOCK = re.compile(
    r"<!-- given\n(?P<given>.*?)^-->"
    r"|(?:<!-- not run: (?P<reason>[^\n]+?) -->\n+)?^```(?P<language>\w*)\n(?P<code>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Block:
    """A block of code in a page.

    Attributes
    ----------
    code
    language
        As the page names it: "python", "sh", "text" ...
    line
        Of the page, where the code begins, from 1.
    start, end
        The whole block's place in the text.
    given
        Whether readers do not see it.
    reason
        Why it is not run; "" where it is.
    """

    code: str
    language: str
    line: int
    start: int
    end: int
    given: bool = False
    reason: str = ""


def pages() -> list[Path]:
    """README and all pages of the docs."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(text: str) -> list[Block]:
    """All code blocks of a page, in order."""
    found = []
    for match in _BLOCK.finditer(text):
        given = match["given"] is not None
        part = "given" if given else "code"
        found.append(
            Block(
                match[part],
                "python" if given else match["language"],
                text.count("\n", 0, match.start(part)) + 1,
                *match.span(),
                given,
                match["reason"] or "",
            )
        )
    return found
