"""Contact sheets: all maps of a batch at a glance, as a page and as a picture."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ebsdml._atomic import write_atomic
from napari_ebsdml.batching.pictures import SIDE
from napari_ebsdml.batching.tables import SUMMARY, rows_of
from napari_ebsdml.batching.writing import replacing

if TYPE_CHECKING:
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
    shown = [tile for one in maps for tile in _tiles(one)]
    if any("file" in tile for _, tile in shown):
        _picture(output, shown)


def _tiles(one: Mapping[str, Any]) -> list[tuple[str, Mapping[str, str]]]:
    """Pictures of a map, or why it has none."""
    found = [entry["picture"] for entry in one["steps"].values() if entry.get("picture")]
    if not found and one["error"]:
        found = [{"title": "failed", "error": one["error"]}]
    return [(one["name"], picture) for picture in found]


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
            if name not in ("map", "error", "note", "file") and value not in ("", None)
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

    found = [
        (name, told, _read(output / told["file"]) if "file" in told else None)
        for name, told in shown[:MOST]
        if "file" not in told or (output / told["file"]).is_file()
    ]
    known = [image.shape[0] / image.shape[1] for _, _, image in found if image is not None]
    if not known:
        return
    # The pictures of a map stay side by side; a map with fewer leaves places empty.
    count = Counter(name for name, *_ in found)
    each = max(count.values())
    tiles: list[tuple[str, Mapping[str, str], NDArray[np.uint8] | None] | None] = [
        tile for name in count
        for tile in [*(one for one in found if one[0] == name), *[None] * (each - count[name])]
    ]  # fmt: skip
    across = min(len(tiles), each * max(1, round((len(tiles) * 1.4) ** 0.5 / each)))
    down = -(-len(tiles) // across)
    # Rows as high as most maps need, with their titles.
    height = 2.1 * float(np.clip(np.quantile(known, 0.9), 0.3, 1.5)) + 0.45
    figure = Figure((2.2 * across, height * down), layout="constrained")
    axes = figure.subplots(down, across, squeeze=False).ravel()
    for ax in axes:
        ax.set_axis_off()
    for ax, tile in zip(axes, tiles, strict=False):
        if tile is None:
            continue
        name, told, image = tile
        if image is None:
            ax.text(0.5, 0.5, fill(_cut(told["error"], 220), 30), fontsize=6, color="#a40000",
                    ha="center", va="center", transform=ax.transAxes)  # fmt: skip
        else:
            ax.imshow(image, interpolation="nearest")
        ax.set_title(f"{_cut(name)}\n{_cut(told['title'])}", fontsize=7)
    with replacing(output / PICTURE) as part:
        figure.savefig(part, format="png", dpi=max(60, min(150, 12_000 // (3 * across))))


def _read(path: Path) -> NDArray[np.uint8]:
    from imageio.v3 import imread

    found: NDArray[np.uint8] = imread(path)
    return found


def _cut(text: str, most: int = SIDE // 6) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
