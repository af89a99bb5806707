"""Damage small files of every format at random and read them: hangs, memory, raw errors.

    python benchmarks/mangle_files.py --number 10000
    python benchmarks/mangle_files.py --format h5oina --seed 17 --number 1   # one of them again
    python benchmarks/mangle_files.py --file map.h5 --number 1000            # a file of your own

Every damaged file must give a map or one error of the package within `--seconds` and
`--megabytes`. Ends with status 1 when one does not; its seed makes the same damage again.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.io import mangling


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--format", action="append", choices=mangling.KINDS)
    parser.add_argument("--file", type=Path, action="append", help="damage these instead")
    parser.add_argument("--number", type=int, default=1000, help="of damaged files a format")
    parser.add_argument("--seed", type=int, default=0, help="of the first")
    parser.add_argument("--seconds", type=float, default=mangling.SECONDS)
    parser.add_argument("--megabytes", type=float, default=mangling.MEGABYTES)
    parser.add_argument("--trace", type=Path, help="stacks of those that take too long")
    parser.add_argument("--keep", type=Path, help="folder for the files that fail")
    options = parser.parse_args()

    files_of = mangling.sound
    kinds = options.format or list(mangling.KINDS)
    if options.file:
        own = {path.name: {path.name: path.read_bytes()} for path in options.file}
        kinds, files_of = list(own), own.__getitem__
    bad = 0
    print(f"{'format':<12}{'map':>7}{'error':>7}{'raw':>6}{'slow':>6}{'memory':>8}{'died':>6}"
          f"{'slowest':>9}{'its seed':>8}{'most MB':>9}{'total s':>9}")  # fmt: skip
    for kind in kinds:
        start, counts, slowest, most = time.monotonic(), Counter[str](), (0.0, 0), 0.0
        jobs = ((kind, options.seed + k) for k in range(options.number))
        for found in mangling.run(
            jobs, options.seconds, options.megabytes, files_of, options.trace
        ):
            counts[found.what] += 1
            slowest = max(slowest, (found.seconds, found.seed))
            most = max(most, found.megabytes)
            if not found.fine:
                bad += 1
                print(f"  {kind} seed {found.seed}: {found.what} {found.message[:200]} "
                      f"({found.seconds:.1f} s, {found.megabytes:.0f} MB)", flush=True)  # fmt: skip
                if options.keep:
                    folder = options.keep / f"{kind}-{found.seed}"
                    folder.mkdir(parents=True, exist_ok=True)
                    for name, content in mangling.mangled(files_of(kind), found.seed).items():
                        (folder / name).write_bytes(content)
        widths = {"map": 7, "error": 7, "raw": 6, "slow": 6, "memory": 8, "died": 6}
        cells = "".join(f"{counts[what]:>{width}}" for what, width in widths.items())
        took = time.monotonic() - start
        print(
            f"{kind:<12}{cells}{slowest[0]:>9.1f}{slowest[1]:>8}{most:>9.0f}{took:>9.0f}",
            flush=True,
        )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
