"""Confusion matrix as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_ebsdml._atomic import replacing
from napari_ebsdml.errors import WriteError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from napari_ebsdml.segmentation.results.evaluation import Evaluation

_MOST_NUMBERS = 12
"""With more classes than this the cells are too small for numbers."""


def draw_confusion(figure: Figure, evaluation: Evaluation, ink: str = "black") -> None:
    """Draw a confusion matrix; each row sums to 100 %.

    Parameters
    ----------
    figure
        Is cleared first.
    evaluation
    ink
        Colour of texts and frame.
    """
    figure.clear()
    axes = figure.subplots()
    axes.set_facecolor("none")
    counts = evaluation.confusion.astype(float)
    total = counts.sum(axis=1, keepdims=True)
    share = np.divide(100 * counts, total, out=np.zeros_like(counts), where=total > 0)
    axes.imshow(share, vmin=0, vmax=100, cmap="Blues", aspect="auto")
    n = len(evaluation.values)
    if n <= _MOST_NUMBERS:
        size = 9 if n <= 4 else 7 if n <= 8 else 6
        for row in range(n):
            for column in range(n):
                text = f"{share[row, column]:.1f} %" if n <= 6 else f"{share[row, column]:.0f}"
                if n <= 4:
                    text += f"\n{evaluation.confusion[row, column]:,}".replace(",", "\u2009")
                axes.text(
                    column, row, text, ha="center", va="center", fontsize=size,
                    color="white" if share[row, column] > 55 else "#10243e",
                )  # fmt: skip
    names = [_short(name) for name in evaluation.names]
    turned = n > 4
    axes.set_xticks(
        range(n), names, rotation=40 if turned else 0, ha="right" if turned else "center"
    )
    axes.set_yticks(
        range(n), names, rotation=0 if n > 4 else 90, va="center", ha="right" if n > 4 else "center"
    )
    axes.tick_params(colors=ink, labelsize=8, length=0, pad=6)
    axes.set_xlabel("predicted", color=ink, fontsize=9)
    axes.set_ylabel("true", color=ink, fontsize=9)
    axes.set_title(
        f"accuracy {100 * evaluation.accuracy:.2f} % of {int(counts.sum()):,} pixels".replace(
            ",", "\u2009"
        ),
        color=ink, fontsize=9,
    )  # fmt: skip
    for spine in axes.spines.values():
        spine.set_color(ink)


def save_confusion(evaluation: Evaluation, path: str | Path) -> None:
    """Write the confusion matrix as a picture; the extension chooses the format.

    Raises
    ------
    WriteError
        When the file cannot be written, or matplotlib knows no such format.
    """
    from matplotlib.figure import Figure

    side = 3.2 + 0.45 * len(evaluation.values)
    figure = Figure(figsize=(side, side), layout="constrained", facecolor="white")
    draw_confusion(figure, evaluation)
    path = Path(path) if Path(path).suffix else Path(f"{path}.png")
    try:
        with replacing(path) as part:
            figure.savefig(part, dpi=200, format=path.suffix[1:])
    except OSError as error:
        raise WriteError(f"{path}: {error.strerror or error}.") from None
    except ValueError as error:
        raise WriteError(f"{path}: {error}.") from None


def _short(name: str, most: int = 16) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"
