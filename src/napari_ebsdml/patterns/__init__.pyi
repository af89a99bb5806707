from .classifier import SpaceGroupClassifier
from .explain import Explanation
from .fold import fold_patterns, refine_geometry
from .geometry import Geometry
from .library import Library
from .own import add_files, add_to_library, read_cif
from .refine import refine_orientations, refine_scan
from .result import SpaceGroupResult
from .train import Recipe
from .two_phase import TwoPhaseSample, two_phase_map

__all__ = [
    "Explanation",
    "Geometry",
    "Library",
    "Recipe",
    "SpaceGroupClassifier",
    "SpaceGroupResult",
    "TwoPhaseSample",
    "add_files",
    "add_to_library",
    "fold_patterns",
    "read_cif",
    "refine_geometry",
    "refine_orientations",
    "refine_scan",
    "two_phase_map",
]
