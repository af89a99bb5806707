"""A page of facts, tables and pictures, as HTML or PDF. Ground: knows nothing of EBSD."""

from __future__ import annotations

import base64
import html
import io
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Rows = Sequence[Sequence[str]]

_SIZE = (8.27, 11.69)
_MARGIN = 0.06
_LETTERS, _LINES = 122, 82
_DPI = 300
_STYLE = (
    "body{font:14px sans-serif;max-width:64em;margin:2em auto;color:#222}"
    "table{border-collapse:collapse;margin:1em 0}"
    "td,th{border:1px solid #bbb;padding:3px 8px;text-align:left;vertical-align:top}"
    "figure{display:inline-block;margin:0 1em 1em 0;vertical-align:top}"
    "img{max-width:100%}"
)


@dataclass
class Page:
    """What a page says, in order; `html` and `pdf` write it.

    Attributes
    ----------
    title
    parts
        Tables as (title, head, rows); text in cells only.
    pictures
        Name and PNG, as `add_picture` puts them.
    """

    title: str
    parts: list[tuple[str, Sequence[str], Rows]] = field(default_factory=list)
    pictures: list[tuple[str, bytes]] = field(default_factory=list)

    def add_facts(self, rows: Rows, title: str = "") -> None:
        """Add a table without a head: what, and how much."""
        self.parts.append((title, (), rows))

    def add_table(self, title: str, columns: Mapping[str, Sequence[Any]]) -> None:
        """Add a table by its columns; numbers get four digits."""
        rows = [[in_words(value) for value in row] for row in zip(*columns.values(), strict=True)]
        self.parts.append((title, tuple(columns), rows))

    def add_picture(self, name: str, drawn: Figure, dpi: float = _DPI) -> None:
        """Add a figure."""
        buffer = io.BytesIO()
        drawn.savefig(buffer, format="png", dpi=dpi)
        self.pictures.append((name, buffer.getvalue()))

    def html(self) -> str:
        """The page with its pictures inside, so that one file is all."""
        title = html.escape(self.title)
        shown = "".join(
            f"<figure><img alt='{html.escape(name, quote=True)}' "
            f"src='data:image/png;base64,{base64.b64encode(data).decode()}'></figure>"
            for name, data in self.pictures
        )
        tables = [_html_table(*part) for part in self.parts]
        first, rest = tables[:1], tables[1:]
        return (
            f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{title}</title>"
            f"<style>{_STYLE}</style></head><body><h1>{title}</h1>{''.join(first)}{shown}"
            f"{''.join(rest)}</body></html>\n"
        )

    def pdf(self) -> bytes:
        """The same on sheets of A4: text first, then the pictures."""
        from matplotlib import rc_context
        from matplotlib.backends.backend_pdf import PdfPages
        from matplotlib.figure import Figure

        buffer = io.BytesIO()
        with rc_context({"pdf.fonttype": 42}), PdfPages(buffer) as book:
            lines = self._lines()
            for start in range(0, len(lines), _LINES):
                sheet = Figure(figsize=_SIZE)
                if start == 0:
                    sheet.text(_MARGIN, 1 - _MARGIN / 2, self.title, fontsize=13, va="top")
                text = "\n".join(lines[start : start + _LINES])
                sheet.text(
                    _MARGIN, 1 - _MARGIN, text, fontsize=7, va="top", family="monospace",
                    linespacing=1.25, parse_math=False,
                )  # fmt: skip
                book.savefig(sheet)
            for sheet in _picture_sheets([data for _, data in self.pictures]):
                book.savefig(sheet)
        return buffer.getvalue()

    def write(self, path: Path) -> None:
        """Write .html or .pdf, whole or not at all.

        Raises
        ------
        OSError
            When the file cannot be written.
        """
        from napari_ebsdml._atomic import write_atomic

        write_atomic(path, self.pdf() if path.suffix.lower() == ".pdf" else self.html().encode())

    def _lines(self) -> list[str]:
        lines: list[str] = []
        for title, head, rows in self.parts:
            lines += ["", *([title.upper()] if title else [])]
            lines += _text_table(head, rows)
        return lines


def in_words(value: Any) -> str:
    """A cell: whole numbers whole, others with four digits, "–" for what is not known."""
    if isinstance(value, str):
        return value
    number = float(value)
    if number != number:
        return "–"
    return f"{number:.0f}" if number == int(number) and abs(number) < 1e9 else f"{number:.4g}"


def made() -> tuple[str, str]:
    """When and by what."""
    from napari_ebsdml import __version__

    return "made", f"{datetime.now().astimezone():%Y-%m-%d %H:%M} by napari-ebsdml {__version__}"


def _html_table(title: str, head: Sequence[str], rows: Rows) -> str:
    top = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    name = f"<h2>{html.escape(title)}</h2>" if title else ""
    return f"{name}<table>{f'<tr>{top}</tr>' if top else ''}{body}</table>"


def _text_table(head: Sequence[str], rows: Rows) -> list[str]:
    every = [list(row) for row in (*([head] if head else []), *rows)]
    if not every:
        return ["(none)"]
    widths = [max(len(row[n]) for row in every) for n in range(len(every[0]))]
    # The last column is broken where it is too long for a line.
    before = sum(widths[:-1]) + 2 * (len(widths) - 1)
    room = max(_LETTERS - before, 20)
    lines = []
    for row in every:
        start = "  ".join(cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False))
        start += "  " if start else ""
        parts = textwrap.wrap(row[-1], room) or [""]
        lines.append(f"{start}{parts[0]}"[:_LETTERS])
        lines += [" " * len(start) + part for part in parts[1:]]
    return lines


def _picture_sheets(pictures: Sequence[bytes]) -> list[Figure]:
    """Sheets of A4 with pictures in two columns, each as large as its column is wide."""
    import matplotlib.image as images
    from matplotlib.figure import Figure

    sheets: list[Figure] = []
    width = (1 - 3 * _MARGIN) / 2
    heights = [1.0, 1.0]
    for data in pictures:
        picture = images.imread(io.BytesIO(data), format="png")
        high = width * _SIZE[0] * picture.shape[0] / picture.shape[1] / _SIZE[1]
        column = 0 if heights[0] <= heights[1] else 1
        if not sheets or heights[column] + high > 1 - _MARGIN:
            sheets.append(Figure(figsize=_SIZE))
            heights, column = [_MARGIN, _MARGIN], 0
        high = min(high, 1 - 2 * _MARGIN)
        axes = sheets[-1].add_axes(
            (_MARGIN + column * (width + _MARGIN), 1 - heights[column] - high, width, high)
        )
        axes.imshow(picture, interpolation="none")
        axes.set_axis_off()
        heights[column] += high + _MARGIN / 2
    return sheets
