"""Typed access to HDF5 files, with errors that name the dataset.

Vendors differ in small things: shapes () or (1,) or (n, 1), big-endian numbers, fixed or variable
strings, blanks around names, letter case. `Node` reads all of these the same way.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.errors import EbsdmlError, FileFormatError
from napari_ebsdml.io._hdf5_structure import refuse_endless_strings, refuse_loops

_SMALL = 1 << 20
# A map as a whole; single properties that are 0 everywhere take a thousandth.
_MOST_COMPRESSED = 100
_MOST_UNSTORED = 256 << 20
_MOST_NAMES = 100_000

_MOST_VISITED, _DEEPEST = 200, 8
"""Groups, and names of each, that are listed; groups within each other."""

SIGNATURE = b"\x89HDF\r\n\x1a\n"

# What h5py raises for damaged files; which one depends on where the damage is.
DAMAGE = (
    OSError,
    RuntimeError,
    KeyError,
    ValueError,
    TypeError,
    IndexError,
    OverflowError,
    MemoryError,
    NotImplementedError,
    SystemError,
)


_PLAIN = (h5py.h5t.STRING, h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.ENUM)
"""Classes of types that attributes are read of."""


@contextmanager
def open_h5(path: Path) -> Iterator[Node]:
    """Open a file for reading; whatever goes wrong inside becomes one `FileFormatError`."""
    refuse_loops(path)
    try:
        file = h5py.File(path, "r")
    except FileNotFoundError as error:
        raise FileFormatError(path, "no such file") from error
    except DAMAGE as error:
        raise FileFormatError(
            path,
            f"it cannot be opened as HDF5 ({reason_of(error)}); the file is truncated, damaged or "
            "in use by another program. Copy or export it again",
        ) from error
    with file:
        try:
            yield Node(path, file, _Allowance(path))
        except EbsdmlError:
            raise
        except MemoryError as error:
            raise FileFormatError(
                path, f"there is not enough memory for what it says it holds ({reason_of(error)})"
            ) from error
        except DAMAGE as error:
            raise FileFormatError(path, f"the file is damaged ({reason_of(error)})") from error


def reason_of(error: BaseException) -> str:
    """What an error of h5py says, in one short line."""
    # KeyError puts its text in quotes.
    text = str(error).strip("'\"") or type(error).__name__
    return text.splitlines()[0][:200]


class _Allowance:
    """How much may be read of a file, so that no damaged number costs the machine's memory.

    Compressed values take less room in a file than they have, and values that were never written
    take none. What libhdf5 says of the room that chunks take is not asked for: it dies of
    counting them where their index leads back to itself.
    """

    def __init__(self, path: Path) -> None:
        self.bytes = _MOST_UNSTORED + _MOST_COMPRESSED * path.stat().st_size
        self.asked: dict[str, int] = {}

    def grants(self, dataset: h5py.Dataset, announced: int) -> bool:
        """Whether a dataset that announces so many bytes may be read."""
        if dataset.chunks is None and announced > dataset.id.get_storage_size() + _MOST_UNSTORED:
            return False
        # Whatever is read twice counts once.
        self.asked[str(dataset.name)] = announced
        return announced <= _SMALL or sum(self.asked.values()) <= self.bytes


class Node:
    """A group of an open file. Names are found whatever their case and the blanks around them."""

    keys: list[str]
    """Names of what the group holds, as the file spells them."""

    def __init__(self, path: Path, group: h5py.Group, allowance: _Allowance) -> None:
        self.path = path
        self.h5 = group
        self.name = str(group.name)
        self._allowance = allowance
        self.keys = self._names()
        self._folded = {key.strip().casefold(): key for key in self.keys}

    def _names(self) -> list[str]:
        """Names of what the group holds; a broken index may go round in circles."""
        found: list[str] = []

        def take(name: bytes) -> bool | None:
            found.append(name.decode("utf-8", "surrogateescape"))
            return True if len(found) > _MOST_NAMES else None

        created = self.h5.id.get_create_plist().get_link_creation_order()
        by_time = created & h5py.h5p.CRT_ORDER_TRACKED
        order = h5py.h5.INDEX_CRT_ORDER if by_time else h5py.h5.INDEX_NAME
        self.h5.id.links.iterate(take, idx_type=order)
        if len(found) > _MOST_NAMES or len(set(found)) < len(found):
            raise self.error("", "the index of this group is damaged")
        return found

    def _key(self, name: str) -> str | None:
        """Name as the file spells it; two names may differ in nothing but their case."""
        return name if name in self.keys else self._folded.get(name.strip().casefold())

    def _child(self, group: h5py.Group) -> Node:
        return Node(self.path, group, self._allowance)

    def error(self, name: str, reason: str) -> FileFormatError:
        """Error that names the dataset or group `name` below this one."""
        where = f"{self.name.rstrip('/')}/{name}" if name else self.name
        return FileFormatError(self.path, reason, where)

    def find(self, name: str) -> h5py.Group | h5py.Dataset | None:
        """Object at the relative path `name`, or None."""
        node: Any = self
        for part in name.split("/"):
            key = node._key(part) if isinstance(node, Node) else None
            if key is None:
                return None
            found = node._item(key)
            node = self._child(found) if isinstance(found, h5py.Group) else found
        return node.h5 if isinstance(node, Node) else node

    def _item(self, key: str) -> Any:
        """What the group holds under a name, as the file spells it."""
        try:
            return self.h5[key]
        except DAMAGE as error:
            raise self.error(key, f"it cannot be read ({reason_of(error)})") from error

    def maybe_group(self, name: str) -> Node | None:
        """Group `name`, or None."""
        found = self.find(name)
        if found is not None and not isinstance(found, h5py.Group):
            raise self.error(name, "it is a dataset, not a group")
        return None if found is None else self._child(found)

    def group(self, name: str) -> Node:
        """Group `name`, which must be there."""
        node = self.maybe_group(name)
        if node is None:
            raise self.error(name, "the group is missing")
        return node

    def groups(self) -> list[str]:
        """Names of the groups in this one, as the file spells them."""
        # Opened one by one: asked for its class alone, libhdf5 counts what a group takes, which
        # does not end where its index is damaged.
        return [key for key in self.keys if isinstance(self._item(key), h5py.Group)]

    def maybe_dataset(self, name: str) -> h5py.Dataset | None:
        """Dataset `name`, or None."""
        found = self.find(name)
        if found is None:
            return None
        if not isinstance(found, h5py.Dataset):
            raise self.error(name, "it is a group, not a dataset")
        if found.shape is None:
            raise self.error(name, "the dataset is empty")
        return found

    def dataset(self, name: str) -> h5py.Dataset:
        """Dataset `name`, which must be there."""
        dataset = self.maybe_dataset(name)
        if dataset is None:
            raise self.error(name, "the dataset is missing")
        return dataset

    def maybe_array(self, name: str, n: int | None = None, columns: int = 1) -> NDArray[Any] | None:
        """As `array`, or None when there is no such dataset."""
        return None if self.find(name) is None else self.array(name, n, columns)

    def array(self, name: str, n: int | None = None, columns: int = 1) -> NDArray[Any]:
        """Numbers of `name`, (n,) or (n, columns), in the machine's byte order.

        With `n` given, another number of points is an error.
        """
        dataset = self._numeric(name)
        shape = dataset.shape
        tail = () if columns == 1 else (columns,)
        length = int(shape[0]) if shape else 1
        if shape[1:] != tail and not (columns == 1 and math.prod(shape) == length):
            raise self.error(
                name, f"its shape is {shape}, not {(n if n is not None else 'points', *tail)}"
            )
        if n is not None and length != n:
            raise self.error(name, f"it has {length} points; the map has {n}")
        return native(self.read(name, dataset)).reshape((length, *tail))

    def refuse_oversize(self, name: str, dataset: h5py.Dataset) -> None:
        """Refuse a dataset that is read later when it, or one chunk, cannot be in the file.

        Raises
        ------
        FileFormatError
            When it announces far more than the file holds.
        """
        most = _MOST_UNSTORED + _MOST_COMPRESSED * self.path.stat().st_size
        announced = math.prod(dataset.shape) * dataset.dtype.itemsize
        chunk = math.prod(dataset.chunks or (1,)) * dataset.dtype.itemsize
        if max(announced, chunk) > most:
            raise self._oversize(name, dataset, max(announced, chunk))

    def _oversize(self, name: str, dataset: h5py.Dataset, announced: int) -> FileFormatError:
        return self.error(
            name,
            f"it announces {dataset.shape} values of {dataset.dtype}, {announced / 1e6:.3g} MB, "
            "far more than the file holds",
        )

    def values(self, name: str) -> NDArray[Any]:
        """Numbers of `name`, of any shape, in the machine's byte order."""
        return native(self.read(name, self._numeric(name)))

    def _numeric(self, name: str) -> h5py.Dataset:
        dataset = self.dataset(name)
        if dataset.dtype.kind not in "iufb":
            raise self.error(name, f"it holds {dataset.dtype}, not numbers")
        return dataset

    def read(self, name: str, dataset: h5py.Dataset) -> NDArray[Any]:
        """Whole content of a dataset.

        Raises
        ------
        FileFormatError
            When it cannot be read, or announces far more than the file holds.
        """
        chunk = math.prod(dataset.chunks or (1,))
        announced = max(chunk, math.prod(dataset.shape)) * dataset.dtype.itemsize
        try:
            if dataset.dtype.kind in "OV" and _has_sequences(dataset.id.get_type()):
                # As of an attribute: a string whose type is damaged, and the end of the process.
                raise self.error(name, f"it holds {dataset.dtype}, a sequence in each value")
            if dataset.dtype.kind == "O":
                self._refuse_endless_strings(dataset)
            granted = self._allowance.grants(dataset, announced)
            if granted:
                return np.asarray(dataset[()])
        except DAMAGE as error:
            raise self.error(name, f"it cannot be read ({reason_of(error)})") from error
        raise self._oversize(name, dataset, announced)

    def _refuse_endless_strings(self, item: h5py.Group | h5py.Dataset) -> None:
        # Not h5o.get_info, which counts chunks and dies of it; see `_Allowance`.
        low, high = h5py.h5g.get_objinfo(item.id).objno
        refuse_endless_strings(self.path, low + (high << 32))

    def integers(self, name: str, n: int | None = None) -> NDArray[np.int32]:
        """Whole numbers of `name`, (n,); -1 where the file has NaN."""
        values = self.array(name, n)
        if values.dtype.kind == "f":
            values = np.where(np.isnan(values), -1, values)
            if np.any(values != np.rint(values)):
                raise self.error(name, "it holds numbers that are not whole")
        limits = np.iinfo(np.int32)
        if values.size and (values.min() < limits.min or values.max() > limits.max):
            raise self.error(name, f"it holds {values.min()} to {values.max()}, out of range")
        return values.astype(np.int32)

    def number(self, name: str, default: float | None = None) -> float | None:
        """First number of `name`; `default` when it is absent or NaN."""
        values = self.numbers(name)
        if values is None or not values.size:
            return default
        value = float(values[0])
        return default if np.isnan(value) else value

    def numbers(self, name: str) -> NDArray[np.float64] | None:
        """All numbers of a header entry, flat; None when it is absent."""
        dataset = self.maybe_dataset(name)
        if dataset is None:
            return None
        if dataset.dtype.kind not in "iufb" or math.prod(dataset.shape) > 4096:
            raise self.error(name, f"it holds {dataset.dtype} {dataset.shape}, not a few numbers")
        return np.asarray(self.read(name, dataset), dtype=np.float64).ravel()

    def scalar(self, name: str) -> float:
        """The one number of `name`, which must be there."""
        values = self.values(name).ravel()
        if values.size != 1 or not np.isfinite(values[0]):
            raise self.error(name, "the dataset is not one finite number")
        return float(values[0])

    def count(self, name: str, default: int | None = None) -> int:
        """A positive whole number; required when `default` is None."""
        value = self.number(name)
        if value is None:
            if default is None:
                raise self.error(name, "the dataset is missing or holds no number")
            return default
        if not np.isfinite(value) or value != int(value) or not 1 <= value < 1 << 31:
            raise self.error(name, f"it is {value:g}; a whole number of at least 1 is needed")
        return int(value)

    def text(self, name: str, default: str = "") -> str:
        """First string of `name`; numbers as they print."""
        dataset = self.maybe_dataset(name)
        if dataset is None or not 0 < math.prod(dataset.shape) <= 4096:
            return default
        return decode(self.read(name, dataset).ravel()[0])

    def texts(self, name: str) -> list[str]:
        """All strings of `name`."""
        dataset = self.maybe_dataset(name)
        if dataset is None or math.prod(dataset.shape) > 4096:
            return []
        return [decode(value) for value in self.read(name, dataset).ravel()]

    def attribute(self, name: str, attribute: str) -> str:
        """Attribute of the object `name` as a string; empty when it is absent."""
        found = self.find(name)
        if found is None:
            return ""
        try:
            self._refuse_endless_strings(found)
            if attribute not in found.attrs:
                return ""
            # A string of any length whose type is damaged is a sequence of something: reading
            # that ends the process.
            if found.attrs.get_id(attribute).get_type().get_class() not in _PLAIN:
                return ""
            value = found.attrs.get(attribute)
        except DAMAGE:
            return ""
        if value is None or isinstance(value, h5py.Empty) or not np.size(value):
            return ""
        return decode(np.ravel(value)[0])

    def per_point(self, n: int, skip: set[str]) -> dict[str, NDArray[Any]]:
        """Every other dataset with one number per point, by the names in the file."""
        out: dict[str, NDArray[Any]] = {}
        skip = {name.casefold() for name in skip}
        for key in self.keys:
            found = None if key.strip().casefold() in skip else self.find(key)
            if not isinstance(found, h5py.Dataset) or found.dtype.kind not in "iufb":
                continue
            if found.shape and len(found.shape) <= 2 and found.shape[1:] in ((), (1,)):
                out[key.strip()] = self.array(key, n)
        return out

    def header(self, depth: int = 4) -> dict[str, Any]:
        """Small entries of this group and those below it, as Python values."""
        out: dict[str, Any] = {}
        for key in self.keys:
            try:
                found = self.h5[key]
                if isinstance(found, h5py.Group):
                    if depth:
                        out[key.strip()] = self._child(found).header(depth - 1)
                    continue
                if not isinstance(found, h5py.Dataset) or found.shape is None:
                    continue
                if math.prod(found.shape) <= 16 and found.dtype.kind in "iufbSO":
                    values = [
                        decode(v) if found.dtype.kind in "SO" else v.item()
                        for v in self.read(key, found).ravel()
                    ]
                    out[key.strip()] = values[0] if len(values) == 1 else values
            except (*DAMAGE, FileFormatError):
                # The header only informs; a broken entry must not cost the map.
                continue
        return out


