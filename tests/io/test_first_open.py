"""What opening a map may not set off."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.io.writers_text import ctf, make_points

_READ = """
import sys, warnings
import napari_ebsdml as ebsdml
scan = ebsdml.read(sys.argv[1])
ebsdml.ipf_colors(scan)
from numba.core.dispatcher import Dispatcher
from orix.quaternion import Rotation, _conversions
kernels = [v for v in vars(_conversions).values() if isinstance(v, Dispatcher)]
assert len(kernels) > 20
compiled = [k.py_func.__name__ for k in kernels if k.signatures]
assert not compiled, compiled
# They work when they are called.
angles = Rotation.from_euler([[0.1, 0.2, 0.3]]).to_euler()
assert abs(angles - [[0.1, 0.2, 0.3]]).max() < 1e-12, angles
"""


def test_no_kernel_of_orix_is_compiled_for_a_map(tmp_path: Path) -> None:
    """orix compiles all of its conversions when it is imported: seconds before the first map."""
    path = tmp_path / "map.ctf"
    path.write_text(ctf(make_points(n_phases=2)), newline="")
    done = subprocess.run(
        [sys.executable, "-c", _READ, str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
