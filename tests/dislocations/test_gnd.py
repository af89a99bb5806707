from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from diffpy.structure import Lattice, Structure
from orix.crystal_map import Phase, PhaseList
from scipy.spatial.transform import Rotation

import napari_ebsdml as ebsdml
from napari_ebsdml.dislocations import slip_systems as ss
from napari_ebsdml.dislocations.gnd.density import fit_slip_systems, gnd_density
from napari_ebsdml.errors import Cancelled, InputError, MissingDataError
from napari_ebsdml.scan import Scan
from tests.dislocations.fields import field, quaternion, scrambled, systems_matrix

ANY = Rotation.from_euler("ZXZ", (33, 47, 71), degrees=True)
PHASES = {
    "fcc": (225, Lattice(3.52, 3.52, 3.52, 90, 90, 90)),
    "bcc": (229, Lattice(2.87, 2.87, 2.87, 90, 90, 90)),
    "hcp": (194, Lattice(3.21, 3.21, 5.21, 90, 90, 120)),
}
CONJUGATE = np.array([1, -1, -1, -1])


def phase(lattice):
    number, cell = PHASES[lattice]
    return Phase(name=lattice, space_group=number, structure=Structure(lattice=cell))


def scan_of(q, lattice="bcc", step=(1.0, 1.0)):
    """Scan of crystal -> specimen quaternions."""
    return Scan(
        quaternions=q * CONJUGATE,
        phase_id=np.zeros(q.shape[:2], int),
        phases=PhaseList({0: phase(lattice)}),
        step=step,
    )


@pytest.mark.parametrize(("stencil", "key"), [("full", "full"), ("one-sided", "oneSided")])
def test_from_the_file_itself(shared, stencil, key):
    scan = ebsdml.read(shared / "maps" / "DC06_2uniax.ang")
    expected = np.load(shared / "reference" / "dc06_gnd_reference.npz")[f"gnd_sum_raw_{key}"]
    gnd = gnd_density(scan, stencil=stencil)
    assert gnd.systems.name == "bcc"
    assert np.nanmedian(gnd.total) == pytest.approx(np.nanmedian(expected), rel=0.03)
    both = np.isfinite(gnd.total) & np.isfinite(expected)
    assert both.mean() > 0.88
    # Grains differ a little from the reference's; elsewhere it is the same to its accuracy.
    same = np.isclose(gnd.total[both], expected[both], rtol=1e-3, atol=5e6)
    assert same.mean() > 0.97


@pytest.mark.parametrize("lattice", ["fcc", "bcc", "hcp"])
@pytest.mark.parametrize("axis", [(1, 0, 0), (0, 0, 1), (0.6, 0.48, -0.64)])
def test_bent_and_twisted_crystals(lattice, axis):
    gradient = np.outer(axis, (np.radians(0.2), np.radians(-0.1)))
    q = scrambled(field((9, 11), (0.5, 0.4), gradient, ANY), None if lattice == "hcp" else "O")
    gnd = gnd_density(scan_of(q, lattice, (0.5, 0.4)))
    np.testing.assert_allclose(gnd.curvature[..., :2] - gradient, 0, atol=1e-9)
    for r, c in ((0, 0), (4, 5), (8, 10)):
        turn = Rotation.from_quat(q[r, c], scalar_first=True)
        made = systems_matrix(gnd.systems, turn) @ gnd.per_system[r, c] / 1e16
        np.testing.assert_allclose(made, gradient.ravel(), atol=1e-8)
    nye = gnd.nye[4, 5]
    known = np.array([[0, 1, 1], [0, 0, 1], [0, 0, 1]], bool)
    known[1, 0] = True
    np.testing.assert_array_equal(np.isfinite(nye), known)
    assert nye[2, 2] == pytest.approx(-gradient[0, 0] - gradient[1, 1], abs=1e-9)
    assert nye[0, 2] == pytest.approx(gradient[2, 0], abs=1e-9)


def rotated(q, step, quarter_turns):
    """The map and its sample turned in the map's plane, x towards y."""
    turn = Rotation.from_euler("z", 90 * quarter_turns, degrees=True)
    flat = (turn * Rotation.from_quat(q.reshape(-1, 4), scalar_first=True)).as_quat(
        scalar_first=True
    )
    image = np.rot90(flat.reshape(q.shape), -quarter_turns)
    return image, step if quarter_turns % 2 == 0 else step[::-1]


