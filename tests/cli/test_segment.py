"""`ebsdml segment`, `density` and `spacegroups`, as a user calls them."""

from __future__ import annotations

import csv
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from skimage.io import imread, imsave

import napari_ebsdml as ebsdml
from napari_ebsdml import cli

QUICK = ("--epochs", "2", "--channels", "BS,KAM")


def run(*arguments: Any) -> int:
    """Exit code of ``ebsdml arguments``."""
    sys.argv = ["ebsdml", *map(str, arguments)]
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return stop.value.code or 0


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def one_line(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture(autouse=True)
def _own_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", sys.argv)
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two steels with truth as labels."""
    folder = tmp_path_factory.mktemp("steels")
    for seed in (1, 2):
        sample = ebsdml.samples.dual_phase_steel((56, 64), 0.5, seed=seed)
        ebsdml.write(folder / f"steel{seed}.ctf", sample.scan)
        np.save(folder / f"truth{seed}.npy", sample.truth)
        strokes = np.zeros_like(sample.truth)
        strokes[[10, 20, 30, 40]] = sample.truth[[10, 20, 30, 40]]
        imsave(folder / f"strokes{seed}.tif", strokes.astype(np.uint8), check_contrast=False)
    return folder


@pytest.fixture(scope="module")
def model(folder: Path) -> Path:
    before = sys.argv
    torch.set_num_threads(1)
    assert run(
        "segment", "train", folder / "steel1.ctf", folder / "strokes1.tif", folder / "steel2.ctf",
        folder / "truth2.npy", "-o", folder / "steel", "--class", "1=ferrite", "--class",
        "2=martensite", *QUICK,
    ) == 0  # fmt: skip
    sys.argv = before
    return folder / "steel.safetensors"


def test_train_writes_what_the_package_reads(model: Path, folder: Path) -> None:
    segmenter = ebsdml.Segmenter.load(model)
    assert segmenter.classes.names == ("ferrite", "martensite")
    assert segmenter.channels == ("BS", "KAM", "Indexed")
    labelled = [data["labelled"] for data in segmenter.record["data"]]
    truth = np.load(folder / "truth1.npy")[[10, 20, 30, 40]]
    assert labelled[0] == {"1": int((truth == 1).sum()), "2": int((truth == 2).sum())}
    assert sum(labelled[1].values()) == 56 * 64


def test_predict_goes_on_after_a_bad_map(model: Path, folder: Path, tmp_path: Path, capsys) -> None:
    bad = tmp_path / "bad.ang"
    bad.write_text("# junk\n1 2\n")
    (tmp_path / "b").mkdir()
    same_name = tmp_path / "b" / "steel2.ctf"
    same_name.write_bytes((folder / "steel1.ctf").read_bytes())
    code = run("segment", "predict", model, bad, folder / "steel2.ctf", same_name,
               "-o", tmp_path / "out", "--phases", "ang", "--probability")  # fmt: skip
    assert code == 1
    assert str(bad) in capsys.readouterr().err.replace("\n", "")
    scan = ebsdml.read(folder / "steel2.ctf")
    want = ebsdml.Segmenter.load(model).predict(scan)
    with np.load(tmp_path / "out" / "steel2-segmentation.npz") as found:
        np.testing.assert_array_equal(found["labels"], want.labels)
        np.testing.assert_allclose(found["probability"], want.probability, atol=1e-5)
        assert found["names"].tolist() == ["ferrite", "martensite"]
    image = imread(tmp_path / "out" / "steel2-segmentation.tif")
    np.testing.assert_array_equal(image, want.labels)
    # Another map of the same name gets files of its own.
    with np.load(tmp_path / "out" / "steel2-2-segmentation.npz") as found:
        assert (found["labels"] != want.labels).any()
    rows = rows_of(tmp_path / "out" / "fractions.csv")
    assert [row["map"] for row in rows] == ["bad", "steel2", "steel2", "steel2-2", "steel2-2"]
    assert str(bad) in rows[0]["error"]
    del rows[0]
    ferrite = want.fractions()[0]
    assert float(rows[0]["fraction"]) == pytest.approx(ferrite.fraction)
    assert float(rows[0]["low"]) == pytest.approx(ferrite.low)
    phases = ebsdml.read(tmp_path / "out" / "steel2-segmentation.ang")
    assert {"ferrite", "martensite"} <= set(phases.phases.names)


def test_evaluate_against_truth(model: Path, folder: Path, tmp_path: Path, capsys) -> None:
    code = run("segment", "evaluate", model, folder / "steel2.ctf", folder / "truth2.npy",
               "-o", tmp_path / "out")  # fmt: skip
    assert code == 0
    truth = np.load(folder / "truth2.npy")
    got = ebsdml.Segmenter.load(model).predict(ebsdml.read(folder / "steel2.ctf")).labels
    accuracy = float((got == truth).mean())
    assert f"accuracy {100 * accuracy:.2f} %" in capsys.readouterr().out
    rows = rows_of(tmp_path / "out" / "evaluation.csv")
    assert float(rows[0]["accuracy"]) == pytest.approx(accuracy)
    assert float(rows[1]["recall"]) == pytest.approx((got == truth)[truth == 2].mean())
    assert min(imread(tmp_path / "out" / "steel2-confusion.png").shape[:2]) > 300
    assert (tmp_path / "out" / "steel2-evaluation.csv").is_file()

    # Other values of the truth get their meaning by name, or are refused in one sentence.
    np.save(tmp_path / "tens.npy", truth * 10)
    arguments = ("segment", "evaluate", model, folder / "steel2.ctf", tmp_path / "tens.npy")
    assert run(*arguments) == 1
    assert "--value 10=CLASS" in one_line(capsys.readouterr().err)
    assert run(*arguments, "--value", "10=ferrite", "--value", "20=2") == 0
    assert f"accuracy {100 * accuracy:.2f} %" in capsys.readouterr().out
    assert run(*arguments, "--value", "10=cementite") == 1
    assert "no class 'cementite'" in one_line(capsys.readouterr().err)


def test_train_on(model: Path, folder: Path, tmp_path: Path, capsys) -> None:
    base = ("segment", "train", folder / "steel1.ctf", folder / "truth1.npy", "-o",
            tmp_path / "more", "--from", model, "--epochs", "1")  # fmt: skip
    assert run(*base) == 0
    more = ebsdml.Segmenter.load(tmp_path / "more")
    before = ebsdml.Segmenter.load(model).record["data_sha256"]
    assert more.record["before"]["data_sha256"] == before
    assert run(*base, "--channels", "BC") == 1
    assert "leave those options out" in one_line(capsys.readouterr().err)


@pytest.mark.long
def test_phases_of_the_map_as_labels(tmp_path: Path, model: Path, folder: Path, capsys) -> None:
    assert run("segment", "predict", model, folder / "steel1.ctf", "-o", tmp_path,
               "--phases", "ctf") == 0  # fmt: skip
    two = tmp_path / "steel1-segmentation.ctf"
    assert run("segment", "train", two, "phases", "-o", tmp_path / "own", *QUICK) == 0
    own = ebsdml.Segmenter.load(tmp_path / "own")
    assert set(own.classes.names) == {"ferrite", "martensite"}
    assert run("segment", "evaluate", model, two, "phases") == 0
    # The model agrees with itself, though phase boundaries now are in the way of its channels;
    # phases go by their names, in whatever order the file lists them.
    accuracy = re.search(r"accuracy (\S+) %", capsys.readouterr().out)
    assert accuracy is not None
    assert float(accuracy[1]) > 97


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "steel1.ctf", "-o", "x"), "there are 1 files"),
        (("train", "steel1.ctf", "none.npy", "-o", "x"), "none.npy: there is no such file"),
        (("train", "steel1.ctf", "small.npy", "-o", "x"), "has shape (3, 3)"),
        (("train", "steel1.ctf", "float.npy", "-o", "x"), "must be whole numbers"),
        (("train", "steel1.ctf", "steel1.ctf", "-o", "x"), "labels must be .npy, .npz or"),
        (("train", "steel1.ctf", "truth1.npy", "-o", "x", "--class", "ferrite"), "VALUE=NAME"),
        (("train", "steel1.ctf", "truth1.npy", "-o", "x", "--channels", "IQ"), "IQ"),
        (("predict", "none.safetensors", "steel1.ctf"), "none.json: no such file"),
        (("predict", "steel.safetensors", "steel1.ctf", "--phases", "xls"), "ang, ctf or h5"),
        (("predict", "steel.safetensors", "steel1.ctf", "--report", "doc"), "html, pdf or csv"),
        (("predict", "steel.safetensors", "steel1.ctf", "-o", "truth1.npy"), "truth1.npy"),
    ],
)
def test_errors_are_one_sentence(
    model: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys, arguments, message: str
) -> None:
    monkeypatch.chdir(folder)
    np.save("small.npy", np.zeros((3, 3), int))
    np.save("float.npy", np.zeros((56, 64)))
    assert run("segment", *arguments) == 1
    printed = capsys.readouterr().err
    assert message in one_line(printed)
    assert "Traceback" not in printed


def test_gnd_with_its_noise_and_at_a_common_step(tmp_path: Path, capsys) -> None:
    crystal = ebsdml.samples.bent_crystal((24, 24), 0.05, step=0.5, noise=0.1, seed=3)
    ebsdml.write(tmp_path / "bent.ctf", crystal.scan)
    scan = ebsdml.read(tmp_path / "bent.ctf")
    expected = ebsdml.gnd_density(scan, orientation_noise=0.1)
    arguments = ("gnd", tmp_path / "bent.ctf", "-o", tmp_path, "--orientation-noise", "0.1")
    assert run(*arguments, "--step", "2") == 0
    with (tmp_path / "gnd.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    mean = expected.average().density
    assert float(row["mean GND [1/m²]"]) == pytest.approx(mean, rel=1e-3)
    at = expected.step_dependence().at(2)
    assert float(row["mean GND at 2 µm [1/m²]"]) == pytest.approx(at, rel=1e-3)
    assert run(*arguments, "--step", "0.1") == 1
    assert "not at 0.1 um" in one_line(capsys.readouterr().err)


def test_density_the_articles_way(tmp_path: Path) -> None:
    crystal = ebsdml.samples.bent_crystal((24, 24), 0.05, step=0.5, noise=0.1, seed=3)
    ebsdml.write(tmp_path / "bent.ctf", crystal.scan)
    assert run("article-density", tmp_path / "bent.ctf", "-o", tmp_path, "--extrapolate") == 0
    with np.load(tmp_path / "bent-density.npz") as found:
        assert {"mean", "median", "std", "low", "high", "gnd", "in_range", "valid"} <= set(found)
        use = found["valid"]
        mean = float(found["mean"][use].mean(dtype=float))
        assert (found["low"][use] <= found["high"][use]).all()
        scan = ebsdml.read(tmp_path / "bent.ctf")
        want = ebsdml.article_density(ebsdml.gnd_density(scan))
        np.testing.assert_allclose(found["mean"], want.mean, rtol=1e-4)
    (row,) = rows_of(tmp_path / "dislocations.csv")
    assert row["map"] == "bent"
    assert float(row["mean density [1/m²]"]) == pytest.approx(mean, rel=1e-3)


def test_density_says_what_a_map_tells(tmp_path: Path, capsys) -> None:
    crystal = ebsdml.samples.bent_crystal((40, 40), 0.05, step=0.5, noise=0.1, seed=3)
    ebsdml.write(tmp_path / "bent.ctf", crystal.scan)
    arguments = ("-o", tmp_path, "--orientation-noise", "0.1", "--by", "grain")
    assert run("density", tmp_path / "bent.ctf", *arguments) == 0
    scan = ebsdml.read(tmp_path / "bent.ctf")
    want = ebsdml.total_dislocation_density(scan, 0.1, by="grain")
    assert want.average().sentence.split(":")[0] in one_line(capsys.readouterr().out)
    with np.load(tmp_path / "bent-density.npz") as found:
        np.testing.assert_allclose(found["density"], want.density, rtol=1e-4)
        np.testing.assert_allclose(found["high"], want.interval[..., 1], rtol=1e-4)
        np.testing.assert_array_equal(found["measurable"], want.measurable)
    rows = rows_of(tmp_path / "dislocations.csv")
    assert [row["grain"] for row in rows] == [str(g) for g in want.table["grain"]]
    assert float(rows[0]["high [1/m²]"]) == pytest.approx(want.table["high [1/m²]"][0], rel=1e-3)


def test_spacegroups_table_and_map(tmp_path: Path, capsys) -> None:
    import kikuchipy

    nickel = Path(kikuchipy.__file__).parent / "data" / "kikuchipy_h5ebsd" / "patterns.h5"
    assert run("spacegroups", nickel, "-o", tmp_path, "--by", "pixel") == 0
    rows = rows_of(tmp_path / "spacegroups.csv")
    scans = ebsdml.read_all(nickel)
    assert sum(int(row["number"]) for row in rows) == 9 * len(scans)
    classifier = ebsdml.SpaceGroupClassifier.load()
    for scan, row in zip(scans, dict.fromkeys(row["map"] for row in rows), strict=True):
        want = classifier.predict_scan(scan)
        with np.load(tmp_path / f"{row}-spacegroups.npz") as found:
            np.testing.assert_array_equal(found["space_group"], want.space_group)
            np.testing.assert_allclose(found["probability"], want.probability, atol=1e-4)
        image = imread(tmp_path / f"{row}-spacegroups.tif")
        np.testing.assert_array_equal(image, want.space_group * want.is_known)
    # A map without patterns is told.
    scan = ebsdml.samples.dual_phase_steel((24, 24), 0.5, seed=1).scan
    ebsdml.write(tmp_path / "map.ctf", scan)
    assert run("spacegroups", tmp_path / "map.ctf", "-o", tmp_path / "none") == 1
    assert "has no patterns" in one_line(capsys.readouterr().err)
    assert run("spacegroups", tmp_path / "map.ctf", "--by", "row") == 1
    assert "--by must be" in one_line(capsys.readouterr().err)


@pytest.mark.long
def test_spacegroups_of_maps_that_nobody_indexed(
    tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import kikuchipy

    from napari_ebsdml.patterns.crystal_frame import prediction
    from napari_ebsdml.patterns.frame.geometry import Geometry
    from napari_ebsdml.patterns.search.camera import FoundCamera

    data = Path(kikuchipy.__file__).parent / "data"
    nickel = ebsdml.read(data / "kikuchipy_h5ebsd" / "patterns.h5")
    bare = nickel.without(np.ones((3, 3), bool))
    monkeypatch.setattr("napari_ebsdml.io.read_all", lambda *_, **__: [bare])
    classifier = ebsdml.SpaceGroupClassifier.load()
    want = classifier.predict_scan(bare)
    (tmp_path / "a.h5").touch()
    assert run("spacegroups", tmp_path / "a.h5", "-o", tmp_path / "a", "--by", "pixel") == 0
    assert "orientations searched for" in capsys.readouterr().out
    rows = rows_of(tmp_path / "a" / "spacegroups.csv")
    assert {(row["orientations"], row["pattern centre"]) for row in rows} == {("searched", "file")}
    with np.load(tmp_path / "a" / f"{rows[0]['map']}-spacegroups.npz") as found:
        np.testing.assert_allclose(found["orientations"], want.orientations)
        np.testing.assert_allclose(found["fit"], want.fit, rtol=1e-5)
        np.testing.assert_array_equal(found["space_group"], want.space_group)
        assert "pattern_centre" not in found

    # The same patterns in a file of nothing else: the camera is searched for, and here it is
    # found at once, or not at all.
    monkeypatch.undo()
    monkeypatch.setattr(sys, "argv", sys.argv)
    pc = nickel.detector.pc.reshape(-1, 3).mean(axis=0)
    camera = FoundCamera(Geometry.from_angles(pc, (60, 60)), np.ones(9))
    file = data / "oxford_binary" / "patterns.ebsp"
    for name, answer, by in (("b", camera, "map"), ("c", None, "grain")):
        monkeypatch.setattr(prediction, "search_camera", lambda *_, answer=answer: answer)
        assert run("spacegroups", file, "-o", tmp_path / name, "--by", by) == 0
    printed = capsys.readouterr().out
    (row, *_) = rows_of(tmp_path / "b" / "spacegroups.csv")
    assert row["orientations"] == "searched"
    with np.load(tmp_path / "b" / "patterns-spacegroups.npz") as found:
        np.testing.assert_allclose(found["pattern_centre"], pc)
    assert row["pattern centre"] == "searched: " + " ".join(f"{value:.4f}" for value in pc)
    assert "No pattern shows bands" in printed
    (row, *_) = rows_of(tmp_path / "c" / "spacegroups.csv")
    assert row["orientations"] == row["pattern centre"] == "none found"
    assert row["space_group"] == "unknown"
    with np.load(tmp_path / "c" / "patterns-spacegroups.npz") as found:
        assert "orientations" not in found


def test_an_output_that_cannot_be_made(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ebsdml.WriteError, match="file"):
        ebsdml.batch(folder / "steel1.ctf", "maps", tmp_path / "file" / "out")


def test_truth_and_explain(folder: Path, model: Path, tmp_path: Path, capsys: Any) -> None:
    steel, known = folder / "steel1.ctf", np.load(folder / "truth1.npy")
    out = tmp_path / "truth.npy"
    assert run("segment", "truth", steel, "-o", out, "--below", "BS=150", "--not-indexed", "2") == 0
    made = np.load(out)
    assert made.shape == known.shape
    assert (made == known).mean() > 0.8
    assert "label 1:" in capsys.readouterr().out
    image = tmp_path / "truth.tif"
    assert run("segment", "truth", steel, "-o", image, "--model", model, "--no-vote") == 0
    assert set(np.unique(imread(image))) <= {1, 2}
    assert run("segment", "truth", steel, "-o", image) == 1
    assert "--below" in one_line(capsys.readouterr().err)
    table, picture = tmp_path / "why.csv", tmp_path / "why.png"
    labels = folder / "truth1.npy"
    assert run("segment", "explain", model, steel, "--truth", labels, "-o", table) == 0
    assert {"BS", "KAM"} <= {row["hidden"] for row in rows_of(table)}
    row, column = np.argwhere(ebsdml.read(steel).is_indexed)[900]
    assert run("segment", "explain", model, steel, "--at", f"{row},{column}", "-o", picture) == 0
    assert picture.stat().st_size > 5000
    assert run("segment", "explain", model, steel, "--at", "here") == 1


def test_classes_of_grains(folder: Path, tmp_path: Path, capsys: Any) -> None:
    """Strokes name grains of one map, and the grains of two maps get classes."""
    out, results = tmp_path / "steel.json", tmp_path / "results"
    named = ("--class", "1=ferrite", "--class", "2=martensite")
    assert (
        run("grains", "train", folder / "steel1.ctf", folder / "truth1.npy", "-o", out, *named) == 0
    )
    assert "ferrite, martensite from" in one_line(capsys.readouterr().out)
    maps = [folder / f"steel{seed}.ctf" for seed in (1, 2)]
    assert run("grains", "predict", out, *maps, "-o", results) == 0
    rows = rows_of(results / "summary.csv")
    assert [row["map"] for row in rows] == ["steel1", "steel2"]
    for row in rows:
        parts = [float(row[f"fraction of {name}"]) for name in ("ferrite", "martensite")]
        assert sum(parts) == pytest.approx(1, abs=1e-3)
    assert {"id", "class", "GOS"} <= set(rows_of(results / "grain_classes.csv")[0])
    for seed in (1, 2):
        found = np.load(results / f"steel{seed}-grain-classes.npz")
        known = np.load(folder / f"truth{seed}.npy")
        inside = found["class"] > 0
        assert (found["class"] == known)[inside].mean() > 0.75
    assert run("grains", "predict", tmp_path / "none.json", *maps, "-o", results) == 1
