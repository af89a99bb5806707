from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_ebsdml.errors import Cancelled, InputError, MissingDataError
from napari_ebsdml.maps import (
    disorientation_angle,
    gos,
    grain_mean_orientation,
    grain_table,
    grod,
    homogenise,
    misorientation_map,
    segment_grains,
)

CLASSES = ("m-3m", "6/mmm", "-3m", "mmm", "2/m", "m-3", "-1")


def _bicrystal(turn, rows=6, columns=8, degrees=10.0):
    q = np.tile(turn((1, 2, 3), 25.0), (rows, columns, 1))
    q[:, columns // 2 :] = turn((1, 2, 3), 25.0 + degrees)
    return q


def test_bicrystal(turn, make):
    labels = segment_grains(make(_bicrystal(turn)))
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels, np.tile(np.repeat((1, 2), 4), (6, 1)))
    assert segment_grains(make(_bicrystal(turn)), threshold=10.1).max() == 1
    assert segment_grains(make(_bicrystal(turn)), threshold=9.9).max() == 2


def test_gradient_joins_and_corner_contact_does_not(turn, make):
    q = np.tile(turn((1, 0, 0), 1.0 * np.arange(20)), (3, 1, 1))
    assert segment_grains(make(q)).max() == 1
    q = turn((1, 0, 0), np.array([[0.0, 20.0], [20.0, 0.0]]))
    np.testing.assert_array_equal(segment_grains(make(q)), [[1, 2], [3, 4]])


def test_phases_and_not_indexed_pixels_split(turn, make):
    q = np.tile(turn((1, 0, 0), 5.0), (1, 7, 1))
    ids = np.array([[0, 0, -1, 0, 1, 1, -1]])
    scan = make(q, ("m-3m", "m-3m"), ids)
    np.testing.assert_array_equal(segment_grains(scan), [[1, 1, 0, 2, 3, 3, 0]])
    np.testing.assert_array_equal(segment_grains(scan, min_pixels=2), [[1, 1, 0, 0, 2, 2, 0]])


def test_same_grains_as_an_independent_labelling(rng, turn, times, random_quaternions, make):
    # Voronoi-like patches with noise of the order of the threshold.
    seeds = random_quaternions(rng, 12)
    patch = ndimage.zoom(rng.integers(12, size=(5, 6)), 8, order=0)
    noise = times(turn((0, 0, 1), rng.normal(0, 1.5, patch.shape)), seeds[patch])
    scan = make(noise)
    labels = segment_grains(scan)
    pairs = misorientation_map(scan) < 3.0
    # Pixels on even places, links between them; scipy finds the connected pieces.
    fine = np.zeros((2 * patch.shape[0] - 1, 2 * patch.shape[1] - 1), dtype=bool)
    fine[::2, ::2] = True
    fine[::2, 1::2] = pairs[0, :, :-1]
    fine[1::2, ::2] = pairs[1, :-1]
    expected, n = ndimage.label(fine)
    expected = expected[::2, ::2]
    assert labels.max() == n
    assert len(np.unique(np.stack((labels.ravel(), expected.ravel())), axis=1).T) == n
    # Numbered by first pixel.
    first = np.unique(labels, return_index=True)[1]
    assert (np.diff(first) > 0).all()


@pytest.mark.parametrize("name", CLASSES)
def test_variants_in_the_file_change_nothing(
    name, rng, turn, times, random_quaternions, make, scramble
):
    base = random_quaternions(rng, 4)[np.repeat(np.repeat([[0, 1], [2, 3]], 6, 0), 7, 1)]
    q = times(turn((2, -1, 1), rng.uniform(0, 2, base.shape[:2])), base)
    plain, mixed = make(q, (name,)), make(scramble(rng, q, name), (name,))
    labels = segment_grains(plain)
    np.testing.assert_array_equal(segment_grains(mixed), labels)
    np.testing.assert_allclose(homogenise(mixed, labels), homogenise(plain, labels), atol=1e-9)
    np.testing.assert_allclose(
        grain_mean_orientation(mixed, labels), grain_mean_orientation(plain, labels), atol=1e-9
    )
    np.testing.assert_allclose(grod(mixed, labels), grod(plain, labels), atol=1e-6)


