from .classes import GrainClasses, GrainClassifier, GrainFeatures, grain_features, islands_of
from .parents import GrainSize, ParentGrains, ParentSettings, grain_size, parent_grains

__all__ = [
    "GrainClasses",
    "GrainClassifier",
    "GrainFeatures",
    "GrainSize",
    "ParentGrains",
    "ParentSettings",
    "grain_features",
    "grain_size",
    "islands_of",
    "parent_grains",
]
