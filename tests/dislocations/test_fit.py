from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from napari_ebsdml.dislocations import slip_systems as ss
from napari_ebsdml.dislocations.gnd.density import fit_slip_systems
from napari_ebsdml.errors import EbsdmlError, InputError
from tests.dislocations.fields import highs, quaternion, systems_matrix

SYSTEMS = {
    "fcc": ss.for_lattice("fcc", 3.52),
    "bcc": ss.for_lattice("bcc", 2.87),
    "hcp": ss.for_lattice("hcp", 3.21, 5.21),
}


def random_problem(n, columns, seed=1, scale=0.01):
    random = np.random.default_rng(seed)
    kappa = random.standard_normal((n, 3, 3)) * scale
    if columns == 2:
        kappa[:, :, 2] = np.nan
    return kappa, Rotation.random(n, rng=seed)


@pytest.mark.parametrize("stencil", ["oneSided", "full"])
def test_reference(shared, stencil):
    data = np.load(shared / "reference" / "dc06_gnd_reference.npz")
    fit = fit_slip_systems(data[f"kappa_raw_{stencil}"], data["q_raw"], SYSTEMS["bcc"])
    expected = data[f"gnd_sum_raw_{stencil}"]
    np.testing.assert_array_equal(np.isnan(fit.total), np.isnan(expected))
    # 5e6 1/m^2 is what the reference's own solver leaves open.
    np.testing.assert_allclose(fit.total, expected, rtol=1e-3, atol=5e6)
    assert np.nanmedian(fit.total) == pytest.approx(np.nanmedian(expected), rel=1e-6)
    if stencil == "full":
        np.testing.assert_allclose(fit.energy, data["gnd_energy_raw_full"], rtol=1e-6, atol=5e6)


@pytest.mark.parametrize("lattice", ["fcc", "bcc", "hcp"])
@pytest.mark.parametrize("columns", [2, 3])
def test_same_optimum_as_highs(lattice, columns):
    systems = SYSTEMS[lattice]
    kappa, turns = random_problem(25, columns)
    fit = fit_slip_systems(kappa, quaternion(turns), systems)
    expected = [highs(systems, turn, k, columns) for turn, k in zip(turns, kappa, strict=True)]
    np.testing.assert_allclose(fit.energy, expected, rtol=1e-7)


@pytest.mark.parametrize("lattice", ["fcc", "bcc", "hcp"])
@pytest.mark.parametrize("columns", [2, 3])
def test_optimum_is_proved_by_its_dual(lattice, columns):
    """Feasible, dual feasible and no gap: that is optimal, whatever solver found it."""
    systems = SYSTEMS[lattice]
    kappa, turns = random_problem(600, columns, seed=2)
    # Warm starts from a like neighbour are the common case in maps: make half of them so.
    turns = Rotation.concatenate([turns[:300], turns[0] * Rotation.random(300, rng=5) ** 0.01])
    fit = fit_slip_systems(kappa, quaternion(turns), systems, with_dual=True)
    unit = systems.burgers_lengths.min()
    for i, turn in enumerate(turns):
        matrix = systems_matrix(systems, turn, columns)
        rho = fit.per_system[i].astype(float) / 1e16
        size = np.abs(kappa[i][:, :columns]).max()
        np.testing.assert_allclose(matrix @ rho, kappa[i][:, :columns].ravel(), atol=1e-6 * size)
        assert (np.abs(fit.dual[i] @ matrix / unit) <= systems.energies + 1e-7).all()
        bound = fit.dual[i] @ kappa[i][:, :columns].ravel() / unit * 1e16
        assert fit.energy[i] == pytest.approx(bound, rel=1e-9)
        assert fit.total[i] == pytest.approx(np.abs(fit.per_system[i]).sum(), rel=1e-5)
        assert np.count_nonzero(rho) <= 3 * columns


@pytest.mark.parametrize(
    ("component", "columns", "l1", "l2"),
    [
        # 0.2 deg/um, |b| = 2.5 angstrom, cube orientation; twist about x along x, tilt about y.
        ((0, 0), 3, 2.793e13, 4.942e13),
        ((1, 0), 3, 2.418e13, 3.017e13),
        ((1, 0), 2, 2.418e13, 3.017e13),
        ((0, 0), 2, 2.793e13, None),
    ],
)
def test_cube_oriented_fcc(component, columns, l1, l2):
    systems = ss.for_lattice("fcc", 2.5 * np.sqrt(2))
    kappa = np.zeros((3, 3))
    kappa[component] = np.radians(0.2)
    if columns == 2:
        kappa[:, 2] = np.nan
    cube = np.array([1.0, 0, 0, 0])
    assert fit_slip_systems(kappa, cube, systems).total == pytest.approx(l1, rel=2e-4)
    if l2 is not None:
        assert fit_slip_systems(kappa, cube, systems, "l2").total == pytest.approx(l2, rel=2e-4)


@pytest.mark.parametrize("columns", [2, 3])
def test_l2_is_the_pseudo_inverse(columns):
    for name, systems in SYSTEMS.items():
        kappa, turns = random_problem(20, columns, seed=4)
        fit = fit_slip_systems(kappa, quaternion(turns), systems, "l2")
        for i, turn in enumerate(turns):
            matrix = systems_matrix(systems, turn, columns)
            rho = np.linalg.pinv(matrix) @ kappa[i][:, :columns].ravel() * 1e16
            np.testing.assert_allclose(
                fit.per_system[i], rho, rtol=1e-4, atol=1e-6 * np.abs(rho).max(), err_msg=name
            )


