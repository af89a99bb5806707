"""One page on a segmentation: map, strokes, fractions, settings, and which model."""

from __future__ import annotations

import base64
import csv
import html
import io
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_ebsdml._atomic import write_atomic
from napari_ebsdml.errors import InputError, WriteError
from napari_ebsdml.segmentation.labels.data import check_label_image
from napari_ebsdml.segmentation.results.interval import PhaseFraction

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from napari_ebsdml.scan import Scan
    from napari_ebsdml.segmentation.results.result import SegmentationResult
    from napari_ebsdml.segmentation.segmenter import Segmenter

_ENDINGS = (".html", ".pdf", ".csv")
_PAGE = (8.27, 11.69)
_MOST_PIXELS = 1200


def write_report(
    path: str | os.PathLike[str],
    scan: Scan,
    result: SegmentationResult,
    model: Segmenter | None = None,
    strokes: ArrayLike | None = None,
    truth: ArrayLike | None = None,
) -> Path:
    """Write a report: ``.html`` or ``.pdf`` with pictures, or ``.csv`` with the fractions.

    Parameters
    ----------
    path
    scan, result
        What was segmented, and how.
    model
        What did it; its settings, held-out figures and the hash of its data are told.
    strokes, truth : (rows, columns) int, optional
        Painted labels, and true ones: a confusion matrix is told then.

    Raises
    ------
    InputError
        When the ending is another, or arrays do not fit the map.
    WriteError
        When the file cannot be written.
    """
    target = Path(path)
    ending = target.suffix.lower()
    if ending not in _ENDINGS:
        raise InputError(f"A report is a {', '.join(_ENDINGS)} file, not {target.name!r}.")
    if result.labels.shape != scan.shape:
        raise InputError(f"The scan has shape {scan.shape}, the result {result.labels.shape}.")
    painted = None if strokes is None else check_label_image(scan, strokes)
    true = None if truth is None else check_label_image(scan, truth)
    rows = _facts(scan, result, model)
    fractions = result.fractions()
    confusion = None if true is None else _confusion(result, true)
    if ending == ".csv":
        content = _csv(fractions, rows).encode()
    else:
        figure = _figure(scan, result, painted, fractions, rows, confusion, ending == ".pdf")
        buffer = io.BytesIO()
        figure.savefig(buffer, format="pdf" if ending == ".pdf" else "png", dpi=150)
        content = buffer.getvalue()
        if ending == ".html":
            content = _html(scan, content, fractions, rows, confusion).encode()
    try:
        write_atomic(target, content)
    except OSError as error:
        raise WriteError(f"{target}: the report could not be written: {error.strerror}.") from None
    return target


def _facts(
    scan: Scan, result: SegmentationResult, model: Segmenter | None
) -> list[tuple[str, str]]:
    rows = [
        ("map", scan.name),
        ("size", f"{scan.shape[0]} x {scan.shape[1]} pixels, step "
                 f"{scan.step[0]:.4g} x {scan.step[1]:.4g} um"),
        ("indexed", f"{100 * float(scan.is_indexed.mean()):.1f} %"),
    ]  # fmt: skip
    if (result.labels > 0).any():
        doubt = 100 * float(np.nanmean(result.uncertainty))
        rows.append(("mean chance that a label is wrong", f"{doubt:.1f} %"))
    if model is not None:
        record, metrics = model.record, model.metrics
        rows.append(("answer", model.answer or "by a model of an earlier version"))
        rows.append(("channels", ", ".join(c for c in model.channels if c != "Indexed")))
        for one in record.get("data", ()):
            rows.append(("trained on", f"{one['name']}: {sum(one['labelled'].values())} pixels"))
        if "accuracy" in metrics:
            rows.append(
                (
                    "held-out grains",
                    f"{100 * metrics['accuracy']:.1f} % right of "
                    f"{metrics['pixels']} pixels in {metrics['blocks']}",
                )
            )
        if "expected_accuracy" in metrics:
            rows.append(("expected right where nothing was painted",
                         f"{100 * metrics['expected_accuracy']:.1f} %"))  # fmt: skip
        settings = record.get("settings", {})
        shown = ("epochs", "seed", "grow", "balance", "held_out")
        rows.append(("settings", ", ".join(f"{k} {settings[k]}" for k in shown if k in settings)))
        rows.append(("SHA-256 of maps and strokes", str(record.get("data_sha256", ""))))
        rows += [("note", note) for note in model.notes]
    rows += [("warning", text) for text in result.warnings]
    from napari_ebsdml import __version__

    rows.append(("made", f"{datetime.now().astimezone():%Y-%m-%d %H:%M} by napari-ebsdml "
                         f"{__version__}"))  # fmt: skip
    return rows


def _confusion(
    result: SegmentationResult, truth: NDArray[np.integer]
) -> list[tuple[str, list[float]]]:
    """Of each true class, the parts (0..1) that are labelled as each class."""
    out = []
    for value, name in zip(result.classes.values, result.classes.names, strict=True):
        here = (truth == value) & (result.labels > 0)
        total = max(int(here.sum()), 1)
        out.append((name, [float((result.labels[here] == v).sum()) / total
                           for v in result.classes.values]))  # fmt: skip
    return out