def deformed(shape=(24, 20), step=(0.5, 0.3)):
    """Nothing uniform: smooth bending, a wall and noise."""
    y, x = np.indices(shape) * np.array(step)[:, None, None]
    turn = 0.02 * np.stack((np.sin(x + y), np.cos(x - 0.5 * y), np.sin(2 * y) * x), axis=-1)
    turn[:, 12:, 1] += 0.02
    turn += np.random.default_rng(8).standard_normal(turn.shape) * 1e-3
    q = quaternion(Rotation.from_rotvec(turn.reshape(-1, 3)) * ANY)
    return q.reshape(*shape, 4), step


@pytest.mark.parametrize("lattice", ["fcc", "bcc", "hcp"])
@pytest.mark.parametrize("denoise", [None, "plane"])
def test_turning_map_and_sample_together_changes_nothing(lattice, denoise):
    q, step = deformed()
    original = gnd_density(scan_of(q, lattice, step), denoise=denoise)
    for quarter_turns in (1, 2, 3):
        image, turned_step = rotated(q, step, quarter_turns)
        turned = gnd_density(scan_of(image, lattice, turned_step), denoise=denoise)
        for name in ("total", "energy", "noise_floor"):
            back = np.rot90(getattr(turned, name), quarter_turns)
            # The floor is predicted with random numbers: equal to a few per cent, less at corners.
            tolerance = 0.1 if name == "noise_floor" else 1e-6
            np.testing.assert_allclose(back, getattr(original, name), rtol=tolerance)


@pytest.mark.parametrize("lattice", ["fcc", "bcc", "hcp"])
def test_mirror_image(lattice):
    """Mirroring map and sample in x gives the enantiomorph: the same densities, signs as follow."""
    q, step = deformed()
    original = gnd_density(scan_of(q, lattice, step))
    # A mirror is an inversion times half a turn about x; inversion is a crystal symmetry.
    half_turn = Rotation.from_euler("x", 180, degrees=True)
    flat = (half_turn * Rotation.from_quat(q.reshape(-1, 4), scalar_first=True)).as_quat(
        scalar_first=True
    )
    mirrored = gnd_density(scan_of(flat.reshape(q.shape)[:, ::-1], lattice, step))
    sign = np.outer([1, -1, -1], [-1, 1])
    np.testing.assert_allclose(
        mirrored.curvature[:, ::-1, :, :2], original.curvature[..., :2] * sign, atol=1e-9
    )
    np.testing.assert_allclose(mirrored.total[:, ::-1], original.total, rtol=1e-6)
    # A few pixels have several optima; elsewhere every system turns its sign.
    same = np.isclose(mirrored.per_system[:, ::-1], -original.per_system, rtol=1e-3, atol=1e6)
    assert same.all(axis=-1).mean() > 0.99


def test_symmetry_variants_of_a_real_map_do_not_matter(shared):
    scan = ebsdml.read(shared / "maps" / "DC06_2uniax.ang")
    original = gnd_density(scan)
    q = scrambled(scan.quaternions * CONJUGATE, "O") * CONJUGATE
    other = gnd_density(dataclasses.replace(scan, quaternions=q))
    np.testing.assert_array_equal(np.isnan(other.total), np.isnan(original.total))
    np.testing.assert_allclose(other.total, original.total, rtol=1e-6, atol=10)
    np.testing.assert_allclose(other.energy, original.energy, rtol=1e-6, atol=10)


