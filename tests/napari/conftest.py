"""Maps for the tests of the napari plugin."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.utils.notifications import notification_manager
from npe2 import PluginManifest
from orix.crystal_map import Phase, PhaseList
from qtpy.QtWidgets import QApplication
from superqt.utils import WorkerBase

from napari_ebsdml import Scan, Source
from tests.napari.docks import PLUGIN

MakeScan = Callable[..., Scan]


@pytest.fixture(autouse=True)
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of the plugin's own data, instead of the user's."""
    folder = tmp_path / "user-data"
    monkeypatch.setenv("EBSDML_DATA_DIR", str(folder))
    return folder


@pytest.fixture
def registered(plugin_settings: None, npe2pm: Any) -> Iterator[None]:
    """The plugin alone, with settings of its own that start from the defaults."""
    npe2pm.register(PluginManifest.from_distribution(PLUGIN))
    notification_manager.records.clear()
    yield
    WorkerBase.await_workers(60_000)


@pytest.fixture
def viewer(registered: None, make_napari_viewer: Callable[..., Any]) -> Iterator[Any]:
    """Window of napari that knows the plugin."""
    yield make_napari_viewer()
    # A worker that outlives its test would keep the window alive.
    WorkerBase.await_workers(60_000)
    QApplication.processEvents()


@pytest.fixture
def model(registered: None) -> Iterator[ViewerModel]:
    """The layers and the rest of a viewer without its window, which takes a second to make."""
    yield ViewerModel()
    WorkerBase.await_workers(60_000)
    QApplication.processEvents()


@pytest.fixture
def make_scan() -> MakeScan:
    """Two-phase map: austenite left (phase 1), ferrite right (phase 2), top row not indexed."""

    def make(
        shape: tuple[int, int] = (6, 8),
        step: tuple[float, float] = (0.5, 0.25),
        path: Path | None = Path("steel.ang"),
        seed: int = 0,
        **changes: object,
    ) -> Scan:
        rng = np.random.default_rng(seed)
        quaternions = rng.normal(size=(*shape, 4))
        quaternions /= np.linalg.norm(quaternions, axis=-1, keepdims=True)
        quaternions *= np.sign(quaternions[..., :1])
        phase_id = np.ones(shape, dtype=np.int32)
        phase_id[:, shape[1] // 2 :] = 2
        phase_id[0] = -1
        quaternions[0] = 0
        phases = PhaseList(
            {
                1: Phase(name="Austenite", space_group=225, color="tab:blue"),
                2: Phase(name="Ferrite", space_group=229, color="tab:orange"),
            }
        )
        fields: dict[str, object] = {
            "quaternions": quaternions,
            "phase_id": phase_id,
            "phases": phases,
            "step": step,
            "prop": {
                "MAD": rng.uniform(0.2, 1.0, shape),
                "BC": rng.integers(80, 200, shape).astype(np.uint8),
            },
            "source": Source(path=path),
        }
        return Scan(**(fields | changes))  # type: ignore[arg-type]

    return make
