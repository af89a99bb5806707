from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from napari_ebsdml.errors import InputError, MissingDataError
from napari_ebsdml.learning.model_card import Entries
from napari_ebsdml.maps import disorientation_angle, kam, segment_grains
from napari_ebsdml.segmentation.inputs.augment import (
    TURNS,
    turn_crop,
    turn_map,
    turn_orientations,
    vary_brightness,
)
from napari_ebsdml.segmentation.inputs.channels import (
    COMPUTED_CHANNELS,
    channel_names,
    compute_channels,
    default_channels,
    with_property,
)
from napari_ebsdml.segmentation.inputs.local import LOCAL_NAMES, local_misorientation
from napari_ebsdml.segmentation.inputs.normalise import Normaliser
from napari_ebsdml.segmentation.inputs.planes import Plane
from napari_ebsdml.segmentation.inputs.relative import QUALITY_NAMES


def turned_scan(scan, turn):
    """The same specimen measured after a turn."""

    def move(a):
        return np.ascontiguousarray(turn_map(a, turn))

    q = turn_orientations(scan.quaternions, turn)
    return dataclasses.replace(
        scan,
        quaternions=np.stack([move(q[..., n]) for n in range(4)], axis=-1),
        phase_id=move(scan.phase_id),
        prop={name: move(v) for name, v in scan.prop.items()},
    )


