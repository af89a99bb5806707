"""Serial sections: moved where they belong, and grains connected across them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import h5py
import numpy as np
import pytest

import napari_ebsdml as ebsdml
from napari_ebsdml.maps import connect_grains, volume_of
from napari_ebsdml.maps.export import export_volume


def block(seed: int = 0) -> np.ndarray:
    """Labels of 3-D Voronoi cells, (6, 40, 44)."""
    rng = np.random.default_rng(seed)
    seeds = rng.random((14, 3)) * (6, 40, 44)
    at = np.stack(np.indices((6, 40, 44)), -1)[..., None, :]
    return np.argmin(np.square(at - seeds).sum(-1), -1) + 1


def sections_of(labels: np.ndarray, seed: int = 1) -> list[ebsdml.Scan]:
    """Maps of sections through grains of chance orientations, with noise of 0.1 degrees."""
    rng = np.random.default_rng(seed)
    turns = rng.normal(size=(labels.max() + 1, 4))
    like = ebsdml.samples.bent_crystal((8, 8), 0.01, step=0.5).scan
    found = []
    for label in labels:
        q = turns[label] / np.linalg.norm(turns[label], axis=-1, keepdims=True)
        q = q + rng.normal(scale=0.0009, size=q.shape)
        q /= np.linalg.norm(q, axis=-1, keepdims=True)
        q[label == 0] = 0
        found.append(
            dataclasses.replace(
                like, quaternions=q, prop={"IQ": rng.random(label.shape)}, is_measured=None,
                phase_id=np.where(label > 0, like.phases.ids[-1], -1),
            )
        )  # fmt: skip
    return found


def test_grains_are_those_of_the_block() -> None:
    truth = block()
    truth[2, 5:9, 5:9] = 0  # not indexed
    found = connect_grains(sections_of(truth))
    assert (found == 0).sum() == (truth == 0).sum()
    # The same partition: cells are convex, so each is connected.
    pairs = {(int(a), int(b)) for a, b in zip(truth.ravel(), found.ravel(), strict=True)}
    assert len(pairs) == len(np.unique(truth)) == len(np.unique(found))
    first = [found.ravel().tolist().index(n) for n in range(1, found.max() + 1)]
    assert first == sorted(first)


def test_sections_are_moved_back_to_their_places() -> None:
    truth = np.repeat(block(3)[:1], 5, axis=0)
    scans = sections_of(truth)
    away = np.array([(0, 0), (3, -2), (1, 4), (-5, 0), (-4, 1)])
    off = []
    for scan, (dy, dx) in zip(scans, away, strict=True):
        off.append(dataclasses.replace(
            scan, quaternions=np.roll(scan.quaternions, (dy, dx), (0, 1)),
            phase_id=np.roll(scan.phase_id, (dy, dx), (0, 1))))  # fmt: skip
    found = volume_of(off, spacing=0.7, most_shift=10)
    relative = found.shifts - found.shifts[0]
    np.testing.assert_array_equal(relative, -away)
    assert np.nanmin(found.agreement) > 0.9
    assert found.step == (0.7, 0.5, 0.5)
    still = volume_of(off, align=False)
    assert np.nanmax(still.agreement) < 0.9
    assert (still.shifts == 0).all()


def test_what_does_not_fit_is_one_sentence() -> None:
    scans = sections_of(block())
    with pytest.raises(ebsdml.InputError, match="two sections"):
        volume_of(scans[:1])
    with pytest.raises(ebsdml.InputError, match="have the same"):
        volume_of([scans[0], scans[1].crop(slice(0, 5))])
    with pytest.raises(ebsdml.InputError, match="must be positive"):
        volume_of(scans, spacing=-1)
    other = scans[1].phases.deepcopy()
    other[other.ids[-1]].name = "other"
    with pytest.raises(ebsdml.InputError, match="other phases"):
        volume_of([scans[0], dataclasses.replace(scans[1], phases=other)])
    with pytest.raises(ebsdml.WriteError, match="a volume is written as"):
        export_volume("a.vtk", volume_of(scans[:2]))


def test_xdmf_and_its_hdf5(tmp_path: Path) -> None:
    from xml.etree import ElementTree

    found = volume_of(sections_of(block()), spacing=0.3)
    path = export_volume(tmp_path / "v.xdmf", found)
    tree = ElementTree.parse(path)
    topology = tree.find(".//Topology")
    assert topology is not None
    assert topology.get("Dimensions") == "7 41 45"
    spacing = tree.findall(".//Geometry/DataItem")[1].text
    assert spacing == "0.3 0.5 0.5"
    names = {}
    for attribute in tree.findall(".//Attribute"):
        file, _, name = str(attribute.find("DataItem").text).partition(":")  # type: ignore[union-attr]
        with h5py.File(tmp_path / file) as data:
            names[attribute.get("Name")] = data[name][...]
    np.testing.assert_array_equal(names["grains"], found.grains)
    assert names["IPF-Z"].shape == (6, 40, 44, 3)
    assert {"phase", "KAM (deg)", "IQ", "quaternion w"} <= set(names)


def test_paraviews_reader_opens_a_volume(tmp_path: Path) -> None:
    io = pytest.importorskip("vtkmodules.vtkIOXdmf2", exc_type=ImportError)
    support = pytest.importorskip("vtkmodules.util.numpy_support", exc_type=ImportError)
    found = volume_of(sections_of(block()), spacing=0.3)
    reader = io.vtkXdmfReader()
    reader.SetFileName(str(export_volume(tmp_path / "v.xdmf", found)))
    reader.Update()
    grid = reader.GetOutputDataObject(0)
    assert tuple(grid.GetDimensions()) == (45, 41, 7)
    np.testing.assert_allclose(grid.GetSpacing(), (0.5, 0.5, 0.3))
    cells = support.vtk_to_numpy(grid.GetCellData().GetArray("grains"))
    np.testing.assert_array_equal(cells.reshape(found.grains.shape), found.grains)


def test_iron_sections(shared: Path) -> None:
    files = sorted((shared / "maps" / "iron_serial_sections").glob("*.ANG"))
    scans = [ebsdml.read(path) for path in files]
    found = volume_of(scans)
    loose = sum(int(ebsdml.segment_grains(scan).max()) for scan in scans)
    assert found.grains.shape == (20, 40, 35)
    assert 0 < found.grains.max() < 0.7 * loose
    assert np.nanmedian(found.agreement) > 0.5
