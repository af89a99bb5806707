"""Whether orientations and geometry fit the patterns."""

from __future__ import annotations

import numpy as np
import pytest

from napari_ebsdml._quaternions import multiply
from napari_ebsdml.errors import InputError
from napari_ebsdml.patterns.frame.evidence import Witnesses, check_frame, doubt
from napari_ebsdml.patterns.frame.orientations import specimen_turn
from napari_ebsdml.patterns.simulated.noise import FITTED, HELD_OUT
from napari_ebsdml.patterns.simulated.synthetic import CLEAN, random_quaternions, spoil
from tests.patterns.band_crystals import CAMERA, project

EVERYWHERE = np.ones((60, 60), bool)


@pytest.fixture(scope="module")
def seen(library):
    """Sixteen patterns of a bcc crystal and their orientations."""
    rng = np.random.default_rng(5)
    q = random_quaternions(rng, 16)
    return spoil(project(library, np.full(16, 10), q), rng, CLEAN), q


def ask(patterns, q, geometry=CAMERA) -> Witnesses:
    return Witnesses.among(np.arange(len(patterns)), patterns, q, geometry, EVERYWHERE)


def test_right_orientations_raise_no_doubt(seen):
    patterns, q = seen
    check_frame(ask(patterns, q), "map")
    assert doubt(ask(patterns, q)) is None


@pytest.mark.parametrize("frame", ["kikuchipy", "oxford", "bruker", "edax-1"])
def test_another_frame_is_told_by_its_name(seen, frame):
    patterns, q = seen
    back = specimen_turn(frame) * (1, -1, -1, -1)
    with pytest.raises(InputError, match=f"axes of frame '{frame}', not 'map'"):
        check_frame(ask(patterns, multiply(q, back)), "map")


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("tilt", CAMERA.tilted(5)), ("dx", CAMERA.moved(dx=0.03)), ("dz", CAMERA.moved(dz=-0.04)),
        ("dy", CAMERA.moved(dy=1 - 2 * CAMERA.centre[1])),
    ],
)  # fmt: skip
def test_a_wrong_geometry_is_told(seen, name, wrong):
    patterns, q = seen
    found = doubt(ask(patterns, q, wrong))
    assert found is not None
    assert found.gain > 1.3
    assert "does not fit these patterns" in found.sentence
    if name == "dy":
        assert found.moved["dy"] == pytest.approx(2 * CAMERA.centre[1] - 1, abs=0.05)
    if name == "tilt":
        assert found.moved["tilt"] == pytest.approx(-5, abs=2.5)


def test_few_or_no_patterns_with_orientations_raise_no_doubt(seen):
    patterns, q = seen
    assert doubt(ask(patterns[:3], q[:3])) is None
    nothing = ask(patterns, np.zeros_like(q))
    assert len(nothing) == 0
    check_frame(nothing, "map")
    assert doubt(nothing) is None


@pytest.mark.parametrize("kind", ["white", "shot", "stripes", "blurred by 4 to 6 pixels"])
def test_noise_speaks_for_no_frame(kind):
    rng = np.random.default_rng(2)
    make = {**FITTED, **HELD_OUT}[kind]
    check_frame(ask(spoil(make(rng, 16, 60), rng, CLEAN), random_quaternions(rng, 16)), "map")
