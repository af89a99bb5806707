"""Contact sheets: all maps of a batch at a glance, as a page and as a picture."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_ebsdml._atomic import write_atomic
from napari_ebsdml.batching.pictures import SIDE
from napari_ebsdml.batching.tables import SUMMARY, rows_of
from napari_ebsdml.batching.writing import replacing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PAGE, PICTURE = "index.html", "contact_sheet.png"
MOST = 200
"""Pictures on the PNG; the page has all of them."""

_STYLE = """
body { font: 14px sans-serif; margin: 2em; color: #222 }
table { border-collapse: collapse } td, th { padding: .3em .6em; text-align: left;
vertical-align: top; border-bottom: 1px solid #ccc } img { max-width: 240px; image-rendering:
pixelated } small { color: #555 } .error { color: #a40000; max-width: 40em }
"""


def write_sheet(output: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Write index.html and contact_sheet.png of the maps of some records."""
    maps = [one for record in records for one in record["maps"]]
    rows = [row for record in records for row in rows_of(record)]
    write_atomic(output / PAGE, _page(output.name, maps, rows).encode())
    shown = [
        (one["name"], entry["picture"])
        for one in maps for entry in one["steps"].values() if entry.get("picture")
    ]  # fmt: skip
    if shown:
        _picture(output, shown)


def _page(title: str, maps: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        "<!doctype html><meta charset=utf-8>", f"<title>{html.escape(title)}</title>",
        f"<style>{_STYLE}</style>", f"<h1>{html.escape(title)}</h1>",
        f"<p>{len(maps)} maps. Numbers: <a href={SUMMARY}>{SUMMARY}</a></p><table>",
    ]  # fmt: skip
    for one, row in zip(maps, rows, strict=True):
        cells = [f"<th>{html.escape(one['name'])}"]
        if one["error"]:
            cells.append(f"<td class=error>{html.escape(one['error'])}")
        told = [
            f"{html.escape(name)}: {html.escape(_short(value))}"
            for name, value in row.items()
            if name not in ("map", "error", "note") and value not in ("", None)
        ]
        cells.append(f"<td><small>{'<br>'.join(told)}</small>")
        for entry in one["steps"].values():
            if entry.get("picture"):
                name, caption = entry["picture"]["file"], html.escape(entry["picture"]["title"])
                cells.append(
                    f'<td><img src="{html.escape(name)}" alt="{caption}"><br>'
                    f"<small>{caption}</small>"
                )
        lines.append("<tr>" + "".join(cells))
    return "\n".join([*lines, "</table>", ""])


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _picture(output: Path, shown: Sequence[tuple[str, Mapping[str, str]]]) -> None:
    """Thumbnails in rows, with their names, as one PNG."""
    from matplotlib.figure import Figure

    shown = [one for one in shown[:MOST] if (output / one[1]["file"]).is_file()]
    if not shown:
        return
    # The pictures of a map stay side by side.
    each = max(Counter(name for name, _ in shown).values())
    across = min(len(shown), each * max(1, round((len(shown) * 1.4) ** 0.5 / each)))
    down = -(-len(shown) // across)
    figure = Figure((2.2 * across, 2.5 * down), layout="constrained")
    axes = figure.subplots(down, across, squeeze=False).ravel()
    for ax in axes:
        ax.set_axis_off()
    for ax, (name, picture) in zip(axes, shown, strict=False):
        ax.imshow(_read(output / picture["file"]), interpolation="nearest")
        ax.set_title(f"{_cut(name)}\n{_cut(picture['title'])}", fontsize=7)
    with replacing(output / PICTURE) as part:
        figure.savefig(part, format="png", dpi=max(60, min(150, 12_000 // (3 * across))))


def _read(path: Path) -> NDArray[np.uint8]:
    from imageio.v3 import imread

    found: NDArray[np.uint8] = imread(path)
    return found


def _cut(text: str) -> str:
    most = SIDE // 6
    return text if len(text) <= most else f"{text[: most - 1]}…"
