"""What the first map that is ever opened costs: wall and processor time, with and without caches.

Each row is a process of its own. "cold" has an empty cache of compiled code, as after installing;
"warm" is the next process. "layers" is what the viewer shows at once: IPF colours, phases, images.

Run ``python benchmarks/first_open.py [MAP ...]``; without a map, one of 200 x 200 pixels is made.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

_CHILD = """
import sys, time
laps = []
def lap(name, start=[time.perf_counter(), 0.0]):
    wall, cpu = time.perf_counter(), time.process_time()
    laps.append((name, wall - start[0], cpu - start[1]))
    start[:] = wall, cpu
lap("python")
import napari_ebsdml as ebsdml
lap("import")
scan = ebsdml.read(sys.argv[1])
lap("read")
ebsdml.ipf_colors(scan)
from napari_ebsdml._napari.files.map_layers import map_layers
map_layers(scan)
lap("layers")
for name, wall, cpu in laps[1:]:
    print(f"  {name:8s} {wall:6.2f} s wall {cpu:6.2f} s processor")
print(f"  {'all':8s} {sum(l[1] for l in laps[1:]):6.2f} s wall "
      f"{sum(l[2] for l in laps[1:]):6.2f} s processor")
"""

_MAKE = """
import sys
import napari_ebsdml as ebsdml
from napari_ebsdml.samples import dual_phase_steel
ebsdml.write(sys.argv[1], dual_phase_steel(shape=(200, 200))[0])
"""


def main() -> None:
    """Print a table for each map."""
    with tempfile.TemporaryDirectory() as folder:
        maps = sys.argv[1:]
        if not maps:
            maps = [str(Path(folder) / "map.ctf")]
            subprocess.run([sys.executable, "-c", _MAKE, maps[0]], check=True)
        for path in maps:
            print(path)
            cache = Path(folder) / f"cache-{Path(path).name}"
            for state in ("cold", "warm"):
                print(f" {state}", flush=True)
                subprocess.run(
                    [sys.executable, "-c", _CHILD, path],
                    check=True,
                    env={**os.environ, "NUMBA_CACHE_DIR": str(cache)},
                )


if __name__ == "__main__":
    main()
