"""The demonstration that `make demo` runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from skimage.io import imread

import napari_ebsdml as ebsdml
from napari_ebsdml import Scan
from napari_ebsdml._napari import demo


def test_demo_saves_a_picture_of_the_map(
    tmp_path: Path,
    make_scan: Callable[..., Scan],
    capsys: pytest.CaptureFixture[str],
    make_napari_viewer: Callable[..., object],
) -> None:
    path, picture = tmp_path / "steel.ctf", tmp_path / "pictures" / "demo.png"
    ebsdml.write(path, make_scan((30, 40)))
    assert demo.main([str(path), "--screenshot", str(picture)]) == 0
    image = imread(picture)
    assert image.shape[0] > 500
    middle = image[300:-300, 500:-300, :3].reshape(-1, 3)
    # IPF colours of random orientations: many strong ones.
    strong = middle[(middle.max(axis=1).astype(int) - middle.min(axis=1)) > 100]
    assert len({tuple(color) for color in strong[::50]}) > 20
    assert "30 x 40 pixels" in capsys.readouterr().out


def test_demo_says_what_is_wrong_with_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make_napari_viewer: Callable[..., object]
) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("hello")
    assert demo.main([str(path), "--screenshot", str(tmp_path / "x.png")]) == 1
    assert "notes.txt" in capsys.readouterr().err
    assert not (tmp_path / "x.png").exists()
