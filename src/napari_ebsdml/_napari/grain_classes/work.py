"""Grains that are named one by one, and the classes that follow; no Qt here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ebsdml.scan import Scan

if TYPE_CHECKING:
    from napari_ebsdml._parallel import Progress
    from napari_ebsdml.grains import GrainClasses, GrainClassifier, GrainFeatures


def measured(
    scan: Scan, threshold: float, min_pixels: int, progress: Progress = None
) -> GrainFeatures:
    """Grains of a map and their features."""
    from napari_ebsdml.grains import grain_features
    from napari_ebsdml.maps import segment_grains

    return grain_features(scan, segment_grains(scan, threshold, min_pixels), progress)


def classified(
    scan: Scan,
    features: GrainFeatures,
    examples: dict[int, int],
    names: dict[int, str],
    method: str,
) -> tuple[GrainClassifier, GrainClasses]:
    """Learn from the examples and tell the class of every grain; the examples keep theirs."""
    from napari_ebsdml.grains import GrainClassifier

    model = GrainClassifier.train([(scan, features, examples)], names, method)  # type: ignore[arg-type]
    found = model.predict(scan, features)
    for label, number in examples.items():
        found = found.with_grain(label, number)
    return model, found


def class_table(found: GrainClasses, examples: dict[int, int]) -> dict[str, list[Any]]:
    """One row a class: how much there is of it, and its islands."""
    named = list(examples.values())
    rows: dict[str, list[Any]] = {
        title: []
        for title in (
            "class", "clicked", "grains", "area [%]", "islands", "mean diameter [µm]",
            "aspect ratio", "contiguity",
        )
    }  # fmt: skip
    for number, name in found.names.items():
        islands = found.islands(number)
        some = len(islands["id"]) > 0
        values = (
            name,
            named.count(number),
            int((found.of_grain == number).sum()),
            round(100 * found.fractions[name], 1),
            len(islands["id"]),
            round(float(islands["equivalent_diameter"].mean()), 2) if some else "",
            round(float(islands["aspect_ratio"].mean()), 2) if some else "",
            round(found.contiguity(number), 2),
        )
        for column, value in zip(rows.values(), values, strict=True):
            column.append(value)
    return rows


def grain_rows(found: GrainClasses) -> dict[str, Any]:
    """The table of grains, the doubtful ones first."""
    table = found.table
    order = np.argsort(table["probability"])
    return {
        name: [values[k] for k in order] if isinstance(values, list) else values[order]
        for name, values in table.items()
    }
