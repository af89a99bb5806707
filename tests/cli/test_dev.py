"""`ebsdml dev`: the commands that make the shipped library and models."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from napari_ebsdml.cli import app, dev
from napari_ebsdml.dislocations.article import train as training
from napari_ebsdml.dislocations.article.calibrate import calibrate
from napari_ebsdml.dislocations.article.train import Recipe
from napari_ebsdml.errors import EbsdmlError, InputError, MissingDataError, ModelError
from napari_ebsdml.learning.model_file import read_card
from napari_ebsdml.patterns.crystal_frame import classifier, known
from napari_ebsdml.patterns.crystal_frame.training import FITTED_STRANGERS
from napari_ebsdml.patterns.crystal_frame.training import Recipe as SpaceGroupRecipe
from napari_ebsdml.patterns.crystals import library as libraries
from napari_ebsdml.patterns.crystals import master, simulate
from napari_ebsdml.patterns.crystals.library import Library, collect
from napari_ebsdml.patterns.crystals.master import lambert_directions
from napari_ebsdml.patterns.raw import simulated_training
from tests.patterns.band_crystals import BCC, DIAMOND, FCC, bands

KINDS = {"A1": FCC, "A2": BCC, "A4": DIAMOND}
SIDE = 21


def run(*arguments: object) -> Result:
    """``ebsdml dev arguments``; errors of the package are the caller's to look at."""
    done = CliRunner().invoke(app, ["dev", *map(str, arguments)])
    if done.exception and not isinstance(done.exception, (EbsdmlError, SystemExit)):
        raise done.exception
    return done


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Work folder in which ten crystals each of three prototypes, and all strangers, are done."""
    folder = tmp_path_factory.mktemp("masters")
    rng = np.random.default_rng(0)
    for prototype, planes in KINDS.items():
        for number in range(10):
            size = {"A1": 3.6, "A2": 2.9, "A4": 5.4}[prototype] * rng.uniform(0.93, 1.07)
            strengths = {hkl: s * rng.uniform(0.8, 1.2) for hkl, s in planes.items()}
            np.save(folder / f"{prototype}-{number}.npy", bands(size, strengths))
    directions = lambert_directions(SIDE // 2)
    for name in {*FITTED_STRANGERS, *simulated_training.TRAINED_STRANGERS}:
        sphere = bands(rng.uniform(3, 6), {(1, 0, 0): 1.0, (3, 2, 1): 0.5}, directions)
        np.save(folder / f"{name}.npy", np.stack([sphere, sphere]))
    return folder


def test_the_group_is_hidden() -> None:
    assert "dev" not in CliRunner().invoke(app, ["--help"]).output.split()
    assert "train-density" in run("--help").output


def test_library_simulates_what_is_missing(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def folded(structure: Any, energy: float, quick: bool) -> np.ndarray:
        asked.append(structure.name)
        return bands(3.0, FCC)

    monkeypatch.setattr(simulate, "simulate_folded", folded)
    monkeypatch.setattr(master, "simulate_sphere", lambda structure: np.zeros((2, 3, 3)))
    monkeypatch.setattr(libraries, "PAPER", libraries.PAPER[:2])
    monkeypatch.setattr(libraries, "OTHERS", ())
    monkeypatch.setattr(libraries, "COUNTS", {})
    plan = list(libraries.plan({"A1": 11, "A2": 1}))
    monkeypatch.setattr(libraries, "plan", lambda: iter(plan))
    folder, out = tmp_path / "masters", tmp_path / "library.npz"
    folder.mkdir()
    for path in work.glob("A1-*.npy"):
        (folder / path.name).write_bytes(path.read_bytes())
    done = run("library", out, "--work", folder, "--prototypes", "A1")
    assert done.exit_code == 0, done.output
    assert asked == [*(structure.name for structure in libraries.PAPER), "A1 #10"]
    assert "A1 #10" in done.output
    assert len(Library.load(out)) == 2 + 11
    asked.clear()
    assert run("library", out, "--work", folder, "--prototypes", "A1").exit_code == 0
    assert not asked
    wrong = run("library", out, "--work", folder, "--prototypes", "A99")
    assert isinstance(wrong.exception, InputError)
    assert "A99" in str(wrong.exception)


def test_train_spacegroups_hands_on_what_it_is_told(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []

    def train(*arguments: Any) -> Any:
        told.extend(arguments)
        return SimpleNamespace(save=told.append)

    monkeypatch.setattr(classifier.CrystalFrameClassifier, "train", train)
    out = tmp_path / "model"
    done = run("train-spacegroups", out, "--work", work, "--members", 1, "--epochs", 2)
    assert done.exit_code == 0, done.output
    library, recipe, spheres, _, saved = told
    assert len(library) == 10 * len(KINDS)
    assert recipe == SpaceGroupRecipe(members=1, epochs=2)
    assert [sphere.shape for sphere in spheres] == [(2, SIDE, SIDE)] * len(FITTED_STRANGERS)
    assert saved == out
    empty = run("train-spacegroups", out, "--work", tmp_path)
    assert isinstance(empty.exception, MissingDataError)
    assert "ebsdml dev library" in str(empty.exception)


def test_train_spacegroups_can_keep_the_networks(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @dataclass(frozen=True)
    class Model:
        templates: str
        known: Any

    saved: list[tuple[Model, Path]] = []

    class Classifier:
        def __init__(self, model: Model) -> None:
            self.model = model

        @classmethod
        def load(cls, name: str) -> Classifier:
            return cls(Model("templates", None))

        def save(self, path: Path) -> None:
            saved.append((self.model, path))

    monkeypatch.setattr(classifier, "CrystalFrameClassifier", Classifier)
    monkeypatch.setattr(known, "fit_known", lambda *arguments: arguments)
    out = tmp_path / "model"
    done = run("train-spacegroups", out, "--work", work, "--networks-of", "mine")
    assert done.exit_code == 0, done.output
    (made, path) = saved[0]
    templates, library, spheres, _ = made.known
    assert (templates, len(library), len(spheres)) == ("templates", 30, len(FITTED_STRANGERS))
    assert made.templates == "templates"
    assert path == out


def test_train_raw_hands_on_what_it_is_told(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []

    class Training(list):  # type: ignore[type-arg]
        classifier = SimpleNamespace(save=told.append)

    def stream_training(*arguments: Any) -> Training:
        told.extend(arguments)
        return Training()

    small = collect(work)
    monkeypatch.setattr(Library, "load", lambda: small)
    monkeypatch.setattr(simulated_training, "stream_training", stream_training)
    out, checkpoint = tmp_path / "raw", tmp_path / "raw.checkpoint"
    done = run("train-raw", out, "--work", work, "--patterns", 5000, "--checkpoint", checkpoint)
    assert done.exit_code == 0, done.output
    library, spheres, recipe, start, n_threads, kept, saved = told
    assert 0 < len(library) <= len(small)
    assert spheres.shape == (len(simulated_training.TRAINED_STRANGERS), 2, SIDE, SIDE)
    assert recipe == simulated_training.StreamRecipe(patterns=5000)
    assert (start, n_threads, kept, saved) == (None, 1, checkpoint, out)


def test_train_density(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "calibrate", partial(calibrate, batches=8, samples=2000))
    out = tmp_path / "net.safetensors"
    arguments = ("train-density", out, "--data", "paper", "--width", 8, "--epochs", 1,
                 "--steps", 2, "--batch", 16, "--device", "cpu", "--validation", 300)  # fmt: skip
    done = run(*arguments)
    assert done.exit_code == 0, done.output
    assert "epoch 1, 100 %: " in done.output
    assert read_card(out, "dislocation-density").settings["width"] == 8
    refused = run(*arguments, "--seed", 5)
    assert isinstance(refused.exception, ModelError)
    assert "another recipe" in str(refused.exception)
    # The refused training left the model of the first one alone.
    assert read_card(out).training["recipe"]["seed"] == 0
    assert run(*arguments, "--seed", 5, "--fresh").exit_code == 0
    assert read_card(out).training["recipe"]["seed"] == 5


def test_every_field_of_the_recipe_is_an_option() -> None:
    options = set(inspect.signature(dev.train_density).parameters)
    assert {field.name for field in fields(Recipe)} <= options
