"""From the GND densities of slip systems to planes in the map, and to the total."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from napari_ebsdml.dislocations.article.density import article_density
from napari_ebsdml.dislocations.article.lines import simulate_maps, unit_density
from napari_ebsdml.dislocations.article.lines_presets import line_rules
from napari_ebsdml.dislocations.article.model import DislocationModel
from napari_ebsdml.dislocations.article.predict import predict_planes
from napari_ebsdml.dislocations.article.slip_planes import system_planes
from napari_ebsdml.dislocations.slip_systems import for_lattice
from napari_ebsdml.errors import InputError, MissingDataError

STEP, DEPTH = 0.5, 0.02
UNIT = unit_density(STEP, DEPTH)


def quaternion(axis, degrees):
    half = np.radians(degrees) / 2
    axis = np.asarray(axis, float) / np.linalg.norm(axis)
    return np.array([np.cos(half), *(np.sin(half) * axis)])


def turn(q, v):
    """Rotate a vector by a quaternion, from the definition q v q*."""
    w, u = q[0], q[1:]
    return v + 2 * np.cross(u, np.cross(u, v) + w * v)


def made_up(per_system, q, systems=None, step=STEP):
    """What gnd_density gives, as far as the total needs it; `q` is specimen -> crystal."""
    systems = systems or for_lattice("fcc", 3.6)
    rows, columns = per_system.shape[:2]
    scan = SimpleNamespace(quaternions=np.broadcast_to(q, (rows, columns, 4)), step=(step, step))
    return SimpleNamespace(
        per_system=per_system.astype(np.float32), systems=systems, scan=scan,
        system_columns={0: slice(0, len(systems))}, grains=np.ones((rows, columns), int),
    )  # fmt: skip


def basal(systems, k):
    """Specimen -> crystal rotation that lays the plane of edge system k onto the map."""
    n = systems.normals[k]
    axis, angle = np.cross([0, 0, 1.0], n), np.degrees(np.arccos(n[2]))
    return quaternion(axis, angle)


def test_plane_parallel_to_the_map(model_file):
    systems = for_lattice("fcc", 3.6)
    q = basal(systems, 0)
    back = q * [1, -1, -1, -1]
    # A dislocation field given in the map, expressed in edge and screw of system 0.
    maps = simulate_maps(1, "exact", seed=5)
    vector = np.concatenate([maps.gnd[0] * UNIT, np.zeros((21, 21, 1))], axis=-1)
    b = systems.burgers[0] / np.linalg.norm(systems.burgers[0])
    screw = next(k for k in np.flatnonzero(~systems.is_edge) if abs(systems.lines[k] @ b) > 0.999)
    per_system = np.zeros((21, 21, len(systems)))
    for k in (0, screw):
        per_system[..., k] = vector @ turn(back, systems.lines[k])
    planes = system_planes(made_up(per_system, q))
    assert planes.tilt[0] == pytest.approx(0, abs=0.05)
    # Screws go to the planes whose edges are near: here nearly all to system 0.
    edge_only = np.abs(per_system[..., 0]) > 0
    assert edge_only.any()
    np.testing.assert_allclose(planes.gnd[0], maps.gnd[0] * UNIT, atol=1e-4 * UNIT)
    assert np.abs(planes.gnd[1:]).max() < 1e-6 * UNIT
    total = article_density(
        made_up(per_system, q), model_file, plane_thickness=DEPTH, symmetric=True
    )
    alone = predict_planes(maps.gnd * UNIT, STEP, DEPTH, model_file)
    np.testing.assert_allclose(total.mean, alone.mean[0], rtol=1e-3, atol=1e-4 * UNIT)
    np.testing.assert_array_equal(total.n_lines, alone.n_lines[0])
    np.testing.assert_array_equal(total.valid, alone.valid[0])
    assert np.nanmax(total.tilt) < 0.1


def test_tilted_planes_keep_the_length_of_vectors():
    rng = np.random.default_rng(3)
    systems = for_lattice("bcc", 2.87)
    per_system = rng.normal(size=(4, 5, len(systems))) * 1e13
    q = quaternion([1, 2, 3], 40)
    planes = system_planes(made_up(per_system, q, systems))
    assert planes.gnd.shape == (48, 4, 5, 2)
    back = q * [1, -1, -1, -1]
    total_screw = np.zeros((4, 5, len(systems)))
    for k in range(48):
        normal = turn(back, systems.normals[k])
        assert planes.tilt[k] == pytest.approx(np.degrees(np.arccos(abs(normal[2]))), abs=1e-3)
        size = np.hypot(planes.gnd[k, ..., 0], planes.gnd[k, ..., 1])
        screw = np.sqrt(np.maximum(size.astype(float) ** 2 - per_system[..., k] ** 2, 0))
        owner = next(
            s for s in range(48, len(systems))
            if abs(systems.lines[s] @ systems.burgers[k]) > 0.999 * systems.burgers_lengths[k]
        )  # fmt: skip
        total_screw[..., owner] += screw
    # The shares of a screw add up to the whole of it.
    np.testing.assert_allclose(total_screw[..., 48:], np.abs(per_system[..., 48:]), rtol=2e-2)


def test_sum_over_planes_and_bounds(model_file):
    rng = np.random.default_rng(4)
    systems = for_lattice("fcc", 3.6)
    per_system = np.where(rng.random((21, 21, 18)) < 0.3, rng.normal(size=(21, 21, 18)), 0) * UNIT
    per_system[10, 10] = np.nan
    gnd = made_up(per_system, quaternion([1, 1, 0], 25), systems)
    total = article_density(gnd, model_file, plane_thickness=DEPTH)
    known = np.isfinite(total.mean)
    assert known.sum() == 440
    assert total.n_lines[10, 10] == -1
    assert not total.valid[7:14, 7:14].any()
    assert not total.in_range[10, 10]
    np.testing.assert_allclose(total.mean[known], total.planes.mean.sum(0)[known], rtol=1e-5)
    assert (total.mean[known] >= total.gnd[known] * 0.9999).all()
    assert (total.interval[known][:, 0] <= total.interval[known][:, 1]).all()
    assert np.isfinite(total.article_average()[0]) or total.article_average()[1] == 0
    assert total.crops("paper").shape == (12, 21, 21)
    assert "valid pixels" in repr(total)


def two_planes(part, scale=1.0):
    """Lines in the plane of system 0, which lies in the map; scattered GND in other planes.

    `part` is what the scattered GND is of the whole, on average.
    """
    systems = for_lattice("fcc", 3.6)
    q = basal(systems, 0)
    back = q * [1, -1, -1, -1]
    rules = line_rules("exact").replace(pixels=40, lines=(40, 40))
    field = simulate_maps(1, rules, seed=8).gnd[0]
    vector = scale * UNIT * np.concatenate([field, np.zeros((40, 40, 1))], axis=-1)
    b = systems.burgers[0] / np.linalg.norm(systems.burgers[0])
    screw = next(k for k in np.flatnonzero(~systems.is_edge) if abs(systems.lines[k] @ b) > 0.999)
    per_system = np.zeros((40, 40, len(systems)))
    for k in (0, screw):
        per_system[..., k] = vector @ turn(back, systems.lines[k])
    lines = np.hypot(vector[..., 0], vector[..., 1])
    other = next(
        k for k in range(12)
        if abs(systems.burgers[k] @ b) < 0.999 * systems.burgers_lengths[k]
    )  # fmt: skip
    random = np.random.default_rng(1)
    per_system[..., other] = (
        random.choice([-1, 1], (40, 40)) * part / (1 - part) * lines * random.uniform(0.9, 1.1)
    )
    return made_up(per_system, q, systems)


INNER = (slice(3, -3), slice(3, -3))


@pytest.fixture(scope="module")
def shipped():
    return DislocationModel.load("default")


def test_a_little_gnd_that_cannot_be_judged_does_no_harm(shipped):
    whole = article_density(two_planes(0.0), shipped, plane_thickness=DEPTH)
    assert whole.in_range[INNER].mean() > 0.95
    faint = article_density(two_planes(0.05), shipped, plane_thickness=DEPTH)
    k = np.flatnonzero(np.nansum(faint.planes.magnitude, axis=(1, 2)) > 0)[-1]
    foreign = (faint.planes.magnitude[k] > 0) & ~faint.planes.in_range[k]
    assert foreign[INNER].mean() > 0.5
    assert faint.in_range[INNER].mean() > 0.9
    # It counts as measured, not as the network extrapolates.
    at = foreign & faint.in_range
    rest = np.delete(faint.planes.mean, k, axis=0).sum(axis=0)
    np.testing.assert_allclose(
        faint.mean[at], (rest + faint.planes.magnitude[k])[at], rtol=1e-3, atol=1e-4 * UNIT
    )
    much = article_density(two_planes(0.15), shipped, plane_thickness=DEPTH)
    some = much.gnd > 0
    assert much.in_range[INNER][some[INNER]].mean() < 0.2


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_wrong_scale_is_found_in_maps(shipped, factor):
    total = article_density(two_planes(0.05, factor), shipped, plane_thickness=DEPTH)
    some = total.gnd > 0
    assert total.in_range[INNER][some[INNER]].mean() < 0.1


def test_noise_floor(model_file):
    rng = np.random.default_rng(4)
    systems = for_lattice("fcc", 3.6)
    per_system = np.where(rng.random((21, 21, 18)) < 0.3, rng.normal(size=(21, 21, 18)), 0) * UNIT
    per_system[:8] = 0
    per_system[15, 15] = np.nan
    gnd = made_up(per_system, quaternion([1, 1, 0], 25), systems)
    blind = article_density(gnd, model_file, plane_thickness=DEPTH)
    gnd.noise_floor = np.where(np.isnan(per_system[..., 0]), np.nan, 2 * UNIT)
    gnd.above_noise = np.nansum(np.abs(per_system), axis=-1) > 3 * UNIT
    same = article_density(gnd, model_file, plane_thickness=DEPTH, noise=False)
    np.testing.assert_array_equal(same.interval, blind.interval)
    assert same.above_noise.sum() == 440
    total = article_density(gnd, model_file, plane_thickness=DEPTH)
    low, high = np.moveaxis(total.interval, -1, 0)
    assert np.isnan(low[15, 15])
    # No GND: zero, and honestly anything up to the noise floor.
    assert not total.mean[:8].any()
    assert not low[:8].any()
    np.testing.assert_allclose(high[:8], 2 * UNIT)
    assert total.in_range[:8].all()
    known = np.isfinite(total.mean)
    quiet = known & ~gnd.above_noise
    assert (quiet & (total.gnd > 0)).any()
    assert not low[quiet].any()
    assert (high[known] >= total.mean[known]).all()
    assert (high[known] - low[known] >= (blind.interval[..., 1] - blind.interval[..., 0])[known]
            ).mean() > 0.6  # fmt: skip
    np.testing.assert_array_equal(total.above_noise, gnd.above_noise & known)
    # What lies below the floor is no reason to call a pixel out of range.
    outside = np.where(total.planes.in_range, 0, np.nan_to_num(total.planes.magnitude)).sum(axis=0)
    assert total.in_range[known & (outside < 1.99 * UNIT)].all()
    assert not total.in_range[outside > np.maximum(2.01 * UNIT, 0.101 * total.gnd)].any()


def test_progress_covers_everything(model_file):
    gnd = made_up(np.full((15, 15, 18), UNIT), quaternion([1, 0, 0], 10))
    done = []
    article_density(gnd, model_file, progress=done.append)
    assert done == sorted(done)
    assert done[0] == 0
    assert done[-1] == 1


def test_windows_lie_in_one_grain(model_file):
    gnd = made_up(np.zeros((15, 25, 18)), quaternion([1, 0, 0], 10))
    gnd.grains[:, 12:] = 2
    valid = article_density(gnd, model_file).valid
    assert valid[3:-3, 3:9].all()
    assert not valid[:, 9:15].any()
    assert valid[3:-3, 15:22].all()
    assert valid.sum() == 9 * 13


def test_no_gnd_no_dislocations(model_file):
    gnd = made_up(np.zeros((15, 15, 18)), quaternion([1, 0, 0], 10))
    total = article_density(gnd, model_file)
    for name in ("mean", "median", "std", "interval", "n_lines"):
        assert not getattr(total, name).any(), name
    assert total.in_range.all()
    value, number = total.article_average()
    assert np.isnan(value)
    assert number == 0
    # The article's criterion picks exactly such empty windows.
    assert total.article_average("paper")[1] == 12 * 81


def test_errors(model_file):
    gnd = made_up(np.zeros((15, 15, 18)), quaternion([1, 0, 0], 10))
    gnd.per_system = None
    with pytest.raises(MissingDataError, match="keep_per_system"):
        article_density(gnd, model_file)
    with pytest.raises(InputError, match="result of gnd_density"):
        article_density(np.zeros((3, 3)), model_file)
    systems = for_lattice("fcc", 3.6)
    screws = systems.select(~systems.is_edge)
    gnd = made_up(np.zeros((15, 15, len(screws))), quaternion([1, 0, 0], 10), screws)
    with pytest.raises(InputError, match="edge"):
        article_density(gnd, model_file)
    gnd = made_up(np.zeros((15, 15, 18)), quaternion([1, 0, 0], 10))
    gnd.scan.step = (1.0, 0.5)
    with pytest.raises(InputError, match="square"):
        article_density(gnd, model_file)