def _has_sequences(kind: h5py.h5t.TypeID) -> bool:
    """Whether values, or parts of them, are sequences of any length; strings are none."""
    return bool(kind.detect_class(h5py.h5t.VLEN))


def native(values: NDArray[Any]) -> NDArray[Any]:
    """The same numbers in the byte order that numba and torch take."""
    return np.ascontiguousarray(values.astype(values.dtype.newbyteorder("="), copy=False))


def decode(value: Any) -> str:
    """A string of a file, without padding."""
    if isinstance(value, bytes):
        try:
            value = value.decode("utf-8")
        except UnicodeDecodeError:
            value = value.decode("latin-1")
    return str(value).strip("\x00").strip()


def manufacturer(path: Path, head: bytes) -> str:
    """Lower-case `Manufacturer` of an HDF5 file; empty when there is none. Never raises."""
    if not head.startswith(SIGNATURE):
        return ""
    try:
        with open_h5(path) as root:
            return root.text("Manufacturer").casefold()
    except Exception:
        return ""


def tidy(value: float) -> float:
    """A single-precision number as a person would write it: 3.5236, not 3.52360010147."""
    return float(str(np.float32(value)))


def contents(path: Path, most: int = 12) -> str:
    """What an HDF5 file holds, as a list for a message; empty when it is no such file."""
    try:
        with path.open("rb") as file:
            if file.read(len(SIGNATURE)) != SIGNATURE:
                return ""
        # libhdf5 would go round for ever in a damaged index.
        refuse_loops(path)
        with h5py.File(path, "r") as opened:
            found = _datasets_in(opened, most + 1)
    except Exception:  # damaged, which the readers tell better
        return ""
    shown = ", ".join(found[:most]) or "nothing"
    return shown + (" and more" if len(found) > most else "")


def _datasets_in(opened: h5py.File, most: int) -> list[str]:
    """The first datasets of a file, with size and type.

    Not by `visititems`: of a group whose table leads to another one, libhdf5 never sees the end.
    """
    found: list[str] = []
    groups: list[tuple[str, h5py.Group]] = [("", opened)]
    for _ in range(_MOST_VISITED):
        if not groups or len(found) >= most:
            break
        place, group = groups.pop()
        below: list[tuple[str, h5py.Group]] = []
        for name in itertools.islice(group, _MOST_VISITED):
            item = group.get(name)
            title = f"{place}/{name}".lstrip("/")
            if isinstance(item, h5py.Dataset):
                size = " x ".join(map(str, item.shape or ())) or "one value"
                found.append(f"{title} ({size}, {item.dtype})")
            elif isinstance(item, h5py.Group) and title.count("/") < _DEEPEST:
                below.append((title, item))
        groups += reversed(below)
    return found[:most]
