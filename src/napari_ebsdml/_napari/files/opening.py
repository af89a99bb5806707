"""Read files in a worker thread while the window lives on, and wait for them.

napari wants the layers of a file when its reader returns, from a script as from a drop on the
canvas. So the reader waits, but in an event loop of its own: the window draws and can cancel.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from napari_ebsdml._napari.layers.classes import LabelClass, class_colormap
from napari_ebsdml._parallel import Progress

# Smaller files are read before anybody would see a window ask for patience.
_SMALL_BYTES = 4 << 20
_PATIENCE_MS = 400
_STEPS = 1000


def takes_long(paths: Sequence[Path]) -> bool:
    """Whether to wait for a worker: for large files, and the first one, which loads libraries."""
    if "orix.crystal_map" not in sys.modules:
        return True
    total = 0
    for path in paths:
        files = path.iterdir() if path.is_dir() else (path, path.with_suffix(".crc"))
        for file in files:
            try:
                total += file.stat().st_size
            except OSError:
                continue
    return total > _SMALL_BYTES


def load_libraries(labels: bool = True) -> None:
    """Load and compile what napari needs for its first layers, for a worker thread.

    Tables of features need pandas, units need pint, and for labels napari compiles code: two
    seconds in which the window would stand still. The segmenter's dock is loaded as well, being
    the largest.

    Parameters
    ----------
    labels
        Whether to compile. Not while the window may draw labels: two threads must not run such
        code at once everywhere.
    """
    # They are napari's, and may be others one day.
    with suppress(ImportError, AttributeError):
        import_module("pandas")
        import_module("pint").get_application_registry().Unit("um")
    import_module("napari_ebsdml._napari.segmenter.widget")
    import_module("napari_ebsdml.dislocations.gnd.density")
    if labels:
        colormap = class_colormap([LabelClass(1, "", "white")])
        for kind in (np.uint8, np.int32):
            colormap.map(np.ones((2, 2), kind))


def wait_for(work: Callable[[Progress], Any], label: str, viewer: Any = None) -> Any:
    """What ``work(progress)`` returns, from a worker thread; None when the user cancels.

    Where there is no GUI, or when a worker asks, `work` is called at once.

    Parameters
    ----------
    work
        Gets a callable for the fraction done, which raises `Cancelled` once it is to stop.
    label
        What is being done, for the user.
    viewer
        In whose window a bar with Cancel appears.

    Raises
    ------
    Exception
        What `work` raises.
    """
    from qtpy.QtCore import QEventLoop, Qt, QThread
    from qtpy.QtWidgets import QApplication, QProgressDialog

    app = QApplication.instance()
    if app is None or QThread.currentThread() is not app.thread():
        return work(None)
    from napari_ebsdml._napari.shell.workers import Job, Outcome, Relay

    window = getattr(getattr(viewer, "window", None), "_qt_window", None)
    dialog = QProgressDialog(label, "Cancel", 0, 0, window)
    dialog.setWindowModality(Qt.WindowModality.NonModal)
    dialog.setMinimumDuration(_PATIENCE_MS)
    dialog.setAutoReset(False)
    dialog.setAutoClose(False)
    loop = QEventLoop()
    outcomes: list[Outcome] = []

    def progressed(_number: int, fraction: float) -> None:
        dialog.setMaximum(_STEPS)
        dialog.setValue(round(_STEPS * min(max(fraction, 0.0), 1.0)))

    def ended(_number: int, outcome: Outcome) -> None:
        outcomes.append(outcome)
        loop.quit()

    relay = Relay()
    relay.progressed.connect(progressed)
    relay.ended.connect(ended)
    job = Job(lambda progress: work(progress), relay, label=label)
    dialog.canceled.connect(job.quit)
    # What is under way may last: its result is thrown away.
    dialog.canceled.connect(loop.quit)
    app.aboutToQuit.connect(loop.quit)
    if window is not None:
        window.destroyed.connect(loop.quit)
    try:
        job.start()
        dialog.setValue(0)
        loop.exec()
    finally:
        app.aboutToQuit.disconnect(loop.quit)
        relay.progressed.disconnect(progressed)
        dialog.canceled.disconnect()
        dialog.close()
        dialog.deleteLater()
    if not outcomes or outcomes[0].cancelled:
        return None
    if outcomes[0].error is not None:
        raise outcomes[0].error
    return outcomes[0].value
