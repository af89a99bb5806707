"""Every file that is written tells what it was made of, and by what."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile

import napari_ebsdml as ebsdml
from napari_ebsdml.batching.writing import write_image
from napari_ebsdml.io.provenance import KEY, LONGEST, file_hash, provenance_of

MADE = {"results": [{"quantity": "KAM", "settings": {"order": 2, "limit": float("nan")}}]}


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> ebsdml.Scan:
    path = tmp_path_factory.mktemp("input") / "map ä.ctf"
    made = ebsdml.samples.dual_phase_steel((9, 11), 0.5, seed=1).scan
    ebsdml.write(path, made)
    return ebsdml.read(path)


@pytest.mark.parametrize("ending", ["ang", "ctf", "h5"])
def test_writers_tell_and_readers_read(scan: ebsdml.Scan, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"out.{ending}"
    kam = scan.with_property("KAM", ebsdml.kam(scan), "°")
    ebsdml.write(path, kam, made_with=MADE)
    back = ebsdml.read(path)
    told = provenance_of(back)
    assert told is not None
    assert told["made_with"] == {
        "results": [{"quantity": "KAM", "settings": {"order": 2, "limit": "nan"}}]
    }
    assert told["input"]["sha256"] == file_hash(scan.source.path)
    assert told["input"]["file"] == "map ä.ctf"
    assert told["versions"]["napari-ebsdml"] == ebsdml.__version__
    # The map that it came from was written by the package, too.
    assert told["input"]["provenance"]["input"]["format"] == "synthetic"
    np.testing.assert_allclose(back.quaternions, scan.quaternions, atol=1e-4)
    np.testing.assert_array_equal(back.phase_id == -1, scan.phase_id == -1)
    np.testing.assert_allclose(back.get("KAM"), kam.get("KAM"), atol=1e-5)
    # A copy keeps the text; a writing with more to tell holds that of the one before.
    ebsdml.write(path, back)
    assert provenance_of(ebsdml.read(path)) == told
    ebsdml.write(path, back, made_with={"step": "GND"})
    again = provenance_of(ebsdml.read(path))
    assert again["made_with"] == {"step": "GND"}
    assert again["input"]["provenance"]["made_with"] == told["made_with"]


def test_other_programs_still_read(scan: ebsdml.Scan, tmp_path: Path) -> None:
    from orix import io

    for ending in ("ang", "ctf", "h5"):
        path = tmp_path / f"out.{ending}"
        ebsdml.write(path, scan, made_with=MADE)
        assert io.load(path).shape == scan.shape
    with h5py.File(tmp_path / "out.h5") as file:
        assert json.loads(file["napari_ebsdml"].attrs[KEY])["made_with"]["results"]
    text = (tmp_path / "out.ctf").read_text("utf-8")
    assert text.splitlines()[2].startswith("Author\t")
    assert ebsdml.read(tmp_path / "out.ctf").source.header["Author"] == ""


def test_images_and_ome_zarr(scan: ebsdml.Scan, tmp_path: Path) -> None:
    ebsdml.write(tmp_path / "map.ome.zarr", scan, made_with=MADE)
    attributes = json.loads((tmp_path / "map.ome.zarr" / ".zattrs").read_text("utf-8"))
    assert attributes["ebsdml"]["made_with"]["input"]["file"] == "map ä.ctf"
    write_image(tmp_path / "a.tif", np.ones((3, 4), int), (0.1, 0.1), json.dumps({"a": 1}))
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert json.loads(file.pages[0].description) == {"a": 1}
    ebsdml.batch(scan.source.path, "maps", tmp_path / "out")
    with np.load(tmp_path / "out" / "map_ä.npz") as found:
        assert "input_sha256" in json.loads(str(found["provenance"]))


def test_what_is_too_long_or_no_provenance(scan: ebsdml.Scan, tmp_path: Path) -> None:
    path = tmp_path / "long.ang"
    ebsdml.write(path, scan, made_with={"text": "x" * LONGEST})
    told = provenance_of(ebsdml.read(path))
    assert told["made_with"] == "too long to be kept"
    assert provenance_of(ebsdml.samples.dual_phase_steel((4, 4), 0.5, seed=1).scan) is None
    with pytest.raises(ebsdml.InputError, match="must be a dict"):
        ebsdml.write(path, scan, made_with="KAM")
    path.write_text(path.read_text("utf-8").replace('{"versions', '{"versions":: {', 1), "utf-8")
    assert provenance_of(ebsdml.read(path)) is None
