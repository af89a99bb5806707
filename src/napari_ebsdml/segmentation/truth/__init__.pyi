from .closing import closed_grains
from .recipe import TruthSettings, make_truth, refined_truth
from .tools import (
    dilate_class,
    erode_class,
    erode_dilate,
    fill_not_indexed,
    flip_grain,
    label_by_threshold,
    remove_small,
    vote_per_grain,
)

__all__ = [
    "TruthSettings",
    "closed_grains",
    "dilate_class",
    "erode_class",
    "erode_dilate",
    "fill_not_indexed",
    "flip_grain",
    "label_by_threshold",
    "make_truth",
    "refined_truth",
    "remove_small",
    "vote_per_grain",
]
