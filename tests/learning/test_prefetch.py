"""Prefetching: same items, same errors, no thread left behind."""

from __future__ import annotations

import threading
import time

import pytest

from napari_ebsdml.learning.prefetch import prefetch


def alive():
    return [thread for thread in threading.enumerate() if thread.name == "prefetch"]


def test_same_items_in_order():
    assert list(prefetch(iter(range(50)), 3)) == list(range(50))
    assert list(prefetch([])) == []
    assert not alive()


def test_it_works_ahead():
    made = []

    def items():
        for k in range(10):
            made.append(k)
            yield k

    stream = prefetch(items(), 2)
    assert next(stream) == 0
    deadline = time.monotonic() + 5
    while len(made) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    assert 3 <= len(made) <= 5
    stream.close()
    assert not alive()


def test_errors_come_in_their_place():
    def items():
        yield 1
        raise RuntimeError("bad data")

    stream = prefetch(items())
    assert next(stream) == 1
    with pytest.raises(RuntimeError, match="bad data"):
        next(stream)
    assert not alive()