@pytest.mark.parametrize(
    ("lattice", "step", "sigma", "stencil", "denoise", "norm"),
    [
        ("fcc", (1.0, 1.0), 0.3, "full", None, "l1"),
        ("bcc", (1.0, 1.0), 0.05, "one-sided", None, "l1"),
        ("hcp", (0.2, 0.1), 0.1, "full", None, "l1"),
        ("bcc", (1.0, 1.0), 0.3, "full", None, "l2"),
        ("bcc", (0.5, 0.5), 0.3, "full", "plane", "l1"),
        ("fcc", (1.0, 1.0), 0.1, "one-sided", "plane", "l1"),
    ],
)
def test_pure_noise_gives_the_predicted_floor(lattice, step, sigma, stencil, denoise, norm):
    q = field((80, 80), step, np.zeros((3, 2)), ANY, sigma, seed=11)
    gnd = gnd_density(scan_of(q, lattice, step), norm=norm, stencil=stencil, denoise=denoise)
    assert gnd.orientation_noise[0] == pytest.approx(sigma, rel=0.05)
    assert np.median(gnd.total / gnd.noise_floor) == pytest.approx(1, rel=0.1)
    assert gnd.above_noise.mean() == pytest.approx(0.05, abs=0.03)
    edge = np.s_[0, 1:-1]
    if denoise is None and stencil == "full":  # wider errors where neighbours are missing
        assert gnd.noise_floor[edge].min() > gnd.noise_floor[40, 40] * 1.2
        assert np.median(gnd.total[edge] / gnd.noise_floor[edge]) == pytest.approx(1, rel=0.25)
    assert f"{sigma:.1g}" in gnd.noise_sentence


def two_phases():
    gradient = np.outer((1, 0, 0), (0.0, 0.01))
    q = np.concatenate(
        (field((10, 6), (1, 1), gradient, ANY), field((10, 6), (1, 1), gradient, ANY)), axis=1
    )
    phase_id = np.zeros((10, 12), int)
    phase_id[:, 6:] = 3
    phase_id[2, 2] = -1
    q[2, 2] = 0
    return Scan(
        quaternions=q * CONJUGATE,
        phase_id=phase_id,
        phases=PhaseList({0: phase("fcc"), 3: phase("bcc")}),
        step=(1, 1),
    )


def test_each_phase_has_its_own_systems():
    scan = two_phases()
    gnd = gnd_density(scan)
    assert gnd.system_columns == {0: slice(0, 18), 3: slice(18, 70)}
    assert len(gnd.systems) == gnd.per_system.shape[2] == 70
    left, right = scan.phase_id == 0, scan.phase_id == 3
    assert np.isfinite(gnd.total[left | right]).all()
    assert np.isnan(gnd.total[2, 2])
    assert not gnd.per_system[left][:, 18:].any()
    assert not gnd.per_system[right][:, :18].any()
    known = left | right
    np.testing.assert_allclose(np.abs(gnd.per_system).sum(-1)[known], gnd.total[known], rtol=1e-5)
    alone = gnd_density(scan_of(field((10, 6), (1, 1), np.outer((1, 0, 0), (0, 0.01)), ANY)))
    np.testing.assert_allclose(gnd.total[:, 6:], alone.total, rtol=1e-6)
    assert "fcc: " in gnd.noise_sentence
    assert "bcc: " in gnd.noise_sentence
    some = gnd_density(scan, slip_systems={"bcc": "auto", 0: None})
    assert np.isnan(some.total[left]).all()
    np.testing.assert_allclose(some.total[right], gnd.total[right], rtol=1e-9)
    slip = ss.for_lattice("bcc", 2.87, families="{110}")
    own = gnd_density(scan, {3: slip}, keep_per_system=False)
    assert len(own.systems) == 16
    assert own.per_system is None
    assert (own.energy[right] >= some.energy[right] * (1 - 1e-9)).all()


def test_a_stray_pixel_of_a_second_phase_has_no_gnd_and_stops_nothing():
    q, step = deformed()
    one = scan_of(q, "bcc", step)
    stray = one.phase_id.copy()
    stray[2, 3] = 1
    phases = PhaseList({0: phase("bcc"), 1: phase("fcc")})
    gnd = gnd_density(dataclasses.replace(one, phase_id=stray, phases=phases))
    assert np.isnan(gnd.total[2, 3])
    assert np.isfinite(np.delete(gnd.total.ravel(), np.ravel_multi_index((2, 3), one.shape))).all()


def test_given_grains_and_nearby_api():
    q, step = deformed()
    scan = scan_of(q, "bcc", step)
    grains = np.ones(scan.shape, int)
    grains[:, :5] = 0
    gnd = gnd_density(scan, grains=grains)
    assert np.isnan(gnd.total[:, :5]).all()
    assert np.isfinite(gnd.total[:, 5:]).all()
    again = fit_slip_systems(gnd.curvature, scan.quaternions * CONJUGATE, gnd.systems)
    np.testing.assert_array_equal(again.total, gnd.total)
    assert "GndDensity of 'scan'" in repr(gnd)
    assert gnd.settings["norm"] == "l1"


