"""Damaged files of every format: a map or one error, in little time and memory.

`benchmarks/mangle_files.py` runs many thousands of these.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_ebsdml import FileFormatError, read
from napari_ebsdml.io import _hdf5
from napari_ebsdml.io._hdf5 import open_h5
from napari_ebsdml.io._hdf5_structure import refuse_endless_strings, refuse_loops
from tests.io import mangling
from tests.io.writers_hdf5 import write_h5oina

linux = pytest.mark.skipif(sys.platform != "linux", reason="memory is measured by /proc")


@pytest.mark.long
@linux
def test_some_hundred_damaged_files() -> None:
    jobs = [(kind, seed) for kind in mangling.KINDS for seed in range(24)]
    # Once these went round in libhdf5 when asked what a file without a reader holds.
    jobs += [("bruker", 300_070), ("bruker", 300_380), ("emsoft", 1_003_946)]
    # The sum of sizes in a heap of strings began anew at 0.
    jobs += [("h5oina", 1_006_031)]
    # Attributes: read past the look for endless strings, and of a type that ends the process.
    jobs += [("orix", 5_000_533), ("orix", 5_004_437), ("h5oina", 9_002_571)]
    # The same of a dataset.
    jobs += [("h5oina", 9_007_628)]
    bad = [found for found in mangling.run(iter(jobs), seconds=60) if not found.fine]
    assert bad == []


@linux
def test_the_test_itself_notices(tmp_path: Path) -> None:
    """Without damage there is a map; a seed gives the same damage again."""
    files = mangling.sound("h5oina")
    assert mangling.mangled(files, 3) == mangling.mangled(files, 3) != files
    path = tmp_path / "a.h5oina"
    path.write_bytes(next(iter(files.values())))
    assert mangling.read_all(path) == "map\n"
    path.write_bytes(b"\x89HDF\r\n\x1a\n")
    assert mangling.read_all(path).startswith("error")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Groups with an index of two levels, a heap with free blocks, and strings."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as out:
        group = out.create_group("group")
        for k in range(300):
            group[f"name{k:05d}"] = k
        for k in (3, 10, 11):
            del group[f"name{k:05d}"]
        out["text"] = "some text"
        group.attrs["unit"] = "um"
    return path


def places(content: bytes, mark: bytes) -> list[int]:
    return [k for k in range(len(content)) if content.startswith(mark, k)]


def edit(path: Path, at: int, value: int) -> None:
    content = bytearray(path.read_bytes())
    struct.pack_into("<Q", content, at, value)
    path.write_bytes(content)


def test_sound_files_pass(file: Path) -> None:
    refuse_loops(file)
    with open_h5(file) as root:
        assert len(root.group("group").keys) == 297
        assert root.text("text") == "some text"
        assert root.attribute("group", "unit") == "um"


def test_the_free_blocks_of_a_heap_lead_back(file: Path) -> None:
    content = file.read_bytes()
    # The last heap is that of the group, from which names were deleted.
    heap = places(content, b"HEAP")[-1]
    _, free, data = struct.unpack_from("<QQQ", content, heap + 8)
    edit(file, data + free, free)
    with pytest.raises(FileFormatError, match=rf"byte {heap}: .* leads back to itself"):
        refuse_loops(file)
    with pytest.raises(FileFormatError, match="damaged"), open_h5(file):
        pass


def test_the_index_of_a_group_leads_back(file: Path) -> None:
    content = file.read_bytes()
    tree = next(at for at in places(content, b"TREE") if content[at + 5] == 1)
    edit(file, tree + 24 + 8, tree)
    with pytest.raises(FileFormatError, match=rf"byte {tree}: .* does not lead downwards"):
        refuse_loops(file)


@pytest.mark.parametrize("ask", [lambda root: root.text("text"),
                                 lambda root: root.attribute("group", "unit")])  # fmt: skip
def test_strings_without_end(file: Path, ask) -> None:
    content = file.read_bytes()
    heap = places(content, b"GCOL")[0]
    # The free object behind the last string gets no size.
    at = heap + 16
    while struct.unpack_from("<H", content, at)[0]:
        at += 16 + -(-struct.unpack_from("<Q", content, at + 8)[0] // 8) * 8
    edit(file, at + 8, 0)
    refuse_loops(file)
    with open_h5(file) as root, pytest.raises(FileFormatError, match="no size"):
        ask(root)


def test_a_string_that_is_said_to_be_long(file: Path) -> None:
    with h5py.File(file) as out:
        at = out["text"].id.get_offset()
    content = bytearray(file.read_bytes())
    struct.pack_into("<I", content, at, 3 << 30)
    file.write_bytes(content)
    with open_h5(file) as root, pytest.raises(FileFormatError, match="3221225472 bytes long"):
        root.text("text")


def test_newer_files_are_left_to_libhdf5(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", libver="latest") as out:
        out["text"] = "some text"
        out.attrs["unit"] = "um"
    refuse_loops(path)
    with open_h5(path) as root:
        assert root.text("text") == "some text"
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(20))
    refuse_loops(path)
    refuse_endless_strings(path, 3)


@pytest.mark.parametrize("size", [5 * 10**7, 10**9, 10**12])
def test_what_was_announced_and_never_written_costs_no_memory(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.h5oina"
    write_h5oina(path)
    with h5py.File(path, "r+") as out:
        del out["1/EBSD/Data/Phase"]
        out.create_dataset("1/EBSD/Data/Phase", (size, 1), "f8", chunks=(1024, 1))
    with open_h5(path) as root, pytest.raises(FileFormatError, match="far more than the file"):
        root.values("1/EBSD/Data/Phase")
    with pytest.raises(FileFormatError, match="Phase"):
        read(path)


def test_patterns_that_cannot_be_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.h5oina"
    write_h5oina(path)
    with h5py.File(path, "r+") as out:
        del out["1/EBSD/Data/Processed Patterns"]
        out.create_dataset(
            "1/EBSD/Data/Processed Patterns", (20, 40_000, 40_000), "u1", chunks=(1, 64, 64)
        )
    with pytest.raises(FileFormatError, match="Processed Patterns: it announces"):
        read(path)


def test_constant_values_in_small_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as out:
        for name in ("a", "b", "c"):
            out.create_dataset(
                name, data=np.zeros((4_000_000, 1)), compression="gzip", chunks=(40_000, 1)
            )
    assert path.stat().st_size < 1 << 19
    with open_h5(path) as root:
        for name in ("a", "b", "c", "a", "a"):
            assert root.array(name).shape == (4_000_000,)


def test_a_group_with_too_many_names(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_hdf5, "_MOST_NAMES", 100)
    with open_h5(file) as root, pytest.raises(FileFormatError, match="/group: the index"):
        root.group("group")
