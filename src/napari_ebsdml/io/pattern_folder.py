"""Folders of pattern images, one file per point, and single images.

Names tell where a pattern belongs: "..._x5y10.tif" or "...-5-10.bmp" (x, y, as EDAX and Bruker
export them), "..._r10_c5.png" or "row10col5" (row, column), or a running number.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.errors import FileFormatError
from napari_ebsdml.io._detector import camera_of_file
from napari_ebsdml.io._lazy_patterns import ImagePatterns, lazy
from napari_ebsdml.io._raw import Format, RawMap

_KINDS = {
    ".png": "png",
    ".bmp": "bmp",
    ".tif": "tif",
    ".tiff": "tif",
    ".jpg": "jpg",
    ".jpeg": "jpg",
}
_SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"BM", b"II*\x00", b"MM\x00*", b"\xff\xd8\xff")

# (pattern, whether the first number is the row)
_PLACES = (
    (re.compile(r"x[_=-]?(\d+)[_-]?y[_=-]?(\d+)", re.IGNORECASE), False),
    (re.compile(r"y[_=-]?(\d+)[_-]?x[_=-]?(\d+)", re.IGNORECASE), True),
    (
        re.compile(r"(?:row|r)[_=-]?(\d+)[_-]?(?:column|col|c)[_=-]?(\d+)", re.IGNORECASE),
        True,
    ),
    (re.compile(r"-(\d+)-(\d+)$"), False),
    (re.compile(r"_(\d+)_(\d+)$"), False),
)
_NUMBER = re.compile(r"(\d+)")
# No detector has more pixels, times colours.
_MOST_PIXELS = 4 * 10_000**2


def sniff(path: Path, head: bytes) -> bool:
    """Whether this is an image, or a folder whose files are mostly images of one kind."""
    if head:
        return path.suffix.lower() in _KINDS and head.startswith(_SIGNATURES)
    try:
        return path.is_dir() and bool(_images(path))
    except OSError:
        return False


def _images(folder: Path) -> list[Path]:
    """Files of the commonest image kind when they are most of the folder, in natural order."""
    files = [p for p in folder.iterdir() if p.is_file() and not p.name.startswith(".")]
    kinds = Counter(_KINDS[p.suffix.lower()] for p in files if p.suffix.lower() in _KINDS)
    if not kinds:
        return []
    kind, n = kinds.most_common(1)[0]
    if 2 * n <= len(files):
        return []
    return sorted((p for p in files if _KINDS.get(p.suffix.lower()) == kind), key=_natural)


def _natural(path: Path) -> list[tuple[int, int, str]]:
    """Sort key that puts 10 after 9."""
    return [
        (0, int(word), "") if word.isdigit() else (1, 0, word)
        for word in _NUMBER.split(path.stem.lower())
        if word
    ]


def read(path: Path, scan_name: str | None = None) -> RawMap:
    """Read a folder of images, or one image.

    Raises
    ------
    FileFormatError
        When an image cannot be decoded, or two images claim one place.
    """
    files = [path] if path.is_file() else _images(path)
    if not files:
        raise FileFormatError(path, "the folder holds no pattern images (.png, .bmp, .tif, .jpg)")
    first = read_image(files[0])
    raw = RawMap(path=path, format="images", frame="edax")
    columns = None
    place = _places(files) if len(files) > 1 else None
    if len(files) == 1:
        raw.shape = (1, 1)
        raw.step = (1.0, 1.0)
    elif place is None:
        raw.shape = (1, len(files))
        raw.warnings.append(
            "The file names do not tell rows and columns: the patterns stand in one row, in the "
            "order of their names."
        )
    else:
        row, column, described = place
        _refuse_doubles(path, files, row, column)
        # Reading order of the map: blocks of the lazy array are then whole rows.
        order = np.lexsort((column, row))
        files = [files[k] for k in order]
        row, column = row[order], column[order]
        raw.shape = (int(row.max()) + 1, int(column.max()) + 1)
        columns = raw.shape[1]
        if len(files) == raw.shape[0] * raw.shape[1]:
            raw.warnings.append(f"Positions come from the file names, read as {described}.")
        else:
            raw.x, raw.y = column.astype(np.float64), row.astype(np.float64)
            raw.step = (1.0, 1.0)
            raw.warnings.append(
                f"Positions come from the file names, read as {described}, which tell no step "
                "size; 1 um is assumed."
            )
    source = ImagePatterns(
        path=path.resolve(),
        shape=(len(files), *first.shape),
        dtype=first.dtype,
        files=tuple(file.resolve() for file in files),
        reader=read_image,
    )
    raw.patterns = lazy(source, columns)
    raw.header = {"first image": files[0].name, "images": len(files)}
    raw.camera = camera_of_file(first.shape, raw.warnings)
    return raw


def _places(
    files: list[Path],
) -> tuple[NDArray[np.intp], NDArray[np.intp], str] | None:
    """Row and column of each file from 0 on, how names were read; None if they are silent."""
    for pattern, row_first in _PLACES:
        found = [pattern.search(file.stem) for file in files]
        if not all(found):
            continue
        numbers = np.array([[int(m[1]), int(m[2])] for m in found if m], dtype=np.int64)
        row, column = (numbers if row_first else numbers[:, ::-1]).T
        described = "row and column" if row_first else "x and y"
        return _from_zero(row), _from_zero(column), described
    return None


def _from_zero(numbers: NDArray[np.int64]) -> NDArray[np.intp]:
    """Positions 0, 1, 2 ... of numbers that may start anywhere and count in steps."""
    shifted = numbers - numbers.min()
    spacing = int(np.gcd.reduce(np.unique(shifted)))
    return np.asarray(shifted // max(spacing, 1), dtype=np.intp)


def _refuse_doubles(
    path: Path, files: list[Path], row: NDArray[np.intp], column: NDArray[np.intp]
) -> None:
    places = Counter(zip(row.tolist(), column.tolist(), strict=True))
    (place, n), *_ = places.most_common(1)
    if n > 1:
        names = [f.name for f, r, c in zip(files, row, column, strict=True) if (r, c) == place]
        raise FileFormatError(path, f"{names[0]} and {names[1]} claim the same point")


def read_image(path: Path) -> NDArray[Any]:
    """Grey values (rows, columns) of an image; colours are averaged.

    Raises
    ------
    FileFormatError
        When the image cannot be decoded.
    """
    import imageio.v3 as iio

    try:
        # From memory: imageio leaves a file open that it cannot decode.
        content, suffix = path.read_bytes(), path.suffix.lower()
        shape = iio.improps(content, extension=suffix).shape
        if math.prod(shape) > _MOST_PIXELS:
            raise FileFormatError(path, f"an image of shape {shape} is no pattern")
        image = np.asarray(iio.imread(content, extension=suffix))
    except FileFormatError:
        raise
    except Exception as error:
        raise FileFormatError(path, f"the image cannot be decoded: {error}") from error
    if image.ndim == 3 and image.shape[2] in (2, 3, 4):
        color = image[..., : 1 if image.shape[2] == 2 else 3]
        mean = color.mean(axis=2)
        image = np.rint(mean).astype(image.dtype) if image.dtype.kind in "ui" else mean
    if image.ndim != 2 or 0 in image.shape or image.dtype.kind not in "uifb":
        raise FileFormatError(path, f"an image of shape {image.shape} is no pattern")
    return image.astype(np.uint8) * 255 if image.dtype.kind == "b" else image


FORMAT = Format(
    name="images",
    title="pattern images (.png, .bmp, .tif, .jpg), one or a folder",
    extensions=tuple(_KINDS),
    sniff=sniff,
    read=read,
)
