from .classifier import GrainClassifier
from .features import GrainFeatures, grain_features
from .islands import islands_of
from .result import GrainClasses

__all__ = ["GrainClasses", "GrainClassifier", "GrainFeatures", "grain_features", "islands_of"]
