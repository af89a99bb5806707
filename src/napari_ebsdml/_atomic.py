"""Files that appear whole or not at all: the one way in which the package writes files."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LEFT = re.compile(r"\..*\.([0-9a-f]{8})-(\d+)-[0-9a-f]{8}\.part")
_LONGEST_NAME = 160
_FOREIGN_AGE = 24 * 3600.0
"""Seconds after which a file that a writer on another machine left is swept."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary file beside `path` that takes its place when the block ends well.

    An existing file stays as it was until then, and for good when the block raises. What a killed
    writer left of the same file is removed; a writer at work is left alone.

    Parameters
    ----------
    path
        File to write. Where it is a symbolic link, the file that it points to is replaced.

    Yields
    ------
    Path
        An empty file, to be written by its name.

    Raises
    ------
    OSError
        When there is no such folder or the file cannot be written there.
    """
    path = Path(os.path.realpath(path)) if path.is_symlink() else path
    mine = path.with_name(f".{_start(path)}{writer()}-{uuid.uuid4().hex[:8]}.part")
    # Not tempfile.mkstemp, whose files only their owner can read.
    os.close(os.open(mine, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        yield mine
        with mine.open("rb+") as file:
            os.fsync(file.fileno())
        mine.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            mine.unlink(missing_ok=True)
        raise
    sweep(path.parent, _start(path))


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """As `replacing`, for a folder that is written as a whole.

    Between the old one's going and the new one's coming there is a moment without either; the
    old one is then beside it, under its name with a ".part" of this process.

    Yields
    ------
    Path
        An empty folder.
    """
    mark = f"{writer()}-{uuid.uuid4().hex[:8]}.part"
    mine = path.with_name(f".{_start(path)}{mark}")
    mine.mkdir()
    try:
        yield mine
        old = mine.with_name(f".{_start(path)}old.{mark}")
        if path.exists():
            path.replace(old)
        mine.replace(path)
    except BaseException:
        shutil.rmtree(mine, ignore_errors=True)
        raise
    shutil.rmtree(old, ignore_errors=True)


def write_atomic(path: Path, content: bytes) -> None:
    """Write a file, and its folder where there is none, as `replacing` does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def _start(path: Path) -> str:
    """What the temporary files of `path` have of its name."""
    name = path.name
    if len(os.fsencode(name)) > _LONGEST_NAME:
        digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:12]
        name = f"{os.fsencode(name)[:40].decode('ascii', 'ignore')}~{digest}"
    return f"{name}."


def writer() -> str:
    """Machine and process, as part of a file's name."""
    host = hashlib.sha256(platform.node().encode()).hexdigest()[:8]
    return f"{host}-{os.getpid()}"


def sweep(folder: Path, start: str) -> None:
    """Remove what killed writers left of files in a folder whose names begin with `start`."""
    host = writer().partition("-")[0]
    with contextlib.suppress(OSError):
        for other in folder.iterdir():
            found = _LEFT.fullmatch(other.name)
            if found is None or not other.name.startswith(f".{start}"):
                continue
            there, process = found.groups()
            if there == host and os.name == "posix":
                dead = not _is_alive(int(process))
            else:
                dead = time.time() - other.stat().st_mtime > _FOREIGN_AGE
            if dead:
                with contextlib.suppress(OSError):
                    other.unlink()


def is_left_behind(name: str) -> bool:
    """Whether a name that begins with `writer()` is of a process of this machine that ended."""
    host, process, *_ = [*name.split("-"), ""]
    return (
        host == writer().partition("-")[0] and process.isdecimal() and not _is_alive(int(process))
    )


def sweep_folder(folder: Path) -> None:
    """Remove what killed processes left of folders of bands in a folder."""
    host = writer().partition("-")[0]
    with contextlib.suppress(OSError):
        for other in folder.glob(".bands.*.part"):
            found = _LEFT.fullmatch(other.name)
            if found is not None and found[1] == host and not _is_alive(int(found[2])):
                shutil.rmtree(other, ignore_errors=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
