"""Decoded points to a Scan: frames, phases, holes, patterns."""

from __future__ import annotations

from pathlib import Path

import dask.array as da
import numpy as np
import pytest
from orix.quaternion import Orientation, Rotation

from napari_ebsdml.errors import FileFormatError, InputError
from napari_ebsdml.io._assemble import scan_from_raw
from napari_ebsdml.io._raw import RawMap, RawPhase
from napari_ebsdml.io.frames import FRAMES, ReferenceFrame, multiply

NICKEL = RawPhase("Nickel", space_group=225, lattice=(3.52, 3.52, 3.52, 90, 90, 90))
TITANIUM = RawPhase("Titanium", space_group=194, lattice=(2.95, 2.95, 4.68, 90, 90, 120))


def raw_map(rows=3, columns=4, frame="map", phases=None, **changes):
    n = rows * columns
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:rows, :columns] * 0.5
    fields = {
        "path": Path("map.ang"),
        "format": "ang",
        "frame": frame,
        "phases": phases or {1: NICKEL},
        "phase": np.ones(n, dtype=np.int32),
        "euler": rng.uniform(0, [2 * np.pi, np.pi, 2 * np.pi], (n, 3)),
        "x": x.ravel(),
        "y": y.ravel(),
        "prop": {"IQ": rng.random(n, dtype=np.float32), "Bands": np.arange(n, dtype=np.uint8)},
    }
    return RawMap(**(fields | changes))


def test_angles_as_they_stand_equal_orix():
    raw = raw_map(50, 40)
    scan = scan_from_raw(raw)
    orix = Rotation.from_euler(raw.euler).data
    dots = np.abs(np.sum(orix * scan.quaternions.reshape(-1, 4), axis=1))
    np.testing.assert_allclose(dots, 1, atol=1e-14)
    assert (scan.quaternions[..., 0] >= 0).all()
    assert scan.xmap.rotations.shape == (2000,)


def test_edax_axes_are_turned_against_the_map():
    raw = raw_map(frame="edax")
    scan = scan_from_raw(raw)
    file = Rotation.from_euler(raw.euler)
    ours = Rotation(scan.quaternions.reshape(-1, 4))
    from orix.vector import Vector3d

    # A1 of EDAX points up the map (-y), A2 to its left (-x), A3 out of the screen.
    for vendor, on_map in (
        ((1, 0, 0), (0, -1, 0)),
        ((0, 1, 0), (-1, 0, 0)),
        ((0, 0, 1), (0, 0, -1)),
    ):
        np.testing.assert_allclose(
            (file * Vector3d(vendor)).data, (ours * Vector3d(on_map)).data, atol=1e-12
        )


def test_oxford_hexagonal_crystals_get_x_along_a_and_cubic_ones_stay():
    raw = raw_map(
        frame="oxford", phases={1: NICKEL, 2: TITANIUM}, phase=np.array([1, 2] * 6, dtype=np.int32)
    )
    scan = scan_from_raw(raw)
    as_is = scan_from_raw(raw, ref_frame="map")
    assert as_is.source.reference_frame == "map"
    cubic = scan.phase_id == 1
    # The turn of the specimen axes is the same for all crystals; take it off.
    half = np.array(FRAMES["oxford"].specimen_turn)
    as_turned = multiply(as_is.quaternions, half)
    dots = np.abs((scan.quaternions * as_turned).sum(-1))[cubic]
    np.testing.assert_allclose(dots, 1, atol=1e-14)
    turn = Rotation(scan.quaternions[~cubic]) * ~Rotation(as_turned[~cubic])
    angle = np.rad2deg(turn.angle)
    np.testing.assert_allclose(np.minimum(angle, 360 - angle), 30, atol=1e-10)
    np.testing.assert_allclose(np.abs(turn.axis.z), 1, atol=1e-10)
    # In Oxford's crystal axes [1 0 0] is a*, perpendicular to b; in orix's it is 30 degrees from a.
    from orix.vector import Miller

    a_star = Miller(hkl=[1, 0, 0], phase=scan.phases[2]).unit.data.ravel()
    from orix.vector import Vector3d

    moved = (Rotation([np.cos(np.pi / 12), 0, 0, np.sin(np.pi / 12)]) * Vector3d((1, 0, 0))).data
    np.testing.assert_allclose(moved.ravel(), a_star, atol=1e-12)


def test_oxford_axes_are_right_up_and_out():
    raw = raw_map(frame="oxford")
    from orix.vector import Vector3d

    file, ours = Rotation.from_euler(raw.euler), scan_from_raw(raw).quaternions.reshape(-1, 4)
    for vendor, on_map in (
        ((1, 0, 0), (1, 0, 0)),
        ((0, 1, 0), (0, -1, 0)),
        ((0, 0, 1), (0, 0, -1)),
    ):
        np.testing.assert_allclose(
            (file * Vector3d(vendor)).data, (Rotation(ours) * Vector3d(on_map)).data, atol=1e-12
        )


def test_quaternions_take_the_same_turns_as_angles():
    for frame in FRAMES:
        raw = raw_map(frame=frame, phases={1: TITANIUM})
        from_angles = scan_from_raw(raw).quaternions
        quaternions = Rotation.from_euler(raw.euler).data
        other = scan_from_raw(
            raw_map(frame=frame, phases={1: TITANIUM}, euler=None, quaternions=quaternions)
        )
        dots = np.abs((from_angles * other.quaternions).sum(-1))
        np.testing.assert_allclose(dots, 1, atol=1e-14)


