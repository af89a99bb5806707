"""Maps that are too large for memory: held in a folder, worked on in bands of rows."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "density": ["total_dislocation_density"],
        "gnd": ["gnd_density"],
        "maps": ["boundary_map", "ipf_colors", "kam", "misorientation_map", "segment_grains"],
        "reading": ["read_large"],
        "segment": ["predict"],
        "store": ["LargeMap"],
    },
)
