"""Every error that the package raises on purpose.

One base class lets a caller catch them all; each message says what was wrong,
where, and, when there is something to do about it, what.
"""

from __future__ import annotations

from os import PathLike
from typing import Any


class EbsdmlError(Exception):
    """Base class of all errors raised by napari-ebsdml."""


class FileFormatError(EbsdmlError):
    """A file could not be read as what it claims to be.

    Parameters
    ----------
    path
        File that was read.
    reason
        What is wrong with it, in one sentence.
    where
        Place in the file: ``"line 12"``, or a dataset such as ``"/1/EBSD/Data/Euler"``.
    """

    def __init__(self, path: str | PathLike[str], reason: str, where: str | None = None) -> None:
        self.path = str(path)
        self.reason = reason
        self.where = where
        place = f", {where}" if where else ""
        super().__init__(f"{self.path}{place}: {reason}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.path, self.reason, self.where)


class UnsupportedFormatError(FileFormatError):
    """No reader knows this file, or it is a variant that none can decode."""


class GridError(FileFormatError):
    """The points of a file do not form a map that can be laid on a grid."""


class WriteError(EbsdmlError):
    """A map cannot be written in the requested format, or to the requested place."""


class InputError(EbsdmlError, ValueError):
    """An argument is out of range, of the wrong shape, or does not fit the scan."""


class MissingDataError(InputError):
    """The scan lacks what a computation needs: a property, orientations, patterns, ..."""


class NoCameraError(MissingDataError):
    """Neither an argument nor the scan tells the detector's geometry."""


class ModelError(EbsdmlError):
    """A model file is damaged or missing, or the model does not fit what it is used on."""


class DownloadError(EbsdmlError):
    """A sample or model could not be fetched, or is not what was expected."""


class Cancelled(EbsdmlError):
    """The user cancelled a computation."""
