from . import samples, widgets
from .dislocations import (
    GndDensity,
    gnd_density,
    stress_increment,
    taylor_factor,
    taylor_stress,
    total_dislocation_density,
)
from .errors import (
    Cancelled,
    DownloadError,
    EbsdmlError,
    FileFormatError,
    GridError,
    InputError,
    MissingDataError,
    ModelError,
    UnsupportedFormatError,
    WriteError,
)
from .io import read, read_all, write
from .maps import (
    boundary_map,
    gos,
    grain_mean_orientation,
    grain_table,
    grod,
    homogenise,
    ipf_colors,
    ipf_key,
    kam,
    misorientation_map,
    segment_grains,
    virtual_backscatter,
    virtual_backscatter_grid,
)
from .patterns import SpaceGroupClassifier
from .scan import Scan, Source
from .segmentation import Segmenter

__all__ = [
    "Cancelled",
    "DownloadError",
    "EbsdmlError",
    "FileFormatError",
    "GndDensity",
    "GridError",
    "InputError",
    "MissingDataError",
    "ModelError",
    "Scan",
    "Segmenter",
    "Source",
    "SpaceGroupClassifier",
    "UnsupportedFormatError",
    "WriteError",
    "boundary_map",
    "gnd_density",
    "gos",
    "grain_mean_orientation",
    "grain_table",
    "grod",
    "homogenise",
    "ipf_colors",
    "ipf_key",
    "kam",
    "misorientation_map",
    "read",
    "read_all",
    "samples",
    "segment_grains",
    "stress_increment",
    "taylor_factor",
    "taylor_stress",
    "total_dislocation_density",
    "virtual_backscatter",
    "virtual_backscatter_grid",
    "widgets",
    "write",
]

__version__: str
