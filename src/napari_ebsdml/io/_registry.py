"""The formats, and which of them a file is: decided by its content, helped by its name."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pathlib import Path

from napari_ebsdml.errors import FileFormatError, UnsupportedFormatError
from napari_ebsdml.io._hdf5 import contents
from napari_ebsdml.io._raw import Format

# In the order in which they are asked: those with an unmistakable signature first.
_MODULES = (
    "ctf",
    "ang",
    "oim_text",
    "channel5",
    "h5oina",
    "edax_h5",
    "bruker_h5",
    "orix_h5",
    "kikuchipy_h5",
    "emsoft_h5",
    "openxy_h5",
    "pattern_files",
    "pattern_folder",
)

_HEAD = 4096
_HDF5 = {".h5", ".hdf5", ".oh5", ".h5oina"}


@cache
def formats() -> tuple[Format, ...]:
    """All formats that can be read."""
    return tuple(import_module(f"napari_ebsdml.io.{module}").FORMAT for module in _MODULES)


def sniff(path: Path) -> Format | None:
    """The format of a file or folder, or None; never raises."""
    try:
        head = b""
        if path.is_file():
            with path.open("rb") as file:
                head = file.read(_HEAD)
            if not head:
                return None
        elif not path.is_dir():
            return None
        # A format whose extension the file carries is asked first.
        suffix = path.suffix.lower()
        heads = [head]
        if head.startswith((b"\xff\xfe", b"\xfe\xff")):
            # The reader of a text format tells that it takes no UTF-16.
            heads.append(head.decode("utf-16", errors="ignore").encode())
        for begin in heads:
            for fmt in sorted(formats(), key=lambda fmt: suffix not in fmt.extensions):
                if fmt.sniff(path, begin):
                    return fmt
    except OSError:
        return None
    return None


def format_of(path: Path) -> Format:
    """The format of a file or folder.

    Raises
    ------
    FileFormatError
        When the file does not exist, cannot be opened or is empty.
    UnsupportedFormatError
        When no reader knows it.
    """
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise FileFormatError(path, "there is no such file or folder") from None
    except OSError as error:
        raise FileFormatError(path, f"the file cannot be opened: {error.strerror}") from error
    fmt = sniff(path)
    if fmt is not None:
        return fmt
    if path.is_file():
        try:
            with path.open("rb") as file:
                empty = not file.read(1)
        except OSError as error:
            raise FileFormatError(path, f"the file cannot be opened: {error.strerror}") from error
        if empty:
            raise FileFormatError(path, "the file is empty")
    if inside := contents(path):
        raise UnsupportedFormatError(
            path,
            f"it is an HDF5 file whose layout no reader knows; it holds {inside}. Supported are "
            + ", ".join(f.title for f in formats() if set(f.extensions) & _HDF5),
        )
    claims = [fmt.title for fmt in formats() if path.suffix.lower() in fmt.extensions]
    if claims:
        raise FileFormatError(path, f"the content is not that of {' or '.join(claims)}")
    raise UnsupportedFormatError(
        path, "no reader knows this file; supported are " + ", ".join(f.title for f in formats())
    )


def writer_of(path: Path) -> Format | None:
    """The format to write a file of this name in, or None."""
    suffix = path.suffix.lower()
    for fmt in formats():
        if fmt.write is not None and suffix in fmt.extensions:
            return fmt
    return None
