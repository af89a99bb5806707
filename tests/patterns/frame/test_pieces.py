from __future__ import annotations

import dask.array as da
import numpy as np
import pytest

from napari_ebsdml.errors import Cancelled
from napari_ebsdml.patterns.frame import pieces as stream
from napari_ebsdml.patterns.frame.pieces import blocks
from napari_ebsdml.patterns.simulated.synthetic import CLEAN, random_quaternions, spoil
from tests.patterns.band_crystals import CAMERA, project


def whole(patterns):
    parts, at = [], 0
    for start, block in blocks(patterns):
        assert start == at
        at += len(block)
        parts.append(block)
    return np.concatenate(parts), [len(part) for part in parts]


@pytest.mark.parametrize("shape", [(20, 20), (7, 20, 20), (5, 3, 20, 20), (2, 3, 4, 20, 20)])
def test_blocks_are_the_patterns_in_order(shape, monkeypatch):
    values = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    for limit in (stream.READ_BYTES, 5000):
        monkeypatch.setattr(stream, "READ_BYTES", limit)
        lazy = da.from_array(values, chunks=(2, *shape[1:])) if len(shape) > 2 else values
        for patterns in (values, lazy):
            found, _ = whole(patterns)
            np.testing.assert_array_equal(found, values.reshape(-1, 20, 20))


def test_each_chunk_is_made_once(monkeypatch):
    calls = []

    def make(block_info=None):
        shape = block_info[None]["chunk-shape"]
        calls.append(shape)
        return np.zeros(shape, np.uint8)

    lazy = da.map_blocks(make, chunks=((3, 3, 3, 1), (4,), (16,), (16,)), dtype=np.uint8,
                         meta=np.empty((0, 0, 0, 0), np.uint8))  # fmt: skip
    calls.clear()
    # A row has 1024 bytes: a chunk of three rows is more than is read at once, yet read whole.
    monkeypatch.setattr(stream, "READ_BYTES", 2048)
    found, _ = whole(lazy)
    assert len(found) == 40
    assert len(calls) == 4


def test_a_long_row_is_read_in_parts(monkeypatch):
    monkeypatch.setattr(stream, "READ_BYTES", 1000)
    values = np.arange(2 * 30 * 256, dtype=np.uint16).reshape(2, 30, 16, 16)
    found, sizes = whole(values)
    np.testing.assert_array_equal(found, values.reshape(-1, 16, 16))
    assert max(sizes) * 512 <= 1000


def test_a_stream_is_cancelled_in_between_and_answers_are_shared(model, library, monkeypatch):
    monkeypatch.setattr(stream, "READ_BYTES", 1 << 23)
    rng = np.random.default_rng(0)
    q = random_quaternions(rng, 8)
    tile = spoil(project(library, np.arange(8), q), rng, CLEAN)
    made = []

    def make(block_info=None):
        rows = block_info[None]["chunk-shape"][0]
        made.append(rows)
        return np.tile(tile, (rows, 1, 1, 1))

    lazy = da.map_blocks(make, chunks=((250,) * 8, (8,), (60,), (60,)), dtype=np.uint8,
                         meta=np.empty((0, 0, 0, 0), np.uint8))  # fmt: skip
    made.clear()

    def stop(part):
        if part > 0.2:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        model.predict(lazy, np.tile(q, (2000, 1, 1)), CAMERA, progress=stop)
    looked_at = 8
    assert looked_at < len(made) < looked_at + 8
    result = model.predict(lazy[:250], np.tile(q, (250, 1, 1)), CAMERA)
    np.testing.assert_array_equal(result.space_group, np.tile(result.space_group[:1], (250, 1)))
    assert len({id(other) for other in result.ambiguous_with.flat}) <= 8
