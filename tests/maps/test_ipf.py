from __future__ import annotations

import numpy as np
import pytest
from orix.crystal_map import Phase, PhaseList
from orix.quaternion import Orientation
from orix.vector import Vector3d

from napari_ebsdml.errors import Cancelled, InputError, MissingDataError
from napari_ebsdml.maps import LAUE_CLASSES, ipf, ipf_colors, ipf_key
from napari_ebsdml.scan import Scan


@pytest.mark.parametrize("name", LAUE_CLASSES)
@pytest.mark.parametrize("direction", [(0, 0, 1), (1, 0, 0), (-0.3, 2.0, 0.7)])
def test_same_colors_as_orix(name, direction, rng, random_quaternions, make):
    from orix.plot import IPFColorKeyTSL

    q = random_quaternions(rng, 20, 30)
    group = Phase(point_group=name).point_group
    expected = IPFColorKeyTSL(group, direction=Vector3d(direction)).orientation2color(
        Orientation(q.reshape(-1, 4), symmetry=group)
    )
    colors = ipf_colors(make(q, (name,)), direction)
    np.testing.assert_allclose(colors, expected.reshape(20, 30, 3), atol=1e-3)


@pytest.mark.parametrize("name", [*LAUE_CLASSES, "312", "211", "121"])
def test_equivalent_orientations_have_one_color(name, rng, random_quaternions, make, scramble):
    q = random_quaternions(rng, 20, 50)
    plain = ipf_colors(make(q, (name,)))
    mixed = ipf_colors(make(scramble(rng, q, name), (name,)))
    opposite = ipf_colors(make(q, (name,)), (0, 0, -1))
    np.testing.assert_allclose(mixed, plain, atol=1e-3)
    np.testing.assert_allclose(opposite, plain, atol=1e-3)
    assert plain.std() > 0.1


@pytest.mark.parametrize("name", LAUE_CLASSES)
def test_small_and_large_maps_are_colored_alike(name, rng, random_quaternions, make, monkeypatch):
    scan = make(random_quaternions(rng, 30, 40), (name,))
    plain = ipf_colors(scan, (0.2, -1, 0.4))
    monkeypatch.setattr(ipf, "_MOST_PLAIN", 0)
    np.testing.assert_allclose(ipf_colors(scan, (0.2, -1, 0.4)), plain, atol=1e-6)


def test_corners_of_the_cubic_triangle_are_pure(make, turn):
    # Specimen z along [001], [011] and [111] of the crystal: red, green, blue.
    q = [turn((1, 0, 0), 0), turn((1, 0, 0), 45), turn((1, -1, 0), 54.7356103)]
    np.testing.assert_allclose(ipf_colors(make([q]))[0], np.eye(3), atol=0.01)


def test_each_phase_has_its_own_key_and_not_indexed_is_nan(make, rng, random_quaternions):
    q = random_quaternions(rng, 6, 8)
    ids = rng.integers(-1, 2, size=(6, 8))
    both = ipf_colors(make(q, ("m-3m", "6/mmm"), ids))
    assert both.dtype == np.float32
    assert np.isnan(both[ids < 0]).all()
    for n, name in enumerate(("m-3m", "6/mmm")):
        single = ipf_colors(make(q, (name,)))
        np.testing.assert_array_equal(both[ids == n], single[ids == n])


def test_all_not_indexed(make):
    colors = ipf_colors(make(np.zeros((2, 3, 4)), phase_id=np.full((2, 3), -1)))
    assert np.isnan(colors).all()


@pytest.mark.parametrize("direction", [(0, 0, 0), (1, 0), "z", (np.nan, 0, 1), None])
def test_bad_direction(direction, make):
    with pytest.raises(InputError, match="direction must be three numbers"):
        ipf_colors(make(np.ones((1, 1, 4)) / 2), direction)


def test_missing_symmetry_orientations_and_unit_length(make):
    q = np.ones((2, 2, 4)) / 2
    scan = Scan(
        quaternions=q, phase_id=np.zeros((2, 2)), phases=PhaseList(Phase(name="x")), step=(1, 1)
    )
    with pytest.raises(MissingDataError, match="'x' has no point group"):
        ipf_colors(scan)
    with pytest.raises(MissingDataError, match="no orientations"):
        ipf_colors(make(np.zeros((2, 2, 4))))
    q[1, 0] = np.nan
    with pytest.raises(InputError, match=r"\(1, 0\).*unit length"):
        ipf_colors(make(q))


def test_progress_reaches_one_and_cancels(make, rng, random_quaternions):
    scan = make(random_quaternions(rng, 600, 500))
    seen: list[float] = []
    ipf_colors(scan, progress=seen.append)
    assert seen == sorted(seen)
    assert len(seen) > 2
    assert seen[-1] == pytest.approx(1)

    def stop(fraction: float) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        ipf_colors(scan, progress=stop)


@pytest.mark.parametrize("name", [*LAUE_CLASSES, "312"])
def test_key_picture_shows_the_colors_of_the_map(name, make):
    key = ipf_key(name, size=64)
    assert key.laue_class == ("-3m" if name == "312" else name)
    assert max(key.rgba.shape[:2]) == 64
    opaque = key.rgba[key.rgba[..., 3] == 255][:, :3] / 255
    # All hues appear, and a white centre.
    assert (opaque.max(axis=0) > 0.98).all()
    assert (opaque.min(axis=0) < 0.15).all()
    assert opaque.min(axis=1).max() > 0.95
    assert (key.rgba[..., 3] == 0).any()
    for _, row, column in key.labels:
        assert -1 <= row <= key.rgba.shape[0] + 1
        assert -1 <= column <= key.rgba.shape[1] + 1


def test_key_labels_sit_on_their_colors():
    for name, expected in (
        ("m-3m", {"[001]": (1, 0, 0), "[101]": (0, 1, 0), "[111]": (0, 0, 1)}),
        (
            "6/mmm",
            {"[0001]": (1, 0, 0), "[21\u03051\u03050]": (0, 1, 0), "[101\u03050]": (0, 0, 1)},
        ),
    ):
        key = ipf_key(name, size=400)
        assert {text for text, *_ in key.labels} == set(expected)
        for text, row, column in key.labels:
            rows, columns = np.nonzero(key.rgba[..., 3] == 255)
            nearest = np.argmin((rows - row) ** 2 + (columns - column) ** 2)
            color = key.rgba[rows[nearest], columns[nearest], :3] / 255
            np.testing.assert_allclose(color, expected[text], atol=0.06)


def test_key_size_is_checked():
    with pytest.raises(InputError, match="size"):
        ipf_key("m-3m", size=4)
