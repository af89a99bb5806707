"""The widget "GND density" in a real napari window."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from orix.crystal_map import Phase, PhaseList
from qtpy.QtWidgets import QApplication

from napari_ebsdml import Scan, Source
from napari_ebsdml._napari.controls.settings import remembered
from napari_ebsdml._napari.controls.text import pretty
from napari_ebsdml._napari.gnd import widget as gnd_widget
from napari_ebsdml._napari.gnd.layers import between, further_layers, gnd_of, known_text, log_limits
from napari_ebsdml._napari.gnd.widget import GndWidget
from napari_ebsdml.dislocations.averages import gnd_averages
from napari_ebsdml.dislocations.gnd.density import gnd_density
from napari_ebsdml.samples import deformed
from tests.napari.docks import add_map, compute, layer, open_dock


def bent(noise: float = 0.15, name: str = "bent") -> Scan:
    """Iron bent by 0.5 degrees a um about y, with some noise."""
    scan, *_ = deformed.bent_crystal((20, 24), 0.5, step=0.5, noise=noise, seed=3)
    return dataclasses.replace(scan, source=Source(path=Path(f"{name}.ang")))


def dock(viewer: Any) -> GndWidget:
    return open_dock(viewer, "GND density", GndWidget)


def test_density_noise_grains_and_systems(viewer: Any, qtbot: Any, tmp_path: Path) -> None:
    scan = bent()
    add_map(viewer, scan)
    widget = dock(viewer)
    assert [box.current_choice for box in widget.settings_form.systems] == ["auto: bcc"]
    compute(widget, qtbot)

    expected = gnd_density(scan)
    shown = layer(viewer, "GND density")
    np.testing.assert_allclose(10.0**shown.data, expected.total, rtol=1e-5)
    assert shown.name == "GND density [log10 1/m²] · bent"
    low, high = shown.contrast_limits
    # Nearly all of the map lies within the colours, which span at least a decade.
    assert np.mean((shown.data > low - 1e-6) & (shown.data < high + 1e-6)) > 0.95
    assert high - low >= 1
    mask = layer(viewer, "below noise")
    np.testing.assert_array_equal(mask.data == 0, expected.above_noise)
    assert 0 < expected.above_noise.mean() < 1
    # 0.5 degrees a um by the shortest Burgers vector, 2.48 A: at least 3.5e13 1/m^2.
    assert np.nanmedian(expected.total) > np.radians(0.5) * 1e16 / 2.48

    # The mean in short; noise in words, as the package has it, with signs for people.
    assert known_text(expected.average().density) in widget.message.text()
    assert pretty(expected.noise_sentence) in widget.details.text()
    assert "µm hides anything below" in widget.details.text()
    assert all(pretty(text) in widget.details.text() for text in expected.caveats)

    # The table is that of the package; the clipboard and the file get it unrounded.
    averages = gnd_averages(expected)
    widget.grain_table.copy()
    lines = QApplication.clipboard().text().splitlines()
    titles = lines[0].split("\t")
    assert sorted(titles) == sorted(averages)
    mean = float(lines[1].split("\t")[titles.index("mean GND [1/m²]")])
    assert mean == pytest.approx(averages["mean GND [1/m²]"][0])
    widget.grain_table.save(tmp_path / "grains.csv")
    assert len((tmp_path / "grains.csv").read_text("utf-8").splitlines()) == len(lines)

    # Slip systems and curvature on demand.
    assert expected.per_system is not None
    for key, data in (
        ("s3", expected.per_system[..., 3]),
        ("k10", expected.curvature[..., 1, 0]),
        ("a21", None),
        ("a22", expected.nye[..., 2, 2]),
        ("difference", expected.curvature[..., 0, 0] - expected.curvature[..., 1, 1]),
        ("floor", np.log10(expected.noise_floor)),
    ):
        index = widget.more.findData(key)
        assert (index >= 0) == (data is not None)
        if data is None:
            continue
        widget.more.setCurrentIndex(index)
        widget.add_button.click()
        newest = viewer.layers.selection.active
        np.testing.assert_allclose(newest.data, data, rtol=2e-5, atol=1e-9)
        assert newest.metadata["ebsdml"]["scan"] is scan
    assert set(further_layers(expected)) >= {f"s{n}" for n in range(len(expected.systems))}
    signed = layer(viewer, "κ₂₁")
    assert signed.contrast_limits[0] == -signed.contrast_limits[1]

    # Computing again with other settings replaces the layer and is remembered.
    count = len(viewer.layers)
    widget.settings_form.method.set_values({"norm": "l2", "denoise": True, "radius": 3})
    compute(widget, qtbot)
    assert len(viewer.layers) == count
    assert layer(viewer, "GND density [").metadata["ebsdml"]["settings"]["norm"] == "l2"
    stored = remembered("gnd")
    # The noise is one map's, and not remembered for others.
    assert set(stored) == set(widget.settings_form.method.values()) - {"orientation_noise"}
    assert (stored["norm"], stored["radius"]) == ("l2", 3)


def test_step_threshold_and_stability_on_demand(viewer: Any, qtbot: Any) -> None:
    add_map(viewer, bent())
    widget = dock(viewer)
    compute(widget, qtbot)
    gnd = widget.result
    assert gnd is not None
    page = widget.step_page
    assert page.plot.isHidden()
    with qtbot.waitSignal(widget.tasks.stopped, timeout=300_000):
        page.button.click()
    expected = gnd.step_dependence()
    assert page.found is not None
    np.testing.assert_allclose(page.found.step.steps, expected.steps)
    assert pretty(expected.sentence) in page.text.text()
    assert "grain threshold of 1.5 to 15" in widget.details.text()
    (axes,) = page.plot.figure.axes
    assert axes.get_xscale() == axes.get_yscale() == "log"
    noise = next(line for line in axes.lines if line.get_label() == "noise alone")
    np.testing.assert_allclose(noise.get_ydata(), expected.noise)
    # A step of choice: marked, and told; one that the map cannot tell says so.
    page.form.step.value = 0.75
    assert known_text(expected.at(0.75)) in page.text.text()
    assert [line.get_label() for line in axes.figure.axes[0].lines][-1] == "0.75 µm"
    page.form.step.value = 99
    assert "not at 99 µm" in page.text.text()

    # A single system's density never stands without what its split is worth.
    widget.more.setCurrentIndex(widget.more.findData("s3"))
    assert "not measured" in widget.split_note.text()
    widget.more.setCurrentIndex(widget.more.findData("floor"))
    assert widget.split_note.text() == ""
    widget.more.setCurrentIndex(widget.more.findData("split"))
    with qtbot.waitSignal(widget.tasks.stopped, timeout=300_000):
        widget.add_button.click()
    stays = gnd.split_stability()
    np.testing.assert_allclose(layer(viewer, "stability").data, 100 * stays.share, rtol=1e-4)
    assert pretty(stays.sentence) in widget.split_note.text()
    # Computed once for a result, and gone with it.
    widget.add_button.click()
    assert not widget.tasks.running
    compute(widget, qtbot)
    assert page.plot.isHidden()


def test_histogram_counts_every_pixel_and_follows_the_layer(viewer: Any, qtbot: Any) -> None:
    add_map(viewer, bent())
    widget = dock(viewer)
    compute(widget, qtbot)
    assert widget.result is not None
    axes, bar = widget.histogram.figure.axes
    stairs = [patch for patch in axes.patches if hasattr(patch, "get_data")]
    assert len(stairs) == 2
    counted = stairs[-1].get_data().values.sum()
    assert counted == np.isfinite(widget.result.total).sum()
    assert axes.get_xscale() == "log"
    # The line stands at the noise floor.
    assert axes.lines[0].get_xdata()[0] == pytest.approx(np.nanmedian(widget.result.noise_floor))
    shown = layer(viewer, "GND density [")
    before = bar.collections[0].get_array().copy()
    shown.contrast_limits = (shown.contrast_limits[0], shown.contrast_limits[1] - 0.5)
    after = widget.histogram.figure.axes[1].collections[0].get_array()
    assert not np.array_equal(before, after)
    # The layer gone, so is what was said of it.
    viewer.layers.remove(shown)
    assert widget.result is None
    assert widget.tabs.isHidden()


def test_result_stays_with_its_scan(viewer: Any, qtbot: Any) -> None:
    first, second = bent(name="first"), bent(0.3, name="second")
    add_map(viewer, first)
    add_map(viewer, second)
    widget = dock(viewer)
    widget.chooser.scan = first
    with qtbot.waitSignal(widget.tasks.stopped, timeout=300_000):
        widget.compute()
        widget.chooser.scan = second
    found = gnd_of(viewer, first)
    assert found is not None
    assert found.scan is first
    assert widget.result is None
    widget.chooser.scan = first
    assert widget.result is not None
    assert widget.result.scan is first
    # A widget that is opened later finds it.
    again = GndWidget(viewer)
    qtbot.addWidget(again)
    again.chooser.scan = first
    assert again.result is widget.result


def test_phases_without_known_slip_systems(viewer: Any, qtbot: Any) -> None:
    scan = bent()
    half = np.zeros(scan.shape, np.int32)
    half[:, 12:] = 1
    odd = Phase(name="Cementite", space_group=62)
    scan = dataclasses.replace(
        scan, phase_id=half, phases=PhaseList({0: scan.phases[scan.phases.ids[0]], 1: odd})
    )
    add_map(viewer, scan)
    widget = dock(viewer)
    systems = widget.settings_form.systems
    assert systems.box(1).value is None
    assert "space group 62" in systems.box(1).tooltip
    compute(widget, qtbot)
    data = layer(viewer, "GND density [").data
    assert np.isfinite(data[:, :11]).all()
    assert np.isnan(data[:, 12:]).all()

    # Lattice parameters are missing: one sentence that tells what to do.
    systems.box(1).value = "fcc"
    compute(widget, qtbot, "failed")
    assert "'Cementite' has no lattice parameters" in widget.tasks.status.text()
    for box in systems:
        box.value = None
    compute(widget, qtbot, "failed")
    assert "Every phase of bent is left out" in widget.tasks.status.text()


def test_cancel(viewer: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    started, ended = threading.Event(), threading.Event()

    def slow(scan: Scan, arguments: Any, progress: Callable[[float], None]) -> None:
        started.set()
        try:
            for n in range(3000):
                progress(n / 3000)
                ended.wait(0.01)
        finally:
            ended.set()

    monkeypatch.setattr(gnd_widget, "compute_gnd", slow)
    add_map(viewer, bent())
    widget = dock(viewer)
    count = len(viewer.layers)
    with qtbot.waitSignal(widget.tasks.stopped, timeout=5000) as over:
        widget.compute()
        qtbot.waitUntil(started.is_set)
        widget.tasks.cancel_button.click()
    assert over.args == ["cancelled"]
    assert ended.wait(2)
    assert len(viewer.layers) == count
    assert widget.tasks.run_button.isEnabled()


def test_limits_of_maps_without_density() -> None:
    assert log_limits(np.zeros((3, 3))) == (12.0, 16.0)
    assert log_limits(np.full((3, 3), np.nan)) == (12.0, 16.0)
    low, high = log_limits(np.full((3, 3), 1e14))
    assert low <= 14 <= high
    assert high - low == pytest.approx(1)


def test_ends_of_an_interval_have_one_power_of_ten() -> None:
    assert between((7.2e13, 1.0e14)) == "7.2 to 10 × 10<sup>13</sup>"
    assert between((9.5e13, 2.09e15)) == "0.95 to 21 × 10<sup>14</sup>"
    assert between((0.0, 3e13)).startswith("up to ")
