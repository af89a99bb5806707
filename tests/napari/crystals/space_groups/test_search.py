"""The page "Name the space groups" on maps without orientations, and without geometry."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
from orix.quaternion import Orientation, symmetry
from skimage.io import imsave

from napari_ebsdml import Scan, read
from napari_ebsdml._napari.crystals.space_groups import classify as work
from napari_ebsdml._napari.crystals.space_groups.cameras import (
    SEARCH,
    CameraChoice,
    Way,
    camera_of,
    tells_centre,
    way_of,
)
from napari_ebsdml._napari.crystals.space_groups.classify import Classified
from napari_ebsdml._napari.crystals.space_groups.results import FOUND, GROUP, remove_found
from napari_ebsdml._napari.layers.of_scans import result_of
from napari_ebsdml.errors import MissingDataError, NoCameraError
from napari_ebsdml.io import from_xmap
from napari_ebsdml.maps.ipf import ipf_colors
from napari_ebsdml.patterns import CrystalFrameClassifier
from napari_ebsdml.patterns.frame.geometry import Geometry
from napari_ebsdml.patterns.search import camera as camera_search
from napari_ebsdml.patterns.search.binned import Plan
from napari_ebsdml.patterns.search.orientations import FIT
from napari_ebsdml.patterns.simulated.two_phase import PC as TWO_PHASE_PC
from napari_ebsdml.patterns.simulated.two_phase import two_phase_map
from napari_ebsdml.samples import fetch
from tests.napari.crystals.space_groups.docks import (
    CAMERA,
    PC,
    classify,
    open_page,
    show,
    three_phase_map,
)
from tests.napari.docks import layer


@pytest.fixture(scope="module")
def three_phases() -> Scan:
    return three_phase_map()


@pytest.fixture
def quick_search(monkeypatch: pytest.MonkeyPatch) -> CrystalFrameClassifier:
    """The shipped model, searching coarsely and from few pattern centres, none of them right."""
    monkeypatch.setattr(camera_search, "CENTRES", ((0.43, 0.53), (0.2, 0.3), (0.5, 0.6)))
    monkeypatch.setattr(camera_search, "_FINALISTS", 2)
    plan = Plan(kinds=4, step=4, blur=2.2, coarse=300, tops=12)
    return CrystalFrameClassifier(
        dataclasses.replace(CrystalFrameClassifier.load().model, plan=plan)
    )


def unindexed(scan: Scan, **changes: Any) -> Scan:
    return dataclasses.replace(scan.without(np.ones(scan.shape, bool)), **changes)


def disorientation(one: Any, two: Any) -> Any:
    a, b = (Orientation(q.reshape(-1, 4), symmetry=symmetry.Oh) for q in (one, two))
    return np.rad2deg(a.angle_with(b))


def test_orientations_are_searched_for_and_shown(
    viewer: Any, qtbot: Any, three_phases: Scan, quick_search: CrystalFrameClassifier
) -> None:
    page = open_page(viewer, unindexed(three_phases))
    scan = page.scan
    assert scan is not None
    page.store.find("crystal frame")._loaded = quick_search
    assert "No orientations in the file: they are searched for" in page.dock.hint.text()
    assert "pattern centre" not in page.dock.hint.text()
    assert page.tasks.run_button.isEnabled()
    assert not page.classify_form.refine_button.isEnabled()
    classify(page, qtbot)
    good = three_phases.is_indexed
    one = result_of(layer(viewer, f"crystal frame: {GROUP}"), Classified)
    known = one.result.is_known & good
    assert known.mean() > 0.7
    assert disorientation(one.result.orientations[known], three_phases.quaternions[known]).max() < 1
    assert one.result.space_group[known & (three_phases.phase_id == 1)].tolist() == (
        [229] * int((known & (three_phases.phase_id == 1)).sum())
    )
    assert "Orientations were searched for" in page.message.text()
    assert "Pattern centre" not in page.message.text()
    # The orientations are colours, the same as those that the map had but for their search.
    shown = layer(viewer, FOUND)
    assert not shown.visible
    info = shown.metadata["ebsdml"]
    assert (info["kind"], info["model"], info["scan"]) == ("rgb", "crystal frame", scan)
    assert info["settings"]["orientations"] == "searched for"
    expected = np.rint(255 * ipf_colors(three_phases)[known])
    difference = np.abs(shown.data[..., :3][known] - expected)
    assert np.median(difference) <= 3
    assert (shown.data[..., 3] == 255 * (one.result.fit >= FIT)).all()
    # A click is explained with the orientation that was found, and the bands are where they were.
    patterns = page.open_pattern_viewer()
    assert patterns is not None
    patterns.show_pixel(scan, 1, 5)
    panel = page.pixel_panel
    qtbot.waitUntil(lambda: panel.explanation is not None, timeout=30_000)
    assert "fit of its orientation" in panel.title.text()
    found = panel.explanation
    assert found is not None
    assert three_phases.patterns is not None
    truth = quick_search.explain(
        np.asarray(three_phases.patterns[1, 5]), three_phases.quaternions[1, 5], CAMERA
    )
    want = truth.images[truth.space_groups.index(229)]
    assert np.corrcoef(found.images[229].ravel(), want.ravel())[0, 1] > 0.8
    # With the right orientations at hand, the layer of an earlier search would be a lie.
    one_more = dataclasses.replace(one, colors=None)
    remove_found(viewer, scan, one_more)
    assert not any(FOUND in each.name for each in viewer.layers)


@pytest.mark.long
def test_the_pattern_centre_is_searched_for(
    viewer: Any, qtbot: Any, three_phases: Scan, quick_search: CrystalFrameClassifier
) -> None:
    page = open_page(viewer, unindexed(three_phases, camera=None))
    page.store.find("crystal frame")._loaded = quick_search
    form = page.classify_form
    assert form.camera_setting().source == SEARCH
    assert "Neither orientations nor geometry" in page.dock.hint.text()
    assert "Where no camera fits, all patterns are unknown" in page.dock.hint.text()
    form.answers.set_values({"by": "grain"})
    classify(page, qtbot)
    one = result_of(layer(viewer, f"crystal frame: {GROUP}"), Classified)
    truth = Geometry.from_angles(PC, (60, 60))
    np.testing.assert_allclose(one.camera.bounds, truth.bounds, atol=0.03)
    assert truth.centre == pytest.approx(PC)
    x, y, z = one.camera.centre
    assert f"x {x:.3f}, y {y:.3f}, z {z:.3f}" in page.message.text()
    assert one.settings["pattern_centre_found"] == pytest.approx([x, y, z], abs=1e-4)
    assert set(np.unique(one.result.space_group[:, 4:8])) <= {0, 229}
    explanation = work.explain(page.scan, 1, 5, one)
    assert explanation.patterns > 8
    assert explanation.bands[229]

    # The file's geometry and orientations may be put aside; then both are said to be.
    show(viewer, three_phases)
    assert page.dock.hint.isHidden()
    form.camera.set_values({"camera": SEARCH})
    assert "the file's are not used" in page.dock.hint.text()
    assert not form.refine_button.isEnabled()
    classify(page, qtbot)
    again = result_of(layer(viewer, f"crystal frame: {GROUP}"), Classified)
    np.testing.assert_allclose(again.camera.bounds, one.camera.bounds, atol=1e-6)
    assert layer(viewer, FOUND) is not None
    form.camera.set_values({"camera": "file"})
    classify(page, qtbot)
    assert not any(FOUND in each.name for each in viewer.layers)
    assert "searched for" not in page.message.text()
    # What learns from a map needs to know its geometry.
    with pytest.raises(MissingDataError, match="not searched for"):
        camera_of(three_phases, CameraChoice(SEARCH))


def test_where_no_camera_fits_it_is_said(
    viewer: Any, qtbot: Any, three_phases: Scan, quick_search: CrystalFrameClassifier
) -> None:
    # Noise of single pixels: no bands, so that the search ends at once.
    noise = np.random.default_rng(0).integers(0, 255, (8, 12, 60, 60), dtype=np.uint8)
    scan = unindexed(three_phases, patterns=da.from_array(noise), camera=None)
    page = open_page(viewer, scan)
    assert "all patterns are unknown" in page.dock.hint.text()
    page.store.find("crystal frame")._loaded = quick_search
    for by in ("pixel", "grain"):
        page.classify_form.answers.set_values({"by": by})
        classify(page, qtbot)
        one = result_of(layer(viewer, f"crystal frame: {GROUP}"), Classified)
        assert one.result.asked.all()
        assert not one.result.is_known.any()
        names = {each.label: each.name for each in one.classes}
        assert [names[n] for n in np.unique(one.labels)] == ["unknown"]
        assert one.result.reason in page.message.text()
        # The reason, and one way on: there is no geometry that could be refined.
        assert "100 % are unknown" in page.message.text()
        assert page.again_button.text() == "What is in this map?"
        assert not page.again_button.isHidden()
        assert not any(FOUND in each.name for each in viewer.layers)
    # There is nothing to explain, and the raw-pattern model answers only when it is chosen.
    patterns = page.open_pattern_viewer()
    assert patterns is not None
    patterns.show_pixel(scan, 1, 5)
    assert "no camera fits" in page.pixel_panel.title.text()
    assert not page.pixel_panel.explainer.busy
    assert patterns.canvas.overlays() == []


def test_files_of_patterns_alone_tell_no_pattern_centre(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for n in range(4):
        imsave(tmp_path / f"{n}.png", rng.integers(0, 255, (20, 20), np.uint8))
    scan = read(tmp_path)
    assert scan.camera is not None
    assert scan.camera.shape == (20, 20)
    assert scan.detector is None
    assert not tells_centre(scan)
    assert way_of(scan, CameraChoice()) == Way(True, True)
    with pytest.raises(MissingDataError, match="does not tell"):
        camera_of(scan, CameraChoice())
    assert tells_centre(read(fetch("nickel_patterns")))


def _console(scan: Scan) -> Scan:
    made = from_xmap(scan.xmap)
    return dataclasses.replace(made, patterns=scan.patterns, camera=scan.camera)


WAYS: dict[str, Callable[[Scan], Scan]] = {
    "made": lambda scan: scan,
    "cropped": lambda scan: scan.crop(slice(0, 4)),
    "pickled": lambda scan: pickle.loads(pickle.dumps(scan)),
    "cropped and pickled": lambda scan: pickle.loads(pickle.dumps(scan.crop(slice(0, 4)))),
    "from the console": _console,
    "with kikuchipy's detector": lambda scan: dataclasses.replace(scan, camera=scan.detector),
}


@pytest.mark.parametrize("way", WAYS)
def test_dock_and_library_agree_on_who_tells_the_geometry(viewer: Any, way: str) -> None:
    told = WAYS[way](two_phase_map((8, 8), size=24, grains=2, radius=2).scan)
    page = open_page(viewer, told)
    assert told.detector is not None
    assert np.asarray(told.detector.pc).ravel()[:3] == pytest.approx(TWO_PHASE_PC)
    assert page.dock.hint.isHidden()
    assert page.tasks.run_button.isEnabled()
    assert page.classify_form.refine_button.isEnabled()
    assert way_of(told, page.classify_form.camera_setting()) == Way()

    untold = dataclasses.replace(told, camera=dataclasses.replace(told.camera, pc=None))
    show(viewer, untold)
    assert untold.detector is None
    assert "does not tell the pattern centre" in page.dock.hint.text()
    assert not page.tasks.run_button.isEnabled()
    with pytest.raises(NoCameraError, match="geometry"):
        CrystalFrameClassifier.load().predict_scan(untold)


def test_a_search_is_cancelled(
    viewer: Any, qtbot: Any, three_phases: Scan, quick_search: CrystalFrameClassifier
) -> None:
    page = open_page(viewer, unindexed(three_phases, camera=None))
    page.store.find("crystal frame")._loaded = quick_search
    count = len(viewer.layers)
    with qtbot.waitSignal(page.tasks.stopped, timeout=60_000) as over:
        page.compute()
        qtbot.waitUntil(lambda: page.tasks.progress_bar.value() > 0, timeout=60_000)
        assert "Searching for pattern centre and orientations" in page.tasks.status.text()
        page.tasks.cancel()
    assert over.args == ["cancelled"]
    assert len(viewer.layers) == count
