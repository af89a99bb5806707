"""Files of every format, damaged at random, read in a process with a budget of time and memory.

`benchmarks/mangle_files.py` runs thousands, `test_mangled.py` a few hundred. A seed gives the
same damage always.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import shutil
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path

import h5py
import imageio.v3 as iio
import numpy as np

from tests.io import writers_channel5, writers_hdf5, writers_patterns, writers_text

Files = dict[str, bytes]
"""Content of the files of a map by their names; the first is the one that is opened."""

SECONDS, MEGABYTES = 10.0, 500.0
"""What reading one small damaged file may cost."""

_ODD_WORDS = (
    0, 1, 2, 7, 8, 0xFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 10**9, 2**40, 2**62, 2**63,
    2**64 - 1, *(int.from_bytes(struct.pack("<d", v), "little")
                 for v in (np.nan, np.inf, 1e9, -1.0, 1e300)),
    *(int.from_bytes(struct.pack("<f", v), "little") for v in (np.nan, np.inf, 1e9, -1.0)),
)  # fmt: skip
_ODD_NUMBERS = (np.nan, np.inf, -np.inf, 1e9, -1e9, 1e30, 1e308, -1, 0, 2**31, 1e-300, 400)
_ODD_TEXT = (
    b"nan", b"inf", b"-1", b"0", b"1e9", b"1e308", b"-1e400", b"9" * 20, b"2147483648", b"0x10",
    b"", b" ", b"\t", b"\n", b"\r", b"#", b"\x00", b"\xff\xfe", b"text", b"1,5", b"--",
    b"1.#QNAN", b"\xc3\xa9", b"0.0000001", b"1000000000",
)  # fmt: skip
# Where the structures of an HDF5 file begin that libhdf5 walks along.
_STRUCTURES = re.compile(rb"TREE|HEAP|SNOD|GCOL|OHDR|OCHK|FRHP|FHDB|FHIB|BTHD|BTLF|BTIN|FAHD|EAHD")


@cache
def sound(kind: str) -> Files:
    """A small map of a format without any damage."""
    with tempfile.TemporaryDirectory() as folder:
        _WRITERS[kind](Path(folder))
        # What is opened was written last.
        paths = sorted(Path(folder).iterdir(), key=lambda path: path.stat().st_mtime_ns)
        return {path.name: path.read_bytes() for path in reversed(paths)}


def _kikuchipy(folder: Path) -> None:
    import kikuchipy

    data = Path(kikuchipy.__file__).parent / "data" / "kikuchipy_h5ebsd" / "patterns.h5"
    shutil.copyfile(data, folder / "a.h5")


def _orix(folder: Path) -> None:
    from napari_ebsdml.io import read, write

    _text("ang", folder)
    write(folder / "b.h5", read(folder / "a.ang"))
    (folder / "a.ang").unlink()


def _text(kind: str, folder: Path) -> None:
    points = writers_text.make_points((6, 7), n_phases=2)
    text = writers_text.ang_edax(points) if kind == "ang" else writers_text.ctf(points)
    (folder / f"a.{kind}").write_bytes(text.encode())


def _oim(folder: Path) -> None:
    points = writers_text.make_points((6, 7), n_phases=2)
    (folder / "a.txt").write_bytes(writers_text.oim_grains(points).encode())


def _channel5(folder: Path) -> None:
    writers_channel5.Project((6, 7), writers_channel5.grains(6, 7)).write(folder)


def _ebsp(folder: Path) -> None:
    places = [(0.2 * (k % 4), 0.2 * (k // 4)) for k in range(12)]
    writers_patterns.write_ebsp(folder / "a.ebsp", _patterns(), places, range(12))


def _images(folder: Path) -> None:
    for k, suffix in enumerate(("png", "png", "png", "tif")):
        iio.imwrite(folder / f"a_x{k}y0.{suffix}", _patterns()[k])


def _patterns() -> np.ndarray:
    return writers_patterns.make_patterns(12, shape=(20, 21))


_WRITERS: dict[str, Callable[[Path], object]] = {
    "ang": lambda folder: _text("ang", folder),
    "ctf": lambda folder: _text("ctf", folder),
    "oim": _oim,
    "cpr": _channel5,
    "h5oina": lambda folder: writers_hdf5.write_h5oina(
        folder / "a.h5oina", processed=True, eds=True
    ),
    "edax": lambda folder: writers_hdf5.write_edax(folder / "a.h5", phases=2),
    "bruker": lambda folder: writers_hdf5.write_bruker(folder / "a.h5"),
    "orix": _orix,
    "kikuchipy": _kikuchipy,
    "emsoft": lambda folder: writers_hdf5.write_emsoft(folder / "a.h5", refined=True),
    "up1": lambda folder: writers_patterns.write_up(folder / "a.up1", _patterns()),
    "ebsp": _ebsp,
    "images": _images,
    "nordif": lambda folder: writers_patterns.write_nordif(folder, _patterns()),
}
KINDS = tuple(_WRITERS)


def mangled(files: Files, seed: int) -> Files:
    """The files with one to three kinds of damage."""
    rng = np.random.default_rng(seed)
    files = dict(files)
    # HDF5 itself would hang on, or fill the memory with, a file that is damaged already.
    editable = set(files)
    for _ in range(int(rng.choice([1, 1, 1, 2, 3]))):
        name = str(rng.choice(list(files)))
        content = files[name]
        if content.startswith(b"\x89HDF"):
            ways = (_bytes, _words, _pointers, _loops, _blocks, _cut, *3 * (_datasets,))
        elif b"\x00" in content[:4096]:
            ways = (_bytes, _words, _blocks, _cut)
        else:
            ways = (_bytes, _tokens, _tokens, _lines, _blocks, _cut)
        way = ways[int(rng.integers(len(ways)))]
        if way is _datasets and name not in editable:
            way = _bytes
        if content:
            files[name] = way(content, rng)
        if way is not _datasets:
            editable.discard(name)
    return files


def _bytes(content: bytes, rng: np.random.Generator) -> bytes:
    out = bytearray(content)
    for at in rng.integers(0, len(out), int(rng.integers(1, 9))):
        out[at] = int(rng.integers(256))
    return bytes(out)


def _place(content: bytes, rng: np.random.Generator) -> int:
    """Anywhere, but half of the time among the first bytes, where headers are."""
    most = len(content) if rng.random() < 0.5 else min(len(content), 2048)
    return int(rng.integers(most))


def _words(content: bytes, rng: np.random.Generator) -> bytes:
    at, size = _place(content, rng), int(rng.choice([2, 4, 8]))
    at -= at % size
    word = (_ODD_WORDS[int(rng.integers(len(_ODD_WORDS)))] % (1 << (8 * size))).to_bytes(
        size, "little"
    )
    return content[:at] + word + content[at + size :]


def _pointers(content: bytes, rng: np.random.Generator) -> bytes:
    """A word of a structure of HDF5 becomes odd, another place of the file, or another word."""
    starts = [match.start() for match in _STRUCTURES.finditer(content)]
    if not starts:
        return _words(content, rng)
    out = bytearray(content)
    for _ in range(int(rng.integers(1, 4))):
        at = int(rng.choice(starts)) + 4 + int(rng.integers(120))
        size = int(rng.choice([1, 2, 4, 8]))
        to = rng.integers(4)
        if to == 0:
            value = int(rng.choice(starts))
        elif to == 1:
            value = int(rng.integers(len(content)))
        elif to == 2:
            value = _ODD_WORDS[int(rng.integers(len(_ODD_WORDS)))]
        else:
            other = _place(content, rng)
            value = int.from_bytes(content[other : other + size], "little")
        out[at : at + size] = (value % (1 << (8 * size))).to_bytes(size, "little")
    return bytes(out[: len(content)])


def _loops(content: bytes, rng: np.random.Generator) -> bytes:
    """An index, heap or header of HDF5 leads to a wrong one of its kind, or back to itself."""
    starts = [match.start() for match in re.finditer(rb"HEAP|TREE|SNOD|GCOL", content)]
    # An earlier damage may have cut the file within a structure.
    starts = [start for start in starts if start + 32 <= len(content)]
    if not starts:
        return content
    out = bytearray(content)
    at = int(rng.choice(starts))
    kind = content[at : at + 4]
    if kind == b"HEAP":
        size, free, data = struct.unpack_from("<QQQ", content, at + 8)
        inside = 8 * int(rng.integers(max(1, min(size, 1 << 16) // 8)))
        if rng.random() < 0.5 or data + inside + 8 > len(out):
            struct.pack_into("<Q", out, at + 16, inside)
        else:
            to = free if rng.random() < 0.5 else inside
            where = data + (free if free < size and rng.random() < 0.7 else inside)
            if where + 8 <= len(out):
                struct.pack_into("<Q", out, where, to)
    elif kind == b"TREE":
        others = [start for start in starts if content[start : start + 4] != b"HEAP"]
        # Level, siblings, or the first child, which stands behind a key.
        where = at + int(rng.choice([5, 8, 16, 32, 48, 24 + 8 * int(rng.integers(1, 9))]))
        to = at if rng.random() < 0.4 else int(rng.choice(others))
        if where == at + 5:
            out[where] = int(rng.integers(4))
        elif where + 8 <= len(out):
            struct.pack_into("<Q", out, where, to)
    elif kind == b"SNOD":
        where = at + 8 + 40 * int(rng.integers(4)) + int(rng.choice([0, 8, 24, 32]))
        if where + 8 <= len(out):
            struct.pack_into("<Q", out, where, int(rng.choice([at, *starts])))
    else:
        # Size of the heap, or number and size of an object.
        (heap,) = struct.unpack_from("<Q", content, at + 8)
        inside = 16 + 8 * int(rng.integers(max(1, min(heap, 1 << 12) // 8)))
        where = at + int(rng.choice([8, 16, 24, inside, inside]))
        value = int(rng.choice([0, 0, 1, int(rng.integers(1 << int(rng.integers(1, 40))))]))
        if where + 8 <= len(out):
            struct.pack_into("<Q", out, where, value)
    return bytes(out[: len(content)])


def _blocks(content: bytes, rng: np.random.Generator) -> bytes:
    at, size = _place(content, rng), int(rng.integers(1, 300))
    block = content[at : at + size]
    other = _place(content, rng)
    ways = (
        content[:at] + bytes(len(block)) + content[at + size :],
        content[:at] + b"\xff" * len(block) + content[at + size :],
        content[:at] + rng.bytes(len(block)) + content[at + size :],
        content[:at] + content[at + size :],
        content[:other] + block + content[other:],
        content[:other] + block + content[other + len(block) :],
    )
    return ways[int(rng.integers(len(ways)))]


def _cut(content: bytes, rng: np.random.Generator) -> bytes:
    if rng.random() < 0.2:
        return content + rng.bytes(int(rng.integers(1, 300)))
    return content[: _place(content, rng)]


def _tokens(content: bytes, rng: np.random.Generator) -> bytes:
    """Some words of a text become others."""
    words = list(re.finditer(rb"[^\s;,=]+", content))
    if not words:
        return content
    out = content
    # From the last to the first, so that places stay.
    chosen = sorted(set(rng.integers(0, len(words), int(rng.integers(1, 5))).tolist()))
    for k in reversed(chosen):
        if rng.random() < 0.5:
            k = min(k, 60) if k > 60 and rng.random() < 0.5 else k
        new = _ODD_TEXT[int(rng.integers(len(_ODD_TEXT)))]
        if rng.random() < 0.2:
            new = words[int(rng.integers(len(words)))].group()
        out = out[: words[k].start()] + new + out[words[k].end() :]
    return out


def _lines(content: bytes, rng: np.random.Generator) -> bytes:
    lines = content.splitlines(keepends=True)
    k, j = (int(v) for v in rng.integers(0, len(lines), 2))
    way = rng.integers(5)
    if way == 0:
        del lines[k]
    elif way == 1:
        lines.insert(k, lines[j])
    elif way == 2:
        lines[k], lines[j] = lines[j], lines[k]
    elif way == 3:
        lines[k] = lines[k].replace(b"\t", b" ").rstrip(b"\r\n")
    else:
        lines[k] = lines[k] * int(rng.integers(2, 50))
    return b"".join(lines)


def _datasets(content: bytes, rng: np.random.Generator) -> bytes:
    """A dataset or group of a sound HDF5 file goes, or holds something else."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.h5"
        path.write_bytes(content)
        try:
            with h5py.File(path, "r+") as file:
                names: list[str] = []
                file.visit(names.append)
                _edit(file, names[int(rng.integers(len(names)))], rng)
        except Exception:  # the file had been damaged before
            return content
        return path.read_bytes()


