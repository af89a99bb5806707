from .boundaries import (
    BRANDON_SIGMA3,
    BoundaryKind,
    BoundarySegments,
    boundary_map,
    boundary_segments,
)
from .compute import ComputedMap, compute_maps
from .disorientation import disorientation_angle, disorientation_vector
from .grain_properties import gos, grain_table, grod
from .grains import segment_grains
from .inverse_poles import inverse_pole_density, inverse_poles, pixels_along
from .ipf import IPFKey, ipf_colors, ipf_key
from .mean_orientation import grain_mean_orientation, homogenise
from .misorientation import kam, misorientation_map
from .poles import crystal_directions, pole_density, poles
from .profile import MisorientationProfile, misorientation_profile
from .sections import Volume, connect_grains, kam_of_volume, volume_of
from .settings import GRAIN_THRESHOLD, MapSettings
from .symmetry import LAUE_CLASSES, laue_class, laue_operators
from .virtual import virtual_backscatter, virtual_backscatter_grid

__all__ = [
    "BRANDON_SIGMA3",
    "GRAIN_THRESHOLD",
    "LAUE_CLASSES",
    "BoundaryKind",
    "BoundarySegments",
    "ComputedMap",
    "IPFKey",
    "MapSettings",
    "MisorientationProfile",
    "Volume",
    "boundary_map",
    "boundary_segments",
    "compute_maps",
    "connect_grains",
    "crystal_directions",
    "disorientation_angle",
    "disorientation_vector",
    "gos",
    "grain_mean_orientation",
    "grain_table",
    "grod",
    "homogenise",
    "inverse_pole_density",
    "inverse_poles",
    "ipf_colors",
    "ipf_key",
    "kam",
    "kam_of_volume",
    "laue_class",
    "laue_operators",
    "misorientation_map",
    "misorientation_profile",
    "pixels_along",
    "pole_density",
    "poles",
    "segment_grains",
    "virtual_backscatter",
    "virtual_backscatter_grid",
    "volume_of",
]
