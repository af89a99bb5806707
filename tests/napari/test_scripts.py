"""Scripts of "Copy as Python": run, they give what the docks give."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtWidgets import QApplication

import napari_ebsdml as ebsdml
from napari_ebsdml import InputError, Scan, Source
from napari_ebsdml._napari.crystals.space_groups.cameras import GeometrySettings
from napari_ebsdml._napari.crystals.space_groups.models import ModelEntry
from napari_ebsdml._napari.crystals.space_groups.script import classify_script
from napari_ebsdml._napari.dislocations.script import article_script, density_script
from napari_ebsdml._napari.gnd.script import gnd_script
from napari_ebsdml._napari.maps.script import maps_script
from napari_ebsdml._napari.maps.widget import MapsWidget
from napari_ebsdml.dislocations.settings import (
    DensitySettings,
    GndSettings,
    TaylorSettings,
    TotalSettings,
)
from napari_ebsdml.maps import MapSettings
from napari_ebsdml.patterns.settings import ClassifySettings
from napari_ebsdml.samples import deformed
from tests.napari.docks import add_map


@pytest.fixture
def scan(tmp_path: Path) -> Scan:
    """Bent iron in a file, as it is read."""
    made, *_ = deformed.bent_crystal((12, 14), 0.5, step=0.5, noise=0.1, seed=3)
    path = tmp_path / "bent.ctf"
    ebsdml.write(path, made)
    return ebsdml.read(path)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a script in a folder of its own; gives its variables."""
    monkeypatch.chdir(tmp_path)

    def go(text: str) -> dict[str, Any]:
        variables: dict[str, Any] = {}
        exec(compile(text, "script.py", "exec"), variables)
        return variables

    return go


def test_maps(scan: Scan, run: Any, tmp_path: Path) -> None:
    text = maps_script(scan, MapSettings(kam_order=2, gos=True, direction="x"))
    # IPF colours are not computed, so that their direction does not matter.
    assert "settings = MapSettings(kam_order=2, gos=True)" in text
    maps = run(text)["maps"]
    assert set(maps) == {"kam", "grains", "gos", "boundaries"}
    np.testing.assert_array_equal(maps["kam"], ebsdml.kam(scan, 2))
    with np.load(tmp_path / f"{scan.name}-maps.npz") as saved:
        np.testing.assert_array_equal(saved["kam"], maps["kam"])


def test_gnd(scan: Scan, run: Any) -> None:
    number = scan.phases.ids[0]
    plain = gnd_script(scan, GndSettings(slip_systems={number: "auto"}))
    assert "gnd = ebsdml.gnd_density(scan)" in plain
    settings = GndSettings(
        {number: "bcc"}, norm="l2", denoise=True, radius=3, orientation_noise=0.2
    )
    gnd = run(gnd_script(scan, settings))["gnd"]
    expected = ebsdml.gnd_density(scan, **settings.arguments())
    np.testing.assert_array_equal(gnd.total, expected.total)
    assert gnd.settings == expected.settings


def test_density(scan: Scan, run: Any) -> None:
    metals = TaylorSettings({scan.phases.ids[0]: "alpha-iron"}, 20.0)
    found = run(density_script(scan, TotalSettings(orientation_noise=0.2), metals))
    expected = ebsdml.total_dislocation_density(scan, orientation_noise=0.2)
    np.testing.assert_array_equal(found["rho"].interval, expected.interval)
    assert found["table"]["limit [1/m²]"] == [pytest.approx(expected.limit)]


def test_density_the_articles_way(scan: Scan, run: Any) -> None:
    settings = DensitySettings(plane_thickness=0.03, level=0.8, extrapolate=True)
    metals = TaylorSettings({scan.phases.ids[0]: "alpha-iron"}, 20.0)
    text = article_script(scan, GndSettings(norm="l2"), settings, metals)
    found = run(text)
    gnd = ebsdml.gnd_density(scan, norm="l2")
    expected = ebsdml.article_density(gnd, plane_thickness=0.03, level=0.8)
    np.testing.assert_array_equal(found["total"].mean, expected.mean)
    assert found["table"]["Taylor stress [MPa]"]


def test_space_groups(run: Any) -> None:
    kikuchipy = pytest.importorskip("kikuchipy")
    path = Path(kikuchipy.__file__).parent / "data" / "kikuchipy_h5ebsd" / "patterns.h5"
    if not path.is_file():
        pytest.skip("kikuchipy's nickel patterns are absent")
    scan = ebsdml.read(path)
    entry = ModelEntry("crystal frame", "default")
    camera = GeometrySettings().choice()
    text = classify_script(scan, [entry], ClassifySettings(by="grain"), camera, camera)
    assert "classifier.predict_scan(scan, by='grain')" in text
    found = run(text)
    classifier = ebsdml.SpaceGroupClassifier.load("default")
    expected = classifier.predict_scan(scan, by="grain")
    np.testing.assert_array_equal(found["result"].space_group, expected.space_group)
    own = GeometrySettings(camera="own", pcx=0.4, pcy=0.7, pcz=0.5).choice()
    text = classify_script(scan, [entry], ClassifySettings(), own, own)
    assert "Camera(" in text
    assert run(text)["result"].space_group.shape == scan.shape


def test_a_map_in_no_file_and_a_model_in_none(scan: Scan) -> None:
    nowhere = dataclasses.replace(scan, source=Source(path=None))
    with pytest.raises(InputError, match="save it"):
        maps_script(nowhere, MapSettings())
    camera = GeometrySettings().choice()
    with pytest.raises(InputError, match="save it under Model"):
        classify_script(
            scan, [ModelEntry("new", object())], ClassifySettings(), camera, camera
        )  # fmt: skip


def test_the_button_puts_the_script_on_the_clipboard(qtbot: Any, scan: Scan) -> None:
    viewer = ViewerModel()
    add_map(viewer, scan)
    widget = MapsWidget(viewer)
    qtbot.addWidget(widget)
    widget.settings_form.set_values({"kam_order": 3})
    widget.script_button.click()
    assert QApplication.clipboard().text() == maps_script(scan, MapSettings(kam_order=3))
    assert "clipboard" in widget.tasks.status.text()
