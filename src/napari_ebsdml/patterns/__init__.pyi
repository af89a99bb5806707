from .classifier import SpaceGroupClassifier
from .explain import Explanation
from .fold import fold_patterns, refine_geometry
from .geometry import Geometry
from .library import Library
from .result import SpaceGroupResult
from .train import Recipe

__all__ = [
    "Explanation",
    "Geometry",
    "Library",
    "Recipe",
    "SpaceGroupClassifier",
    "SpaceGroupResult",
    "fold_patterns",
    "refine_geometry",
]
