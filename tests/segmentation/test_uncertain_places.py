"""Where strokes would help most."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from napari_ebsdml.errors import InputError
from napari_ebsdml.segmentation.results.uncertain_places import uncertain_places


def blob(shape, row, column, radius, height):
    i, j = np.indices(shape)
    return np.where((i - row) ** 2 + (j - column) ** 2 <= radius**2, height, 0.0)


def test_regions_come_by_their_uncertainty():
    values = (
        blob((80, 120), 20, 30, 6, 0.4) + blob((80, 120), 60, 90, 6, 0.45)
        + blob((80, 120), 60, 20, 6, 0.3)
    )  # fmt: skip
    places = uncertain_places(values)
    assert [(p.row, p.column) for p in places[:3]] == [(60, 90), (20, 30), (60, 20)]
    for place in places:
        assert place.radius == pytest.approx(6, abs=1.5)
        assert 0.25 < place.uncertainty <= 0.45
    assert len(places) == 3


def test_a_region_beats_a_seam_and_a_single_pixel():
    values = blob((60, 60), 40, 40, 5, 0.3)
    values[:, 10] = 0.5  # a boundary
    values[5, 40] = 0.5  # a pixel
    first = uncertain_places(values)[0]
    assert math.hypot(first.row - 40, first.column - 40) < 3


def test_no_place_where_painted_left_out_or_not_indexed():
    shape = (60, 90)
    values = np.full(shape, 0.4)
    painted = np.zeros(shape, int)
    painted[:, :30] = 2
    indexed = np.ones(shape, bool)
    indexed[:, 60:] = False
    values[:20] = np.nan
    places = uncertain_places(values, painted, indexed)
    assert places
    for place in places:
        assert place.row >= 20
        assert 33 <= place.column < 60


def test_places_keep_their_distance_all_over_the_map():
    rng = np.random.default_rng(0)
    values = rng.uniform(0.2, 0.5, (150, 200))
    places = uncertain_places(values, count=20, spacing=25)
    assert len(places) == 20
    for a, b in itertools.combinations(places, 2):
        assert math.hypot(a.row - b.row, a.column - b.column) >= 25
    assert np.ptp([p.row for p in places]) > 75
    assert np.ptp([p.column for p in places]) > 100


def test_nothing_to_ask_about():
    assert uncertain_places(np.full((30, 30), 0.02)) == []
    assert uncertain_places(np.full((30, 30), np.nan)) == []
    assert uncertain_places(np.full((30, 30), 0.4), np.ones((30, 30), int)) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"uncertainty": np.zeros(5)}, "must be a map"),
        ({"painted": np.zeros((3, 3))}, "painted has shape"),
        ({"where": np.zeros((3, 3))}, "where has shape"),
        ({"count": 0}, "at least 1"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(InputError, match=message):
        uncertain_places(**{"uncertainty": np.zeros((9, 9))} | arguments)
