from __future__ import annotations

import dataclasses
import json
import pkgutil

import dask.array as da
import numpy as np
import pytest
import torch
from orix.crystal_map import Phase, PhaseList

from napari_ebsdml.camera import Camera
from napari_ebsdml.errors import (
    FileFormatError,
    InputError,
    MissingDataError,
    ModelError,
    NoCameraError,
)
from napari_ebsdml.learning.model_card import ModelCard
from napari_ebsdml.learning.model_file import save_model
from napari_ebsdml.patterns import CrystalFrameClassifier, SpaceGroupClassifier, refine_orientations
from napari_ebsdml.patterns.crystal_frame.fine_tune import FineTuning
from napari_ebsdml.patterns.crystals.library import Library
from napari_ebsdml.patterns.crystals.master import read_master
from napari_ebsdml.patterns.crystals.prototypes import PROTOTYPES, invent
from napari_ebsdml.patterns.crystals.table import OTHERS, PAPER, SYMBOLS
from napari_ebsdml.patterns.kinds import KINDS
from napari_ebsdml.patterns.raw import RawClassifier, alike_filters
from napari_ebsdml.patterns.simulated.synthetic import CLEAN, random_quaternions, spoil
from napari_ebsdml.scan import Scan
from tests.patterns.band_crystals import CAMERA, project


@pytest.fixture(scope="module")
def measured(library):
    """A map of 4 x 6 pixels, two grains: bcc on the left, fcc on the right."""
    rng = np.random.default_rng(0)
    two = random_quaternions(rng, 2)
    which = np.tile((10, 10, 10, 0, 0, 0), (4, 1))
    q = np.where((which == 10)[..., None], two[0], two[1])
    images = project(library, which.ravel(), q.reshape(-1, 4))
    patterns = spoil(images, rng, CLEAN).reshape(4, 6, 60, 60)
    phases = PhaseList(Phase("metal", space_group=225))
    scan = Scan(
        quaternions=q, phase_id=np.zeros((4, 6), int), phases=phases, step=(0.1, 0.1),
        patterns=da.from_array(patterns, chunks=(2, 6, 60, 60)),
    )  # fmt: skip
    return scan, np.where(which == 10, 229, 225)


def test_single_patterns_are_named(model, measured):
    scan, truth = measured
    result = model.predict(np.asarray(scan.patterns), scan.quaternions, CAMERA)
    assert result.shape == (4, 6)
    assert (result.space_group == truth).mean() >= 0.95
    assert (result.family == np.where(truth == 229, "bcc", "fcc")).mean() >= 0.95
    np.testing.assert_allclose(result.probabilities.sum(axis=-1), 1, atol=1e-3)
    assert (result.probability <= 1).all()
    assert result.is_known.mean() > 0.8


def test_lazy_patterns_give_the_same_answer(model, measured):
    scan, _ = measured
    one = model.predict(np.asarray(scan.patterns), scan.quaternions, CAMERA)
    done = []
    two = model.predict_scan(scan, detector=CAMERA, progress=done.append)
    np.testing.assert_array_equal(one.space_group, two.space_group)
    np.testing.assert_allclose(one.known_score, two.known_score, atol=1e-4)
    assert done[-1] == 1.0


def test_grains_share_one_answer(model, measured):
    scan, truth = measured
    result = model.predict_scan(scan, by="grain", detector=CAMERA)
    np.testing.assert_array_equal(result.space_group, truth)
    assert len(np.unique(result.labels)) == 2
    whole = model.predict_scan(scan, by="map", detector=CAMERA)
    assert len(np.unique(whole.space_group)) == 1


def test_pixels_without_orientation_get_no_answer(model, measured):
    scan, _ = measured
    hole = np.zeros(scan.shape, bool)
    hole[1, 2] = hole[3, 5] = True
    result = model.predict_scan(scan.without(hole), detector=CAMERA)
    assert (result.space_group[hole] == 0).all()
    assert (result.space_group[~hole] > 0).all()
    assert not result.is_known[hole].any()
    rows = {row["space_group"]: row for row in result.tally}
    assert rows["not indexed"]["number"] == 2
    assert sum(row["number"] for row in result.tally) == scan.phase_id.size


def test_wrong_orientations_are_unknown(model, measured, library):
    rng = np.random.default_rng(3)
    q = random_quaternions(rng, 60)
    patterns = spoil(project(library, rng.integers(0, 30, 60), q), rng, CLEAN)
    right = model.predict(patterns, q, CAMERA)
    wrong = model.predict(patterns, random_quaternions(rng, 60), CAMERA)
    assert right.is_known.mean() > 0.85
    assert wrong.is_known.mean() < 0.15


