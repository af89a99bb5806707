"""Simulated structures against analytic fields, and the reader of networks."""

from __future__ import annotations

import numpy as np
import pytest

from napari_ebsdml.dislocations.structures.elasticity import (
    cubic_stiffness,
    elastic_field,
    isotropic_stiffness,
)
from napari_ebsdml.dislocations.structures.generate import (
    KINDS,
    random_structure,
    stream_structures,
)
from napari_ebsdml.dislocations.structures.lines import Lines, closed, straight
from napari_ebsdml.dislocations.structures.network_file import read_network
from napari_ebsdml.dislocations.structures.sections import oblique_map, section
from napari_ebsdml.dislocations.structures.store import read_stored, simulate
from napari_ebsdml.dislocations.structures.surface import surface_rotation
from napari_ebsdml.errors import FileFormatError, InputError

SIZE = 48


def quadrupole(burgers: list[float], size: int = SIZE) -> Lines:
    """Four lines along z whose far fields cancel, the first at a quarter of the box."""
    place = np.array([[1, 1, 0], [3, 1, 0], [1, 3, 0], [3, 3, 0]]) * size / 4.0
    sign = np.array([1, -1, -1, 1])[:, None]
    return straight(place, np.array([[0, 0, 1]]) * sign, np.array([burgers] * 4), size)


@pytest.mark.parametrize("distance", [2, 3, 4])
def test_edge_and_screw_turn_the_lattice_as_in_a_textbook(distance: int) -> None:
    # Hirth and Lothe: edge b along x, rotation -b x / (2 pi r^2) about z; screw b along z,
    # rotation b r / (4 pi r^2). Images are six or more distances away.
    centre = SIZE // 4
    edge = elastic_field(quadrupole([1, 0, 0])).rotation[:, :, 7]
    assert edge[centre + distance, centre, 2] == pytest.approx(
        -1 / (2 * np.pi * distance), rel=0.09
    )
    assert edge[centre, centre + distance, 2] == pytest.approx(0, abs=2e-3)
    np.testing.assert_allclose(edge[..., :2], 0, atol=1e-6)
    screw = elastic_field(quadrupole([0, 0, 1])).rotation[:, :, 7]
    radial = 1 / (4 * np.pi * distance)
    assert screw[centre + distance, centre, 0] == pytest.approx(radial, rel=0.09)
    assert screw[centre, centre + distance, 1] == pytest.approx(radial, rel=0.09)


def test_edge_strain_has_the_analytic_shear_and_dilatation() -> None:
    # e_xy = b / (4 pi (1 - nu)) / x on the glide plane; dilatation there is zero.
    nu, centre, distance = 0.3, SIZE // 4, 3
    field = elastic_field(quadrupole([1, 0, 0]), isotropic_stiffness(nu), strain=True)
    assert field.strain is not None
    strain = field.strain[centre + distance, centre, 3]
    assert strain[5] == pytest.approx(1 / (4 * np.pi * (1 - nu) * distance), rel=0.12)
    assert strain[:3].sum() == pytest.approx(0, abs=3e-3)
    above = field.strain[centre, centre + distance, 3]
    # Dilatation -b (1 - 2 nu) / (2 pi (1 - nu)) / y above the glide plane.
    expected = -(1 - 2 * nu) / (2 * np.pi * (1 - nu) * distance)
    assert above[:3].sum() == pytest.approx(expected, rel=0.12)