def _csv(fractions: Sequence[PhaseFraction], rows: Sequence[tuple[str, str]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    for name, text in rows:
        writer.writerow([f"# {name}", text])
    names = ("name", "value", "fraction", "low", "high", "expected", "sampling", "classifier")
    writer.writerow(names)
    for one in fractions:
        writer.writerow([getattr(one, name) for name in names])
    return buffer.getvalue()


def _figure(
    scan: Scan, result: SegmentationResult, strokes: NDArray[np.integer] | None,
    fractions: Sequence[PhaseFraction], rows: Sequence[tuple[str, str]], confusion: Any, page: bool,
) -> Figure:  # fmt: skip
    """Map and strokes; for a page also the tables."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=_PAGE if page else (8.27, 4.2), layout="constrained")
    grid = figure.add_gridspec(2 if page else 1, 2, height_ratios=(1, 1.5) if page else None)
    every = max(1, max(scan.shape) // _MOST_PIXELS)
    extent = (0, scan.shape[1] * scan.step[1], scan.shape[0] * scan.step[0], 0)
    for column, (title, labels) in enumerate((("strokes", strokes), ("classes", result.labels))):
        axes = figure.add_subplot(grid[0, column])
        axes.imshow(_picture(scan, result, labels)[::every, ::every], extent=extent)
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("um")
    if page:
        axes = figure.add_subplot(grid[1, :])
        axes.axis("off")
        lines = [f"Segmentation of {scan.name}", ""]
        lines += [f"{f.name}: {_in_words(f)}" for f in fractions]
        for name, parts in confusion or ():
            shares = ", ".join(f"{100 * p:.1f} %" for p in parts)
            lines.append(f"true {name}, labelled {', '.join(result.classes.names)}: {shares}")
        lines.append("")
        for name, text in rows:
            for number, part in enumerate(_wrapped(f"{name}: {text}")):
                lines.append(part if number == 0 else f"    {part}")
        axes.text(0, 1, "\n".join(lines), va="top", ha="left", fontsize=8, family="DejaVu Sans")
    return figure


def _wrapped(text: str) -> list[str]:
    import textwrap

    return textwrap.wrap(text, 110) or [""]


def _picture(
    scan: Scan, result: SegmentationResult, labels: NDArray[np.integer] | None
) -> NDArray[np.float64]:
    """Classes in their colours on the grey quality of the map."""
    from matplotlib.colors import to_rgb

    names = {name.casefold(): name for name in scan.prop}
    known = next((names[n] for n in ("bc", "bs", "iq") if n in names), None)
    grey = np.full(scan.shape, 0.75)
    if known is not None:
        values = np.asarray(scan.prop[known], dtype=np.float64)
        finite = values[np.isfinite(values)]
        if finite.size:
            low, high = np.percentile(finite, (1, 99))
            grey = np.clip(np.nan_to_num((values - low) / max(high - low, 1e-12)), 0, 1)
    out = np.repeat(grey[..., None], 3, axis=-1)
    if labels is not None:
        for value, color in zip(result.classes.values, result.classes.colors, strict=True):
            here = labels == value
            out[here] = 0.3 * out[here] + 0.7 * np.array(to_rgb(color))
    return out


def _in_words(one: PhaseFraction) -> str:
    return (
        f"{100 * one.fraction:.1f} % ({100 * one.low:.1f} to {100 * one.high:.1f}; sampling "
        f"+-{100 * one.sampling:.1f}, classifier +-{100 * one.classifier:.1f})"
    )


def _html(
    scan: Scan, picture: bytes, fractions: Sequence[PhaseFraction],
    rows: Sequence[tuple[str, str]], confusion: Any,
) -> str:  # fmt: skip
    def table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
        top = "".join(f"<th>{html.escape(h)}</th>" for h in head)
        lines = "".join(
            "<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in row) + "</tr>" for row in body
        )
        return f"<table><tr>{top}</tr>{lines}</table>"

    shown = [[f.name, *(f"{100 * v:.1f}" for v in (f.fraction, f.low, f.high, f.sampling,
                                                  f.classifier))] for f in fractions]  # fmt: skip
    parts = [table(("class", "area %", "from", "to (95 %)", "sampling +-", "classifier +-"), shown)]
    if confusion:
        names = [name for name, _ in confusion]
        parts.append(
            table(
                ("true \\ labelled, %", *names),
                [[n, *(f"{100 * p:.1f}" for p in row)] for n, row in confusion],
            )
        )
    parts.append(table(("", ""), rows))
    image = base64.b64encode(picture).decode()
    title = html.escape(f"Segmentation of {scan.name}")
    return (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{title}</title><style>"
        "body{font:14px sans-serif;max-width:60em;margin:2em auto}table{border-collapse:collapse;"
        "margin:1em 0}td,th{border:1px solid #bbb;padding:3px 8px;text-align:left}img{width:100%}"
        f"</style></head><body><h1>{title}</h1><img alt='strokes and classes' "
        f"src='data:image/png;base64,{image}'>{''.join(parts)}</body></html>\n"
    )
