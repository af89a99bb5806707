"""Where a segmenter looks."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from napari_ebsdml.errors import InputError
from napari_ebsdml.segmentation import Segmenter, explain
from napari_ebsdml.segmentation.explanation import AVERAGED, FILLED, SURROUNDINGS


@pytest.fixture(scope="module")
def made(steel):
    """A map on which only one of two channels tells the classes."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(2, *steel.scan.shape))
    prop = {"telling": steel.truth + 0.2 * noise[0], "idle": noise[1]}
    scan = dataclasses.replace(steel.scan, prop=prop)
    labels = np.where(rng.random(scan.shape) < 0.1, steel.truth, 0)
    return scan, Segmenter.train([(scan, labels)], ("telling", "idle"), epochs=0)


def test_the_telling_channel_comes_first(made, steel) -> None:
    scan, model = made
    found = explain(model, scan, truth=steel.truth)
    assert found.rows[0].what == "telling"
    rows = {r.what: r for r in found.rows}
    assert rows["telling"].lost > 0.3
    assert abs(rows["idle"].changed) < 0.02
    assert found.right > 0.97
    assert rows["telling"].right < 0.7
    # No orientation is used, so that altered maps change nothing.
    assert rows[AVERAGED].changed == 0
    assert found.loss.shape == scan.shape
    assert np.isfinite(found.loss).all()
    assert "telling counts most" in found.sentence
    assert "telling" in found.table()


def test_of_one_grain(made, tmp_path) -> None:
    scan, model = made
    row, column = np.argwhere(scan.is_indexed)[500]
    found = model.explain(scan, (int(row), int(column)))
    assert 0 < found.pixels < scan.phase_id.size
    assert np.isfinite(found.loss).sum() == found.pixels
    # A discriminant sees single pixels.
    surroundings = next(r for r in found.rows if r.what == SURROUNDINGS)
    assert surroundings.changed == 0
    found.save(tmp_path / "explained.png")
    assert (tmp_path / "explained.png").stat().st_size > 5000


def test_a_network_sees_pixels_that_are_not_indexed(model, steel) -> None:
    found = model.explain(steel.scan)
    assert {r.what for r in found.rows} == {"BS", "KAM", "Indexed", AVERAGED, FILLED}
    shares = [r.changed for r in found.rows]
    assert max(shares) > 0.02
    mask = np.zeros(steel.scan.shape, bool)
    mask[40:60, 40:60] = True
    part = model.explain(steel.scan, mask)
    assert part.pixels == 400
    assert next(r for r in part.rows if r.what == SURROUNDINGS).lost != 0


def test_wrong_arguments(made) -> None:
    scan, model = made
    with pytest.raises(InputError, match="no pixel"):
        explain(model, scan, (999, 0))
    with pytest.raises(InputError, match="no pixel"):
        explain(model, scan, np.zeros(scan.shape, bool))
    with pytest.raises(InputError, match="mask"):
        explain(model, scan, np.ones((2, 2), bool))
    row, column = np.argwhere(~scan.is_indexed)[0]
    with pytest.raises(InputError, match="not indexed"):
        explain(model, scan, (int(row), int(column)))
