"""Three-dimensional dislocation structures, and what an orientation map of them shows.

Lengths are in voxels h and Burgers vectors in b, so that nothing depends on a material or scale.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "elasticity": ["ElasticField", "cubic_stiffness", "elastic_field", "isotropic_stiffness"],
        "generate": ["KINDS", "Structure", "random_structure", "stream_structures"],
        "lines": ["Lines", "closed", "straight"],
    },
)
