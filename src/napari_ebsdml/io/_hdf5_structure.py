"""Damage to an HDF5 file that libhdf5 does not survive, found before it comes to it.

Some structures have no checksum, and four kinds of damage to them are not noticed by HDF5 2.0.0:
where the index of a group leads back to itself, it recurses until the process dies; where the
list of free blocks of a local heap does, it goes round until the memory is full; where an object
of a global heap, which holds strings, has no size, it stands still for ever; and a string is
given as much memory as it is said to take. Whatever else is wrong libhdf5 tells. Layouts: the
HDF5 File Format Specification, version 3.0, sections II.A, III.A, III.D, III.E and IV.A.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from napari_ebsdml.errors import FileFormatError

Found = TypeVar("Found")

_DATATYPE, _LAYOUT, _ATTRIBUTE, _CONTINUATION, _SYMBOL_TABLE = 0x03, 0x08, 0x0C, 0x10, 0x11
_OF_VARIABLE_LENGTH = 9
_GROUP_TREE = 0
_LONGEST, _ALWAYS = 1 << 26, 1 << 20
_SECONDS = 2.0
"""Time for the walk along the groups; through a sound file it takes milliseconds."""


def refuse_loops(path: Path) -> None:
    """Raise an error when the index of a group or the heap of its names leads back to itself.

    Groups of the newer kind, with checksums, are not looked at.

    Raises
    ------
    FileFormatError
        With the byte where it does.
    """
    _refuse(path, _loops)


def refuse_endless_strings(path: Path, header: int) -> None:
    """Raise an error when libhdf5 would not come to the end of an object's strings.

    Looked at are attributes and data that are in one piece, not in chunks.

    Parameters
    ----------
    path
    header
        Address of the object's header.

    Raises
    ------
    FileFormatError
        With the byte where it would stand still.
    """
    _refuse(path, _endless_strings, header)


def _refuse(path: Path, search: Callable[..., tuple[int, str] | None], *given: int) -> None:
    try:
        stat = path.stat()
        found = search(path, stat.st_size, stat.st_mtime_ns, *given)
    except OSError:
        return
    if found is not None:
        where, what = found
        raise FileFormatError(path, f"the file is damaged: {what}", f"byte {where}")


# Cached by path, size and time of change: a file is opened several times while it is read.
@lru_cache(maxsize=64)
def _loops(path: Path, size: int, changed: int) -> tuple[int, str] | None:
    with path.open("rb") as file:
        return _first_fault(lambda: _Structure(file, size).check_groups())


@lru_cache(maxsize=4096)
def _endless_strings(path: Path, size: int, changed: int, header: int) -> tuple[int, str] | None:
    with path.open("rb") as file:
        return _first_fault(lambda: _Structure(file, size).check_strings(header))


def _first_fault(check: Callable[[], None]) -> tuple[int, str] | None:
    try:
        check()
    except _Fault as fault:
        return fault.where, fault.what
    except _Unclear:
        # Not the damage that is looked for: libhdf5 will tell.
        pass
    return None


class _Fault(Exception):
    """What libhdf5 would not survive."""

    def __init__(self, where: int, what: str) -> None:
        super().__init__(what)
        self.where, self.what = where, what


class _Unclear(Exception):
    """What stands here is not what should."""


def _number(content: bytes, at: int, width: int) -> int:
    if not 0 <= at <= len(content) - width:
        raise _Unclear
    return int.from_bytes(content[at : at + width], "little")


class _Structure:
    """The structures of an open file; `offset` and `length` are widths of its numbers."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.file, self.size, self.base = file, size, 0
        head = self.read(0, min(size, 128))
        version = _number(head, 8, 1)
        place = 13 if version < 2 else 9
        self.offset, self.length = _number(head, place, 1), _number(head, place + 1, 1)
        if self.offset not in (2, 4, 8) or self.length not in (2, 4, 8):
            raise _Unclear
        addresses = {0: 24, 1: 28}.get(version, 12)
        self.base = _number(head, addresses, self.offset)
        # Newer files keep their root in a group with checksums.
        root = addresses + 5 * self.offset
        self.root = _number(head, root, self.offset) if version < 2 else None
        self.entry = 2 * self.offset + 24

    def read(self, at: int, number: int) -> bytes:
        if not 0 <= at + self.base <= self.size - number or not 0 <= number <= _LONGEST:
            raise _Unclear
        self.file.seek(at + self.base)
        found = self.file.read(number)
        if len(found) < number:
            raise _Unclear
        return found

    def pair(self, content: bytes, at: int, width: int) -> tuple[int, int]:
        """An address and, behind it, a number of another width."""
        return _number(content, at, self.offset), _number(content, at + self.offset, width)

    # Groups

    def check_groups(self) -> None:
        """Check every group of the older kind that can be reached from the root."""
        if self.root is None:
            return
        headers, tables = [self.root], list[tuple[int, int]]()
        seen: set[int | tuple[int, int]] = set()
        end = time.monotonic() + _SECONDS
        while (headers or tables) and time.monotonic() < end:
            if headers:
                header = headers.pop()
                if header not in seen:
                    seen.add(header)
                    tables += _attempt(self._symbol_tables, header)
                continue
            table = tables.pop()
            if table not in seen:
                seen.add(table)
                tree, heap = table
                _attempt(self._check_heap, heap)
                for leaf in self._leaves(tree, end):
                    for header, cached in _attempt(self._entries, leaf):
                        headers.append(header)
                        # libhdf5 goes by the copy in the entry where there is one.
                        tables += [] if cached is None else [cached]

    def _symbol_tables(self, header: int) -> list[tuple[int, int]]:
        """Tree and heap of a group of the older kind."""
        return [
            self.pair(data, 0, self.offset)
            for kind, data in self._messages(header)
            if kind == _SYMBOL_TABLE
        ]

    def _check_heap(self, at: int) -> list[int]:
        """Follow the free blocks of a local heap."""
        head = self.read(at, 8 + 2 * self.length + self.offset)
        if head[:4] != b"HEAP":
            raise _Unclear
        size = _number(head, 8, self.length)
        free = _number(head, 8 + self.length, self.length)
        data = self.read(_number(head, 8 + 2 * self.length, self.offset), size)
        seen: set[int] = set()
        # 1 is the end of the list.
        while free + 2 * self.length <= size and free != 1:
            if free in seen:
                raise _Fault(at, "the list of free blocks of a heap leads back to itself")
            seen.add(free)
            free = _number(data, free, self.length)
        return []

    def _leaves(self, tree: int, end: float) -> list[int]:
        """Symbol-table nodes of a tree."""
        found: list[int] = []
        nodes: list[tuple[int, int | None]] = [(tree, None)]
        while nodes and time.monotonic() < end:
            at, level = nodes.pop()
            found += _attempt(self._tree_node, at, level, nodes)
        return found

    def _tree_node(
        self, at: int, level: int | None, nodes: list[tuple[int, int | None]]
    ) -> list[int]:
        """Children of a leaf; those of other nodes go into `nodes`."""
        start = 8 + 2 * self.offset
        head = self.read(at, start)
        if head[:4] != b"TREE" or head[4] != _GROUP_TREE:
            raise _Unclear
        if level is not None and head[5] != level:
            raise _Fault(at, "the index of a group does not lead downwards")
        step = self.length + self.offset
        body = self.read(at + start, _number(head, 6, 2) * step)
        children = [_number(body, k + self.length, self.offset) for k in range(0, len(body), step)]
        if head[5] == 0:
            return children
        nodes += [(child, head[5] - 1) for child in children]
        return []

    def _entries(self, at: int) -> list[tuple[int, tuple[int, int] | None]]:
        """Object headers that a symbol-table node names, and trees and heaps kept with them."""
        head = self.read(at, 8)
        if head[:4] != b"SNOD":
            raise _Unclear
        body = self.read(at + 8, _number(head, 6, 2) * self.entry)
        found: list[tuple[int, tuple[int, int] | None]] = []
        for k in range(0, len(body), self.entry):
            is_group = _number(body, k + 2 * self.offset, 4) == 1
            cached = self.pair(body, k + 2 * self.offset + 8, self.offset) if is_group else None
            found.append((_number(body, k + self.offset, self.offset), cached))
        return found

    # Object headers

    def _messages(self, header: int) -> Iterator[tuple[int, bytes]]:
        """Kind and content of the messages in an object header of either version."""
        prefix = self.read(header, 16)
        if prefix[0] == 1:
            chunks, mark, tail = [(header + 16, _number(prefix, 8, 4))], 8, 0
        elif prefix[:4] == b"OHDR":
            flags = prefix[5]
            at = header + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
            width = 1 << (flags & 3)
            chunks = [(at + width, _number(self.read(at, width), 0, width))]
            mark, tail = (6 if flags & 4 else 4), 4
        else:
            raise _Unclear
        seen: set[int] = set()
        while chunks:
            at, size = chunks.pop()
            if at in seen:
                raise _Unclear
            seen.add(at)
            block = self.read(at, size)
            place = 0
            while place + mark <= size:
                kind = _number(block, place, 2 if mark == 8 else 1)
                length = _number(block, place + (2 if mark == 8 else 1), 2)
                data = block[place + mark : place + mark + length]
                place += mark + length
                if kind == _CONTINUATION:
                    start, size_there = self.pair(data, 0, self.length)
                    # Those of newer headers have a signature in front and a checksum behind.
                    skip = 4 if tail else 0
                    chunks.append((start + skip, size_there - skip - tail))
                else:
                    yield kind, data

    # Strings

    def check_strings(self, header: int) -> None:
        """Check the global heaps that attributes and data of an object refer to."""
        pieces: list[bytes] = []
        of_strings, stored = False, b""
        for kind, data in self._messages(header):
            if kind == _DATATYPE and data:
                of_strings = data[0] & 15 == _OF_VARIABLE_LENGTH
            elif kind == _LAYOUT:
                stored = data
            elif kind == _ATTRIBUTE:
                pieces += _attempt(self._attribute, data)
        if of_strings:
            pieces += _attempt(self._stored, stored)
        step = self.offset + 8
        longest: dict[int, int] = {}
        for piece in pieces:
            for k in range(0, len(piece) - step + 1, step):
                heap = _number(piece, k + 4, self.offset)
                longest[heap] = max(longest.get(heap, 0), _number(piece, k, 4))
        for heap, length in longest.items():
            size = sum(_attempt(self._check_global_heap, heap))
            # libhdf5 makes room for it before it looks for it.
            if length > size + _ALWAYS:
                raise _Fault(header, f"a text is said to be {length} bytes long")

    def _attribute(self, data: bytes) -> list[bytes]:
        """References of an attribute whose values are of variable length."""
        version = data[0] if data else 0
        name, datatype, space = (_number(data, at, 2) for at in (2, 4, 6))
        at = 9 if version == 3 else 8
        if version == 1:
            # Each part is padded to a multiple of 8 bytes.
            name, datatype, space = (-(-size // 8) * 8 for size in (name, datatype, space))
        if _number(data, at + name, 1) & 15 != _OF_VARIABLE_LENGTH:
            return []
        return [data[at + name + datatype + space :]]

    def _stored(self, layout: bytes) -> list[bytes]:
        """Content of a dataset that is stored in one piece."""
        version, kind = _number(layout, 0, 1), _number(layout, 1, 1)
        if version not in (3, 4):
            return []
        if kind == 0:
            return [layout[4 : 4 + _number(layout, 2, 2)]]
        return [self.read(*self.pair(layout, 2, self.length))] if kind == 1 else []

    def _check_global_heap(self, at: int) -> list[int]:
        """Walk along the objects of a global heap as libhdf5 does; its size."""
        mark = 8 + self.length
        head = self.read(at, mark)
        if head[:4] != b"GCOL":
            raise _Unclear
        body = self.read(at, _number(head, 8, self.length))
        place = mark
        while place + mark <= len(body):
            size = _number(body, place + 8, self.length)
            is_free = _number(body, place, 2) == 0
            if is_free and size == 0:
                raise _Fault(at + place, "an object of a heap of strings has no size")
            if size + mark + 7 >= 1 << (8 * self.length):
                # libhdf5's sum of the two begins anew at 0.
                raise _Fault(at + place, "an object of a heap of strings has no end")
            place += size if is_free else mark + -(-size // 8) * 8
        return [len(body)]


def _attempt(what: Callable[..., list[Found]], *given: Any) -> list[Found]:
    """What a method finds; nothing where the file is damaged in another way."""
    try:
        return what(*given)
    except _Unclear:
        return []
