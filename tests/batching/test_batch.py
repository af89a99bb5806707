"""`batch` in this process: results, tables, records, what goes wrong, and going on."""

from __future__ import annotations

import csv
import errno
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skimage.io import imread

import napari_ebsdml as ebsdml
from napari_ebsdml.batching import find_maps, steps_offered
from napari_ebsdml.batching.cluster import connected
from napari_ebsdml.batching.files import as_map_files
from napari_ebsdml.batching.step import bind

LIGHT = ("maps", {"gnd": False, "boundaries": False})


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("maps")
    (folder / "deep").mkdir()
    for seed, name in enumerate(("b", "a", "deep/a")):
        sample = ebsdml.samples.dual_phase_steel((16, 20), 0.5, seed=seed)
        ebsdml.write(folder / f"{name}.ctf", sample.scan)
    (folder / "notes.txt").write_text("no map")
    return folder


def test_files_folders_and_globs(maps: Path, tmp_path: Path) -> None:
    a, b, deep = maps / "a.ctf", maps / "b.ctf", maps / "deep" / "a.ctf"
    assert find_maps(maps) == [a, b, deep]
    assert find_maps([b, str(maps / "*.ctf")]) == [b, a]
    assert find_maps(str(maps / "**" / "*.ctf"), leave_out=[b]) == [a, deep]
    # What is named is tried, whatever it is.
    assert find_maps([tmp_path / "none.ctf", maps / "notes.txt"])[1] == maps / "notes.txt"
    # Of a folder, what only EBSD has and what is empty is told; what others write is left out.
    (tmp_path / "broken").mkdir()
    for name in ("zero.ctf", "zero.h5", "zero.txt", ".hidden.ctf"):
        (tmp_path / "broken" / name).touch()
    (tmp_path / "broken" / "noise.ANG").write_bytes(bytes(range(256)))
    (tmp_path / "broken" / "other.h5").write_bytes(b"x")
    told = [path.name for path in find_maps(tmp_path / "broken")]
    assert told == ["noise.ANG", "zero.ctf", "zero.h5"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(ebsdml.InputError, match="no reader knows any file"):
        find_maps(tmp_path / "empty")
    with pytest.raises(ebsdml.InputError, match="no file has such a name"):
        find_maps(str(maps / "*.ang"))


def test_no_two_maps_have_results_of_the_same_name(tmp_path: Path) -> None:
    paths = [Path(name) for name in ("x/a.ctf", "y/A.ang", "a-gnd.ctf", "a b.ctf", "a_b.ctf")]
    names = [one.name for one in as_map_files(paths, ["", "-gnd"])]
    assert names == ["a", "A-2", "a-gnd-2", "a_b", "a_b-2"]


def test_results_are_those_of_the_functions(maps: Path, tmp_path: Path) -> None:
    done = ebsdml.batch(maps, "maps", tmp_path)
    assert [row["map"] for row in done.rows] == ["a", "b", "a-2"]
    scan = ebsdml.read(maps / "b.ctf")
    with np.load(tmp_path / "b.npz") as found:
        np.testing.assert_array_equal(found["kam"], ebsdml.kam(scan))
        np.testing.assert_allclose(found["gnd"], ebsdml.gnd_density(scan).total, rtol=1e-6)
        told = json.loads(str(found["provenance"]))
        assert told["settings"]["kam_order"] == 1
        labels = found["grains"]
    rows = rows_of(tmp_path / "summary.csv")
    assert rows[1]["grains"] == str(labels.max())
    grains = [row for row in rows_of(tmp_path / "grains.csv") if row["map"] == "b"]
    table = ebsdml.grain_table(scan, labels)
    np.testing.assert_allclose([float(g["area"]) for g in grains], table["area"])
    run = json.loads((tmp_path / "run.json").read_text("utf-8"))
    assert run["state"] == "finished"
    assert run["inputs"][1]["sha256"] == told["input_sha256"]
    assert run["versions"]["napari-ebsdml"] == ebsdml.__version__
    assert imread(tmp_path / "contact_sheet.png").shape[0] > 100
    assert (tmp_path / "index.html").read_text("utf-8").count("<img") == 3


def test_going_on_does_what_is_not_done_whole(maps: Path, tmp_path: Path) -> None:
    bad = tmp_path / "in" / "bad.ang"
    bad.parent.mkdir()
    bad.write_text("# junk\n1 2\n")
    files = [maps, bad]
    out = tmp_path / "out"
    first = ebsdml.batch(files, LIGHT, out)
    assert [row["map"] for row in first.failed] == ["bad"]
    assert ebsdml.batch(files, LIGHT, out, resume=True).skipped == 3

    # A result that is not whole, another setting, a map that changed, one that can be read now.
    (out / "b.npz").write_bytes((out / "b.npz").read_bytes()[:-9])
    assert ebsdml.batch(files, LIGHT, out, resume=True).skipped == 2
    with np.load(out / "b.npz") as found:
        assert "kam" in found
    other = ("maps", {**LIGHT[1], "kam_order": 2})
    assert ebsdml.batch(files, other, out, resume=True).skipped == 0
    copy = tmp_path / "in" / "c.ctf"
    copy.write_bytes((maps / "a.ctf").read_bytes())
    bad.write_bytes((maps / "a.ctf").read_bytes())
    assert ebsdml.batch([copy], LIGHT, out, resume=True).skipped == 0
    copy.write_bytes((maps / "b.ctf").read_bytes())
    again = ebsdml.batch([copy, bad], LIGHT, out, resume=True)
    assert again.skipped == 0
    # A further step leaves what the others did.
    more = ebsdml.batch([copy], [LIGHT, brightness], out, resume=True)
    record = json.loads((out / "records" / "c.json").read_text("utf-8"))["maps"][0]["steps"]
    assert record["brightness"]["run"] != record["maps"]["run"]
    assert {"mean_bc", "mean_kam_deg"} <= set(more.rows[0])
    # Without resume all is done anew, and columns of other steps of the same file stay.
    anew = ebsdml.batch([copy], brightness, out)
    assert anew.skipped == 0
    assert "mean_kam_deg" in anew.rows[0]


def brightness(scan: ebsdml.Scan) -> dict[str, Any]:
    return {"mean_bc": float(scan.get("BC").mean())}


def test_an_error_of_a_step_is_in_the_row_and_the_other_steps_go_on(
    maps: Path, tmp_path: Path
) -> None:
    def broken(scan: ebsdml.Scan) -> dict[str, Any]:
        raise MemoryError("too much")

    done = ebsdml.batch(maps / "a.ctf", [broken, brightness], tmp_path)
    (row,) = done.rows
    assert "broken: unexpected MemoryError: too much" in row["error"]
    assert row["mean_bc"] > 0
    # The next one does again what failed, and that alone.
    assert ebsdml.batch(maps / "a.ctf", brightness, tmp_path, resume=True).skipped == 1


def test_results_among_the_maps_are_no_maps(maps: Path, tmp_path: Path) -> None:
    for path in maps.glob("*.ctf"):
        (tmp_path / path.name).write_bytes(path.read_bytes())

    def rewrite(scan: ebsdml.Scan) -> Any:
        from functools import partial

        from napari_ebsdml.batching import Outcome

        return Outcome(files={"-new.ctf": partial(ebsdml.write, scan=scan)})

    for _ in range(2):
        done = ebsdml.batch(tmp_path, rewrite, tmp_path)
        assert [row["map"] for row in done.rows] == ["a", "b"]
    assert (tmp_path / "a-new.ctf").is_file()


def test_what_cannot_be_is_one_sentence(maps: Path, tmp_path: Path) -> None:
    for steps, problem in (
        ("kam", "no step 'kam'"),
        ([], "Name at least one step"),
        (("maps", {"kam_ordr": 2}), "no setting 'kam_ordr'; it has ipf"),
        (("maps", {"kam_order": 99}), "kam_order cannot be 99"),
        (["maps", "maps"], "is there twice"),
        (["density", "article-density"], "files of the same names"),
        ("segment", "needs a model"),
        (7, "not 7"),
    ):
        with pytest.raises(ebsdml.InputError, match=problem):
            ebsdml.batch(maps, steps, tmp_path / "out")
    with pytest.raises(ebsdml.InputError, match="workers"):
        ebsdml.batch(maps, "maps", tmp_path / "out", workers=-1)
    assert not (tmp_path / "out").exists()
    with pytest.raises(ebsdml.InputError, match="No scheduler"):
        connected("nonsense://nowhere").__enter__()


def test_what_a_reader_warns_of_and_a_failed_map_are_shown(maps: Path, tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    lines = (maps / "a.ctf").read_bytes()
    (source / "cut map.ctf").write_bytes(lines[: len(lines) // 2])
    (source / "zero.ctf").touch()
    notes: list[str] = []
    done = ebsdml.batch(
        source, LIGHT, tmp_path / "out", on_event=lambda event: notes.extend(event.notes)
    )
    cut, zero = done.rows
    assert "it ends early" in cut["note"]
    assert any("it ends early" in text and text.startswith("cut_map:") for text in notes)
    assert cut["file"] == str(source / "cut map.ctf")
    assert "empty" in zero["error"]
    assert zero["file"] == str(source / "zero.ctf")
    # Two tiles side by side, of which one says why.
    tall, wide = imread(tmp_path / "out" / "contact_sheet.png").shape[:2]
    assert wide > 1.5 * tall


def test_a_full_disk_leaves_a_valid_folder(
    maps: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_ebsdml.batching import tables

    written = tables.write_table

    def full(path: Path, rows: Any) -> None:
        if path.name == "grains.csv":
            try:
                raise OSError(errno.ENOSPC, "No space left on device")
            except OSError as error:
                raise ebsdml.WriteError(f"{path}: {error.strerror}.") from None
        written(path, rows)

    with monkeypatch.context() as patched:
        patched.setattr(tables, "write_table", full)
        with pytest.raises(ebsdml.WriteError, match="No space"):
            ebsdml.batch(maps, LIGHT, tmp_path)
    assert json.loads((tmp_path / "run.json").read_text("utf-8"))["state"] == "stopped"
    assert len(rows_of(tmp_path / "summary.csv")) == 1
    assert ebsdml.batch(maps, LIGHT, tmp_path, resume=True).skipped == 1

    # A table that another program holds is written at the end.
    tries: list[Path] = []

    def held(path: Path, rows: Any) -> None:
        tries.append(path)
        if len(tries) < 3:
            try:
                raise PermissionError(errno.EACCES, "Permission denied")
            except OSError as error:
                raise ebsdml.WriteError(f"{path}: {error.strerror}.") from None
        written(path, rows)

    with monkeypatch.context() as patched:
        patched.setattr(tables, "write_table", held)
        done = ebsdml.batch(maps, LIGHT, tmp_path)
    assert len(rows_of(tmp_path / "summary.csv")) == len(done.rows) == 3


def test_cancel_leaves_a_valid_folder(maps: Path, tmp_path: Path) -> None:
    def stop(event: Any) -> None:
        if event.kind == "progress" and event.done == 1:
            raise ebsdml.Cancelled("Enough.")

    with pytest.raises(ebsdml.Cancelled):
        ebsdml.batch(maps, LIGHT, tmp_path, on_event=stop)
    assert [row["map"] for row in rows_of(tmp_path / "summary.csv")] == ["a"]
    assert json.loads((tmp_path / "run.json").read_text("utf-8"))["state"] == "stopped"


def test_every_step_has_defaults_that_its_settings_allow() -> None:
    for name in steps_offered():
        if name not in ("segment", "grain-classes"):
            (step,) = bind(name)
            assert step.step.settings(step.step.defaults) == step.step.defaults
            assert len(step.key) == 64


def test_classes_of_grains(maps: Path, tmp_path: Path) -> None:
    scan = ebsdml.read(maps / "b.ctf")
    labels = ebsdml.segment_grains(scan, 3.0, 2)
    model = ebsdml.GrainClassifier.train([(scan, labels, {1: 1, 2: 2, 3: 1, 4: 2})])
    model.save(tmp_path / "model.json")
    with pytest.raises(ebsdml.InputError, match="needs a model"):
        ebsdml.batch(maps, "grain-classes", tmp_path / "none")
    for given in (model, str(tmp_path / "model.json")):
        step = ("grain-classes", {"model": given, "min_pixels": 2})
        done = ebsdml.batch(maps / "b.ctf", step, tmp_path / "out")
        assert not done.failed, done.failed
        with np.load(tmp_path / "out" / "b-grain-classes.npz") as found:
            want = model.predict(scan, labels)
            np.testing.assert_array_equal(found["class"], want.map)
        assert done.rows[0]["fraction of class 1"] == pytest.approx(want.fractions["class 1"])
    table = rows_of(tmp_path / "out" / "grain_classes.csv")
    assert len(table) == labels.max()
    assert imread(tmp_path / "out" / "b-grain-classes.tif").shape == scan.shape


def test_what_a_function_takes_from_around_it_tells_it_from_another() -> None:
    def made(factor: int) -> Any:
        def scaled(scan: ebsdml.Scan) -> dict[str, Any]:
            return {"rows": scan.shape[0] * factor}

        return scaled

    assert bind(made(1))[0].key != bind(made(2))[0].key
    assert bind(brightness)[0].key == bind(brightness)[0].key
