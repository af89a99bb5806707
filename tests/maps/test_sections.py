"""Serial sections: moved where they belong, and grains connected across them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import h5py
import numpy as np
import pytest

import napari_ebsdml as ebsdml
from napari_ebsdml.maps import connect_grains, kam_of_volume, volume_of
from napari_ebsdml.maps.export import export_volume
from napari_ebsdml.maps.section_turns import turned


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


@pytest.mark.long
def test_iron_sections(shared: Path) -> None:
    files = sorted((shared / "maps" / "iron_serial_sections").glob("*.ANG"))
    scans = [ebsdml.read(path) for path in files]
    found = volume_of(scans)
    loose = sum(int(ebsdml.segment_grains(scan).max()) for scan in scans)
    assert found.grains.shape == (20, 40, 35)
    assert 0 < found.grains.max() < 0.7 * loose
    assert np.nanmedian(found.agreement) > 0.5
    # Nothing is turned that was not, and what is turned comes back.
    assert (found.turns == 0).all()
    off = [turned(scan, 3.0) if n >= 10 else scan for n, scan in enumerate(scans)]
    again = volume_of(off)
    assert np.abs(again.turns[10:] + 3.0).max() < 0.2
    assert (again.turns[:10] == 0).all()


def test_turned_sections_are_turned_back() -> None:
    truth = np.repeat(block(5)[:1], 4, axis=0)
    scans = sections_of(truth)
    away = (0.0, 4.0, -2.5, 4.0)
    off = [turned(scan, angle) for scan, angle in zip(scans, away, strict=True)]
    # Pixels that leave the map come back as not indexed; orientations turn about the normal.
    assert 0 < (~off[1].is_indexed).sum() < 0.1 * off[1].phase_id.size
    inner = (slice(18, 22), slice(20, 24))
    back = turned(off[1], -4.0)
    np.testing.assert_allclose(
        np.abs((back.quaternions[inner] * scans[1].quaternions[inner]).sum(-1)), 1, atol=1e-4
    )
    found = volume_of(off, most_shift=4)
    np.testing.assert_allclose(found.turns - found.turns[0], -np.array(away), atol=0.15)
    assert np.nanmin(found.agreement) > 0.9
    assert (np.abs(found.shifts - found.shifts[0]) <= 1).all()
    still = volume_of(off, most_shift=4, most_turn=0)
    assert (still.turns == 0).all()
    assert np.nanmean(still.agreement) < np.nanmean(found.agreement) - 0.05
    with pytest.raises(ebsdml.InputError, match="most_turn"):
        volume_of(off, most_turn=100)


def test_kam_in_three_dimensions() -> None:
    scans = sections_of(block(2))
    # Of a single section it is that of the map.
    np.testing.assert_allclose(kam_of_volume(scans[:1])[0], ebsdml.kam(scans[0]), atol=1e-9)
    found = kam_of_volume(scans)
    n, i, j = 2, 11, 30
    own = scans[n].quaternions[i, j]
    beside = [
        scans[m].quaternions[k, c]
        for m in (1, 2, 3) for k in (10, 11, 12) for c in (29, 30, 31) if (m, k, c) != (n, i, j)
    ]  # fmt: skip
    angles = ebsdml.maps.disorientation_angle(own, np.array(beside), "m-3m")
    near = [angle for angle in angles if angle <= 3]
    assert found[n, i, j] == pytest.approx(np.mean(near))
    # A twist from section to section is in no map of a section.
    like = ebsdml.samples.bent_crystal((8, 8), 0.0, step=0.5).scan
    flat = dataclasses.replace(like, quaternions=np.broadcast_to([1.0, 0, 0, 0], (8, 8, 4)),
                               is_measured=None)  # fmt: skip
    twisted = [turned(flat, angle) for angle in (0.0, 1.0, 2.0)]
    middle = kam_of_volume(twisted)[1, 4, 4]
    assert middle == pytest.approx(18 / 26, abs=1e-6)
    assert ebsdml.kam(twisted[1])[4, 4] == pytest.approx(0, abs=1e-6)


def test_dream3d(tmp_path: Path) -> None:
    from orix.quaternion import Rotation

    found = volume_of(sections_of(block()), spacing=0.3)
    path = export_volume(tmp_path / "v.dream3d", found, {"a": 1}, {"class": found.grains % 3})
    with h5py.File(path) as file:
        # Groups, and text of fixed length, as "Native DREAM.3D File Format" and SIMPL have them.
        assert set(file) == {"DataContainerBundles", "DataContainers", "Pipeline"}
        assert file.attrs["FileVersion"] == b"7.0"
        kind = h5py.h5a.open(file.id, b"FileVersion").get_type()
        assert (kind.get_strpad(), kind.is_variable_str()) == (h5py.h5t.STR_NULLTERM, False)
        assert isinstance(file["Pipeline/Pipeline"][()], bytes)
        box = file["DataContainers/ImageDataContainer"]
        geometry = box["_SIMPL_GEOMETRY"]
        assert geometry["DIMENSIONS"][...].tolist() == [44, 40, 6]
        np.testing.assert_allclose(geometry["SPACING"], (0.5, 0.5, 0.3), rtol=1e-6)
        cells = box["CellData"]
        assert cells.attrs["AttributeMatrixType"] == 3
        for one in cells.values():
            assert one.attrs["TupleDimensions"].tolist() == [44, 40, 6]
            assert one.shape == (6, 40, 44, int(one.attrs["ComponentDimensions"][0]))
        np.testing.assert_array_equal(cells["FeatureIds"][..., 0], found.grains)
        np.testing.assert_array_equal(cells["class"][..., 0], found.grains % 3)
        assert cells["FeatureIds"].attrs["ObjectType"] == b"DataArray<int32_t>"
        assert cells["Phases"].attrs["Tuple Axis Dimensions"] == b"x=44,y=40,z=6"
        assert geometry.attrs["GeometryTypeName"] == b"ImageGeometry"
        for one in (*cells.values(), *box["CellEnsembleData"].values()):
            assert set(one.attrs) == {
                "ObjectType", "ComponentDimensions", "TupleDimensions", "Tuple Axis Dimensions",
                "DataArrayVersion",
            }  # fmt: skip
        # Angles and quaternions say the same, as orix has it.
        q = Rotation.from_euler(cells["EulerAngles"][2, 5].astype(float)).data
        own = np.roll(cells["Quats"][2, 5], 1, axis=-1)
        np.testing.assert_allclose(np.abs((q * own).sum(-1)), 1, atol=1e-5)
        phases = box["CellEnsembleData"]
        assert phases["CrystalStructures"][:, 0].tolist() == [999, 1]
        assert phases["MaterialName"].asstr()[1] == found.sections[0].phases.names[-1]
        assert phases["LatticeConstants"].shape == (2, 6)


def test_damask_reads_dream3d(tmp_path: Path) -> None:
    """An independent reader: https://damask-multiphysics.org, with the phases and orientations."""
    damask = pytest.importorskip("damask", reason="DAMASK is not installed")
    found = volume_of(sections_of(block()), spacing=0.3)
    path = export_volume(tmp_path / "v.dream3d", found)
    grid = damask.GeomGrid.load_DREAM3D(path, feature_IDs="FeatureIds")
    np.testing.assert_array_equal(grid.material, np.moveaxis(found.grains, (0, 1, 2), (2, 1, 0)))
    np.testing.assert_allclose(grid.size, (22, 20, 1.8), rtol=1e-6)
    held = damask.ConfigMaterial.load_DREAM3D(path, phase_names="MaterialName")
    names = {str(one["constituents"][0]["phase"]) for one in held["material"]}
    assert names == {found.sections[0].phases.names[-1]}
    every = np.stack([scan.quaternions for scan in found.sections]).reshape(-1, 4)
    own = np.array([one["constituents"][0]["O"] for one in held["material"]])
    assert len(own) == len(every)
    # Of the same Bunge angles, DAMASK's quaternion is the conjugate of orix's.
    own *= (1, -1, -1, -1)
    np.testing.assert_allclose(np.abs((own * every).sum(-1)), 1, atol=1e-5)


def test_classes_by_a_vote_of_the_volume() -> None:
    from napari_ebsdml.segmentation import SegmentationResult, vote_in_volume
    from napari_ebsdml.segmentation.labels.data import Classes

    truth = block()
    rng = np.random.default_rng(0)
    right = (truth % 2).astype(float)
    second = np.clip(0.2 + 0.6 * right + rng.normal(scale=0.5, size=truth.shape), 0.01, 0.99)
    classes = Classes.of((1, 2), {1: "a", 2: "b"})
    results = [
        SegmentationResult(
            np.where(p > 0.5, 2, 1).astype(np.uint8), np.stack((1 - p, p), -1).astype(np.float32),
            classes,
        )
        for p in second
    ]  # fmt: skip
    found = vote_in_volume(results, truth)
    labels = np.stack([one.labels for one in found])
    np.testing.assert_array_equal(labels, np.where(right > 0, 2, 1))
    before = np.stack([one.labels for one in results])
    assert (before != labels).mean() > 0.1
    with pytest.raises(ebsdml.InputError, match="one section a result"):
        vote_in_volume(results[:2], truth)