def test_homogenised_grains_are_continuous_and_equivalent(
    rng, turn, times, random_quaternions, make, scramble
):
    # A gradient of 80 degrees in one grain: reduction to the fundamental zone would jump.
    q = times(turn((1, 1, 0), np.linspace(0, 80, 60)), random_quaternions(rng, 1))[None]
    q = np.tile(q, (4, 1, 1))
    ids = np.zeros((4, 60), dtype=int)
    ids[2, 10:20] = -1
    scan = make(scramble(rng, q, "m-3m"), phase_id=ids)
    labels = segment_grains(scan)
    assert labels.max() == 1
    smooth = homogenise(scan, labels)
    there = ids == 0
    steps = np.einsum("ijc,ijc->ij", smooth[:, 1:], smooth[:, :-1])[there[:, 1:] & there[:, :-1]]
    step = np.cos(np.deg2rad(80 / 59 / 2))
    np.testing.assert_allclose(steps, step, atol=1e-9)
    np.testing.assert_array_equal(smooth[~there], 0)
    np.testing.assert_allclose(disorientation_angle(smooth[there], q[there], "m-3m"), 0, atol=1e-5)


def test_pixels_of_no_grain_are_reduced_one_by_one(rng, random_quaternions, make):
    scan = make(random_quaternions(rng, 5, 5))
    alone = homogenise(scan, np.zeros((5, 5), dtype=int))
    # Fundamental zone of 432: at most 62.8 degrees.
    assert (alone[..., 0] >= np.cos(np.deg2rad(62.8 / 2))).all()
    np.testing.assert_allclose(disorientation_angle(alone, scan.quaternions, "m-3m"), 0, atol=1e-5)


def test_mean_orientation_grod_and_gos_of_a_gradient(turn, make):
    angles = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    scan = make(np.tile(turn((1, 0, 0), 10 + angles), (3, 1, 1)))
    labels = segment_grains(scan)
    mean = grain_mean_orientation(scan, labels)
    np.testing.assert_array_equal(mean[0], 0)
    np.testing.assert_allclose(mean[1], turn((1, 0, 0), 10.0), atol=1e-9)
    np.testing.assert_allclose(grod(scan, labels), np.tile(np.abs(angles), (3, 1)), atol=1e-7)
    np.testing.assert_allclose(gos(scan, labels), [0, 6 / 5], atol=1e-7)


def test_mean_is_the_first_eigenvector(rng, turn, times, random_quaternions, make):
    noise = random_quaternions(rng, 8, 9) * 0.1 + (1.0, 0, 0, 0)
    noise /= np.linalg.norm(noise, axis=-1, keepdims=True)
    scan = make(times(noise, turn((0, 0, 1), 5.0)), ("-1",))
    labels = np.ones((8, 9), dtype=int)
    q = scan.quaternions.reshape(-1, 4)
    expected = np.linalg.eigh(q.T @ q)[1][:, -1]
    mean = grain_mean_orientation(scan, labels)[1]
    assert abs(mean @ expected) == pytest.approx(1, abs=1e-12)


def test_table_of_an_ellipse(turn, make):
    y, x = np.mgrid[:120, :160].astype(float)
    dy, dx = 0.5, 0.25
    # Half axes 12 and 6 um, long axis 30 degrees below x.
    u, v = (x - 80) * dx, (y - 60) * dy
    cos, sin = np.cos(np.deg2rad(30)), np.sin(np.deg2rad(30))
    body = ((u * cos + v * sin) / 12) ** 2 + ((-u * sin + v * cos) / 6) ** 2 <= 1
    q = np.where(body[..., None], turn((1, 0, 0), 30.0), turn((1, 0, 0), 0.0))
    scan = make(q, step=(dy, dx), prop={"bc": np.where(body, 7.0, np.nan), "IQ": y})
    labels = segment_grains(scan)
    table = grain_table(scan, labels)
    np.testing.assert_array_equal(table["id"], [1, 2])
    body_row = {name: column[1] for name, column in table.items()}
    assert body_row["pixels"] == body.sum()
    assert body_row["area"] == pytest.approx(np.pi * 12 * 6, rel=0.01)
    assert body_row["equivalent_diameter"] == pytest.approx(2 * np.sqrt(72), rel=0.01)
    assert body_row["centroid_y"] == pytest.approx(30, abs=0.01)
    assert body_row["centroid_x"] == pytest.approx(20, abs=0.01)
    assert body_row["major_axis"] == pytest.approx(24, rel=0.01)
    assert body_row["minor_axis"] == pytest.approx(12, rel=0.01)
    assert body_row["aspect_ratio"] == pytest.approx(2, rel=0.01)
    assert body_row["ellipse_angle"] == pytest.approx(30, abs=0.5)
    # Ramanujan's perimeter of the ellipse.
    assert body_row["perimeter"] == pytest.approx(58.13, rel=0.03)
    assert body_row["mean_BC"] == 7
    assert np.isnan(table["mean_BC"][0])
    assert body_row["mean_IQ"] == pytest.approx(60, abs=0.01)
    assert body_row["gos"] == pytest.approx(0, abs=1e-9)
    assert table["touches_edge"].tolist() == [True, False]
    np.testing.assert_allclose(
        [body_row[f"mean_{c}"] for c in "wxyz"], turn((1, 0, 0), 30.0), atol=1e-12
    )