def _edit(file: h5py.File, name: str, rng: np.random.Generator) -> None:
    item = file[name]
    way = int(rng.integers(8))
    # An earlier damage may have announced 10^12 values.
    some = 0 < (getattr(item, "size", 0) or 0) <= 10**6
    if isinstance(item, h5py.Dataset) and item.dtype.kind in "iuf" and some and way < 4:
        # Some of the values, or all, become odd.
        values = np.atleast_1d(np.asarray(item[()])).copy()
        odd = float(_ODD_NUMBERS[int(rng.integers(len(_ODD_NUMBERS)))])
        with np.errstate(all="ignore"):
            odd_here = np.array(odd).astype(values.dtype)
        at = rng.random(values.shape) < rng.choice([1.0, 0.1, 1 / values.size])
        values[at] = odd_here
        item[...] = values.reshape(item.shape)
        return
    shape = getattr(item, "shape", None)
    attributes = dict(item.attrs)
    del file[name]
    if way == 4:
        return
    if way == 5:
        # Announced, but never written: takes no space in the file.
        size = int(rng.choice([10**6, 3 * 10**7, 2 * 10**8, 10**9, 10**12]))
        tail = (shape or (1,))[1:]
        new = file.create_dataset(
            name, (size, *tail), dtype="f8", chunks=(1024, *tail) if size > 0 else None
        )
    elif way == 6:
        new = file.create_group(name)
    else:
        odd_values = (
            np.zeros(0), np.zeros((2, 3, 4, 5)), b"text", "text", h5py.Empty("f4"), -5, 2**63,
            np.full((20, 3), 1e30), np.full(10**5, 1, np.uint8), np.array([b"a" * 5000]),
            np.zeros(42, "c16"), np.zeros(42, [("a", "f4"), ("b", "i4")]), np.nan, 10**9, 3.5,
        )  # fmt: skip
        file[name] = odd_values[int(rng.integers(len(odd_values)))]
        new = file[name]
    for key, value in attributes.items():
        new.attrs[key] = value


