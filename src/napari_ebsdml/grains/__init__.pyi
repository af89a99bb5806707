from .parents import GrainSize, ParentGrains, ParentSettings, grain_size, parent_grains

__all__ = ["GrainSize", "ParentGrains", "ParentSettings", "grain_size", "parent_grains"]
