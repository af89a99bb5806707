"""Drawing of figures: places in mm, the map, and what explains it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._palette import BOUNDARY_COLORS, NOTHING
from napari_ebsdml.figures.content import Content, boundary_names, limits_of, shades
from napari_ebsdml.maps.ipf import phases_by_key

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from napari_ebsdml.figures.settings import FigureSettings
    from napari_ebsdml.maps import BoundarySegments
    from napari_ebsdml.maps.ipf import Keys
    from napari_ebsdml.maps.settings import MapSettings
    from napari_ebsdml.scan import Scan

_INCH = 25.4
_POINT = _INCH / 72
_MARGIN, _GAP = 1.0, 2.0
_WIDE = 2.5
"""Width over height from which the key lies below the map."""
_TALL = 1.5
"""Most height of a map, in widths of the figure."""
_THIN = 3.0
"""Least height and width of a map in mm: one row of pixels is drawn stretched."""
_MOST_KEYS, _MANY_LINES = 4, 20_000
_OTHER = "#7f7f7f"


@dataclass(frozen=True)
class _Places:
    """Where things lie, in mm from the top left: x, y, width, height."""

    size: tuple[float, float]
    map: tuple[float, float, float, float]
    title: tuple[float, float, float, float]
    foot: tuple[float, float, float, float]
    key: tuple[float, float, float, float] | None
    below: bool
    stretched: bool


def draw(scan: Scan, content: Content, how: FigureSettings, maps: MapSettings) -> Figure:
    """Draw the content of a scan."""
    from matplotlib.figure import Figure

    lines = None
    if how.boundaries:
        from napari_ebsdml.maps import boundary_segments

        lines = boundary_segments(scan, maps.boundary_low, maps.boundary_high, maps.boundary_sigma3)
    places = _arrange(scan, content, how)
    drawn = Figure((places.size[0] / _INCH, places.size[1] / _INCH), dpi=how.dpi, facecolor="white")

    def axes(place: tuple[float, float, float, float]) -> Axes:
        x, y, width, height = place
        whole = places.size
        ax: Axes = drawn.add_axes(
            (x / whole[0], 1 - (y + height) / whole[1], width / whole[0], height / whole[1])
        )
        return ax

    ax = axes(places.map)
    shown = _draw_map(ax, scan, content, places.stretched)
    kinds = _draw_lines(ax, lines) if lines is not None else []
    if how.title and content.title:
        box = axes(places.title)
        box.set_axis_off()
        unit = f" ({content.unit})" if content.unit and content.kind == "values" else ""
        box.text(0, 0.5, f"{content.title}{unit}", fontsize=how.font + 1, va="center")
    if how.scale_bar or how.step:
        _draw_foot(axes(places.foot), scan, how, places.map[2])
    if places.key is not None:
        handles = _handles(scan, content, kinds, maps)
        _Key(axes, places, how, handles).draw(scan, content, shown)
    return drawn


def _arrange(scan: Scan, content: Content, how: FigureSettings) -> _Places:
    """Places for a map of this shape."""
    line = how.font * _POINT * 1.35
    wide, high = scan.shape[1] * scan.step[1], scan.shape[0] * scan.step[0]
    below = how.key and wide / high > _WIDE
    top = _MARGIN + (1.3 * line if how.title and content.title else 0.0)
    foot = 1.5 * line if how.scale_bar or how.step else 0.0
    room = how.width - 2 * _MARGIN
    side = max(2.2 * 5 * how.font * _POINT, 0.22 * how.width) if how.key and not below else 0.0
    width = room - side - (_GAP if side else 0.0)
    height = width * high / wide
    if height > _TALL * how.width:
        height = _TALL * how.width
        width = height * wide / high
    stretched = height < _THIN or width < _THIN
    width, height = max(width, _THIN), max(height, _THIN)
    under = 0.0
    if below:
        under = (7 if content.ipf else 3.2) * line + _GAP
    inner = max(height, 11 * line if side else 0.0)
    total = top + inner + foot + under + _MARGIN
    key = None
    if side:
        key = (_MARGIN + width + _GAP, top, how.width - 2 * _MARGIN - width - _GAP, inner)
    elif below:
        key = (_MARGIN, top + height + foot + _GAP, room, under - _GAP)
    return _Places(
        (how.width, total), (_MARGIN, top, width, height), (_MARGIN, _MARGIN, room, 1.2 * line),
        (_MARGIN, top + height, width, foot), key, below, stretched,
    )  # fmt: skip


def _draw_map(ax: Axes, scan: Scan, content: Content, stretched: bool) -> Any:
    """The map itself; what matplotlib gives for it."""
    dy, dx = scan.step
    rows, columns = scan.shape
    extent = (-dx / 2, (columns - 0.5) * dx, (rows - 0.5) * dy, -dy / 2)
    ax.set_facecolor(content.ground)
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_linewidth(0.4)
    options: dict[str, Any] = {"extent": extent, "aspect": "auto" if stretched else "equal"}
    if content.kind == "values":
        from matplotlib.colors import LogNorm, Normalize

        low, high = limits_of(content)
        norm = LogNorm(low, high) if content.log else Normalize(low, high)
        data = np.where(content.data > 0, content.data, np.nan) if content.log else content.data
        return ax.imshow(data, cmap=content.colors, norm=norm, **options)
    picture = content.data
    if content.kind == "classes":
        picture = _classes(content)
    elif content.kind == "labels":
        picture = shades(content.data)
    return ax.imshow(picture, **options)


def _classes(content: Content) -> NDArray[np.uint8]:
    """Colours of classes; what is below 0, or 0 without a name, is nothing."""
    from matplotlib.colors import to_rgba

    values, where = np.unique(content.data, return_inverse=True)
    table = np.zeros((len(values), 4))
    for n, value in enumerate(values.tolist()):
        if value in content.classes:
            table[n] = to_rgba(content.classes[value][1])
        elif value > 0:
            table[n] = to_rgba(_OTHER)
    return (255 * table).round().astype(np.uint8)[where.reshape(content.data.shape)]


def _draw_lines(ax: Axes, lines: BoundarySegments) -> list[int]:
    """Boundaries over the map; the kinds that there are."""
    from matplotlib.collections import LineCollection

    kinds = sorted(set(np.unique(lines.kind).tolist()) - {0})
    limits = ax.axis()
    for kind in kinds:
        ends = lines.lines[lines.kind == kind][..., ::-1]
        # Some ten thousand lines make a vector graphic that nobody can open.
        ax.add_collection(
            LineCollection(
                ends, colors=BOUNDARY_COLORS[kind], linewidths=0.4 if kind == 1 else 0.7,
                rasterized=len(lines.kind) > _MANY_LINES, capstyle="round",
            ),
            autolim=False,
        )  # fmt: skip
    ax.axis(limits)
    return kinds


def nice_length(width: float) -> float:
    """A round length, 1, 2 or 5 times a power of ten, of about a quarter of a width."""
    power = 10.0 ** math.floor(math.log10(width / 3))
    return max(n * power for n in (1, 2, 5) if n * power <= width / 3)


def length_text(length: float) -> str:
    """A length in um with the unit that reads best."""
    if length >= 1000:
        return f"{length / 1000:g} mm"
    return f"{length:g} µm" if length >= 1 else f"{1000 * length:g} nm"


def _draw_foot(ax: Axes, scan: Scan, how: FigureSettings, width_mm: float) -> None:
    """Scale bar and step, below the map and in its scale."""
    wide = scan.shape[1] * scan.step[1]
    ax.set_xlim(0, wide)
    ax.set_ylim(0, 1)
    ax.set_axis_off()
    per_mm = wide / width_mm
    end = 0.0
    text = ""
    if how.scale_bar:
        end = nice_length(wide)
        text = length_text(end)
        ax.fill_between([0, end], 0.42, 0.62, color="black", linewidth=0)
        ax.text(end + 1.0 * per_mm, 0.5, text, fontsize=how.font, va="center")
    if how.step:
        dy, dx = scan.step
        same = math.isclose(dy, dx, rel_tol=1e-3)
        told = f"step {dx:.4g} µm" if same else f"step {dx:.4g} × {dy:.4g} µm"
        letter = 0.6 * how.font * _POINT * per_mm
        # A narrow map has room for the scale bar alone.
        if end + (len(text) + len(told) + 4) * letter < wide:
            ax.text(wide, 0.5, told, fontsize=how.font, va="center", ha="right", color="#404040")


def _handles(
    scan: Scan, content: Content, kinds: list[int], maps: MapSettings
) -> list[tuple[str, str, bool]]:
    """Name, colour and whether it is a line, of what the key names."""
    found: list[tuple[str, str, bool]] = []
    if content.kind == "classes":
        present = np.unique(content.data).tolist()
        found += [(*content.classes[v], False) for v in content.classes if v in present]
        if any(v > 0 and v not in content.classes for v in present):
            found.append(("other", _OTHER, False))
    names = boundary_names(maps.boundary_low, maps.boundary_high)
    found += [(names[kind], BOUNDARY_COLORS[kind], True) for kind in kinds]
    nothing = _nothing(scan, content)
    if nothing:
        found.append((nothing, NOTHING, False))
    return found


def _nothing(scan: Scan, content: Content) -> str:
    """What the pixels without a colour are, "" where there are none."""
    if content.kind == "values":
        known = np.isfinite(content.data)
        if known.all():
            return ""
        return "not indexed" if np.array_equal(known, scan.is_indexed) else "no value"
    if content.kind == "rgb":
        return "not indexed" if content.ipf and not scan.is_indexed.all() else ""
    empty = content.data < 0 if content.kind == "classes" else content.data <= 0
    if content.kind == "classes" and 0 not in content.classes:
        empty |= content.data == 0
    if not empty.any() or content.ground != NOTHING:
        return ""
    return "not indexed" if np.array_equal(~empty, scan.is_indexed) else "none"


class _Key:
    """What explains the colours, in its place beside or below the map."""

    def __init__(
        self, axes: Any, places: _Places, how: FigureSettings, handles: list[tuple[str, str, bool]]
    ) -> None:
        assert places.key is not None
        self.axes, self.how, self.handles, self.below = axes, how, handles, places.below
        self.place = places.key
        self.line = how.font * _POINT * 1.35

    def draw(self, scan: Scan, content: Content, shown: Any) -> None:
        """All of it: colour bar or colour keys, then names."""
        x, y, width, height = self.place
        used = 0.0
        if content.kind == "values":
            used = self._bar(shown, content)
        elif content.ipf:
            used = self._keys(phases_by_key(scan) if content.keys is None else content.keys)
        entries = [*self.handles]
        if content.note:
            entries.append((content.note, "", False))
        if not entries:
            return
        if self.below:
            self._names((x + used, y, width - used, height), entries)
        else:
            self._names((x, y + used, width, height - used), entries)

    def _bar(self, shown: Any, content: Content) -> float:
        """Colour bar with numbers; how much of the place it took."""
        x, y, width, height = self.place
        extra = len(self.handles) + bool(content.note)
        if self.below:
            length = width * (0.55 if extra else 1) - 6
            box = self.axes((x + 3, y, length, 1.2 * self.line))
        else:
            length = max(4 * self.line, height - (extra + 1.0) * self.line)
            box = self.axes((x, y + 0.3 * self.line, 1.2 * self.line, length - 0.3 * self.line))
        bar = box.figure.colorbar(
            shown, cax=box, orientation="horizontal" if self.below else "vertical"
        )
        bar.outline.set_linewidth(0.4)
        axis = box.xaxis if self.below else box.yaxis
        if content.log:
            _log_ticks(axis, *limits_of(content))
        box.tick_params(labelsize=self.how.font, width=0.4, length=2, pad=1.5, which="both")
        axis.get_offset_text().set_fontsize(self.how.font)
        return float(length + 8 if self.below else length + 0.9 * self.line)

    def _keys(self, keys: Keys) -> float:
        """Colour keys of the Laue classes that occur; how much of the place they took."""
        from napari_ebsdml.maps import ipf_key

        groups = [(key[0], phase, names) for key, (phase, names) in keys.items()]
        x, y, width, height = self.place
        shown = groups[:_MOST_KEYS]
        if not shown:
            return 0.0
        rest = (len(self.handles) + 0.5) * self.line
        room = min(width / len(shown), 12 * self.line)
        if not self.below:
            room = min((height - rest) / len(shown), 0.95 * width + 2 * self.line)
        for n, (laue, phase, names) in enumerate(shown):
            key = ipf_key(phase, 256)
            tall, wide = key.rgba.shape[:2]
            if self.below:
                place = (x + n * room, y, room, height)
            else:
                place = (x, y + n * room, width, room)
            top = 2.5 * self.line
            factor = min(
                (place[2] - 3.2 * self.line) / wide, (place[3] - top - 1.2 * self.line) / tall
            )
            if factor * max(tall, wide) < 3:
                continue
            at = (place[0] + 1.6 * self.line, place[1] + top, wide * factor, tall * factor)
            box = self.axes(at)
            box.imshow(key.rgba, interpolation="bilinear", aspect="auto")
            box.set_axis_off()
            for text, row, column in key.labels:
                above = row < tall / 2
                box.annotate(
                    text, (column, row), xytext=(0, 2 if above else -2),
                    textcoords="offset points", ha="center", va="bottom" if above else "top",
                    fontsize=self.how.font - 0.5, annotation_clip=False,
                )  # fmt: skip
            label = _fitting(f"{', '.join(names)} ({laue})", place[2], self.how.font)
            box.text(
                (place[0] - at[0]) / at[2], 1 + (top - 0.1 * self.line) / at[3], label,
                transform=box.transAxes, fontsize=self.how.font, va="top",
            )  # fmt: skip
        return float(room * len(shown))

    def _names(
        self, place: tuple[float, float, float, float], entries: list[tuple[str, str, bool]]
    ) -> None:
        """Patches and lines with names, as many as there is room for."""
        width, height = place[2:]
        box = self.axes(place)
        box.set_axis_off()
        box.set_xlim(0, width)
        box.set_ylim(height, 0)
        lines = max(1, int(height / self.line))
        across = 1
        if self.below:
            longest = max(len(name) for name, _, _ in entries)
            column = (longest + 4) * 0.55 * self.how.font * _POINT
            across = max(1, int(width / column))
        most = lines * across
        if len(entries) > most:
            hidden = len(entries) - most + 1
            entries = [*entries[: most - 1], (f"and {hidden} more", "", False)]
        for n, (name, color, is_line) in enumerate(entries):
            left = (n // lines) * width / across
            top = (n % lines + 0.5) * self.line
            start = left
            if color:
                size = 0.75 * self.line
                start = left + 1.5 * self.line
                if is_line:
                    box.plot([left, left + size], [top, top], color=color, linewidth=1.2)
                else:
                    box.fill_between(
                        [left, left + size], top - size / 2, top + size / 2, facecolor=color,
                        edgecolor="black", linewidth=0.3,
                    )  # fmt: skip
            text = _fitting(name, width / across - (start - left), self.how.font)
            box.text(start, top, text, fontsize=self.how.font, va="center")


def _log_ticks(axis: Any, low: float, high: float) -> None:
    """Ticks of a logarithmic bar: decades, and between them where there are few."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    decades = [10.0**n for n in range(first, last + 1) if low <= 10.0**n <= high]
    factors = (1,) if len(decades) >= 3 else (1, 2, 5)
    ticks = [f * 10.0**n for n in range(first, last + 1) for f in factors]
    ticks = [tick for tick in ticks if low <= tick <= high] or [low, high]

    def text(value: float, _: int) -> str:
        power = math.floor(math.log10(value) + 1e-9)
        factor = value / 10.0**power
        if abs(factor - 1) < 1e-3:
            return f"$10^{{{power}}}$"
        return f"${factor:.2g}{{\\times}}10^{{{power}}}$"

    axis.set_major_locator(FixedLocator(ticks))
    axis.set_major_formatter(FuncFormatter(text))
    minor = [f * 10.0**n for n in range(first, last + 1) for f in range(2, 10)]
    minor = [tick for tick in minor if low <= tick <= high and tick not in ticks]
    axis.set_minor_locator(FixedLocator(minor) if minor else NullLocator())
    axis.set_minor_formatter(NullFormatter())


def _fitting(text: str, width: float, font: float) -> str:
    """A text cut to a width in mm."""
    most = max(3, int(width / (0.5 * font * _POINT)))
    return text if len(text) <= most else f"{text[: most - 1]}…"
