"""How long finding phases takes, before it begins."""

from __future__ import annotations

import math

from napari_ebsdml.patterns.phases.estimate import expected_seconds, speed_from


def test_large_maps_take_the_time_of_their_patterns():
    small, large = (expected_seconds(n, 200, False, 2) for n in (10_000, 1_000_000))
    assert 60 < large / small < 100
    assert expected_seconds(1_000_000, 200, False, 8) < 0.3 * large


def test_searching_for_the_centre_and_among_more_patterns_takes_longer():
    plain = expected_seconds(5000, 200, False, 1)
    assert expected_seconds(5000, 200, True, 1) > plain
    assert expected_seconds(5000, 2000, False, 1) > plain
    # No map has more patterns than it has.
    assert expected_seconds(50, 2000, False, 1) == expected_seconds(50, 50, False, 1)


def test_a_map_that_was_done_tells_the_speed():
    assert speed_from(40.0, 80.0) == 0.5
    assert math.isnan(speed_from(40.0, 0.2))
