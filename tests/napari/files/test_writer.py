"""What the user selects is what the file holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_ebsdml import Scan, WriteError, read
from napari_ebsdml._napari.files.map_layers import add_column, columns, map_layers
from napari_ebsdml._napari.files.writer import write_layers
from napari_ebsdml._napari.layers.classes import LabelClass
from napari_ebsdml._napari.layers.of_scans import layer_data

MakeScan = Callable[..., Scan]
FORMATS = [".ang", ".ctf", ".h5"]


@pytest.fixture
def messages(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Texts of napari's warnings."""
    from napari.utils import notifications

    shown: list[str] = []
    monkeypatch.setattr(notifications, "show_warning", shown.append)
    return shown


@pytest.mark.parametrize("suffix", FORMATS)
def test_selected_results_are_in_the_file(
    tmp_path: Path, make_scan: MakeScan, messages: list[str], suffix: str
) -> None:
    scan = make_scan()
    rng = np.random.default_rng(2)
    kam = np.where(scan.is_indexed, rng.uniform(0, 2, scan.shape), np.nan)
    density = 10.0 ** rng.uniform(12, 15, scan.shape)
    grains = rng.integers(0, 40, scan.shape)
    classes = [LabelClass(1, "ferrite"), LabelClass(2, "martensite")]
    labels = rng.integers(1, 3, scan.shape)
    layers = [
        layer_data(scan, kam, "KAM", "°", settings={"order": 1}),
        layer_data(scan, kam * 2, "KAM", "°", settings={"order": 2}),
        layer_data(scan, density, "GND density", "1/m²"),
        layer_data(scan, grains, "grains", kind="labels"),
        layer_data(scan, labels, "segmentation", kind="segmentation", classes=classes),
        layer_data(scan, rng.random(scan.shape), "probability of ferrite"),
        (rng.random(scan.shape), {"name": "my own image"}, "image"),
    ]
    path = tmp_path / f"all{suffix}"
    assert write_layers(str(path), layers) == [str(path)]
    again = read(path)
    expected = {
        "KAM": kam, "KAM (2)": kam * 2, "GND density": density, "grains": grains,
        "segmentation": labels, "probability of ferrite": layers[5][0],
        "my own image": layers[6][0], "MAD": scan.prop["MAD"], "BC": scan.prop["BC"],
    }  # fmt: skip
    for name, values in expected.items():
        np.testing.assert_allclose(again.get(name), values, rtol=1e-8, atol=1e-9)
    assert again.units["KAM"] == again.units["KAM (2)"] == "°"
    assert again.units["GND density"] == "1/m²"
    assert again.phases.names == ["ferrite", "martensite"]
    np.testing.assert_array_equal(again.phase_id[again.is_indexed], labels[scan.is_indexed])
    assert messages == []
    # Opened again, the layers have their units.
    viewer = ViewerModel()
    assert "GND density" in columns([again])
    assert add_column(viewer, [again], "GND density").name == "GND density [1/m²] · all"


def test_what_a_map_cannot_hold_is_told(
    tmp_path: Path, make_scan: MakeScan, messages: list[str]
) -> None:
    scan = make_scan()
    layers = [
        *map_layers(scan),
        (np.zeros((3, 2)), {"name": "points of mine"}, "points"),
        (np.zeros((9, 9)), {"name": "another size"}, "image"),
    ]
    path = tmp_path / "map.h5"
    write_layers(str(path), layers)
    assert set(read(path).prop) == {"MAD", "BC"}
    (message,) = messages
    assert "IPF-Z" in message
    assert "points of mine" in message
    assert "another size" in message
    assert "phase" not in message


def test_strokes_alone_are_phases_and_with_others_a_property(
    tmp_path: Path, make_scan: MakeScan, messages: list[str]
) -> None:
    scan = make_scan()
    strokes = np.ones(scan.shape, dtype=int)
    layer = layer_data(scan, strokes, "strokes", kind="labels", classes=[LabelClass(1, "bainite")])
    write_layers(str(tmp_path / "alone.h5"), [layer])
    assert read(tmp_path / "alone.h5").phases.names == ["bainite"]
    write_layers(str(tmp_path / "both.h5"), [layer, layer_data(scan, strokes * 0.5, "KAM")])
    both = read(tmp_path / "both.h5")
    assert both.phases.names == ["Austenite", "Ferrite"]
    np.testing.assert_array_equal(both.prop["strokes"], strokes)


def test_layers_of_several_maps_are_refused(tmp_path: Path, make_scan: MakeScan) -> None:
    one, two = make_scan(), make_scan(path=Path("other.ang"))
    layers = [layer_data(scan, scan.prop["BC"], "BC") for scan in (one, two)]
    with pytest.raises(WriteError, match=r"several maps \(steel, other\)"):
        write_layers(str(tmp_path / "map.ang"), layers)
    assert list(tmp_path.glob("map*")) == []
