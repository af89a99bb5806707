"""The demonstration that `make demo` runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from skimage.io import imread

import napari_ebsdml as ebsdml
from napari_ebsdml._napari.demo import run as demo
from napari_ebsdml._napari.demo import steps as demo_steps


@pytest.mark.long
def test_demo_saves_a_picture_of_the_map(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    make_napari_viewer: Callable[..., object],
) -> None:
    names: list[str] = []
    last = demo_steps.Chapter(
        "layers", lambda viewer, scan: names.extend(layer.name for layer in viewer.layers)
    )
    monkeypatch.setattr(demo, "STORY", [*demo.STORY, last])
    path, picture = tmp_path / "steel.ctf", tmp_path / "pictures" / "gnd.png"
    ebsdml.write(path, ebsdml.samples.dual_phase_steel((60, 80), seed=2).scan)
    assert demo.main([str(path), "--output", str(picture.parent), "--quit"]) == 0
    assert {file.stem for file in picture.parent.iterdir()} == {c.picture for c in demo.STORY}
    image = imread(picture)
    assert image.shape[0] > 500
    middle = image[300:-300, 500:-300, :3].reshape(-1, 3)
    # Colours of the densities, not a grey window.
    strong = middle[np.ptp(middle.astype(int), axis=1) > 60]
    assert len({tuple(color) for color in strong[::20]}) > 10
    # Every dock has left its layers.
    for quantity in ("GND density", "total dislocation density", "KAM", "grains", "space group"):
        assert any(quantity in name for name in names), f"{quantity} not in {chr(10).join(names)}"
    assert "60 x 80 pixels" in capsys.readouterr().out


def test_strokes_lie_within_their_class() -> None:
    truth = np.ones((40, 50), int)
    truth[:, 25:] = 2
    points = demo_steps.strokes(truth)
    assert {value for *_, value in points} == {1, 2}
    assert all(truth[row, column] == value for row, column, value in points)


def test_only_the_example_has_a_known_truth() -> None:
    scan = ebsdml.samples.dual_phase_steel((60, 80), seed=2).scan
    assert demo_steps.example_truth(scan) is None


def test_demo_says_what_is_wrong_with_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make_napari_viewer: Callable[..., object]
) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("hello")
    assert demo.main([str(path), "--screenshot", str(tmp_path / "x.png")]) == 1
    assert "notes.txt" in capsys.readouterr().err
    assert not (tmp_path / "x.png").exists()
