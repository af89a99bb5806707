"""Write pattern files in the vendors' layouts."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np


def make_patterns(n: int, shape=(12, 10), dtype="u1") -> np.ndarray:
    return np.random.default_rng(n).integers(0, np.iinfo(dtype).max, (n, *shape), dtype=dtype)


def write_up(
    path: Path, patterns: np.ndarray, *, version=3, grid=(3, 4), step=(0.5, 0.5), hexagonal=False
) -> Path:
    _, height, width = patterns.shape
    head = struct.pack("<4I", version, width, height, 42)
    if version > 1:
        head += struct.pack("<BIIBdd", 1, grid[1], grid[0], hexagonal, step[1], step[0])
    path.write_bytes(head.ljust(42, b"\0") + patterns.tobytes())
    return path


def write_ebsp(path: Path, patterns: np.ndarray, places, order, *, version=2, missing=()) -> Path:
    """`order`: positions in the file, as the software shuffles patterns within a row."""
    n, height, width = patterns.shape
    table = {0: 0, 1: 8, 2: 8, 3: 8}.get(version, 9)
    blocks, starts = [], np.zeros(n, dtype="<i8")
    at = table + 8 * n
    for k in order:
        if k in missing:
            continue
        head = struct.pack("<2i", k % 4, k // 4) if version >= 5 else b""
        head += struct.pack("<4i", 0, height, width, patterns[k].nbytes)
        x, y = places[k]
        if version == 0:
            foot = b""
        elif version == 1:
            foot = struct.pack("<dd", x, y)
        else:
            foot = struct.pack("<?d?d", True, x, True, y)
        block = head + patterns[k].tobytes() + foot
        starts[k] = at
        at += len(block)
        blocks.append(block)
    first = b"" if version == 0 else struct.pack("<q", -version) + b"\x01" * (table - 8)
    path.write_bytes(first + starts.tobytes() + b"".join(blocks))
    return path


def write_nordif(folder: Path, patterns: np.ndarray, shape=(3, 4)) -> Path:
    """Pattern.dat and the Setting.txt that tells its sizes."""
    _, height, width = patterns.shape
    lines = [
        "[NORDIF]\t", "Software version\t3.1.2", "[Microscope]\t", "Tilt angle\t70\tdeg",
        "[Detector angles]\t", "Elevation\t5.5\tdeg", "Azimuthal\t0.5\tdeg",
        "[Acquisition settings]\t", f"Resolution\t{height}x{width}\tpx",
        "[Area]\t", "Step size\t0.25\tum", f"Number of samples\t{shape[0]}x{shape[1]}\t#",
    ]  # fmt: skip
    (folder / "Setting.txt").write_text("\n".join(lines), encoding="latin-1")
    path = folder / "Pattern.dat"
    path.write_bytes(patterns.tobytes())
    return path
