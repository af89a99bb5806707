"""Files appear whole or not at all, and what a killed writer left goes."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import napari_ebsdml
from napari_ebsdml import _atomic
from napari_ebsdml._atomic import replacing, replacing_folder, write_atomic

KILLED = """
import os, signal, sys
from pathlib import Path
from napari_ebsdml._atomic import replacing_folder, replacing
with replacing(Path(sys.argv[1])) as temporary:
    temporary.write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_content_and_mode(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.bin"
    write_atomic(path, b"content")
    assert path.read_bytes() == b"content"
    assert names(path.parent) == {"a.bin"}
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    assert path.stat().st_mode == plain.stat().st_mode


def test_an_error_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    write_atomic(path, b"old")

    def stopped() -> None:
        with replacing(path) as temporary:
            temporary.write_bytes(b"new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == {"a.bin"}
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "none" / "a.bin"):
        pass


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_the_next_write_sweeps_what_a_killed_one_left(tmp_path: Path) -> None:
    path = tmp_path / "o.ang"
    path.write_bytes(b"old")
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False, timeout=120)
    assert done.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    (left,) = names(tmp_path) - {"o.ang"}
    # Another file's writer does not touch it.
    write_atomic(tmp_path / "p.ang", b"")
    assert left in names(tmp_path)
    write_atomic(path, b"new")
    assert names(tmp_path) == {"o.ang", "p.ang"}


def test_writers_at_work_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "o.ang"
    with replacing(path) as first:
        first.write_bytes(b"first")
        write_atomic(path, b"second")
        assert first.is_file()
        assert path.read_bytes() == b"second"
    assert path.read_bytes() == b"first"
    # One on another machine, whose processes cannot be asked, and one that is long gone.
    there = tmp_path / f".o.ang.01234567-{os.getpid()}-89abcdef.part"
    gone = tmp_path / ".o.ang.01234567-1-00000000.part"
    own = tmp_path / ".o.ang.of-the-user.part"
    for left in (there, gone, own):
        left.touch()
    os.utime(gone, (0, time.time() - _atomic._FOREIGN_AGE - 60))
    write_atomic(path, b"third")
    assert names(tmp_path) == {"o.ang", there.name, own.name}


def test_many_writers_of_one_file(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    failed: list[Exception] = []

    def write(number: int) -> None:
        try:
            for _ in range(20):
                write_atomic(path, bytes([number]) * 1000)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(set(path.read_bytes())) == 1
    assert names(tmp_path) == {"a.bin"}


@pytest.mark.parametrize("name", ["a" * 250, "é" * 120 + ".ang"])
def test_long_names(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write_atomic(path, b"content")
    assert path.read_bytes() == b"content"
    with pytest.raises(OSError, match="too long"):
        write_atomic(tmp_path / ("a" * 300), b"content")
    assert names(tmp_path) == {name}


@pytest.mark.skipif(os.name == "nt", reason="symbolic links need rights")
def test_the_target_of_a_link_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    target = tmp_path / "there" / "a.bin"
    target.write_bytes(b"old")
    link = tmp_path / "link"
    link.symlink_to(target)
    write_atomic(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "a"
    with replacing_folder(target) as part:
        (part / "one").write_text("1")

    def broken() -> None:
        with replacing_folder(target) as part:
            (part / "two").write_text("2")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
    assert [path.name for path in target.iterdir()] == ["one"]
    with replacing_folder(target) as part:
        (part / "three").write_text("3")
    assert [path.name for path in target.iterdir()] == ["three"]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def _writes(call: ast.Call) -> bool:
    """Whether a call writes a file by its name."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    if name in ("write_text", "write_bytes", "savefig", "imwrite"):
        return True
    modes = [a.value for a in call.args if isinstance(a, ast.Constant)]
    return name == "open" and any(isinstance(m, str) and set(m) & set("wax") for m in modes[:2])


def _unguarded(node: ast.AST, guarded: bool = False) -> Iterator[ast.Call]:
    if isinstance(node, ast.With):
        guarded = guarded or any(
            isinstance(item.context_expr, ast.Call)
            and ast.unparse(item.context_expr.func).endswith(("replacing", "replacing_folder"))
            for item in node.items
        )
    if isinstance(node, ast.Call) and _writes(node) and not guarded:
        yield node
    for child in ast.iter_child_nodes(node):
        yield from _unguarded(child, guarded)


def test_the_package_writes_files_in_no_other_way() -> None:
    package = Path(napari_ebsdml.__file__).parent
    found = []
    for path in sorted(package.rglob("*.py")):
        for call in _unguarded(ast.parse(path.read_text(encoding="utf-8"))):
            place = f"{path.relative_to(package).as_posix()}: {ast.unparse(call)[:60]}"
            found.append(place)
    # In memory; and the helper itself.
    allowed = (
        "imwrite('<bytes>'",
        "savefig(buffer",
        "book.savefig(sheet)",
        "temporary.write_bytes(content)",
    )
    assert [place for place in found if not any(a in place for a in allowed)] == []
