"""Maps computed from a `Scan` pixel by pixel, and grains; pure functions, no viewer, no torch."""

from napari_ebsdml.maps.boundaries import (
    BRANDON_SIGMA3,
    BoundaryKind,
    BoundarySegments,
    boundary_map,
    boundary_segments,
)
from napari_ebsdml.maps.disorientation import disorientation_angle, disorientation_vector
from napari_ebsdml.maps.grain_properties import gos, grain_table, grod
from napari_ebsdml.maps.grains import segment_grains
from napari_ebsdml.maps.homogenise import grain_mean_orientation, homogenise
from napari_ebsdml.maps.ipf import IPFKey, ipf_colors, ipf_key
from napari_ebsdml.maps.kam import kam, misorientation_map
from napari_ebsdml.maps.symmetry import LAUE_CLASSES, laue_class, laue_operators
from napari_ebsdml.maps.virtual import virtual_backscatter, virtual_backscatter_grid

__all__ = [
    "BRANDON_SIGMA3",
    "LAUE_CLASSES",
    "BoundaryKind",
    "BoundarySegments",
    "IPFKey",
    "boundary_map",
    "boundary_segments",
    "disorientation_angle",
    "disorientation_vector",
    "gos",
    "grain_mean_orientation",
    "grain_table",
    "grod",
    "homogenise",
    "ipf_colors",
    "ipf_key",
    "kam",
    "laue_class",
    "laue_operators",
    "misorientation_map",
    "segment_grains",
    "virtual_backscatter",
    "virtual_backscatter_grid",
]
