"""Sessions: what a viewer shows comes back as it was."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel

import napari_ebsdml as ebsdml
from napari_ebsdml import Scan
from napari_ebsdml._atomic import writer
from napari_ebsdml._napari.crystals.space_groups.cameras import Way
from napari_ebsdml._napari.files.reader import get_reader
from napari_ebsdml._napari.files.recovery import Recovery, keep, left_behind, recover
from napari_ebsdml._napari.files.session import (
    ENDING,
    _forms,
    is_session,
    open_session,
    save_session,
)
from napari_ebsdml._napari.files.session_values import Reader
from napari_ebsdml._napari.layers.classes import LabelClass
from napari_ebsdml._napari.layers.lines import add_lines
from napari_ebsdml._napari.layers.of_scans import Level, add_result, info_of, scan_of
from napari_ebsdml.dislocations.structures.measurement import Errors
from napari_ebsdml.patterns.lattices.lattice import Lattice
from napari_ebsdml.patterns.lattices.size import Size
from napari_ebsdml.patterns.lattices.space_groups import SpaceGroups
from napari_ebsdml.patterns.phases.find import FoundPhases
from tests.napari.docks import add_map, open_dock

KEPT = Path(__file__).with_name("session_version1.zip")
"""Made by version 1 of the format with `fill`, which it is not to be made again with."""


def same_scan(one: Scan, other: Scan) -> None:
    assert one.step == other.step
    np.testing.assert_array_equal(one.quaternions, other.quaternions)
    np.testing.assert_array_equal(one.phase_id, other.phase_id)
    assert list(one.prop) == list(other.prop)
    for name, values in one.prop.items():
        np.testing.assert_array_equal(values, other.prop[name])
        assert values.dtype == other.prop[name].dtype
    assert dict(one.units) == dict(other.units)
    assert one.phases.ids == other.phases.ids
    for (_, a), (_, b) in zip(one.phases, other.phases, strict=True):
        assert (a.name, a.color, a.point_group.name) == (b.name, b.color, b.point_group.name)
        assert (a.space_group and a.space_group.number) == (b.space_group and b.space_group.number)
        np.testing.assert_allclose(a.structure.lattice.abcABG(), b.structure.lattice.abcABG())
        np.testing.assert_allclose(a.structure.lattice.base, b.structure.lattice.base, atol=1e-12)
    assert one.camera == other.camera
    assert one.source.path == other.source.path
    assert one.source.warnings == other.source.warnings


def fill(model: ViewerModel, scan: Scan) -> None:
    """Layers of every kind."""
    add_map(model, scan)
    kam = add_result(
        model, scan, ebsdml.kam(scan), "KAM", "°", settings={"order": 1}, colormap="viridis",
        contrast_limits=(0.0, 2.0), opacity=0.7, visible=False,
    )  # fmt: skip
    kam.gamma = 1.5
    labels = np.zeros(scan.shape, int)
    labels[1:] = 3
    classes = (LabelClass(3, "ferrite", "#0072b2"), LabelClass(5, "none yet", "#e69f00"))
    add_result(model, scan, labels, "strokes", kind="labels", classes=classes,
               level=Level.STROKES)  # fmt: skip
    lines = np.array([[[0.25, 0.0], [0.25, 1.0]]])
    add_lines(model, scan, lines, np.array([1]), "boundaries",
              [LabelClass(1, "high angle", "#56b4e9")], labels)  # fmt: skip
    grains = ebsdml.segment_grains(scan)
    add_result(model, scan, grains, "grains", kind="labels")
    model.add_points(np.array([[0.0, 1.0], [2.0, 1.0]]), name="points", size=2)
    model.scene.camera.center = (0.0, 1.5, 2.5)
    model.scene.camera.zoom = 33.0
    model.layers.selection.active = kam


def test_a_session_comes_back(
    model: ViewerModel, make_scan: Callable[..., Scan], tmp_path: Path
) -> None:
    scan = make_scan()
    fill(model, scan)
    path = save_session(model, tmp_path / "work")
    assert path.name == f"work{ENDING}"
    assert is_session(path)
    back = open_session(path)
    assert [layer.name for layer in back.layers] == [layer.name for layer in model.layers]
    for one, other in zip(model.layers, back.layers, strict=True):
        assert type(one) is type(other)
        np.testing.assert_array_equal(np.asarray(one.data), np.asarray(other.data))
        for name in ("visible", "opacity", "blending"):
            assert getattr(one, name) == getattr(other, name), (one.name, name)
        np.testing.assert_allclose(one.scale, other.scale)
        np.testing.assert_allclose(one.translate, other.translate)
        assert [str(u) for u in one.units] == [str(u) for u in other.units]
        mine, its = info_of(one), info_of(other)
        if mine is None:
            assert its is None
            continue
        for key in ("quantity", "unit", "kind", "classes", "settings", "model", "level"):
            assert mine[key] == its[key], (one.name, key)
    kam = back.layers["KAM [°] · " + scan.name]
    assert kam.colormap.name == "viridis"
    assert tuple(kam.contrast_limits) == (0.0, 2.0)
    assert kam.gamma == 1.5
    assert back.layers.selection.active is kam
    strokes = next(one for one in back.layers if "strokes" in one.name)
    np.testing.assert_allclose(strokes.get_color(3), [0, 0x72 / 255, 0xB2 / 255, 1], atol=1e-3)
    assert back.scene.camera.zoom == 33.0
    assert tuple(back.scene.camera.center)[-2:] == (1.5, 2.5)
    # All layers of a map share one scan, which is the same as before.
    found = [scan_of(layer) for layer in back.layers if info_of(layer)]
    assert all(one is found[0] for one in found)
    same_scan(scan, found[0])
    # Results can be computed on it.
    np.testing.assert_allclose(ebsdml.kam(found[0]), ebsdml.kam(scan))
    # Saving again replaces, whole.
    model.layers.pop()
    save_session(model, path)
    assert len(open_session(path).layers) == len(model.layers)
    assert [p.name for p in tmp_path.iterdir() if "work" in p.name] == [path.name]


def test_hexagonal_maps_cameras_and_patterns(
    model: ViewerModel, tmp_path: Path, shared: Path
) -> None:
    import kikuchipy

    hexagonal = ebsdml.read(shared / "maps" / "cu_hexgrid.ang")
    patterns = ebsdml.read(
        Path(kikuchipy.__file__).parent / "data" / "kikuchipy_h5ebsd" / "patterns.h5"
    )
    add_map(model, hexagonal)
    add_map(model, patterns, 0.0, 100.0)
    back = open_session(save_session(model, tmp_path / "two"))
    first, second = scan_of(back.layers[0]), scan_of(back.layers[-1])
    assert first is not None
    assert second is not None
    same_scan(hexagonal, first)
    same_scan(patterns, second)
    np.testing.assert_array_equal(
        np.asarray(patterns.patterns[0, 0]), np.asarray(second.patterns[0, 0])
    )
    want, got = hexagonal.source.hexagonal, first.source.hexagonal
    np.testing.assert_array_equal(want.nearest, got.nearest)
    np.testing.assert_array_equal(want.quaternions, got.quaternions)
    np.testing.assert_allclose(ebsdml.gnd_density(first).total, ebsdml.gnd_density(hexagonal).total)


def test_docks_come_back_with_their_settings(
    viewer: Any, qtbot: Any, make_scan: Callable[..., Scan], tmp_path: Path
) -> None:
    from napari_ebsdml._napari.maps.widget import MapsWidget

    add_map(viewer, make_scan())
    dock = open_dock(viewer, "EBSD maps", MapsWidget)
    name, form = next(iter(_forms(dock).items()))
    form["kam_order"].value = 3
    path = save_session(viewer, tmp_path / "docks")
    viewer.window.remove_dock_widget(dock)
    viewer.layers.clear()
    open_session(path, viewer)
    again = open_dock(viewer, "EBSD maps", MapsWidget)
    assert getattr(again, name)["kam_order"].value == 3


def test_what_is_no_session_is_one_sentence(
    model: ViewerModel, make_scan: Callable[..., Scan], tmp_path: Path
) -> None:
    with pytest.raises(ebsdml.InputError, match="no layer"):
        save_session(model, tmp_path / "a")
    add_map(model, make_scan())
    (tmp_path / f"b{ENDING}").mkdir()
    with pytest.raises(ebsdml.WriteError, match="something else"):
        save_session(model, tmp_path / "b")
    with pytest.raises(ebsdml.WriteError):
        save_session(model, tmp_path / "nowhere" / "c")
    path = save_session(model, tmp_path / "d")
    before = len(model.layers)
    with pytest.raises(ebsdml.FileFormatError, match="no session"):
        open_session(tmp_path / "none", model)
    card = path / "zarr.json"
    text = card.read_text("utf-8")
    told = json.loads(text)
    told["attributes"]["ebsdml_session"]["version"] = 99
    card.write_text(json.dumps(told))
    with pytest.raises(ebsdml.FileFormatError, match="version 99"):
        open_session(path, model)
    card.write_text(text)
    shutil.rmtree(path / "scans" / "0" / "phase_id")
    with pytest.raises(ebsdml.FileFormatError, match="damaged"):
        open_session(path, model)
    assert len(model.layers) == before


def test_napari_opens_a_session(
    model: ViewerModel, make_scan: Callable[..., Scan], tmp_path: Path
) -> None:
    add_map(model, make_scan())
    path = save_session(model, tmp_path / "s")
    read = get_reader(str(path))
    assert read is not None
    assert len(read(str(path))) == len(model.layers)
    (tmp_path / "other.zarr").mkdir()
    assert get_reader(str(tmp_path / "other.zarr")) is None


def test_a_session_of_the_first_version_opens(tmp_path: Path) -> None:
    shutil.unpack_archive(KEPT, tmp_path)
    back = open_session(tmp_path / "version1.ebsdml.zarr")
    names = [layer.name.partition(" · ")[0] for layer in back.layers]
    assert {"KAM [°]", "strokes", "boundaries", "grains", "points"} <= set(names)
    scan = scan_of(back.layers[0])
    assert scan is not None
    kam = next(layer for layer in back.layers if layer.name.startswith("KAM"))
    np.testing.assert_allclose(kam.data, ebsdml.kam(scan), atol=1e-6)


def test_whole_results_come_back(
    model: ViewerModel, make_scan: Callable[..., Scan], tmp_path: Path
) -> None:
    sample = ebsdml.samples.dual_phase_steel((16, 20), 0.4, seed=1)
    scan = sample.scan
    add_map(model, scan)
    gnd = ebsdml.gnd_density(scan)
    add_result(model, scan, gnd.total, "GND", "1/m²", result=gnd)
    classes = ebsdml.GrainClassifier.train(
        [(scan, ebsdml.segment_grains(scan), {1: 1, 2: 2, 3: 1, 4: 2})]
    ).predict(scan)
    add_result(model, scan, classes.map, "class", kind="labels", result=classes)
    add_result(model, scan, gnd.total, "other", result=object())
    path = ebsdml.save_session(model, tmp_path / "results")
    back = ebsdml.open_session(path)
    found = {info_of(layer)["quantity"]: info_of(layer)["result"] for layer in back.layers}
    same = found["GND"]
    assert isinstance(same, ebsdml.GndDensity)
    np.testing.assert_array_equal(same.per_system, gnd.per_system)
    assert same.systems.labels == gnd.systems.labels
    assert same.system_columns == gnd.system_columns
    assert same.scan is scan_of(back.layers[0])
    assert same.average().interval == pytest.approx(gnd.average().interval)
    assert found["class"].fractions == classes.fractions
    assert found["other"] is None
    # A class of another package, and one that is no more, are not made.
    for name in ("os:system", "napari_ebsdml.gone:Nothing", "napari_ebsdml.scan:np.array"):
        told = {"!": "object", "class": name, "fields": []}
        assert Reader(None, []).result(told) is None
    # One that has another place now is found there.
    told = {"!": "object", "class": "napari_ebsdml._napari.space_groups.cameras:Way",
            "fields": [["orientations", True], ["geometry", False]]}  # fmt: skip
    assert Reader(None, []).result(told) == Way(orientations=True)
    moved = {"phases": FoundPhases, "lattice": Lattice, "band_size": Size,
             "space_groups": SpaceGroups}  # fmt: skip
    for was, now in moved.items():
        name = f"napari_ebsdml.patterns.symmetry.{was}:{now.__name__}"
        assert Reader._class(name) is now
    # What a class had not yet holds its default; without one it cannot be made.
    name = "napari_ebsdml.dislocations.structures.measurement:Errors"
    told = {"!": "object", "class": name, "fields": [["sigma", 0.5]]}
    assert Reader(None, []).result(told) == Errors(0.5)
    name = "napari_ebsdml.dislocations.total.average:Verdict"
    told = {"!": "object", "class": name, "fields": [["lines", 0.5]]}
    assert Reader(None, []).result(told) is None


def wait(kept: Recovery) -> None:
    kept.save()
    kept.wait()


def test_a_crash_loses_seconds(
    viewer: Any, make_scan: Callable[..., Scan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_ebsdml._napari.maps.widget import MapsWidget

    scan = make_scan()
    add_map(viewer, scan)
    kept = Recovery(viewer, tmp_path, every=10**9)
    wait(kept)
    dock = open_dock(viewer, "EBSD maps", MapsWidget)
    form = next(iter(_forms(dock).values()))
    form["kam_order"].value = 4
    strokes = add_result(viewer, scan, np.zeros(scan.shape, int), "strokes", kind="labels",
                         classes=(LabelClass(1, "ferrite", "#0072b2"),))  # fmt: skip
    wait(kept)
    strokes.paint((0, 1), 1)
    viewer.layers[0].visible = False
    wait(kept)
    # Nothing new, nothing written.
    before = (kept.path / "zarr.json").stat().st_mtime_ns
    wait(kept)
    assert (kept.path / "zarr.json").stat().st_mtime_ns == before
    assert len(list((kept.path / "data").iterdir())) - 1 == len(viewer.layers)
    # Of a process that lives it is nobody else's.
    assert left_behind(tmp_path) == []
    monkeypatch.setattr("napari_ebsdml._atomic._is_alive", lambda process: False)
    assert left_behind(tmp_path) == [kept.path]
    back = ebsdml.open_session(kept.path)
    same_scan(scan, scan_of(back.layers[0]))
    assert [layer.name for layer in back.layers] == [layer.name for layer in viewer.layers]
    painted = next(layer for layer in back.layers if "strokes" in layer.name)
    np.testing.assert_array_equal(painted.data, strokes.data)
    assert painted.data.any()
    assert not back.layers[0].visible
    told = json.loads((kept.path / "zarr.json").read_text("utf-8"))
    (docked,) = told["attributes"]["ebsdml_session"]["docks"]
    assert docked["name"] == "EBSD maps"
    assert ["kam_order", 4] in docked["forms"]["items"][0][1]["items"]
    kept.close()
    assert not kept.path.exists()


def test_a_window_is_offered_what_was_left(
    viewer: Any, make_scan: Callable[..., Scan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EBSDML_DATA_DIR", str(tmp_path))
    model = ViewerModel()
    add_map(model, make_scan())
    assert keep(model) is None  # no window
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    host = writer().partition("-")[0]
    (tmp_path / "recovery").mkdir()
    left = save_session(model, tmp_path / "recovery" / f"{host}-{ended.pid}-0123abcd")
    said: list[str] = []
    monkeypatch.setattr("napari.utils.notifications.show_info", said.append)
    kept = keep(viewer)
    assert "was not closed" in said[0]
    recover(viewer)
    assert len(viewer.layers) == len(model.layers)
    assert not left.exists()
    assert kept is keep(viewer)
    assert (kept.path / "zarr.json").exists()
    recover(viewer)
    assert "Nothing is left" in said[-1]
    kept.close()
