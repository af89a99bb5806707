"""Strokes in files: they survive a killed program and damaged files."""

from __future__ import annotations

import dataclasses
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from napari_ebsdml import FileFormatError, Scan, WriteError
from napari_ebsdml._napari.segmenter.strokes import annotations_store as module
from napari_ebsdml._napari.segmenter.strokes.annotations_store import (
    Annotations,
    AnnotationsStore,
    default_folder,
    scan_key,
)

CLASSES = ((1, "ferrite", "#ff0000"), (3, "martensite", "#0000ff"))

# A session that saves, paints on and is killed in the middle of the next save.
KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from napari_ebsdml._napari.segmenter.strokes.annotations_store import Annotations, AnnotationsStore
store = AnnotationsStore(Path(sys.argv[1]))
labels = np.zeros((40, 50), np.int32)
labels[3:6, 4:9] = 3
strokes = lambda: Annotations((("strokes · map", labels),), ((3, "martensite", "#0000ff"),))
store.save("key", strokes())
labels[10:20] = 1
real = np.savez_compressed
def killed(file, **arrays):
    file.write(b"PK\\x03\\x04 half of it")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
np.savez_compressed = killed
store.save("key", strokes())
"""


def strokes(pixels: int = 6) -> Annotations:
    labels = np.zeros((5, 8), np.int32)
    labels.flat[:pixels] = 3
    return Annotations((("strokes · steel", labels),), CLASSES, "steel", "/maps/steel.ang")


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    store = AnnotationsStore(tmp_path / "new" / "folder")
    path = store.save("key", strokes())
    (saved,) = AnnotationsStore(tmp_path / "new" / "folder", "later").saved("key")
    assert (saved.path, saved.pixels) == (path, 6)
    back = store.load(saved.path)
    assert back.classes == CLASSES
    assert (back.scan_name, back.scan_path) == ("steel", "/maps/steel.ang")
    assert back.layers[0][0] == "strokes · steel"
    np.testing.assert_array_equal(back.layers[0][1], strokes().layers[0][1])
    # A session replaces its own file, and only that.
    store.save("key", strokes(9))
    AnnotationsStore(store.folder, "other").save("key", strokes(2))
    assert [one.pixels for one in store.saved("key")] == [2, 9]
    assert store.saved("another key") == []


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_a_killed_program_loses_only_its_last_save(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False, timeout=120)
    assert done.returncode == -signal.SIGKILL
    store = AnnotationsStore(tmp_path)
    (saved,) = store.saved("key")
    (_, labels), *_ = store.load(saved.path).layers
    assert (labels[3:6, 4:9] == 3).all()
    assert np.count_nonzero(labels) == saved.pixels == 15
    assert len(list(tmp_path.glob("*.part"))) == 1
    store.save("key", strokes())
    assert [one.pixels for one in store.saved("key")] == [6, 15]


def test_damaged_files_are_left_out(tmp_path: Path) -> None:
    store = AnnotationsStore(tmp_path)
    good = store.save("key", strokes())
    torn = tmp_path / "key_torn.npz"
    torn.write_bytes(good.read_bytes()[:200])
    (tmp_path / "key_empty.npz").touch()
    np.savez(tmp_path / "key_other.npz", meta=np.array("[1, 2]"))
    assert [one.path for one in store.saved("key")] == [good]
    with pytest.raises(FileFormatError, match="no saved strokes"):
        store.load(torn)
    with pytest.raises(FileFormatError, match=r"gone\.npz"):
        store.load(tmp_path / "gone.npz")
    flat = Annotations((("flat", np.ones(4, np.int32)),), CLASSES)
    with pytest.raises(FileFormatError, match="no map"):
        store.load(store.save("flat", flat))


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WriteError, match=module.FOLDER_VARIABLE):
        AnnotationsStore(tmp_path / "file" / "folder").save("key", strokes())


def test_only_the_newest_files_are_kept(tmp_path: Path) -> None:
    for number in range(8):
        AnnotationsStore(tmp_path, f"session-{number}").save("key", strokes(number + 1))
    kept = AnnotationsStore(tmp_path).saved("key")
    assert [one.pixels for one in kept] == [8, 7, 6, 5, 4]


def test_scans_are_known_by_content(make_scan: Callable[..., Scan], tmp_path: Path) -> None:
    scan = make_scan()
    moved = make_scan(path=Path("elsewhere.ang"))
    assert scan_key(scan) == scan_key(moved)
    assert scan_key(scan) != scan_key(make_scan(seed=1))
    assert scan_key(scan) != scan_key(dataclasses.replace(scan, step=(0.5, 0.3)))
    brighter = {**scan.prop, "BC": np.asarray(scan.prop["BC"]) + 1}
    assert scan_key(scan) != scan_key(dataclasses.replace(scan, prop=brighter))


def test_default_folder_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(module.FOLDER_VARIABLE, str(tmp_path))
    assert default_folder() == tmp_path / "strokes"
    monkeypatch.delenv(module.FOLDER_VARIABLE)
    assert default_folder().name == "strokes"
    assert "napari-ebsdml" in default_folder().parts
