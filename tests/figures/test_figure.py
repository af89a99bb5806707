"""Figures: sizes, numbers, keys, odd maps, and files that come whole."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

import napari_ebsdml as ebsdml
from napari_ebsdml.figures import layers_of
from napari_ebsdml.figures.content import of_array
from napari_ebsdml.figures.drawing import length_text, nice_length


@pytest.fixture(scope="module")
def scan() -> ebsdml.Scan:
    return ebsdml.samples.dual_phase_steel((40, 56), 0.3, seed=2).scan


def texts(drawn: Figure) -> list[str]:
    found = [text.get_text() for ax in drawn.axes for text in ax.texts]
    for ax in drawn.axes:
        found += [label.get_text() for label in (*ax.get_xticklabels(), *ax.get_yticklabels())]
    return [text for text in found if text]


def test_size_in_mm_and_dots(scan: ebsdml.Scan, tmp_path: Path) -> None:
    drawn = ebsdml.figure(scan, "BC", tmp_path / "a.png", width=90, dpi=200)
    assert drawn.get_figwidth() * 25.4 == pytest.approx(90)
    with Image.open(tmp_path / "a.png") as image:
        assert image.width == pytest.approx(90 / 25.4 * 200, abs=1)
        told = json.loads(image.info["Description"])
    assert told["layer"] == "BC"
    # Pixels of the map are as wide and high as the step says.
    ax = drawn.axes[0]
    box = ax.get_position()
    size = drawn.get_size_inches()
    assert box.width * size[0] / (box.height * size[1]) == pytest.approx(56 / 40, rel=1e-3)


def test_scale_bar_is_as_long_as_it_says(scan: ebsdml.Scan) -> None:
    drawn = ebsdml.figure(scan, "BC")
    (bar,) = (ax for ax in drawn.axes if ax.collections and not ax.images and ax.get_xlim()[0] == 0
              and len(ax.texts) == 2)  # fmt: skip
    (left, _), (right, _) = bar.collections[0].get_datalim(bar.transData).get_points()
    length = right - left
    assert any(text == f"{length:g} µm" for text in texts(drawn))
    assert any("step 0.1 µm" in text for text in texts(drawn))
    # As long as it says on the map's own axes: both span the map.
    map_width = drawn.axes[0].get_xlim()[1] - drawn.axes[0].get_xlim()[0]
    assert bar.get_xlim()[1] == pytest.approx(map_width)
    assert bar.get_position().width == pytest.approx(drawn.axes[0].get_position().width)


@pytest.mark.parametrize(
    ("width", "length", "text"),
    [(100, 20, "20 µm"), (5.6, 1, "1 µm"), (0.4, 0.1, "100 nm"), (9000, 2000, "2 mm")],
)
def test_round_lengths(width: float, length: float, text: str) -> None:
    assert nice_length(width) == pytest.approx(length)
    assert length_text(length) == text


def test_a_density_has_real_numbers(scan: ebsdml.Scan) -> None:
    drawn = ebsdml.figure(scan, "GND")
    drawn.canvas.draw()
    shown = drawn.axes[0].images[0]
    want = ebsdml.gnd_density(scan).total
    np.testing.assert_allclose(np.ma.filled(shown.get_array(), np.nan), want)
    assert any(re.search(r"10\^\{1[2-6]\}", text) for text in texts(drawn))
    assert any("1/m²" in text for text in texts(drawn))
    assert not any("log" in text for text in texts(drawn))


def test_every_layer_of_a_map_can_be_drawn(scan: ebsdml.Scan) -> None:
    for layer in layers_of(scan):
        drawn = ebsdml.figure(scan, layer)
        assert drawn.axes[0].images, layer
    with pytest.raises(ebsdml.MissingDataError, match=r"nothing called 'XYZ'.*KAM"):
        ebsdml.figure(scan, "XYZ")


def test_ipf_key_and_what_is_not_indexed(scan: ebsdml.Scan) -> None:
    shown = texts(ebsdml.figure(scan, "ipf-z"))
    assert {"[001]", "[101]", "[111]", "not indexed"} <= set(shown)
    whole = dataclasses.replace(
        scan, phase_id=np.ones(scan.shape, int), quaternions=np.full((*scan.shape, 4), 0.5)
    )
    assert "not indexed" not in texts(ebsdml.figure(whole, "IPF-Z"))
    alpha = ebsdml.figure(scan, "IPF-Z").axes[0].images[0].get_array()[..., 3]
    np.testing.assert_array_equal(alpha > 0, scan.is_indexed)


def test_classes_have_their_colors_and_names(scan: ebsdml.Scan) -> None:
    labels = np.zeros(scan.shape, int)
    labels[:, 20:40], labels[:, 40:] = 1, 7
    drawn = ebsdml.figure(
        scan, labels, classes={1: "ferrite", 7: ("martensite", "#0072b2"), 9: "absent"}
    )
    assert {"ferrite", "martensite"} <= set(texts(drawn))
    assert "absent" not in texts(drawn)
    picture = drawn.axes[0].images[0].get_array()
    assert picture[0, 50].tolist() == [0x00, 0x72, 0xB2, 255]
    assert picture[0, 0, 3] == 0
    many = np.arange(scan.phase_id.size).reshape(scan.shape) % 300 + 1
    drawn = ebsdml.figure(scan, many, classes={n: f"phase number {n}" for n in range(1, 301)})
    assert any(re.fullmatch(r"and \d+ more", text) for text in texts(drawn))


@pytest.mark.parametrize(
    "cut",
    [
        (slice(0, 1), slice(None)),
        (slice(None), slice(3, 4)),
        (slice(0, 1), slice(0, 1)),
        (slice(0, 8), slice(None)),
    ],
)
def test_odd_shapes(scan: ebsdml.Scan, cut: tuple[slice, slice], tmp_path: Path) -> None:
    part = scan.crop(*cut)
    for layer in ("IPF-Z", "BC", "phase"):
        ebsdml.figure(part, layer, tmp_path / "a.png", dpi=60)
    with Image.open(tmp_path / "a.png") as image:
        assert 0.1 < image.width / image.height < 20


def test_no_indexed_pixel(scan: ebsdml.Scan) -> None:
    bare = scan.without(np.ones(scan.shape, bool))
    assert "not indexed" in texts(ebsdml.figure(bare, "IPF-Z"))
    nan = np.full(scan.shape, np.nan)
    assert "not indexed" in texts(ebsdml.figure(bare, nan, log=True, unit="1/m²"))
    assert "no value" in texts(ebsdml.figure(scan, nan))


def test_boundaries_over_the_map(scan: ebsdml.Scan) -> None:
    drawn = ebsdml.figure(scan, "BC", boundaries=True)
    (collections,) = (ax.collections for ax in drawn.axes[:1])
    number = sum(len(one.get_segments()) for one in collections)
    assert number == len(ebsdml.maps.boundary_segments(scan).lines)
    assert any(text.startswith("high angle") for text in texts(drawn))


@pytest.mark.parametrize("ending", ["png", "tif", "svg", "pdf"])
def test_files_are_whole_and_the_same_again(scan: ebsdml.Scan, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    ebsdml.figure(scan, "KAM", path)
    first = path.read_bytes()
    start = {"png": b"\x89PNG", "tif": b"II*", "svg": b"<?xml", "pdf": b"%PDF"}[ending]
    assert first.startswith(start)
    ebsdml.figure(scan, "KAM", path)
    assert path.read_bytes() == first
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    if ending == "svg":
        assert "KAM" in re.findall(r"<text[^>]*>([^<]*)", first.decode())[0]
    if ending == "tif":
        with Image.open(path) as image:
            assert image.info["dpi"][0] == pytest.approx(300)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"layer": "BC", "path": "a.jpg"}, "written as .png"),
        ({"layer": np.zeros((3, 3))}, "of shape"),
        ({"layer": "BC", "width": 2}, "width must be 20"),
        ({"layer": "BC", "colour": "red"}, "no argument 'colour'"),
        ({"layer": "BC", "limits": (3, 1)}, "limits must be"),
        ({"layer": "GND", "limits": (0, 1e15)}, "above 0"),
        ({"layer": "BC", "colors": "nonsense"}, "no colour map"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    scan: ebsdml.Scan, arguments: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ebsdml.InputError, match=problem):
        ebsdml.figure(scan, **arguments)
    with pytest.raises(ebsdml.InputError, match="3 or 4"):
        of_array(scan, np.zeros((*scan.shape, 5)), "", "", None, False)


def test_a_file_that_cannot_be_written(scan: ebsdml.Scan, tmp_path: Path) -> None:
    with pytest.raises(ebsdml.WriteError, match="nowhere"):
        ebsdml.figure(scan, "BC", tmp_path / "nowhere" / "a.png")


def test_hexagonal_map(shared: Path) -> None:
    found = ebsdml.read(shared / "maps" / "cu_hexgrid.ang")
    drawn = ebsdml.figure(found, "IPF-Z")
    assert any("step 0.2 ×" in text or "step 0.2 µm" in text for text in texts(drawn))


def test_command(scan: ebsdml.Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_ebsdml import cli

    ebsdml.write(tmp_path / "map.ctf", scan)
    target = tmp_path / "kam.png"
    monkeypatch.setattr(
        "sys.argv", ["ebsdml", "figure", str(tmp_path / "map.ctf"), "KAM", "-o", str(target),
                     "--dpi", "100", "--limits", "0", "2"],
    )  # fmt: skip
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert not stop.value.code
    with Image.open(target) as image:
        assert image.width == pytest.approx(85 / 25.4 * 100, abs=1)
