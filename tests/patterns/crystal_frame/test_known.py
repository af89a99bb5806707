"""Known or unknown: what the copies of the triangle and the noise tell."""

from __future__ import annotations

import dataclasses
import json
from itertools import product

import numpy as np
import pytest

from napari_ebsdml._quaternions import to_matrix
from napari_ebsdml.errors import ModelError
from napari_ebsdml.patterns import CrystalFrameClassifier, SpaceGroupClassifier
from napari_ebsdml.patterns.answers.result import no_answers
from napari_ebsdml.patterns.crystal_frame.answer import answer
from napari_ebsdml.patterns.crystal_frame.known import (
    MODERATE,
    WITNESSES,
    KnownScore,
    fit_known,
    witnesses,
)
from napari_ebsdml.patterns.crystals.library import Library
from napari_ebsdml.patterns.crystals.master import lambert_directions, sample, simulate_sphere
from napari_ebsdml.patterns.crystals.table import find
from napari_ebsdml.patterns.frame.fold import fold_patterns
from napari_ebsdml.patterns.frame.folded import CELLS, GROUPINGS, Folded
from napari_ebsdml.patterns.frame.geometry import to_kikuchipy
from napari_ebsdml.patterns.search.templates import Templates
from napari_ebsdml.patterns.simulated.noise import FITTED, HELD_OUT
from napari_ebsdml.patterns.simulated.synthetic import (
    CLEAN,
    folded_many,
    project_bands,
    random_quaternions,
    spoil,
)
from napari_ebsdml.patterns.symmetry.groups import GROUPS, turn
from tests.patterns.band_crystals import BCC, CAMERA, FCC, bands, project


def sphere(planes: dict[tuple[int, int, int], float], cell: tuple[float, float, float]):
    """Master pattern of the bands of given planes, with their mirror images in the axes only."""
    directions = lambert_directions(80)
    total = np.zeros(directions.shape[:-1])
    for hkl, strength in planes.items():
        for signs in product((1, -1), repeat=3):
            g = np.array(hkl) * signs / np.array(cell)
            distance = np.abs(directions @ g) / np.linalg.norm(g)
            half = 0.08588 / 2 * np.linalg.norm(g)
            total += strength / (1 + np.exp((distance - half) / 0.006))
    return np.stack([total, total]).astype(np.float32)


def tetragonal(a: float, c: float):
    planes = {(1, 0, 1): 1.0, (0, 1, 1): 1.0, (1, 1, 0): 0.8, (2, 0, 0): 0.5, (0, 2, 0): 0.5,
              (1, 1, 2): 0.6, (0, 0, 2): 0.9}  # fmt: skip
    return sphere(planes, (a, a, c))


def m3(a: float):
    planes = {(2, 1, 0): 1.0, (0, 2, 1): 1.0, (1, 0, 2): 1.0, (1, 1, 1): 0.4,
              (3, 1, 2): 0.7, (2, 3, 1): 0.7, (1, 2, 3): 0.7}  # fmt: skip
    return sphere(planes, (a, a, a))


def averaged(master, number: int = 60) -> Folded:
    """Noise-free average over many orientations, so that all copies are seen everywhere."""
    q = random_quaternions(np.random.default_rng(1), number)
    patterns = project_bands(master[None], np.zeros(number, int), q, CAMERA)
    return fold_patterns(patterns, q, CAMERA).total()