@dataclass(frozen=True)
class Outcome:
    """What came of reading a damaged file.

    Attributes
    ----------
    kind, seed
    what
        "map", "error" (an EbsdmlError that names the file), "raw" (any other), "slow", "memory",
        or "died" (the process did).
    message
    seconds
    megabytes
        More than before, at most.
    """

    kind: str
    seed: int
    what: str
    message: str = ""
    seconds: float = 0.0
    megabytes: float = 0.0

    @property
    def fine(self) -> bool:
        return self.what in ("map", "error")


def read_all(path: Path) -> str:
    """Read everything that a file holds; what came of it and, if anything, an error's text."""
    from napari_ebsdml import EbsdmlError, read
    from napari_ebsdml.io import scan_names

    try:
        names = scan_names(path)
        for name in names[:3]:
            scan = read(path, name or None)
            assert scan.phase_id.size > 0
            if scan.patterns is not None:
                for at in ((0, 0), (-1, -1)):
                    scan.patterns[at].compute(scheduler="sync")
    except EbsdmlError as error:
        text = str(error)
        return (
            f"error\n{text}"
            if str(path) in text or str(path.parent) in text
            else f"raw\nno file in: {text}"
        )
    except Exception as error:
        return f"raw\n{type(error).__name__}: {error}"
    return "map\n"


