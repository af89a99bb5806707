"""Models and the files that they were loaded from or saved to; what a model is, in words."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from napari_ebsdml.learning.shipped import WEIGHTS

if TYPE_CHECKING:
    from napari_ebsdml.segmentation import Segmenter

_files: WeakKeyDictionary[Segmenter, Path] = WeakKeyDictionary()


def file_of(model: Segmenter) -> Path | None:
    """File that a model was loaded from or saved to, or None."""
    return _files.get(model)


def remember_file(model: Segmenter, path: str | Path) -> None:
    """Remember which file holds a model."""
    _files[model] = Path(path).with_suffix(".safetensors")


def load(path: str | Path) -> Segmenter:
    """Read a model, for a worker thread.

    Raises
    ------
    ModelError
        When a file is missing or damaged, or is no segmentation model.
    """
    from napari_ebsdml.segmentation import Segmenter

    model = Segmenter.load(path)
    remember_file(model, path)
    return model


def save(model: Segmenter, path: str | Path) -> Path:
    """Write a model, for a worker thread.

    Raises
    ------
    ModelError
        When the files cannot be written.
    """
    model.save(path)
    remember_file(model, path)
    return Path(path).with_suffix(".safetensors")


def card_in_words(model: Segmenter) -> str:
    """The model card for people, as rich text."""
    from napari_ebsdml.segmentation.models.boosted import BoostedTrees
    from napari_ebsdml.segmentation.results.judging import held_out_in_words

    rows: list[tuple[str, str]] = []
    classes = " &nbsp;".join(
        f'<span style="color:{escape(color)}">■</span> {escape(name)} ({value})'
        for value, name, color in zip(
            model.classes.values, model.classes.names, model.classes.colors, strict=True
        )
    )
    rows.append(("classes", classes))
    rows.append(("channels", escape(", ".join(c for c in model.channels if c != "Indexed"))))
    low, high = model.step
    step = f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"
    rows.append(("step", f"{step} µm" if high < float("inf") else "any"))
    if model.phases:
        rows.append(("Laue classes", escape(", ".join(model.phases))))
    data = list(model.record.get("data", ()))
    if data:
        labelled = sum(sum(one.get("labelled", {}).values()) for one in data)
        names = ", ".join(escape(str(one.get("name", "?"))) for one in data[:3])
        more = f" and {len(data) - 3} more" if len(data) > 3 else ""
        rows.append(("trained on", f"{names}{more}: {labelled} labelled pixels"))
    if model.metrics:
        rows.append(("held-out accuracy", held_out_in_words(model.metrics)))
        if "expected_accuracy" in model.metrics:
            expected = f"{100 * model.metrics['expected_accuracy']:.0f} % of the maps trained on"
            rows.append(("expected right", expected))
        if "calibration_error" in model.metrics:
            rows.append(("calibration error", f"{100 * model.metrics['calibration_error']:.1f} %"))
    else:
        rows.append(("held-out accuracy", "not measured: strokes in too few grains"))
    if model.network is None:
        trees = isinstance(model.linear, BoostedTrees)
        rows.append(("answers", "boosted trees" if trees else "linear discriminant"))
    else:
        weights = sum(p.numel() for p in model.network.parameters())
        sizes = model.network.settings
        kind = f"{sizes.members} U-Nets" if sizes.members > 1 else "U-Net"
        rows.append(("network", f"{kind} of depth {sizes.depth}, {weights:,} weights"))
    for sentence in (model.answer, *model.notes):
        if sentence:
            rows.append(("note", escape(sentence)))
    path = file_of(model)
    if path is not None and path.parent == WEIGHTS:
        rows.append(("file", f"comes with the package ({escape(path.name)})"))
    else:
        rows.append(("file", escape(str(path)) if path is not None else "not saved yet"))
    cells = "".join(
        f'<tr><td style="padding-right:8px"><i>{name}</i></td><td>{text}</td></tr>'
        for name, text in rows
    )
    return f"<table>{cells}</table>"
