from .density import total_dislocation_density
from .gnd import gnd_density
from .maps import boundary_map, ipf_colors, kam, misorientation_map, segment_grains
from .reading import read_large
from .segment import predict
from .store import LargeMap

__all__ = [
    "LargeMap",
    "boundary_map",
    "gnd_density",
    "ipf_colors",
    "kam",
    "misorientation_map",
    "predict",
    "read_large",
    "segment_grains",
    "total_dislocation_density",
]
