"""OME-Zarr: what the map holds, and that others read it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import napari_ebsdml as ebsdml
from napari_ebsdml.io.ome_zarr import write_ome_zarr
from napari_ebsdml.io.scan_zarr import read_scan


@pytest.fixture(scope="module")
def scan() -> ebsdml.Scan:
    return ebsdml.samples.dual_phase_steel((300, 521), 0.3, seed=2).scan


@pytest.fixture(scope="module")
def path(scan: ebsdml.Scan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    grains = ebsdml.segment_grains(scan)
    target = tmp_path_factory.mktemp("zarr") / "a.ome.zarr"
    return write_ome_zarr(target, scan, labels={"grains": grains})


def test_levels_scales_units_and_labels(scan: ebsdml.Scan, path: Path) -> None:
    root = zarr.open_group(str(path), mode="r")
    (entry,) = root.attrs["multiscales"]
    assert [axis["name"] for axis in entry["axes"]] == ["c", "y", "x"]
    assert entry["axes"][1]["unit"] == "micrometer"
    scales = [one["coordinateTransformations"][0]["scale"] for one in entry["datasets"]]
    dy, dx = scan.step
    np.testing.assert_allclose(scales[:2], [[1, dy, dx], [1, 2 * dy, 2 * dx]])
    whole = root["0"][...]
    for number, name in enumerate(scan.prop):
        np.testing.assert_allclose(whole[number], scan.prop[name], rtol=1e-6)
    half = root["1"][...]
    assert half.shape == (len(scan.prop), 150, 261)
    np.testing.assert_allclose(half[0, 3, 4], whole[0, 6:8, 8:10].mean(), rtol=1e-5)
    labels = root["labels"]
    assert set(labels.attrs["labels"]) == {"grains", "phases"}
    told = labels["phases"].attrs["image-label"]
    names = [str(phase.name) for n, phase in scan.phases if n >= 0]
    assert [one["name"] for one in told["properties"]] == names
    np.testing.assert_array_equal(labels["grains/0"][...], ebsdml.segment_grains(scan))
    np.testing.assert_array_equal(labels["phases/0"][...] > 0, scan.is_indexed)


def test_the_map_itself_lies_beside_the_images(scan: ebsdml.Scan, path: Path) -> None:
    found = read_scan(zarr.open_group(str(path), mode="r")["ebsdml/0"])
    np.testing.assert_array_equal(found.quaternions, scan.quaternions)
    np.testing.assert_allclose(ebsdml.kam(found), ebsdml.kam(scan))


def test_ome_zarr_reads_it(scan: ebsdml.Scan, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reader = pytest.importorskip("ome_zarr.reader")
        location = pytest.importorskip("ome_zarr.io").parse_url(str(path))
        nodes = list(reader.Reader(location)())
    image: Any = nodes[0]
    np.testing.assert_allclose(np.asarray(image.data[0])[0], next(iter(scan.prop.values())))
    scale = image.metadata["coordinateTransformations"][0][0]["scale"]
    np.testing.assert_allclose(scale, (1, *scan.step))
    assert list(image.metadata["channel_names"]) == list(scan.prop)
    found = " ".join(str(node.zarr) for node in nodes)
    assert "labels/grains" in found
    assert "labels/phases" in found


def test_its_metadata_are_valid(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        models = pytest.importorskip("ome_zarr_models.v04")
        root = zarr.open_group(str(path), mode="r")
        models.image.ImageAttrs.model_validate(dict(root.attrs))
        for name in root["labels"].attrs["labels"]:
            attributes = dict(root[f"labels/{name}"].attrs)
            models.image_label.ImageLabelAttrs.model_validate(attributes)


def test_writing_by_name_and_what_cannot_be(scan: ebsdml.Scan, tmp_path: Path) -> None:
    small = scan.crop(slice(0, 1), slice(0, 1))
    for _ in range(2):
        ebsdml.write(tmp_path / "one.ome.zarr", small)
    assert [p.name for p in tmp_path.iterdir()] == ["one.ome.zarr"]
    (tmp_path / "b.ome.zarr").mkdir()
    with pytest.raises(ebsdml.WriteError, match="something else"):
        ebsdml.write(tmp_path / "b.ome.zarr", small)
    with pytest.raises(ebsdml.InputError, match="has shape"):
        write_ome_zarr(tmp_path / "c.ome.zarr", small, {"x": np.zeros((2, 2))})
