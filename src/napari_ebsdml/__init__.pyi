from . import samples, widgets
from .batching import BatchResult, batch
from .dislocations import (
    ArticleDensity,
    AverageDensity,
    GndDensity,
    TotalDensity,
    article_density,
    gnd_density,
    predict_planes,
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
from .figures import figure
from .grains import ParentGrains, parent_grains
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
from .maps.relationships import OrientationRelationship
from .patterns import SpaceGroupClassifier
from .scan import Scan, Source
from .segmentation import Segmenter

__all__ = [
    "ArticleDensity",
    "AverageDensity",
    "BatchResult",
    "Cancelled",
    "DownloadError",
    "EbsdmlError",
    "FileFormatError",
    "GndDensity",
    "GridError",
    "InputError",
    "MissingDataError",
    "ModelError",
    "OrientationRelationship",
    "ParentGrains",
    "Scan",
    "Segmenter",
    "Source",
    "SpaceGroupClassifier",
    "TotalDensity",
    "UnsupportedFormatError",
    "WriteError",
    "article_density",
    "batch",
    "boundary_map",
    "figure",
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
    "parent_grains",
    "predict_planes",
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