def test_perimeter_of_circles_on_square_pixels(turn, make):
    y, x = np.mgrid[:81, :81] - np.array([40.2, 39.7])[:, None, None]
    for radius in (10.3, 20.6, 35.2):
        body = y**2 + x**2 <= radius**2
        table = grain_table(make(np.tile(turn((0, 0, 1), 0.0), (81, 81, 1))), body.astype(int))
        assert table["perimeter"][0] == pytest.approx(2 * np.pi * radius, rel=0.03)


def test_table_with_gaps_in_labels_and_not_indexed_pixels(turn, make):
    ids = np.zeros((3, 4), dtype=int)
    ids[0], ids[1, 0] = -1, -1
    scan = make(np.tile(turn((0, 0, 1), 5.0), (3, 4, 1)), phase_id=ids)
    labels = np.array([[2] * 4, [5] * 4, [0] * 4])
    table = grain_table(scan, labels, properties=())
    np.testing.assert_array_equal(table["id"], [2, 5])
    np.testing.assert_array_equal(table["phase"], [-1, 0])
    np.testing.assert_array_equal(table["pixels"], [4, 4])
    np.testing.assert_allclose(table["mean_w"], [0, np.cos(np.deg2rad(2.5))])
    assert not [name for name in table if name in ("mean_BC", "mean_IQ")]


@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (6, 1)])
def test_thin_maps(shape, turn, make):
    q = turn((0, 1, 0), 20.0 * (np.arange(shape[0] * shape[1]) // 3)).reshape(*shape, 4)
    scan = make(q)
    labels = segment_grains(scan)
    assert labels.max() == (1 if shape == (1, 1) else 2)
    table = grain_table(scan, labels)
    assert table["pixels"].sum() == q.shape[0] * q.shape[1]
    assert np.isfinite(table["aspect_ratio"]).all()


def test_nothing_indexed(make):
    scan = make(np.zeros((3, 4, 4)), phase_id=np.full((3, 4), -1))
    labels = segment_grains(scan)
    assert not labels.any()
    assert not homogenise(scan, labels).any()
    assert not grod(scan, labels).any()
    assert all(len(column) == 0 for column in grain_table(scan, labels).values())


def test_bad_labels_and_arguments(turn, make):
    scan = make(np.tile(turn((0, 0, 1), 5.0), (2, 3, 1)), ("m-3m", "m-3m"), [[0, 0, 1]] * 2)
    good = np.ones((2, 3), dtype=int)
    for labels, message in (
        (good[:1], r"labels have shape \(1, 3\)"),
        (good * 1.0, "whole numbers"),
        (-good, "run from -1"),
        (good * 100, "relabel_sequential"),
        (good, r"Label 1 covers pixels of phases \[0, 1\]"),
    ):
        with pytest.raises(InputError, match=message):
            homogenise(scan, labels)
        with pytest.raises(InputError, match=message):
            grain_table(scan, labels)
    with pytest.raises(InputError, match="min_pixels"):
        segment_grains(scan, min_pixels=0)
    with pytest.raises(InputError, match="threshold"):
        segment_grains(scan, threshold=181)
    with pytest.raises(MissingDataError, match="BC"):
        grain_table(scan, good * [[1, 1, 2]], properties=["BC"])


def test_cancel(make, rng, random_quaternions):
    scan = make(random_quaternions(rng, 500, 600))

    def stop(fraction: float) -> None:
        raise Cancelled

    for work in (
        lambda: segment_grains(scan, progress=stop),
        lambda: homogenise(scan, np.ones(scan.shape, dtype=int), progress=stop),
    ):
        with pytest.raises(Cancelled):
            work()


def test_real_magnesium_twins(shared):
    """Most twin boundaries of Mg are near 86.3 degrees about <2-1-10>."""
    import napari_ebsdml

    scan = napari_ebsdml.read(shared / "maps" / "mg_twins.ctf")
    labels = segment_grains(scan, threshold=5.0, min_pixels=5)
    assert (labels[~scan.is_indexed] == 0).all()
    angles = misorientation_map(scan)
    angles = angles[angles > 15]
    near_twin = np.abs(angles - 86.3) < 4
    assert near_twin.mean() > 0.3
    smooth = homogenise(scan, labels)
    inside = (labels[:, 1:] == labels[:, :-1]) & (labels[:, 1:] > 0)
    both = scan.is_indexed[:, 1:] & scan.is_indexed[:, :-1]
    dots = np.einsum("ijc,ijc->ij", smooth[:, 1:], smooth[:, :-1])[inside & both]
    # No jumps: neighbours of one grain are never at a symmetry operation from each other.
    assert dots.min() > np.cos(np.deg2rad(15))