def test_rotation_of_the_specimen_agrees_with_the_turn_of_the_map():
    # A point at the right of the map, its vector turned as the quaternion says.
    for turn, (_, _, (w, x, y, z)) in enumerate(TURNS):
        image = np.zeros((3, 3))
        image[1, 2] = 1  # +x
        image[0, 1] = 2  # -y
        matrix = np.array(
            [
                [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
                [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
                [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
            ]
        )
        moved = turn_map(image, turn)
        for value, vector in ((1, (1, 0, 0)), (2, (0, -1, 0))):
            new = matrix @ vector
            row, column = np.argwhere(moved == value)[0]
            np.testing.assert_allclose(new, (column - 1, row - 1, 0), atol=1e-12)


@pytest.mark.parametrize("turn", range(8))
def test_turned_crop_equals_channels_of_the_turned_scan(steel, turn):
    names = ("BC", "KAM", "Quaternions", "Local", "IPF", "GrainSize")
    stack = compute_channels(steel.scan, names, turns=True)
    first = [p.role for p in stack.planes].index("quaternion")
    got = turn_crop(stack.values, turn, slice(first, first + 4), stack.variants, stack.grains)
    want = compute_channels(turned_scan(steel.scan, turn), names).values
    rest = [n for n in range(len(got)) if not first <= n < first + 4]
    np.testing.assert_allclose(got[rest], want[rest], atol=2e-4)
    # Grains whose mean lies on a border of the fundamental zone may take either variant.
    same = np.abs(got[first : first + 4] - want[first : first + 4]).max(axis=0) < 1e-4
    assert same.mean() > 0.99
    q = np.moveaxis(got[first : first + 4], 0, -1).astype(float)
    indexed = np.linalg.norm(q, axis=-1) > 0.5
    angle = disorientation_angle(
        q[indexed], turned_scan(steel.scan, turn).quaternions[indexed], "m-3m"
    )
    assert angle.max() < 0.01


def test_local_misorientation_against_plain_numpy(steel):
    scan = steel.scan.crop(slice(0, 20), slice(0, 25))
    got = local_misorientation(scan)
    q, indexed = scan.quaternions, scan.is_indexed
    for i, j in ((0, 0), (5, 7), (10, 12), (19, 24), (8, 3)):
        for number, d in enumerate((1, 2, 4)):
            angles = []
            for di in (-d, 0, d):
                for dj in (-d, 0, d):
                    k, m = i + di, j + dj
                    inside = 0 <= k < 20 and 0 <= m < 25
                    if (di or dj) and inside and indexed[k, m]:
                        angles.append(float(disorientation_angle(q[i, j], q[k, m], "m-3m")))
            a = np.array(angles)
            want = [0, 0, 0]
            if indexed[i, j] and len(a):
                small = a[a < 5]
                want = [
                    small.mean() if len(small) else 0, np.mean(a >= 5),
                    np.mean((a >= 47) & (a <= 63)),
                ]  # fmt: skip
            np.testing.assert_allclose(got[3 * number : 3 * number + 3, i, j], want, atol=1e-4)
    assert len(LOCAL_NAMES) == 9


def test_every_channel_is_finite_and_zero_where_not_indexed(steel):
    stack = compute_channels(steel.scan, COMPUTED_CHANNELS)
    assert np.isfinite(stack.values).all()
    assert len(stack.planes) == len(stack.values)
    # Quality is measured where nothing was indexed, too.
    oriented = [p.name not in QUALITY_NAMES for p in stack.planes]
    assert not stack.values[oriented][:, ~steel.scan.is_indexed].any()
    np.testing.assert_allclose(stack.values[0], kam(steel.scan), atol=1e-5)
    names = [p.name for p in stack.planes]
    assert stack.values[names.index("indexed")].mean() == pytest.approx(
        steel.scan.is_indexed.mean(), abs=1e-6
    )


def test_grain_mean_is_the_mean_over_the_grain(steel):
    stack = compute_channels(steel.scan, ("BC@grain",))
    grains = segment_grains(steel.scan, 3.0)
    biggest = np.bincount(grains[grains > 0]).argmax()
    here = grains == biggest
    want = steel.scan.get("BC")[here].mean()
    np.testing.assert_allclose(stack.values[0][here], want, rtol=1e-5)
    lost = ~steel.scan.is_indexed
    np.testing.assert_allclose(stack.values[0][lost], steel.scan.get("BC")[lost])


def test_grain_mean_of_several_planes(steel):
    stack = compute_channels(steel.scan, ("Local@grain", "Local"))
    grains, n = stack.grains, len(LOCAL_NAMES)
    biggest = grains == np.bincount(grains[grains > 0]).argmax()
    for plane in range(n):
        want = stack.values[n + plane][biggest].mean()
        np.testing.assert_allclose(stack.values[plane][biggest], want, rtol=1e-4, atol=1e-6)
    assert stack.planes[0].name == LOCAL_NAMES[0] + "@grain"
    with pytest.raises(InputError, match="no plain mean"):
        compute_channels(steel.scan, ("Quaternions@grain",))


def test_names_are_tidied_and_refused():
    assert channel_names(("kam", "BC", "KAM")) == ("KAM", "BC", "Indexed")
    with pytest.raises(InputError, match="at least one"):
        channel_names(())
    with pytest.raises(InputError, match="@grain"):
        channel_names(("BC@twin",))


def test_missing_property_names_what_there_is(steel):
    with pytest.raises(MissingDataError, match=r"'IQ'.*BC.*KAM"):
        compute_channels(steel.scan, ("IQ",))
    blank = dataclasses.replace(steel.scan, quaternions=np.zeros_like(steel.scan.quaternions))
    with pytest.raises(MissingDataError, match="orientations"):
        compute_channels(blank, ("KAM",))
    assert default_channels(blank) == ("BS", "BC")


def test_normaliser_withstands_outliers_constants_and_nan(steel):
    bc = steel.scan.get("BC").astype(float).copy()
    bad = bc.copy()
    bad[0, 0], bad[1, 1], bad[2, 2] = 1e9, np.nan, np.inf
    rng = np.random.default_rng(0)
    gnd = 10 ** rng.uniform(11, 16, bc.shape)
    scan = steel.scan
    for name, values in (("BCbad", bad), ("flat", np.full(bc.shape, 7.0)), ("GND", gnd)):
        scan = with_property(scan, name, values)
    stack = compute_channels(scan, ("BC", "BCbad", "flat", "GND"))
    normaliser = Normaliser.fit([stack])
    out = normaliser(stack)
    assert np.isfinite(out).all()
    assert np.abs(out).max() <= 6
    assert abs(out[0].mean()) < 0.1
    assert out[0].std() == pytest.approx(1, abs=0.15)
    good = np.ones(bc.shape, bool)
    good[0, 0] = good[1, 1] = good[2, 2] = False
    np.testing.assert_allclose(out[1][good], out[0][good], atol=0.02)
    assert not out[2].any()
    assert normaliser.logarithm == (False, False, False, True, False)
    assert Normaliser.from_inputs(Entries("a", normaliser.as_inputs())) == normaliser


def test_default_channels_of_a_map_without_boundaries(steel):
    part = steel.scan.crop(slice(12), slice(15))
    scan = dataclasses.replace(part, quaternions=np.full((12, 15, 4), 0.5))
    stack = compute_channels(scan, default_channels(scan))
    assert np.isfinite(stack.values).all()


def test_brightness_is_drawn_in_the_planes_order():
    """A set of names has another order in every process, and a seed then several models."""
    names = ("BS", "BC", "MAD", "IQ", "CI", "Fit")
    planes = tuple(Plane(n + end, "", "measured") for end in ("", "@grain") for n in names)
    values = np.ones((len(planes), 2, 3), np.float32)
    vary_brightness(values, planes, 0.3, np.random.default_rng(5))
    rng = np.random.default_rng(5)
    expected = [1 + 0.3 * rng.uniform(-1, 1) + 0.3 * rng.normal() for _ in names]
    np.testing.assert_allclose(values[:, 0, 0], expected + expected, rtol=1e-6)
