from .reconstruct import parent_grains
from .result import GrainSize, ParentGrains, grain_size
from .settings import ParentSettings

__all__ = ["GrainSize", "ParentGrains", "ParentSettings", "grain_size", "parent_grains"]
