"""Sizes of lattices from profiles of their bands, and the networks that read them."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from napari_ebsdml.errors import ModelError
from napari_ebsdml.learning.shipped import WEIGHTS
from napari_ebsdml.patterns.crystals.library import Library
from napari_ebsdml.patterns.lattices import size_training
from napari_ebsdml.patterns.lattices.fit import Guess, stars_of
from napari_ebsdml.patterns.lattices.profiles import NODES, Profiles, profiles_of
from napari_ebsdml.patterns.lattices.size import FACTORS, INPUTS, SizeModel, inputs_of
from napari_ebsdml.patterns.lattices.size_training import Recipe, train
from napari_ebsdml.patterns.symmetry.groups import GROUPS
from napari_ebsdml.patterns.symmetry.operators import half_cube
from napari_ebsdml.patterns.symmetry.sphere import SIDE, MeasuredSphere

FCC = Guess(0.0, np.full(3, 4.0), "F", np.eye(3))


def plain(widths: dict[tuple[int, int, int], float]) -> MeasuredSphere:
    """Sphere of bands with straight flanks, two half widths at their foot."""
    directions = half_cube(SIDE)
    total = np.zeros(len(directions))
    for hkl, half in widths.items():
        normals, _ = stars_of(GROUPS["m-3m"].rotations, np.array([hkl], float))
        for normal in normals:
            total += np.clip(2 - np.abs(directions @ normal) / half, 0, 1)
    total = (total - total.mean()) / total.std()
    return MeasuredSphere("m-3m", total.astype(np.float32))


def test_profiles_are_those_of_each_directions_bands():
    widths = {(1, 1, 1): 0.02, (0, 0, 1): 0.03, (0, 1, 1): 0.04}
    found = profiles_of(plain(widths), FCC, 0.0429)
    # {111}, {200} and {220} of a face-centred cell.
    assert found.number[:3].tolist() == [4, 3, 6]
    assert found.half_width[:3] == pytest.approx(0.0429 / 4 * np.sqrt([3, 4, 8]))
    falls = [np.interp(0.5, (row / row[0])[16::-1], NODES[16::-1]) for row in found.values[:3]]
    assert falls == pytest.approx([0.03, 0.045, 0.06], rel=0.25)
    # No bands lie along the others.
    strength = np.abs(found.values[:, :6]).mean(axis=1)
    assert strength[3:].max() < 0.3 * strength[:3].min()


def test_size_goes_with_the_guess_and_not_beyond_the_factors():
    # Networks that know of one Bragg angle alone.
    logits = np.zeros((75, len(INPUTS)), np.float32)
    bias = -80.0 * (np.linspace(np.log(0.003), np.log(0.12), 75) - np.log(0.02)) ** 2
    model = SizeModel((((logits, bias.astype(np.float32)),),), 2.0)
    values = np.tile(np.linspace(1, 0, len(NODES) - 1), (2, 1))
    for half in (0.016, 0.02, 0.025):
        told = model.tell(Profiles(values, np.array([half, half]), np.array([4, 3])))
        assert told.factor == pytest.approx(half / 0.02, rel=0.01)
        assert told.error == pytest.approx(2.0 / np.sqrt(4 * 80.0), rel=0.05)
    far = model.tell(Profiles(values, np.array([0.1, 0.1]), np.array([4, 3])))
    assert far.factor <= np.exp(FACTORS[-1])


def test_inputs_do_not_depend_on_contrast():
    values = np.random.default_rng(0).normal(size=(3, len(NODES) - 1))
    one, two = (
        inputs_of(Profiles(k * values, np.full(3, 0.02), np.array([4, 3, 6]))) for k in (1.0, 7.0)
    )
    np.testing.assert_allclose(one, two, rtol=1e-5)
    assert one.shape == (3, len(INPUTS))


def test_training_keeps_its_spheres_and_writes_a_model(tmp_path, monkeypatch):
    few = Library.load()
    few = few.take(np.flatnonzero(~few.is_real)[:6])
    monkeypatch.setattr(size_training.Library, "load", lambda: few)
    recipe = Recipe(draws=1, kinematical=2, held_out=3, networks=1, epochs=2, batch=4)
    model, card = train(recipe, tmp_path / "work")
    assert sorted(p.name for p in (tmp_path / "work").iterdir()) == ["2000.npz", "2010.npz"]
    assert card["metrics"]["held out"] == 2
    assert card["training"]["spheres"] + 2 >= 6
    model.save(tmp_path / "a.safetensors", card)
    again = SizeModel.load(tmp_path / "a.safetensors")
    assert again.widening == model.widening
    made = size_training.examples(recipe, tmp_path / "work").profiles(0)
    assert again.tell(made) == model.tell(made)
    # The same spheres, and so the same networks.
    twice, _ = train(recipe, tmp_path / "work")
    assert twice.tell(made) == model.tell(made)


def test_invented_crystals_are_told_their_size():
    shipped, errors = SizeModel.load(), []
    for _, made in itertools.islice(size_training._drawn(Library.load(), 71), 12):
        size = shipped.tell(dataclasses.replace(made, half_width=made.half_width * 1.15))
        errors.append(np.log(size.factor / 1.15))
        assert 0.01 < size.error < 0.3
    assert np.sqrt(np.mean(np.square(errors))) < 0.12


def test_a_model_of_another_kind_is_refused():
    with pytest.raises(ModelError, match="total-density"):
        SizeModel.load(WEIGHTS / "total-density.safetensors")
