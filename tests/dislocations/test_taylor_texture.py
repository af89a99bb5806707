"""Taylor factors against published values."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.spatial.transform import Rotation

import napari_ebsdml as ebsdml
from napari_ebsdml.dislocations import slip_systems as ss
from napari_ebsdml.dislocations.taylor_texture import strain_of, taylor_factor, taylor_factors
from napari_ebsdml.errors import InputError

from .test_gnd import two_phases

FCC, BCC = ss.for_lattice("fcc", 3.6), ss.for_lattice("bcc", 2.87)
HCP = ss.for_lattice("hcp", 3.21, 5.21)
RANDOM = Rotation.random(20_000, rng=1).as_quat(scalar_first=True)


@pytest.mark.parametrize(
    ("systems", "mode", "published"),
    [
        (FCC, "uniaxial", 3.067),  # Taylor 1938; Bishop and Hill 1951
        (FCC, "plane-strain", 1.66 * np.sqrt(3)),  # shear: Bishop and Hill 1951
        (BCC, "uniaxial", 2.75),  # 48 systems; pencil glide 2.733
        (ss.for_lattice("bcc", 2.87, families="{110}"), "uniaxial", 3.067),
    ],
)
def test_random_textures(systems, mode, published):
    found = taylor_factors(RANDOM, systems, strain_of(mode, "x")).mean()
    assert found == pytest.approx(published, rel=4e-3)


@pytest.mark.parametrize(
    ("direction", "expected"), [((1, 0, 0), np.sqrt(6)), ((1, 1, 1), 1.5 * np.sqrt(6))]
)
def test_known_orientations(direction, expected):
    cube = np.array([[1.0, 0, 0, 0]])
    assert taylor_factors(cube, FCC, strain_of("uniaxial", direction))[0] == pytest.approx(expected)
    # The same crystal turned so that the direction lies along the map's x.
    turn = Rotation.align_vectors([direction], [[1, 0, 0]])[0].as_quat(scalar_first=True)
    assert taylor_factors(turn[None], FCC, strain_of("uniaxial", "x"))[0] == pytest.approx(expected)


@pytest.mark.parametrize("strengths", [None, {"pyramidal II <c+a>": 6.0, "prismatic": 2.0}])
def test_same_optimum_as_highs(strengths):
    slip = HCP.select(HCP.is_edge)
    costs = np.array([(strengths or {}).get(name, 1.0) for name in slip.families])
    strain = strain_of("plane-strain", "x", "y")
    found = taylor_factors(RANDOM[:20], HCP, strain, strengths)
    b = slip.burgers / slip.burgers_lengths[:, None]
    schmid = np.einsum("si,sj->sij", b, slip.normals)
    schmid = (schmid + np.swapaxes(schmid, 1, 2)) / 2
    pick = ([0, 0, 0, 1, 1], [0, 1, 2, 1, 2])
    matrix = schmid[:, pick[0], pick[1]].T
    for q, value in zip(RANDOM[:20], found, strict=True):
        turn = Rotation.from_quat(q, scalar_first=True).as_matrix()
        right = (turn @ strain @ turn.T)[pick]
        best = linprog(np.tile(costs, 2), A_eq=np.hstack((matrix, -matrix)), b_eq=right)
        assert value == pytest.approx(best.fun, rel=1e-7)


def test_of_a_map_and_in_the_stress():
    scan = two_phases()
    found = taylor_factor(scan)
    assert np.isnan(found.values[2, 2])
    assert set(found.by_phase()) == {0, 3}
    assert found.mean == pytest.approx(np.nanmean(found.values))
    grains = ebsdml.segment_grains(scan)
    assert set(found.by_grain(grains)) == set(np.unique(grains[grains > 0]).tolist())
    assert found.standard_error > 0
    stress = ebsdml.taylor_stress(1e14, "alpha-iron", taylor_factor=found)
    assert stress == pytest.approx(
        ebsdml.taylor_stress(1e14, "alpha-iron", taylor_factor=found.mean)
    )
    assert "TaylorFactor" in repr(found)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"mode": "biaxial"}, "mode"),
        ({"direction": "w"}, "direction"),
        ({"direction": (0, 0, 0)}, "direction"),
        ({"mode": "plane-strain", "normal": "x"}, "perpendicular"),
        ({"strengths": {"basal": 2.0}}, "strengths"),
    ],
)
def test_bad_input(arguments, word):
    with pytest.raises(InputError, match=word):
        taylor_factor(two_phases(), **arguments)
    with pytest.raises(InputError, match="every strain"):
        taylor_factors(
            RANDOM[:1],
            ss.for_lattice("hcp", 3.2, 5.2, families="basal"),
            strain_of("uniaxial", "z"),
        )
