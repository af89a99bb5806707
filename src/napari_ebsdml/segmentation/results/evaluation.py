"""Segmentations judged against the truth."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_ebsdml._atomic import replacing
from napari_ebsdml.errors import InputError, WriteError


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Figures of a segmentation against the truth, over the pixels where both are given.

    Attributes
    ----------
    confusion : (classes, classes) int array
        Pixels; row: true class, column: predicted class.
    values, names
        Label value and name of each class.
    correct : (rows, columns) int8 array
        Accuracy map: 1 right, 0 wrong, -1 not compared.
    """

    confusion: NDArray[np.int64]
    values: tuple[int, ...]
    names: tuple[str, ...]
    correct: NDArray[np.int8]

    @property
    def accuracy(self) -> float:
        """Part of the pixels that is right."""
        return float(np.trace(self.confusion) / self.confusion.sum())

    @property
    def precision(self) -> NDArray[np.float64]:
        """Part of each predicted class that is right; NaN where it was never predicted."""
        return _ratio(np.diag(self.confusion), self.confusion.sum(axis=0))

    @property
    def recall(self) -> NDArray[np.float64]:
        """Part of each true class that was found; NaN where there is none."""
        return _ratio(np.diag(self.confusion), self.confusion.sum(axis=1))

    @property
    def f1(self) -> NDArray[np.float64]:
        """Harmonic mean of precision and recall."""
        return _ratio(2 * np.diag(self.confusion), self.confusion.sum(0) + self.confusion.sum(1))

    @property
    def iou(self) -> NDArray[np.float64]:
        """Intersection over union."""
        both = np.diag(self.confusion)
        return _ratio(both, self.confusion.sum(0) + self.confusion.sum(1) - both)

    @property
    def true_fraction(self) -> NDArray[np.float64]:
        """Area fraction of each true class."""
        return np.asarray(self.confusion.sum(axis=1) / self.confusion.sum())

    @property
    def fraction_error(self) -> NDArray[np.float64]:
        """Predicted less true area fraction of each class."""
        return np.asarray(self.confusion.sum(axis=0) / self.confusion.sum()) - self.true_fraction

    def rows(self) -> list[dict[str, Any]]:
        """One row per class, as plain values."""
        return [
            {
                "class": self.names[i], "value": self.values[i],
                "pixels": int(self.confusion[i].sum()),
                "precision": float(self.precision[i]), "recall": float(self.recall[i]),
                "f1": float(self.f1[i]), "iou": float(self.iou[i]),
                "true_fraction": float(self.true_fraction[i]),
                "fraction_error": float(self.fraction_error[i]),
                **{
                    f"predicted {n}": int(v)
                    for n, v in zip(self.names, self.confusion[i], strict=True)
                },
            }
            for i in range(len(self.values))
        ]  # fmt: skip

    def table(self) -> str:
        """Text table for people."""
        width = max(len("class"), *(len(name) for name in self.names))
        head = ("precision", "recall", "f1", "iou", "fraction", "error")
        lines = [f"{'class':{width}} " + " ".join(f"{h:>9}" for h in head)]
        for row in self.rows():
            keys = ("precision", "recall", "f1", "iou", "true_fraction", "fraction_error")
            figures = " ".join(f"{100 * row[key]:8.2f}%" for key in keys)
            lines.append(f"{row['class']:{width}} {figures}")
        lines.append(f"accuracy {100 * self.accuracy:.2f} % of {self.confusion.sum()} pixels")
        return "\n".join(lines)

    def to_csv(self, path: str | Path) -> None:
        """Write `rows` as CSV.

        Raises
        ------
        WriteError
            When the file cannot be written.
        """
        rows = self.rows()
        try:
            with (
                replacing(Path(path)) as part,
                part.open("w", newline="", encoding="utf-8") as file,
            ):
                writer = csv.DictWriter(file, list(rows[0]))
                writer.writeheader()
                writer.writerows(rows)
        except OSError as error:
            raise WriteError(f"{path}: {error.strerror}.") from error


def _ratio(part: NDArray[Any], whole: NDArray[Any]) -> NDArray[np.float64]:
    out = np.full(len(part), np.nan)
    return np.asarray(np.divide(part, whole, out=out, where=whole > 0))


def confusion_matrix(
    true: NDArray[np.integer], predicted: NDArray[np.integer], classes: int
) -> NDArray[np.int64]:
    """Count pairs of class indices; row: true, column: predicted."""
    flat = true.astype(np.int64) * classes + predicted.astype(np.int64)
    return np.bincount(flat, minlength=classes * classes).reshape(classes, classes)


def metrics_of(
    true: NDArray[np.integer], predicted: NDArray[np.integer], classes: int
) -> dict[str, Any]:
    """Accuracy, and recall and IoU per class (None where there is none), as plain values."""
    e = Evaluation(
        confusion_matrix(true, predicted, classes), tuple(range(classes)), ("",) * classes,
        np.empty((0, 0), np.int8),
    )  # fmt: skip

    def plain(values: NDArray[np.float64]) -> list[float | None]:
        return [None if np.isnan(v) else float(v) for v in values]

    return {
        "accuracy": e.accuracy, "recall": plain(e.recall), "iou": plain(e.iou),
        "confusion": e.confusion.tolist(),
    }  # fmt: skip


def evaluate(
    predicted: ArrayLike,
    truth: ArrayLike,
    names: dict[int, str] | None = None,
    where: ArrayLike | None = None,
) -> Evaluation:
    """Compare a segmentation with the truth.

    Parameters
    ----------
    predicted, truth : (rows, columns) int
        Label values; pixels where either is 0 are left out.
    names
        Names of the label values.
    where : (rows, columns) bool, optional
        Pixels to compare; default: all.

    Raises
    ------
    InputError
        When shapes or types do not fit or no pixel is left.
    """
    a, b = np.asarray(predicted), np.asarray(truth)
    if a.shape != b.shape or a.dtype.kind not in "bui" or b.dtype.kind not in "bui":
        raise InputError(
            f"predicted {a.shape} {a.dtype} and truth {b.shape} {b.dtype} must be whole numbers "
            "of one shape."
        )
    use = (a > 0) & (b > 0)
    if where is not None:
        mask = np.asarray(where, dtype=bool)
        if mask.shape != a.shape:
            raise InputError(f"where has shape {mask.shape}, not {a.shape}.")
        use &= mask
    if not use.any():
        raise InputError("There is no pixel with both a prediction and a true label.")
    values = np.union1d(a[use], b[use])
    confusion = confusion_matrix(
        np.searchsorted(values, b[use]), np.searchsorted(values, a[use]), len(values)
    )
    correct = np.full(a.shape, -1, dtype=np.int8)
    correct[use] = a[use] == b[use]
    given = names or {}
    return Evaluation(
        confusion, tuple(int(v) for v in values),
        tuple(given.get(int(v), f"class {v}") for v in values), correct,
    )  # fmt: skip
