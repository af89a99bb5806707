"""The demonstration that `make demo` runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from skimage.io import imread

import napari_ebsdml as ebsdml
from napari_ebsdml._napari import demo


def test_demo_saves_a_picture_of_the_map(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    make_napari_viewer: Callable[..., object],
) -> None:
    path, picture = tmp_path / "steel.ctf", tmp_path / "pictures" / "demo.png"
    ebsdml.write(path, ebsdml.samples.dual_phase_steel((60, 80), seed=2).scan)
    assert demo.main([str(path), "--screenshot", str(picture)]) == 0
    image = imread(picture)
    assert image.shape[0] > 500
    middle = image[300:-300, 500:-300, :3].reshape(-1, 3)
    # KAM in colours, from none to a lot.
    strong = middle[np.ptp(middle.astype(int), axis=1) > 60]
    assert len({tuple(color) for color in strong[::20]}) > 50
    assert "60 x 80 pixels" in capsys.readouterr().out


def test_demo_says_what_is_wrong_with_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make_napari_viewer: Callable[..., object]
) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("hello")
    assert demo.main([str(path), "--screenshot", str(tmp_path / "x.png")]) == 1
    assert "notes.txt" in capsys.readouterr().err
    assert not (tmp_path / "x.png").exists()