def test_incomplete_systems_say_what_they_leave():
    """Basal slip alone, c along z: no bending out of the plane that needs <c> can be made."""
    systems = ss.for_lattice("hcp", 3.21, 5.21, families="basal", screws=False)
    turns = Rotation.from_euler("x", [[20], [90]], degrees=True)
    kappa, _ = random_problem(2, 2, seed=3)
    for norm in ("l1", "l2"):
        fit = fit_slip_systems(kappa, quaternion(turns), systems, norm)
        for i, turn in enumerate(turns):
            matrix = systems_matrix(systems, turn)
            assert np.linalg.matrix_rank(matrix) < 6
            rest = matrix @ fit.per_system[i] / 1e16 - kappa[i][:, :2].ravel()
            left = np.abs(rest).sum() if norm == "l1" else np.linalg.norm(rest)
            assert fit.misfit[i] == pytest.approx(left, rel=1e-4)
            assert left > 1e-3
    complete = fit_slip_systems(kappa, quaternion(turns), SYSTEMS["hcp"])
    assert complete.misfit.max() < 1e-12


def test_degenerate_curvatures():
    """Curvature along symmetry axes of the crystal: many zero and tied variables."""
    systems = SYSTEMS["bcc"]
    kappa = np.zeros((18, 3, 3))
    kappa[:, :, 2] = np.nan
    for i in range(6):
        kappa[i, i // 2, i % 2] = 0.01
        kappa[6 + i, i // 2, i % 2] = 0.01
        kappa[6 + i, (i // 2 + 1) % 3, (i + 1) % 2] = -0.01
    kappa[12:, :, :2] = np.sign(random_problem(6, 2)[0][:, :, :2]) * 0.01
    for turn in (Rotation.identity(), Rotation.from_euler("z", 45, degrees=True)):
        q = np.tile(quaternion(turn), (18, 1))
        fit = fit_slip_systems(kappa, q, systems)
        expected = [highs(systems, turn, k) for k in kappa]
        np.testing.assert_allclose(fit.energy, expected, rtol=1e-7)


def test_results_do_not_depend_on_threads_or_neighbours_in_energy(monkeypatch):
    systems = SYSTEMS["fcc"]
    kappa, turns = random_problem(40_000, 2, seed=6)
    q = quaternion(turns)
    monkeypatch.setattr("napari_ebsdml._parallel.available_cores", lambda: 3)
    both = fit_slip_systems(kappa, q, systems)
    monkeypatch.setattr("napari_ebsdml._parallel.available_cores", lambda: 1)
    one = fit_slip_systems(kappa, q, systems)
    np.testing.assert_array_equal(both.per_system, one.per_system)
    order = np.random.default_rng(0).permutation(40_000)
    shuffled = fit_slip_systems(kappa[order], q[order], systems)
    np.testing.assert_allclose(shuffled.energy, both.energy[order], rtol=1e-9)


def test_unknown_and_flat_pixels():
    systems = SYSTEMS["fcc"]
    kappa = np.zeros((2, 3, 3, 3))
    kappa[..., 2] = np.nan
    kappa[0, 1] = np.nan
    q = np.tile([1.0, 0, 0, 0], (2, 3, 1))
    q[1, 0] = 0
    q[1, 1] = np.nan
    for norm in ("l1", "l2"):
        fit = fit_slip_systems(kappa, q, systems, norm)
        unknown = np.array([[0, 1, 0], [1, 1, 0]], bool)
        np.testing.assert_array_equal(np.isnan(fit.total), unknown)
        np.testing.assert_array_equal(np.isnan(fit.per_system).all(axis=-1), unknown)
        assert not fit.total[~unknown].any()
        assert not fit.per_system[~unknown].any()
        assert fit.per_system.shape == (2, 3, 18)
        assert fit.per_system.dtype == np.float32
        lean = fit_slip_systems(kappa, q, systems, norm, keep_per_system=False)
        assert lean.per_system is None


def test_progress_can_cancel():
    class Stop(EbsdmlError):
        pass

    seen = []

    def progress(fraction):
        seen.append(fraction)
        raise Stop

    kappa, turns = random_problem(3, 2)
    with pytest.raises(Stop):
        fit_slip_systems(kappa, quaternion(turns), SYSTEMS["fcc"], progress=progress)
    assert seen == [1.0]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"norm": "l3"}, "norm"),
        ({"curvature": np.zeros((2, 3, 2))}, "curvature"),
        ({"quaternions": np.zeros((3, 4))}, "quaternions"),
        ({"norm": "l2", "with_dual": True}, "with_dual"),
    ],
)
def test_bad_input(change, word):
    arguments = {
        "curvature": np.zeros((2, 3, 3)),
        "quaternions": np.ones((2, 4)) / 2,
        "systems": SYSTEMS["fcc"],
    }
    with pytest.raises(InputError, match=word):
        fit_slip_systems(**(arguments | change))
