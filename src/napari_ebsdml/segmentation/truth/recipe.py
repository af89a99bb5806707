"""The article's recipe for a ground truth, as one call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_ebsdml._parallel import Progress, part_of
from napari_ebsdml.errors import InputError
from napari_ebsdml.options import Option
from napari_ebsdml.segmentation.settings import TRUTH_GRAIN_THRESHOLD

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan

NEAREST = 0
"""`TruthSettings.not_indexed`: each pixel that is not indexed gets the nearest label."""


@dataclass(frozen=True)
class TruthSettings:
    """How labels are refined to a ground truth."""

    vote: Annotated[
        bool, Option("One class per grain", "The label that most of a grain's pixels have")
    ] = True
    grains: Annotated[
        float,
        Option("Grains end at", "Misorientation at which a grain ends", "°", 0.1, 180, 0.5, 1,
               when="vote"),
    ] = TRUTH_GRAIN_THRESHOLD  # fmt: skip
    close: Annotated[
        int,
        Option("Close boundaries over", "Widest gap in a boundary that is closed; 0: none", "px",
               0, 100, when="vote"),
    ] = 0  # fmt: skip
    not_indexed: Annotated[
        int,
        Option("Pixels not indexed", "Label that they get; 0: the nearest one", "", 0, 255,
               at_minimum="nearest"),
    ] = NEAREST  # fmt: skip
    open: Annotated[
        int,
        Option("Erode and dilate", "Seams of pixels not indexed, thinner than twice this, go to "
               "the class beside them; 0: not", "px", 0, 100),
    ] = 1  # fmt: skip
    smallest: Annotated[
        int, Option("Smallest region", "Smaller ones join their surroundings", "px", 0, 1_000_000)
    ] = 10  # fmt: skip

    def __post_init__(self) -> None:
        if not 0 < self.grains <= 180:
            raise InputError(f"grains must lie in 0..180 degrees, not {self.grains}.")
        for name, high in (("close", 100), ("not_indexed", 255), ("open", 100)):
            if not 0 <= getattr(self, name) <= high:
                raise InputError(f"{name} must be 0 to {high}, not {getattr(self, name)}.")
        if self.smallest < 0:
            raise InputError(f"smallest must not be negative, not {self.smallest}.")


def refined_truth(
    scan: Scan,
    labels: ArrayLike,
    settings: TruthSettings | None = None,
    progress: Progress = None,
) -> NDArray[np.integer]:
    """Refine labels by the article's steps: vote, pixels not indexed, erode and dilate, sizes.

    Parameters
    ----------
    scan
    labels : (rows, columns) int
        From a model, a threshold or the brush; 0 where unlabelled.
    settings
    progress
        Called with the fraction done; may raise to cancel.

    Returns
    -------
    (rows, columns) int
        Of the type of the labels.

    Raises
    ------
    InputError
        When the labels do not fit the scan.

    Notes
    -----
    T. Martinez Ostormujof et al., preprint hal-03450484, section 2.3.
    """
    # The command line reads the settings above, and starts without kernels.
    from napari_ebsdml.maps.grains import segment_grains
    from napari_ebsdml.segmentation.labels.data import check_label_image
    from napari_ebsdml.segmentation.truth.closing import closed_grains
    from napari_ebsdml.segmentation.truth.tools import (
        erode_dilate,
        fill_not_indexed,
        remove_small,
        vote_per_grain,
    )

    how = settings or TruthSettings()
    out = np.array(check_label_image(scan, labels))
    if how.vote and scan.quaternions.any():
        part = part_of(progress, 0.0, 0.7)
        ids = (
            closed_grains(scan, how.grains, min(0.6, how.grains), how.close, part)
            if how.close else segment_grains(scan, how.grains, progress=part)
        )  # fmt: skip
        out = vote_per_grain(out, ids)
    gone = ~scan.is_indexed
    if gone.any() and (out[~gone] > 0).any():
        out = fill_not_indexed(out, scan, how.not_indexed or None)
        if how.open and how.not_indexed:
            out = erode_dilate(out, how.not_indexed, how.open, gone)
    if how.smallest:
        out = remove_small(out, how.smallest)
    if progress is not None:
        progress(1.0)
    return out


def make_truth(
    scan: Scan,
    model: Any,
    settings: TruthSettings | None = None,
    progress: Progress = None,
) -> NDArray[np.integer]:
    """Pre-label a map with a model, and refine that to a ground truth.

    Parameters
    ----------
    scan
    model
        Anything with ``predict(scan)``: a `Segmenter`, a `ForestSegmenter`; or the name of a ready
        model or a file.
    settings
    progress
        Called with the fraction done; may raise to cancel.

    Raises
    ------
    InputError, ModelError
        As `Segmenter.predict` and `refined_truth`.
    """
    if isinstance(model, str):
        from napari_ebsdml.segmentation.reading import read_model

        model = read_model(model)
    result = model.predict(scan, warn=False, progress=part_of(progress, 0.0, 0.5))
    return refined_truth(scan, result.labels, settings, part_of(progress, 0.5))