def test_parts_hold_the_pixels_of_each_permutation():
    # Independent of the kernel: numpy's sort, and angles by arctan.
    q = random_quaternions(np.random.default_rng(0), 3)
    patterns = np.random.default_rng(1).normal(size=(3, 60, 60))
    folded = fold_patterns(patterns, q, CAMERA)
    assert folded.parts.shape == (3, 6, CELLS * (CELLS + 1) // 2)
    for k in range(3):
        rays = np.abs(CAMERA.directions()[0].reshape(-1, 3) @ to_matrix(to_kikuchipy(q))[k].T)
        order = np.argsort(rays, axis=1)
        low, middle, high = np.take_along_axis(rays, order, axis=1).T
        i = np.minimum(np.rad2deg(np.arctan(middle / high)) / 2.5, CELLS - 1).astype(int)
        j = np.minimum((np.rad2deg(np.arctan(low / high)) / 2.5).astype(int), i)
        part = 2 * order[:, 2] + (order[:, 0] > order[:, 1])
        count = np.zeros(folded.counts.shape[1:])
        np.add.at(count, (part, i * (i + 1) // 2 + j), 1)
        assert np.abs(count - folded.counts[k]).sum() <= 4  # single pixels on a border
    np.testing.assert_allclose(folded.counts.sum(axis=(1, 2)), 3600)
    np.testing.assert_allclose(folded.weights.sum(axis=1), 3600, rtol=1e-4)
    np.testing.assert_allclose(
        folded.parts.sum(axis=(1, 2)), folded.sums.sum(axis=1), rtol=1e-3, atol=0.2
    )


def test_a_missing_axis_or_mirror_shows_in_the_right_grouping(library):
    q = random_quaternions(np.random.default_rng(1), 60)
    cubic = fold_patterns(project(library, np.zeros(60, int), q), q, CAMERA).total()
    for wide in (False, True):
        assert cubic.differences(wide)[0].max() < 0.03
        four = dict(
            zip(GROUPINGS, averaged(tetragonal(3.0, 4.3)).differences(wide)[0][0], strict=True)
        )
        # With the 4-fold axis along z, copies with z in one place are alike.
        assert four["six"] > 0.3
        assert four["z"] > 0.9 * four["six"]
        assert max(four["x"], four["y"]) < 0.5 * four["six"]
        assert four["parity"] < 0.05
        three = dict(zip(GROUPINGS, averaged(m3(5.4)).differences(wide)[0][0], strict=True))
        assert three["six"] > 0.15
        assert three["parity"] > 0.9 * three["six"]
        assert max(three["x"], three["y"], three["z"]) < 0.2 * three["six"]


def test_the_corrected_difference_is_free_of_noise(library):
    rng = np.random.default_rng(2)
    q = random_quaternions(rng, 40)
    clean = project(library, np.zeros(40, int), q)
    noisy = clean + 1.5 * clean.std() * rng.normal(size=clean.shape).astype(np.float32)
    plain, corrected = fold_patterns(noisy, q, CAMERA).differences()
    assert plain[:, 0].mean() > 0.3
    assert abs(corrected[:, 0].mean()) < 0.1


def test_noise_and_reliability_are_measured(library):
    rng = np.random.default_rng(3)
    q = random_quaternions(rng, 30)
    clean = project(library, np.zeros(30, int), q)
    grain = rng.normal(size=clean.shape).astype(np.float32)
    for size in (0.0, 0.5, 1.0, 2.0):
        folded = fold_patterns(clean + size * clean.std() * grain, q, CAMERA)
        # The flattened pattern's variance is about 1, shared by noise and bands.
        expected = size**2 / (1 + size**2)
        assert folded.pixel_noise.mean() == pytest.approx(expected, abs=0.12)
    noise = fold_patterns(grain, q, CAMERA)
    assert noise.reliability.mean() < 0.15
    # Two patterns of the same orientation with noise of their own correlate by the reliability.
    other = rng.normal(size=clean.shape).astype(np.float32)
    one, two = (fold_patterns(clean + g * clean.std(), q, CAMERA) for g in (grain, other))
    found = [
        np.corrcoef(a[w > 2], b[w > 2])[0, 1]
        for a, b, w in zip(one.mean, two.mean, one.count, strict=True)
    ]
    assert one.reliability.mean() == pytest.approx(np.mean(found), abs=0.1)
    assert fold_patterns(clean, q, CAMERA).reliability.min() > 0.9


def test_sums_add_up():
    rng = np.random.default_rng(4)
    q = random_quaternions(rng, 10)
    folded = fold_patterns(rng.integers(0, 255, (10, 40, 40), np.uint8), q, _small())
    labels = np.array([0, 1, 0, -1, 2, 2, 1, 0, -1, 2])
    grouped = folded.grouped(labels, 4)
    piecewise = Folded.empty(4)
    for part in (slice(0, 3), slice(3, 10)):
        piecewise.add(labels[part], folded.take(part))
    for k, (one, two, each) in enumerate(
        zip(grouped.arrays, piecewise.arrays, folded.arrays, strict=True)
    ):
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-4, err_msg=str(k))
        np.testing.assert_allclose(
            one[1], each[labels == 1].sum(axis=0), rtol=1e-5, atol=1e-4, err_msg=str(k)
        )
        assert not one[3].any()
    again = Folded.join([folded.take(np.arange(4)), folded.take(np.arange(4, 10))])
    np.testing.assert_array_equal(again.parts, folded.parts)
    assert np.isfinite(witnesses(grouped, np.zeros((4, 3), np.float32))).all()


def _small():
    from napari_ebsdml.patterns.frame.geometry import Geometry

    return Geometry.from_angles((0.5, 0.25, 0.55), (40, 40), 70, 5)


def test_a_grains_sums_take_no_more_memory_than_before():
    # Before: even and odd permutations apart, each with sums and weights on 1081 nodes.
    one = Folded.empty(1)
    assert sum(array.nbytes for array in one.arrays) <= 4 * 1081 * 4


def test_the_score_tells_tables_apart_and_keeps_to_its_range():
    rng = np.random.default_rng(5)
    n = len(WITNESSES)
    # Known where two witnesses agree, whatever each is: a product's work.
    both = rng.uniform(-1, 1, 3000)
    known = rng.normal(size=(3000, n))
    known[:, 0], known[:, 1] = both, both + 0.1 * rng.normal(size=3000)
    unknown = rng.normal(size=(3000, n))
    unknown[:, 0], unknown[:, 1] = both, -both
    score = KnownScore.fit(known, unknown, known[:1000], np.ones(3000), loss=0.04)
    assert 0.9 < (score(known[1000:]) >= score.threshold).mean() <= 1
    assert (score(known[:1000]) < score.threshold).mean() <= 0.041
    assert (score(unknown) < score.threshold).mean() > 0.7
    far = known[:1].copy()
    far[:, 2] = 1e6
    limit = far.copy()
    limit[:, 2] = score.high[2]
    np.testing.assert_array_equal(score(far), score(limit))
    assert (KnownScore()(unknown) >= KnownScore().threshold).all()


@pytest.mark.long
def test_strangers_of_other_sizes_are_unknown_and_new_cubic_ones_known(library):
    strangers = [tetragonal(3.0, 4.3), tetragonal(3.6, 3.0), m3(5.0)]
    # A crystal may teach what known ones look like without a template of its own.
    templates = Templates.of(library).take(np.arange(len(library)) != 3)
    score = fit_known(templates, library, strangers, seed=0, number=400)

    def known(masters):
        folded = folded_many(masters, np.zeros(60, int), 7, MODERATE, batch=12)
        table = witnesses(folded, templates.correlate(folded))
        return (score(table) >= score.threshold).mean()

    assert known(library.masters[3:4]) > 0.85
    assert known(bands(2.95, BCC)[None]) > 0.85
    assert known(bands(3.55, FCC)[None]) > 0.85
    assert known(tetragonal(2.8, 3.7)[None]) < 0.15
    noise = folded_many(library.masters, np.zeros(40, int), 8, MODERATE, "noise")
    table = witnesses(noise, templates.correlate(noise))
    assert (score(table) < score.threshold).mean() > 0.95


def test_the_shipped_score_calls_band_crystals_of_lower_symmetry_unknown():
    shipped = SpaceGroupClassifier.load("default")
    rng = np.random.default_rng(6)
    q = random_quaternions(rng, 40)
    for master in (tetragonal(3.2, 4.4), m3(5.6)):
        images = project_bands(master[None], np.zeros(40, int), q, CAMERA)
        result = shipped.predict(spoil(images, rng, CLEAN), q, CAMERA)
        assert (~result.is_known).mean() > 0.8


def test_the_score_is_saved_and_an_older_file_refused_clearly(tmp_path):
    path = tmp_path / "mine.safetensors"
    first = CrystalFrameClassifier.load()
    n = len(WITNESSES)
    weights = tuple(np.linspace(-1, 1, n + n * (n + 1) // 2 + 1).tolist())
    known = KnownScore(weights, 0.25, (0.0,) * n, (1.5,) * n)
    CrystalFrameClassifier(dataclasses.replace(first.model, known=known)).save(path)
    assert CrystalFrameClassifier.load(path).model.known == known
    card = path.with_suffix(".json")
    table = json.loads(card.read_text())
    table["extra"]["known"] = {"weights": [1.0, 2.0, 3.0, 4.0], "threshold": 0.5}
    card.write_text(json.dumps(table))
    with pytest.raises(ModelError, match=r"another version .* Train it again"):
        SpaceGroupClassifier.load(path)


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("tin", lambda v: v[:, 2] ** 4 + 0.7 * (v[:, 0] * v[:, 1]) ** 2),
        ("pyrite", lambda v: (v**4 * v[:, (1, 2, 0)] ** 2).sum(axis=1)),
        ("Ti", lambda v: v[:, 2] ** 2 + ((v[:, 0] + 1j * v[:, 1]) ** 6).real),
        # Twofold axes along a, mirrors normal to it.
        ("calcite", lambda v: v[:, 2] ** 2 + v[:, 2] * ((v[:, 0] + 1j * v[:, 1]) ** 3).imag),
        ("cementite", lambda v: v[:, 2] ** 2 + 3 * v[:, 0] ** 4),
    ],
)
def test_symmetry_saves_directions_and_loses_nothing(monkeypatch, name, function):
    from napari_ebsdml.patterns.crystals import simulate

    asked = []

    def instead(structure, directions, *rest):
        asked.append(len(directions))
        return function(directions).astype(np.float32)

    monkeypatch.setattr(simulate, "simulate_directions", instead)
    master = simulate_sphere(find(name))
    rng = np.random.default_rng(0)
    rays = rng.normal(size=(5000, 3))
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    exact = function(rays)
    assert np.abs(sample(master, rays) - exact).max() < 0.02 * np.ptp(exact)
    assert asked[0] < 0.26 * master[0].size


@pytest.mark.parametrize(
    ("space_group", "name"),
    [(147, "-3"), (164, "-3m"), (162, "-31m"), (176, "6/m"), (187, "6/mmm")],
)
def test_simulated_spheres_have_their_laue_group(monkeypatch, space_group, name):
    """Whatever the scattering: a grid that lacks an axis would break bands finer than its step."""
    from napari_ebsdml.patterns.crystals import simulate

    def fine(structure, directions, *rest):
        return np.sin(40 * directions[:, 0] + 23 * directions[:, 1]) * np.cos(31 * directions[:, 2])

    monkeypatch.setattr(simulate, "simulate_directions", fine)
    master = simulate_sphere(dataclasses.replace(find("Ti"), space_group=space_group))
    rays = np.random.default_rng(0).normal(size=(3000, 3))
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    rotations = GROUPS[name.replace("31", "3")].rotations
    if name == "-31m":
        rotations = turn(np.array([0, 0, 1.0]), 30) @ rotations @ turn(np.array([0, 0, 1.0]), -30)
    own = sample(master, rays)
    for rotation in rotations:
        assert np.corrcoef(own, sample(master, rays @ rotation.T))[0, 1] > 0.96
    assert np.corrcoef(own, sample(master, -rays))[0, 1] > 0.999


def test_the_shipped_score_calls_noise_unknown():
    """Kinds that it was fitted on, and others; one in a hundred of a kind may pass."""
    model = CrystalFrameClassifier.load("default").model
    masters = Library.load().masters[:1]
    passed = 0
    for kind in (*FITTED.values(), *HELD_OUT.values()):
        folded = folded_many(masters, np.zeros(60, int), 77, MODERATE, "noise", 20, kind)
        result = no_answers((60,), model.space_groups)
        answer(model, folded, result, np.arange(60))
        passed += int(result.is_known.sum())
    assert passed <= 7