def test_tilt_and_twist_walls_turn_the_lattice_by_b_over_their_spacing() -> None:
    spacing = 6
    along_y = np.arange(0, SIZE, spacing)
    place = np.stack([np.zeros_like(along_y), along_y, np.zeros_like(along_y)], axis=1) + 0.3
    quarter = np.array([SIZE / 4, 0, 0])
    both = np.concatenate((place + quarter, place + 3 * quarter))
    sign = np.repeat([[1], [-1]], len(place), axis=0)
    burgers = np.array([[1.0, 0, 0]] * len(both))
    walls = straight(both, np.array([[0, 0, 1]]) * sign, burgers, SIZE)
    turn = elastic_field(walls).rotation[..., 2]
    jump = turn[SIZE // 2].mean() - turn[0].mean()
    assert abs(jump) == pytest.approx(1 / spacing, rel=1e-3)


def test_a_screw_that_ends_at_a_surface_turns_the_lattice_as_eshelby_and_stroh_say() -> None:
    # Bulk: b / (4 pi r) outwards. Where it ends at a free surface: twice that, and b / (4 pi r)
    # about the normal (u_theta = b / 2 pi there; Phil. Mag. 42, 1951, 1401).
    place = np.array([[1, 1, 0], [3, 1, 0], [1, 3, 0], [3, 3, 0]]) * 16.0
    sign = np.array([1, -1, -1, 1])[:, None]
    screws = straight(place, np.array([[0, 0, 1]]) * sign, np.array([[0, 0, 1.0]] * 4), 64)
    field = elastic_field(screws, strain=True)
    for distance in (2, 3):
        inside = section(field, 2, 5).rotation[16, 16 + distance] * 4 * np.pi * distance
        free = surface_rotation(field, 2, 5)[16, 16 + distance] * 4 * np.pi * distance
        assert inside[0] == pytest.approx(1, abs=0.05)
        assert free[0] == pytest.approx(2, abs=0.1)
        assert free[1] == pytest.approx(0, abs=1e-3)
        assert abs(free[2]) == pytest.approx(1, abs=0.15)  # images, which fall off slowly
    with pytest.raises(InputError, match="strain"):
        surface_rotation(elastic_field(screws), 2, 5)


def test_edges_along_the_normal_keep_most_of_their_rotation_at_a_surface() -> None:
    # Plane strain has traction nu (s_xx + s_yy) on the surface only: rotations change by less
    # than those of screws, and without Poisson's ratio not at all.
    edges = quadrupole([1, 0, 0])
    field = elastic_field(edges, isotropic_stiffness(0.0), strain=True)
    inside = section(field, 2, 5).rotation
    free = surface_rotation(field, 2, 5, poisson=0.0)
    np.testing.assert_allclose(free, inside, atol=0.01 * np.abs(inside).max())


def test_anisotropy_of_one_is_isotropy_and_others_differ() -> None:
    lines = closed(np.array([[[5, 5, 5], [15, 5, 5], [15, 15, 9], [5, 15, 9]]]), np.eye(3)[:1], 32)
    plain = elastic_field(lines, isotropic_stiffness(0.3)).rotation
    same = elastic_field(lines, cubic_stiffness(3.5, 1.5, 1.0)).rotation
    np.testing.assert_allclose(plain, same, atol=2e-6)
    other = elastic_field(lines, cubic_stiffness(2.2, 1.5, 1.0)).rotation
    assert np.abs(plain - other).max() > 0.02 * np.abs(plain).max()
    with pytest.raises(InputError, match="not stable"):
        cubic_stiffness(1.0, 1.5, 1.0)


def test_lines_of_one_sign_bend_the_lattice_evenly() -> None:
    lines = straight(np.array([[3.0, 4, 0]]), np.array([[0, 0, 1]]), np.array([[1.0, 0, 0]]), 32)
    field = elastic_field(lines)
    # alpha_xz = b rho = -kappa_zx in this sense of rotation.
    expected = np.zeros((3, 3))
    expected[2, 0] = -lines.density
    np.testing.assert_allclose(field.curvature, expected, atol=1e-9)


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_kind_has_its_density_and_closed_lines(kind: str) -> None:
    random = np.random.default_rng(5)
    structure = random_structure(random, 32, [kind], 0.15)
    assert 0.4 * 0.15 < structure.lines.density < 2.5 * 0.15
    assert structure.field.density.mean() == pytest.approx(structure.lines.density, rel=1e-3)
    # Lines end nowhere: Nye's tensor has no divergence along its lines (long waves of the grid).
    waves = np.fft.fftn(structure.field.nye, axes=(2, 3, 4))[..., :4, :4, :4]
    k = 2 * np.pi * np.arange(4) / 32
    end = waves[:, 0] * k[:, None, None] + waves[:, 1] * k[None, :, None] + waves[:, 2] * k
    size = np.abs(waves).max() * k.max()
    assert np.abs(end).max() < 0.03 * size
    assert np.isfinite(structure.field.rotation).all()


def test_a_stream_repeats_itself_and_mixes_kinds() -> None:
    first, second = stream_structures(3, 16), stream_structures(3, 16)
    pairs = [(next(first), next(second)) for _ in range(4)]
    for a, b in pairs:
        assert a.kinds == b.kinds
        np.testing.assert_array_equal(a.field.rotation, b.field.rotation)
    assert len({a.kinds for a, _ in pairs}) > 1


@pytest.mark.parametrize("normal", [0, 1, 2])
def test_sections_are_right_handed_maps(normal: int) -> None:
    field = random_structure(np.random.default_rng(1), 16, ["polarised"], 0.3).field
    part = section(field, normal, 5)
    x, y = (normal + 1) % 3, (normal + 2) % 3
    axes = np.eye(3)[[x, y, normal]]
    whole = oblique_map(field, axes, 5 * np.eye(3)[normal], (16, 16))
    rows, columns = np.mgrid[:16, :16]
    ours = (
        part.rotation + columns[..., None] * part.slope[:, 0] + rows[..., None] * part.slope[:, 1]
    )
    np.testing.assert_allclose(ours - ours[0, 0], whole - whole[0, 0], atol=1e-5)


def test_simulated_files_are_kept_and_read_back(tmp_path) -> None:  # type: ignore[no-untyped-def]
    paths = simulate(tmp_path, 2, 16, seed=4)
    changed = paths[0].stat().st_mtime_ns
    assert simulate(tmp_path, 2, 16, seed=4) == paths
    assert paths[0].stat().st_mtime_ns == changed
    stored = list(read_stored(paths[0]))
    assert len(stored) == 25
    assert stored[0].sections[0][0].rotation.shape == (16, 16, 3)
    assert all(one.kinds for one in stored)


NETWORK = """dataFileVersion = 4
numFileSegments = 1
minCoordinates = [
 -50.0
 -50.0
 -50.0
 ]
maxCoordinates = [
 50.0
 50.0
 50.0
 ]
nodeCount = 4
dataDecompType = 2
dataDecompGeometry = [
 1
 1
 1
 ]
domainDecomposition =
# Dom_ID  Minimum XYZ bounds   Maximum XYZ bounds
  0  -50.0  -50.0  -50.0  50.0  50.0  50.0
nodalData =
# Primary lines: node_tag, x, y, z, num_arms, constraint
"""


def loop_file(corners: list[tuple[float, float, float]], burgers: str = "0.7 0.7 0.0") -> str:
    minus = " ".join(str(-float(v)) for v in burgers.split())
    text, n = NETWORK, len(corners)
    for k, (x, y, z) in enumerate(corners):
        text += f"0, {k} {x} {y} {z} 2 0\n"
        text += f"   0, {(k + 1) % n} {burgers}\n      0.0 0.0 1.0\n"
        text += f"   0, {(k - 1) % n} {minus}\n      0.0 0.0 1.0\n"
    return text


def test_a_network_file_is_read(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "config.data"
    # A square of 20 x 20 that lies across the face of the box at x = 50.
    path.write_text(loop_file([(40, 0, 0), (-40, 0, 0), (-40, 20, 0), (40, 20, 0)]))
    network = read_network(path)
    assert network.edge == 100
    assert network.density == pytest.approx(80 / 100**3)
    lines = network.lines(50)
    assert lines.density == pytest.approx(network.density * 2**2)  # a voxel is two b wide
    np.testing.assert_allclose(lines.mean_nye, 0, atol=1e-9)
    assert np.abs(elastic_field(lines).rotation).max() > 0


def test_what_is_no_network_is_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "config.data"
    good = loop_file([(0, 0, 0), (9, 0, 0), (9, 9, 0), (0, 9, 0)])
    for text, message in (
        ("nothing", "no nodalData"),
        (good[:-80], "ends before"),
        (good.replace("numFileSegments = 1", "numFileSegments = 2"), "split"),
        (good.replace(" 50.0\n ]", " 60.0\n ]"), "cube"),
        (good.replace("-0.7 -0.7 -0.0", "-0.7 0.7 -0.0", 1), "disagree"),
        (good.replace("0.7 0.7 0.0", "0.7 what 0.0", 1), "no number"),
    ):
        path.write_text(text)
        with pytest.raises(FileFormatError, match=message):
            read_network(path)
