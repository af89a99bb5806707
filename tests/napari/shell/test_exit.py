"""Scripts that end without ever running the event loop."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from napari_ebsdml import write
from napari_ebsdml.samples import dual_phase_steel

_SCRIPT = """
import sys, time
import napari
from napari_ebsdml._napari.shell.task_bar import TaskBar
viewer = napari.Viewer(show=False)
viewer.window.add_plugin_dock_widget("napari-ebsdml", "EBSD maps")
viewer.open(sys.argv[1], plugin="napari-ebsdml")
bar = TaskBar()
viewer.window.add_dock_widget(bar)
def work(progress):
    print("begun", flush=True)
    time.sleep(1.5)  # a step that does not look whether it is to stop
    print("step over", flush=True)
bar.start(work)
time.sleep(0.3)
"""


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "darwin", reason="a window needs a screen there")
def test_a_job_under_way_does_not_abort_the_program(tmp_path: Path) -> None:
    write(tmp_path / "map.ctf", dual_phase_steel((24, 24)).scan)
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, str(tmp_path / "map.ctf")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
    )
    assert "begun" in done.stdout
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