def test_a_saved_model_answers_the_same(model, measured, tmp_path):
    scan, _ = measured
    model.save(tmp_path / "mine")
    again = SpaceGroupClassifier.load(tmp_path / "mine.safetensors")
    one, two = (m.predict_scan(scan, detector=CAMERA) for m in (model, again))
    np.testing.assert_array_equal(one.space_group, two.space_group)
    np.testing.assert_allclose(one.probabilities, two.probabilities, atol=0.02)
    card = json.loads((tmp_path / "mine.json").read_text())
    del card["extra"]["temperature"]
    (tmp_path / "mine.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match="temperature"):
        SpaceGroupClassifier.load(tmp_path / "mine")


def test_each_kind_is_told_from_the_other(model, measured, tmp_path):
    scan, _ = measured
    raw = SpaceGroupClassifier.load("raw")
    assert isinstance(raw, RawClassifier)
    assert isinstance(model, CrystalFrameClassifier)
    assert model.needs_orientations
    assert not raw.needs_orientations
    with pytest.raises(InputError, match="refine_orientations needs a model of the crystal frame"):
        refine_orientations(scan, raw, CAMERA)
    with pytest.raises(InputError, match=r"not a model of raw patterns \(.*load\('raw'\)"):
        FineTuning(raw, [scan])
    with pytest.raises(InputError, match="needs a model of raw patterns"):
        RawClassifier.ensemble([raw, model])
    with pytest.raises(InputError, match="alike_filters needs a model of raw patterns"):
        alike_filters(raw, model)
    with pytest.raises(InputError, match="not str"):
        CrystalFrameClassifier.required("default", "This")
    for kind, name in ((CrystalFrameClassifier, "raw"), (RawClassifier, "default")):
        with pytest.raises(ModelError, match="this is a 'space-groups"):
            kind.load(name)
    card = ModelCard("segmentation", "UNet")
    save_model(tmp_path / "other", {"x": torch.zeros(1)}, card)
    with pytest.raises(ModelError, match="'segmentation' model, not one that names space groups"):
        SpaceGroupClassifier.load(tmp_path / "other")
    with pytest.raises(TypeError, match="abstract"):
        SpaceGroupClassifier()
    for name, kind in KINDS.items():
        found = pkgutil.resolve_name(kind.where)
        assert found.needs_orientations == kind.needs_orientations, name


def test_missing_models_are_named(tmp_path):
    with pytest.raises(InputError, match="default"):
        SpaceGroupClassifier.load("nonsense")
    with pytest.raises(ModelError, match="no such file"):
        SpaceGroupClassifier.load(tmp_path / "absent.safetensors")


def test_what_is_missing_is_said(model, measured):
    scan, _ = measured
    patterns = np.asarray(scan.patterns)
    with pytest.raises(NoCameraError, match="need the geometry"):
        model.predict(patterns, scan.quaternions)
    with pytest.raises(InputError, match="quaternions have shape"):
        model.predict(patterns, scan.quaternions[0], CAMERA)
    with pytest.raises(InputError, match="rows, columns"):
        model.predict(np.zeros(3), np.zeros(4), CAMERA)
    with pytest.raises(InputError, match="array of numbers"):
        model.predict(patterns.astype(str), scan.quaternions, CAMERA)
    with pytest.raises(NoCameraError, match="detector"):
        model.predict_scan(scan)
    with pytest.raises(NoCameraError, match="no pattern centre"):
        model.predict_scan(scan, detector=Camera(shape=(60, 60)))
    with pytest.raises(MissingDataError, match="no patterns"):
        model.predict_scan(dataclasses.replace(scan, patterns=None))
    with pytest.raises(InputError, match="by must be"):
        model.predict_scan(scan, by="row")


def test_one_pattern_alone(model, measured):
    scan, truth = measured
    result = model.predict(np.asarray(scan.patterns[0, 0]), scan.quaternions[0, 0], CAMERA)
    assert result.shape == ()
    assert int(result.space_group) == truth[0, 0]


def test_twins_are_said_to_be_inseparable(library, widened_model):
    _, made = widened_model
    rng = np.random.default_rng(1)
    q = random_quaternions(rng, 20)
    patterns = spoil(project(library, np.zeros(20, int), q), rng, CLEAN)
    result = made.predict(patterns, q, CAMERA)
    answers = zip(result.space_group, result.ambiguous_with, strict=True)
    both = [{int(group), *other} for group, other in answers]
    # Some noisy patterns are taken for another lattice; of the others each names both.
    assert np.mean([{221, 225} <= pair for pair in both if pair & {221, 225}]) == 1
    other = made.predict(spoil(project(library, np.full(20, 10), q), rng, CLEAN), q, CAMERA)
    assert np.mean([len(pair) == 0 for pair in other.ambiguous_with]) > 0.8


def test_the_explanation_points_at_the_bands(model, measured):
    scan, truth = measured
    shown = model.explain(
        np.asarray(scan.patterns[0, 0]), scan.quaternions[0, 0], CAMERA, samples=32
    )
    own = shown.space_groups.index(int(truth[0, 0]))
    assert shown.images.shape == (3, 60, 60)
    assert np.isfinite(shown.images).all()
    assert shown.probability[229] > 0.5
    # In sum the pattern speaks for its own group, against the others.
    sums = shown.triangle.sum(axis=(1, 2))
    assert sums[own] > 0
    assert sums.argmax() == own
    assert shown.bands[229][0][1] != 0
    with pytest.raises(InputError, match="needs orientations"):
        model.explain(np.asarray(scan.patterns[0, 0]))


def test_training_can_be_cancelled_and_says_what_it_lacks(library):
    from napari_ebsdml.errors import Cancelled
    from napari_ebsdml.patterns.crystal_frame.training import Recipe

    def stop(event):
        raise Cancelled("enough")

    with pytest.raises(Cancelled):
        SpaceGroupClassifier.train(library, Recipe(patterns=6, epochs=2, batch=16), on_event=stop)
    with pytest.raises(InputError, match="too few"):
        SpaceGroupClassifier.train(library.take([0, 1, 2]), Recipe(patterns=4))


def test_libraries_are_files(library, tmp_path):
    library.save(tmp_path / "library.npz")
    again = Library.load(tmp_path / "library.npz")
    assert again.names == library.names
    np.testing.assert_allclose(again.masters, library.masters, atol=5e-3)
    with pytest.raises(FileFormatError, match="no such file"):
        Library.load(tmp_path / "absent.npz")
    (tmp_path / "bad.npz").write_text("no")
    with pytest.raises(FileFormatError, match="not a library"):
        Library.load(tmp_path / "bad.npz")
    with pytest.raises(FileFormatError, match="no such file"):
        read_master(tmp_path / "absent.h5")


def test_structures_have_the_multiplicities_of_their_crystals():
    from diffpy.structure.spacegroups import GetSpaceGroup

    def atoms(structure):
        number = 0
        for site in structure.sites:
            group = GetSpaceGroup(structure.space_group)
            spots = {
                tuple(np.round(np.mod(op(np.array(site.position)), 1), 4) % 1)
                for op in group.iter_symops()
            }
            number += len(spots) * site.occupancy
        return number

    # Groups with one origin only: there the tables' positions are used as they stand.
    expected = {"Ni": 4, "Fe": 2, "FeAl": 2, "Ni3Al": 4, "NbC": 8, "Cr3Si": 8, "Al4Ni3": 112,
                "YAG": 160, "SrTiO3": 5, "CaF2": 12}  # fmt: skip
    tables = {s.name: s for s in (*PAPER, *OTHERS)}
    for name, number in expected.items():
        assert atoms(tables[name]) == pytest.approx(number), name
    assert len(PAPER) == 18


@pytest.mark.parametrize("prototype", list(PROTOTYPES))
def test_invented_crystals_repeat_with_their_seed(prototype):
    one, two, three = (invent(seed, prototype) for seed in (5, 5, 6))
    assert one == two
    assert one != three
    assert one.space_group == PROTOTYPES[prototype][1]
    assert one.space_group in SYMBOLS
    assert 2 < one.a < 15


def test_a_simulated_master_pattern_is_like_emsofts():
    pytest.importorskip("de_ebsd", reason="de-ebsd (extra simulate) is not installed")
    import kikuchipy

    from napari_ebsdml.patterns.crystals.master import sample
    from napari_ebsdml.patterns.crystals.simulate import simulate_directions
    from napari_ebsdml.patterns.crystals.table import find
    from napari_ebsdml.patterns.frame.triangle import node_directions

    master = kikuchipy.data.nickel_ebsd_master_pattern_small(
        projection="lambert", hemisphere="both"
    ).data.astype(np.float32)
    nodes = node_directions(20)
    ours = simulate_directions(find("Ni"), nodes, 20.0)
    assert np.corrcoef(ours, sample(master, nodes))[0, 1] > 0.9
    with pytest.raises(InputError, match="energy"):
        simulate_directions(find("Ni"), nodes, 0.1)