def test_own_reference_frame():
    quarter = ReferenceFrame(
        "mine", (np.sqrt(0.5), 0, 0, np.sqrt(0.5)), "a", "turned by 90 degrees"
    )
    raw = raw_map()
    scan = scan_from_raw(raw, ref_frame=quarter)
    assert scan.source.reference_frame == "mine"
    expected = multiply(Rotation.from_euler(raw.euler).data, np.array(quarter.specimen_turn))
    np.testing.assert_allclose(
        np.abs((expected * scan.quaternions.reshape(-1, 4)).sum(1)), 1, atol=1e-14
    )
    with pytest.raises(InputError, match="edax"):
        scan_from_raw(raw, ref_frame="bogus")


def test_not_indexed_points_are_zero():
    bad = np.zeros(12, dtype=bool)
    bad[5] = True
    raw = raw_map(not_indexed=bad)
    raw.euler[7] = np.nan
    scan = scan_from_raw(raw)
    assert (~scan.is_indexed.ravel()).nonzero()[0].tolist() == [5, 7]
    assert (scan.quaternions.reshape(-1, 4)[[5, 7]] == 0).all()
    assert any("1 points" in warning for warning in scan.source.warnings)
    assert scan.is_measured is None


def test_holes_are_not_measured_and_properties_say_so():
    keep = np.ones(12, dtype=bool)
    keep[6] = False
    raw = raw_map(measured=keep)
    scan = scan_from_raw(raw)
    assert scan.is_measured is not None
    assert not scan.is_measured[1, 2]
    assert np.isnan(scan.prop["IQ"][1, 2])
    assert scan.prop["Bands"][1, 2] == 0
    assert scan.prop["Bands"].dtype == np.uint8
    assert scan.phase_id[1, 2] == -1


def test_points_outside_the_specimen_do_not_stretch_the_map():
    """EDAX gives points outside the region the coordinates -1111111."""
    raw = raw_map()
    measured = np.ones(12, dtype=bool)
    measured[3] = False
    raw.x[3] = raw.y[3] = -1111111.0
    raw.measured = measured
    scan = scan_from_raw(raw)
    assert scan.shape == (3, 4)
    assert not scan.is_measured[0, 3]


def test_patterns_stay_lazy_and_land_on_their_pixels():
    loads = []

    def block(block_info=None):
        loads.append(block_info)
        (start, stop), *_ = block_info[None]["array-location"]
        return np.broadcast_to(np.arange(start, stop)[:, None, None], (stop - start, 5, 6)).copy()

    patterns = da.map_blocks(
        block, chunks=((7, 5), 5, 6), dtype=np.int64, meta=np.empty((0, 0, 0), int)
    )
    order = np.random.default_rng(1).permutation(12)
    raw = raw_map()
    raw.x, raw.y = raw.x[order], raw.y[order]
    keep = np.ones(12, dtype=bool)
    keep[4] = False
    for measured in (None, keep):
        scan = scan_from_raw(raw_map(x=raw.x, y=raw.y, measured=measured, patterns=patterns))
        assert loads == []
        assert scan.patterns.shape == (3, 4, 5, 6)
        first = scan.patterns[..., 0, 0].compute()
        loads.clear()
        expected = np.empty(12, dtype=int)
        expected[order] = np.arange(12)
        if measured is not None:
            expected[order[4]] = 0
        np.testing.assert_array_equal(first.ravel(), expected)


def test_a_phase_that_the_header_lacks_is_an_error():
    phase = np.ones(12, dtype=np.int32)
    phase[2] = 7
    with pytest.raises(FileFormatError, match="phase 7"):
        scan_from_raw(raw_map(phase=phase))
    phase[2] = 2_000_000_000
    with pytest.raises(FileFormatError, match="no phase"):
        scan_from_raw(raw_map(phase=phase))


def test_columns_of_different_length_are_an_error():
    with pytest.raises(FileFormatError, match="11 points"):
        scan_from_raw(raw_map(prop={"IQ": np.zeros(11)}))


def test_absurd_headers_are_told():
    copper = RawPhase("Copper", space_group=214, lattice=(3.61, 3.61, 3.61, 90, 90, 90))
    scan = scan_from_raw(raw_map(phases={1: copper}))
    assert scan.phases[1].space_group.number == 214
    assert any("214" in w and "225" in w for w in scan.source.warnings)
    flat = RawPhase("Copper", space_group=225, lattice=(0, 0, 0, 90, 90, 90))
    scan = scan_from_raw(raw_map(phases={1: flat}))
    assert any("no lattice" in w for w in scan.source.warnings)


def test_orientations_survive_orix():
    """`Scan.xmap` is the same map for orix."""
    scan = scan_from_raw(raw_map(not_indexed=np.arange(12) == 2))
    xmap = scan.xmap
    assert xmap.shape == (3, 4)
    assert xmap.scan_unit == "um"
    assert (xmap.phase_id.reshape(3, 4) == scan.phase_id).all()
    assert isinstance(xmap["Nickel"].orientations, Orientation)
    np.testing.assert_array_equal(xmap.prop["IQ"].reshape(3, 4), scan.prop["IQ"])


def test_edax_reference_of_dc06(shared):
    """The frame turn against reference orientations made with another program."""
    import napari_ebsdml as ebsdml

    reference = np.load(shared / "reference" / "dc06_gnd_reference.npz")["q_raw"]
    scan = ebsdml.read(shared / "maps" / "DC06_2uniax.ang")
    ours = scan.quaternions * np.array([1, -1, -1, -1])
    dots = np.abs((ours * reference).sum(-1))
    known = np.isfinite(dots)
    assert known.mean() > 0.9
    np.testing.assert_allclose(dots[known], 1, atol=1e-12)