def _status(key: str) -> float:
    """Megabytes that the system counts for this process."""
    text = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(rf"{key}:\s+(\d+) kB", text)
    return int(found[1]) / 1024 if found else 0.0


def _serve(pipe: Connection, folder: Path, trace: Path | None) -> None:
    """Worker: reads one damaged file after the other."""
    import faulthandler
    import resource
    import warnings

    warnings.simplefilter("ignore")
    os.environ["OMP_NUM_THREADS"] = "1"
    # A file that asks for all memory must not take the machine's.
    limit = 8 << 30
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    log = trace.open("w") if trace else None
    while True:
        try:
            path, seconds = pipe.recv()
        except EOFError:
            # The other side is gone.
            return
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        before, start = _status("VmRSS"), time.monotonic()
        if log:
            faulthandler.dump_traceback_later(0.8 * seconds, file=log)
        what = read_all(path)
        faulthandler.cancel_dump_traceback_later()
        pipe.send((what, time.monotonic() - start, _status("VmHWM") - before))


def run(
    jobs: Iterator[tuple[str, int]],
    seconds: float = SECONDS,
    megabytes: float = MEGABYTES,
    files_of: Callable[[str], Files] = sound,
    trace: Path | None = None,
) -> Iterator[Outcome]:
    """Read damaged files, one after the other, in a process that is ended when it takes too long.

    Parameters
    ----------
    jobs : iterator of (kind, seed)
    seconds, megabytes
        Budget of one file.
    files_of
        Sound files of a kind.
    trace
        Where a process that takes too long writes what it was doing.
    """
    context = multiprocessing.get_context("spawn")
    pipe = worker = None
    # Importing and compiling on the first file of a worker takes longer than reading it.
    warm: set[str] = set()
    with tempfile.TemporaryDirectory(prefix="mangled") as top:
        try:
            for kind, seed in jobs:
                if worker is None or pipe is None:
                    pipe, theirs = context.Pipe()
                    worker = context.Process(target=_serve, args=(theirs, Path(top), trace))
                    worker.start()
                    theirs.close()
                    warm = set()
                if kind not in warm:
                    path = _stored(Path(top), files_of(kind))
                    pipe.send((path, 300.0))
                    assert pipe.poll(300), f"{kind} could not be read at all"
                    what = pipe.recv()[0]
                    assert what == "map\n", f"{kind} without damage: {what}"
                    warm.add(kind)
                path = _stored(Path(top), mangled(files_of(kind), seed))
                pipe.send((path, seconds))
                try:
                    if not pipe.poll(seconds):
                        yield Outcome(kind, seed, "slow", seconds=seconds)
                        raise EOFError
                    answer, took, more = pipe.recv()
                except (EOFError, ConnectionError):
                    if worker.exitcode is not None or not worker.is_alive():
                        yield Outcome(kind, seed, "died", f"exit code {worker.exitcode}")
                    worker.kill()
                    worker.join()
                    worker = pipe = None
                    continue
                what, _, message = answer.partition("\n")
                if more > megabytes:
                    what = "memory"
                yield Outcome(kind, seed, what, message, took, more)
        finally:
            if worker is not None:
                worker.kill()
                worker.join()


def _stored(top: Path, files: Files) -> Path:
    folder = top / "file"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    first = folder / next(iter(files))
    # Images are opened as the folder that holds them.
    return folder if first.suffix in (".png", ".tif") else first
