"""One page on a segmentation: map, strokes, fractions, settings, and which model."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_ebsdml._atomic import write_atomic
from napari_ebsdml._page import Page, made
from napari_ebsdml.errors import InputError, WriteError
from napari_ebsdml.segmentation.labels.data import check_label_image
from napari_ebsdml.segmentation.results.interval import PhaseFraction
from napari_ebsdml.segmentation.results.judging import held_out_in_words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from napari_ebsdml.scan import Scan
    from napari_ebsdml.segmentation.results.result import SegmentationResult
    from napari_ebsdml.segmentation.segmenter import Segmenter

_ENDINGS = (".html", ".pdf", ".csv")
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
    if ending == ".csv":
        content = _csv(fractions, rows).encode()
    else:
        page = _page(scan, result, painted, fractions, rows, true)
        content = page.pdf() if ending == ".pdf" else page.html().encode()
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
    if (result.labels > 0).any() and not result.foreign:
        doubt = 100 * float(np.nanmean(result.uncertainty))
        rows.append(("mean chance that a label is wrong", f"{doubt:.1f} %"))
    if model is not None:
        record, metrics = model.record, model.metrics
        rows.append(("answer", model.answer or "by a model of an earlier version"))
        rows.append(("channels", ", ".join(c for c in model.channels if c != "Indexed")))
        for one in record.get("data", ()):
            rows.append(("trained on", f"{one['name']}: {sum(one['labelled'].values())} pixels"))
        if held_out := held_out_in_words(metrics):
            rows.append(("held out, right", held_out))
        if "expected_accuracy" in metrics:
            rows.append(("expected right where nothing was painted",
                         f"{100 * metrics['expected_accuracy']:.1f} %"))  # fmt: skip
        settings = record.get("settings", {})
        shown = ("epochs", "seed", "grow", "balance", "held_out")
        rows.append(("settings", ", ".join(f"{k} {settings[k]}" for k in shown if k in settings)))
        rows.append(("SHA-256 of maps and strokes", str(record.get("data_sha256", ""))))
        rows += [("note", note) for note in model.notes]
    rows += [("warning", text) for text in result.warnings]
    rows.append(made())
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


def _percent(value: float) -> str:
    return "not told" if np.isnan(value) else f"{100 * value:.1f}"


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


def _page(
    scan: Scan, result: SegmentationResult, strokes: NDArray[np.integer] | None,
    fractions: Sequence[PhaseFraction], rows: Sequence[tuple[str, str]],
    truth: NDArray[np.integer] | None,
) -> Page:  # fmt: skip
    """Fractions, map and strokes, confusion, facts."""
    page = Page(f"Segmentation of {scan.name}")
    percent = {
        "area %": "fraction", "from": "low", "to (95 %)": "high", "sampling ±": "sampling",
        "classifier ±": "classifier",
    }  # fmt: skip
    shown = {
        title: [_percent(getattr(f, name)) for f in fractions] for title, name in percent.items()
    }
    if result.foreign:
        page.add_facts([("", result.warnings[0])])
    if any(f.may_be_none for f in fractions):
        shown["remark"] = ["may be none" if f.may_be_none else "" for f in fractions]
    page.add_table("Fractions", {"class": [f.name for f in fractions], **shown})
    if truth is not None:
        found = _confusion(result, truth)
        columns = {
            f"labelled {name}, %": [f"{100 * parts[n]:.1f}" for _, parts in found]
            for n, name in enumerate(result.classes.names)
        }
        page.add_table("Against the truth", {"true": [name for name, _ in found], **columns})
    page.add_facts(rows, "Map and model")
    for title, labels in (("strokes", strokes), ("classes", result.labels)):
        page.add_picture(title, _drawn(scan, _picture(scan, result, labels), title), dpi=150)
    return page


def _drawn(scan: Scan, picture: NDArray[np.float64], title: str) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.1, 4.1 * _height(scan)), layout="constrained")
    every = max(1, max(scan.shape) // _MOST_PIXELS)
    extent = (0, scan.shape[1] * scan.step[1], scan.shape[0] * scan.step[0], 0)
    axes = figure.add_subplot()
    axes.imshow(picture[::every, ::every], extent=extent)
    axes.set_title(title, fontsize=10)
    axes.set_xlabel("µm")
    return figure


def _height(scan: Scan) -> float:
    """Height of a picture by its width, with room for the title; kept within a page."""
    shape = scan.shape[0] * scan.step[0] / (scan.shape[1] * scan.step[1])
    return min(max(shape + 0.15, 0.4), 2.0)


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