def test_progress_rises_and_cancels():
    scan = two_phases()
    seen = []
    gnd_density(scan, progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1

    def cancel(fraction):
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        gnd_density(scan, progress=cancel)


@pytest.mark.parametrize(
    ("arguments", "kind", "word"),
    [
        ({"norm": "max"}, InputError, "norm"),
        ({"stencil": "x"}, InputError, "stencil"),
        ({"denoise": "x"}, InputError, "denoise"),
        ({"slip_systems": "x"}, InputError, "slip systems"),
        ({"slip_systems": 3}, InputError, "slip_systems"),
        ({"slip_systems": {"copper": "fcc"}}, InputError, "copper"),
        ({"slip_systems": {0: None}}, InputError, "leaves out"),
        ({"grains": np.ones((2, 2), int)}, InputError, "grains"),
        ({"grains": np.ones((10, 12))}, InputError, "grains"),
        ({"grain_threshold": -1}, InputError, "threshold"),
    ],
)
def test_bad_input(arguments, kind, word):
    with pytest.raises(kind, match=word):
        gnd_density(two_phases(), **arguments)


def test_scans_that_cannot_do():
    scan = two_phases()
    with pytest.raises(MissingDataError, match="orientations"):
        gnd_density(dataclasses.replace(scan, quaternions=np.zeros((10, 12, 4))))
    with pytest.raises(InputError, match="2 x 2"):
        gnd_density(scan.crop(slice(0, 1)))
    odd = PhaseList({0: Phase("odd", space_group=62), 3: Phase("other", space_group=62)})
    with pytest.raises(MissingDataError, match="'odd'"):
        gnd_density(dataclasses.replace(scan, phases=odd))


def test_a_phase_without_known_systems_stays_empty_with_a_word():
    scan = two_phases()
    odd = dataclasses.replace(
        scan, phases=PhaseList({0: Phase("odd", space_group=62), 3: phase("bcc")})
    )
    gnd = gnd_density(odd)
    assert np.isnan(gnd.total[:, :6]).all()
    np.testing.assert_array_equal(gnd.total[:, 6:], gnd_density(scan).total[:, 6:])
    (note,) = gnd.notes
    assert "'odd'" in note
    assert "no GND density" in note
    with pytest.raises(MissingDataError, match="'odd'"):  # asked for by name
        gnd_density(odd, {"odd": "auto", "bcc": "auto"})


@pytest.mark.parametrize("denoise", [None, True])
@pytest.mark.parametrize("stray", [[(4, 4)], [(4, 4), (4, 5)]])
def test_a_stray_pixel_of_a_second_phase(stray, denoise):
    scan = two_phases()
    phase_id = np.where(scan.is_indexed, 3, -1)
    for at in stray:
        phase_id[at] = 0
    mixed = gnd_density(dataclasses.replace(scan, phase_id=phase_id), denoise=denoise)
    assert np.isnan(mixed.total[tuple(np.transpose(stray))]).all()
    assert np.isfinite(mixed.total).sum() == (phase_id == 3).sum()
    assert len(mixed.systems) == mixed.per_system.shape[2] == 70


def test_maps_without_any_curvature():
    """Every pixel a grain of its own: no gradient, no noise, and no error."""
    scan = scan_of(quaternion(Rotation.random(12, rng=1)).reshape(3, 4, 4))
    gnd = gnd_density(scan, denoise=True)
    assert np.isnan(gnd.total).all()
    assert np.isnan(gnd.per_system).all()
    assert not gnd.above_noise.any()
    assert "nothing known" in repr(gnd)


def test_cleaned_maps_are_told():
    q = field((40, 40), (1, 1), np.zeros((3, 2)), ANY, 0.1)
    assert "same orientation" not in gnd_density(scan_of(q)).noise_sentence
    copied = np.random.default_rng(3).random((40, 20)) < 0.3
    q[:, 1::2][copied] = q[:, ::2][copied]
    gnd = gnd_density(scan_of(q))
    assert gnd.noise[0].identical == pytest.approx(copied.sum() / (2 * 40 * 39))
    assert gnd.copied.sum() == 2 * copied.sum()
    assert f"{100 * gnd.noise[0].identical:.0f} % of the neighbouring pixels" in gnd.noise_sentence
