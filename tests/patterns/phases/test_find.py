"""Phases of small simulated maps with nothing known."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from diffpy.structure import Lattice, Structure
from orix.crystal_map import Phase, PhaseList

import napari_ebsdml as ebsdml
from napari_ebsdml._quaternions import to_matrix
from napari_ebsdml.batching.step import Work, named_step
from napari_ebsdml.errors import InputError, MissingDataError
from napari_ebsdml.io.static_background import static_background
from napari_ebsdml.patterns.frame.geometry import Geometry
from napari_ebsdml.patterns.phases.find import find_phases
from napari_ebsdml.patterns.phases.words import of_relatives
from napari_ebsdml.patterns.simulated.synthetic import random_quaternions
from napari_ebsdml.patterns.symmetry.energy import energy_of
from napari_ebsdml.patterns.symmetry.even import evened, without_background
from napari_ebsdml.patterns.symmetry.groups import GROUPS
from napari_ebsdml.patterns.symmetry.operators import half_cube
from napari_ebsdml.patterns.symmetry.sphere import MeasuredSphere, rotation_grid
from napari_ebsdml.patterns.symmetry.view import flat_images, views_of
from tests.patterns.phases.maps import CAMERA, images_of, scan_of, two_phase_map, two_phases
from tests.patterns.symmetry.crystals import CENTRE, IRON, NICKEL, TITANIUM
from tests.patterns.symmetry.crystals import patterns as crystal_patterns


def map_of_grains(kinds, grains=(3, 4), side=4, noise=1.0):
    """A map of square grains, of two crystals by turns; which of them each pixel is."""
    rng = np.random.default_rng(5)
    number = grains[0] * grains[1]
    shape = (grains[0] * side, grains[1] * side)
    grain = np.kron(np.arange(number).reshape(grains), np.ones((side, side), int))
    phase = grain % 2
    q = random_quaternions(rng, number)[grain.ravel()]
    return scan_of(images_of(kinds, phase.ravel(), q, noise, rng), shape), phase


@pytest.fixture(scope="module")
def answer():
    made = two_phases()
    return made.found, made.phase, made.quaternions, made.progress


def test_both_phases_are_found_and_indexed(answer):
    found, phase, _, told = answer
    assert {cluster.laue.best for cluster in found.clusters} == {"m-3m", "6/mmm"}
    ids = {cluster.laue.best: k for k, cluster in enumerate(found.clusters)}
    want = np.where(phase, ids["6/mmm"], ids["m-3m"]).ravel()
    got = found.scan.phase_id.ravel()
    assert (got == want)[:-1].mean() > 0.9
    assert got[-1] == -1
    assert [p.point_group.name for _, p in found.phases] == [c.sphere.group for c in found.clusters]
    assert sum(cluster.share for cluster in found.clusters) == pytest.approx(1)
    assert told[-1] == pytest.approx(1)
    assert (np.diff(told) >= 0).all()
    assert all(c.laue.best == c.sphere.group for c in found.clusters)
    assert "fit" in found.scan.prop


def test_orientations_are_those_of_the_crystals(answer):
    found, phase, q, _ = answer
    for k, cluster in enumerate(found.clusters):
        mine = found.scan.phase_id == k
        mine &= phase == (cluster.laue.best == "6/mmm")
        true, got = to_matrix(q[mine]), to_matrix(found.scan.quaternions[mine])
        # The sphere's frame is the crystal's but for one rotation that all patterns share.
        between = got @ np.swapaxes(true, 1, 2)
        group = GROUPS[cluster.sphere.group].rotations
        spread = []
        for other in between:
            cosine = max(np.trace(other.T @ r @ between[0]) for r in group)
            spread.append(np.rad2deg(np.arccos(np.clip((cosine - 1) / 2, -1, 1))))
        assert np.median(spread) < 1.0


@pytest.mark.long
def test_lattices_of_bcc_and_fcc_grains_are_told_apart():
    # From single patterns, whose noise hides that bands are missing, bcc was told primitive.
    scan, phase = map_of_grains((NICKEL, IRON))
    found = find_phases(scan)
    assert len(found.clusters) == 2
    assert {one.laue.best for one in found.clusters} == {"m-3m"}
    for k, one in enumerate(found.clusters):
        mine = phase[found.scan.phase_id == k]
        assert len(mine) > 80
        is_iron = mine.mean() > 0.5
        assert mine.mean() == (
            pytest.approx(1, abs=0.05) if is_iron else pytest.approx(0, abs=0.05)
        )
        assert one.lattice.bravais == ("cI" if is_iron else "cF")


@pytest.mark.long
def test_element_counts_part_phases_of_one_structure():
    scan, second = map_of_grains((NICKEL, NICKEL))
    second = second.astype(bool)
    rng = np.random.default_rng(2)
    shares = np.where(second[..., None], [0.02, 0.02, 0.96], [0.70, 0.18, 0.12])
    counts = rng.poisson(50 * shares)
    for k, line in enumerate(("Fe", "Cr", "Ni")):
        scan = scan.with_property(f"Window Integral {line} Ka1", counts[..., k])
    alone = find_phases(scan, chemistry=None)
    assert len(alone.clusters) == 1
    assert alone.clusters[0].elements == {}
    assert "lement counts" not in alone.sentence
    found = find_phases(scan)
    assert len(found.clusters) == 2
    is_second = found.scan.phase_id[second] == found.scan.phase_id[second][0]
    assert is_second.mean() > 0.95
    assert (found.scan.phase_id == found.scan.phase_id[second][0])[~second].mean() < 0.05
    assert {next(iter(one.elements)) for one in found.clusters} == {"Fe K", "Ni K"}
    for one in found.clusters:
        assert sum(one.elements.values()) == pytest.approx(1)
        assert one.laue.best == "m-3m"
        assert "Element counts:" in one.sentence
    assert "told apart by element counts (Fe K, Cr K, Ni K)" in found.sentence
    # Patterns are indexed as they were: each grain in one orientation, and the same one.
    same = np.abs((found.scan.quaternions * alone.scan.quaternions).sum(-1))
    assert np.median(same) == pytest.approx(1, abs=1e-6)


@pytest.mark.long
@pytest.mark.parametrize(("crystal", "group", "bravais"), [
    (NICKEL, "m-3m", "cF"), (TITANIUM, "6/mmm", "hP"),
])  # fmt: skip
def test_few_patterns_of_one_grain_are_told(crystal, group, bravais):
    rng = np.random.default_rng(0)
    q = np.repeat(random_quaternions(rng, 1), 9, axis=0)
    found = find_phases(scan_of(images_of((crystal,), np.zeros(9, int), q, 0.7, rng), (3, 3)))
    (one,) = found.clusters
    assert group in one.laue.group
    assert one.laue.best == group
    assert one.lattice.bravais == bravais
    assert (found.scan.phase_id == 0).all()


def test_raw_patterns_are_divided_by_the_background_of_their_file():
    scan = ebsdml.read(ebsdml.samples.fetch("nickel_patterns"))
    (one,) = find_phases(scan).clusters
    assert one.laue.best == "m-3m"
    assert one.lattice.bravais == "cF"
    assert one.lattice.a == pytest.approx(3.52, rel=0.15)
    assert 225 in one.space_groups[0].numbers
    assert one.contradiction == ""
    # Its file tells the energy.
    assert energy_of(scan) == 20.0
    assert "assumed" not in one.sentence
    assert "or cP of the same axes" in one.sentence


def test_a_background_that_was_removed_stays_so():
    scan = ebsdml.read(ebsdml.samples.fetch("nickel_patterns"))
    stack = np.asarray(scan.patterns).reshape(9, 60, 60)
    mask = np.ones((60, 60), bool)
    assert without_background(scan, stack, mask).shape == scan.patterns.shape
    even = stack / static_background(scan)
    assert without_background(scan, even, mask) is None


def test_maps_without_a_background_file_are_divided_by_what_they_share():
    scan, _, _ = two_phase_map((4, 4))
    stack, mask = np.asarray(scan.patterns).reshape(16, 60, 60), np.ones((60, 60), bool)
    assert evened(scan, stack, mask) == (None, "")
    raw = stack * (1 + 0.1 * np.random.default_rng(0).normal(size=(60, 60)))
    under = scan_of(raw, (4, 4))
    even, said = evened(under, raw, mask)
    assert even.shape == under.patterns.shape
    assert "static background in common" in said
    first = flat_images(np.stack([np.asarray(even[0, 0]), stack[0], raw[0]]))[0].reshape(3, -1)
    alike = np.corrcoef(first)
    assert alike[0, 1] > 0.9 > 0.5 > alike[2, 1]


def test_the_files_phase_is_checked(answer):
    found, _, _, _ = answer
    words = {cluster.laue.best: cluster.contradiction for cluster in found.clusters}
    assert words["m-3m"] == ""
    assert "'steel'" in words["6/mmm"]
    assert "contradict" in found.sentence


def test_the_answer_saves(answer, tmp_path):
    found, _, _, _ = answer
    ebsdml.write(tmp_path / "found.ang", found.scan)
    again = ebsdml.read(tmp_path / "found.ang")
    for _, phase in found.phases:
        there = again.phase_id == again.phases.id_from_name(phase.name)
        assert (there == (found.scan.phase_id == found.phases.id_from_name(phase.name))).all()


def test_the_step_of_a_batch(tmp_path, monkeypatch):
    made = two_phases()
    asked = []

    def find(scan, *, progress, **settings):
        asked.append(settings)
        progress(1.0)
        return made.found

    monkeypatch.setattr(ebsdml, "find_phases", find, raising=False)
    step = named_step("crystals")
    told: list[float] = []
    outcome = step.run(Work(made.scan, step.settings({"sample": 24}), None, told.append))
    assert asked == [{"sample": 24, "energy": None, "chemistry": "auto"}]
    assert told == [1.0]
    rows = outcome.tables["crystals.csv"]
    assert outcome.row["phases"] == len(rows) == 2
    assert {row["Laue group"] for row in rows} == {"m-3m", "6/mmm"}
    assert outcome.arrays["phase_id"].shape == made.scan.shape
    outcome.files["-crystals.h5"](tmp_path / "map.h5")
    assert ebsdml.read(tmp_path / "map.h5").shape == made.scan.shape


def test_the_files_phases_of_one_structure_are_said_to_be_one():
    phases = PhaseList([
        Phase(name, point_group="m-3m", structure=Structure(lattice=Lattice(a, a, a, 90, 90, 90)))
        for name, a in (("nickel", 3.52), ("austenite", 3.60), ("iron", 2.87))
    ])  # fmt: skip
    ids = np.array([[0, 0, 0, 1, 1, 2]])
    scan = ebsdml.Scan(
        quaternions=np.tile([1.0, 0, 0, 0], (1, 6, 1)), phase_id=ids, phases=phases, step=(1.0, 1.0)
    )
    told = of_relatives(scan, (ids < 2).ravel())
    assert "'nickel' and 'austenite'" in told
    assert "2.3 %" in told
    assert of_relatives(scan, (ids != 1).ravel()) == ""
    assert of_relatives(scan, (ids == 0).ravel()) == ""


def test_noise_has_no_phase():
    rng = np.random.default_rng(0)
    noise = da.from_array(rng.normal(100, 5, (2, 4, 60, 60)))
    scan = ebsdml.Scan(
        quaternions=np.zeros((2, 4, 4)), phase_id=np.full((2, 4), -1), phases=PhaseList(),
        step=(1.0, 1.0), camera=CAMERA, patterns=noise,
    )  # fmt: skip
    found = find_phases(scan)
    assert found.clusters == ()
    assert found.scan is scan
    assert "No phase found" in found.sentence


def test_bad_input():
    scan, _, _ = two_phase_map((2, 2))
    with pytest.raises(InputError, match="sample"):
        find_phases(scan, sample=0)
    with pytest.raises(InputError, match="pattern centre"):
        find_phases(scan, (0.5, 0.5, 0.0))
    with pytest.raises(InputError, match="chemistry"):
        find_phases(scan, chemistry="EDS")
    bare = ebsdml.Scan(
        quaternions=scan.quaternions, phase_id=scan.phase_id, phases=scan.phases, step=(1.0, 1.0)
    )
    with pytest.raises(MissingDataError, match="no patterns"):
        find_phases(bare)

    def stop(_part: float) -> None:
        raise ebsdml.Cancelled

    with pytest.raises(ebsdml.Cancelled):
        find_phases(scan, progress=stop)


def test_a_merged_sphere_is_the_crystals():
    images, axes = crystal_patterns(TITANIUM, 6, noise=0.3)
    flat, valid = flat_images(images.astype(np.float32))
    views = views_of(flat, valid, Geometry.from_angles(CENTRE, (60, 60)).bounds)
    sphere = MeasuredSphere.merged(views, axes, "6/mmm")
    assert sphere.coverage == pytest.approx(sphere.known.mean(), abs=0.05)
    directions = half_cube(40)
    got = sphere.at(directions)
    want = TITANIUM.intensities(directions)
    both = np.isfinite(got)
    assert both.mean() > 0.9
    assert np.corrcoef(got[both], want[both])[0, 1] > 0.7


@pytest.mark.parametrize("name", ["2/m", "-3m", "m-3m"])
def test_the_grid_of_rotations_covers_one_zone(name):
    group = GROUPS[name]
    grid = rotation_grid(name, 12.0)
    whole = rotation_grid("-1", 12.0)
    assert len(grid) == pytest.approx(len(whole) / group.order, rel=0.15)
    rng = np.random.default_rng(0)
    for turn in to_matrix(random_quaternions(rng, 20)):
        traces = np.einsum("kij,nij->kn", group.rotations @ turn, grid)
        assert np.rad2deg(np.arccos(np.clip((traces.max() - 1) / 2, -1, 1))) < 14
