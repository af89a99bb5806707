from . import samples
from .errors import (
    Cancelled,
    EbsdmlError,
    FileFormatError,
    GridError,
    InputError,
    MissingDataError,
    UnsupportedFormatError,
    WriteError,
)
from .io import read, read_all, write
from .scan import Scan, Source

__all__ = [
    "Cancelled",
    "EbsdmlError",
    "FileFormatError",
    "GridError",
    "InputError",
    "MissingDataError",
    "Scan",
    "Source",
    "UnsupportedFormatError",
    "WriteError",
    "read",
    "read_all",
    "samples",
    "write",
]

__version__: str
