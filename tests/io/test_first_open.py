"""What opening a map may not set off."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

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


_UFUNC = """
from napari_ebsdml._orix import prepare_orix
prepare_orix()
from orix.quaternion.quaternion import qu_conj_gufunc
import numpy as np
print("ready", flush=True)
out = np.empty(4)
qu_conj_gufunc(np.array([1.0, 2, 3, 4]), out)
assert (out == [1, -2, -3, -4]).all(), out
assert qu_conj_gufunc.signature == "(n)->(n)"
# Dask sends them to workers.
import pickle
again = np.empty(4)
pickle.loads(pickle.dumps(qu_conj_gufunc))(np.array([1.0, 2, 3, 4]), again)
assert (again == out).all(), again
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the place of the lock is named by XDG here")
def test_a_process_waits_while_another_compiles_what_orix_keeps(tmp_path: Path) -> None:
    """Two at once leave a cache that ends every later process."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    folder = tmp_path / "napari-ebsdml"
    folder.mkdir()
    command = [sys.executable, "-c", _UFUNC]
    with FileLock(folder / "compiling.lock"):
        process = subprocess.Popen(
            command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert process.stdout is not None
        # orix makes its symmetries when it is imported, and compiles for them.
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=6)
        assert process.poll() is None
    _, told = process.communicate(timeout=120)
    assert process.returncode == 0, told
