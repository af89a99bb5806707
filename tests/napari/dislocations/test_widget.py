"""The widget "Dislocation density" in a real napari window, and the averages that it shows."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from orix.crystal_map import Phase, PhaseList
from qtpy.QtWidgets import QApplication

from napari_ebsdml import InputError, Scan, Source
from napari_ebsdml._napari.dislocations.layers import (
    GOOD,
    GUESS,
    OUTSIDE,
    QUIET,
    UNKNOWN,
    VALIDITY_CLASSES,
    DensityResult,
    gnd_in_range,
    in_short,
    validity,
)
from napari_ebsdml._napari.dislocations.script import density_script
from napari_ebsdml._napari.dislocations.total import increments
from napari_ebsdml._napari.dislocations.widget import DislocationWidget, compute_density
from napari_ebsdml._napari.gnd.widget import GndWidget
from napari_ebsdml._napari.layers.of_scans import result_of
from napari_ebsdml.dislocations.article.density import (
    ArticleDensity,
    article_density,
)
from napari_ebsdml.dislocations.article.network import LineNetwork
from napari_ebsdml.dislocations.article.train import Recipe, card_of
from napari_ebsdml.dislocations.averages import (
    density_averages,
    density_increments,
    material_of_phase,
    standard_error,
)
from napari_ebsdml.dislocations.gnd.density import gnd_density
from napari_ebsdml.dislocations.settings import DensitySettings, GndSettings
from napari_ebsdml.dislocations.taylor import taylor_stress
from napari_ebsdml.dislocations.total.average import AverageDensity
from napari_ebsdml.learning.model_file import save_model
from napari_ebsdml.samples import deformed
from tests.napari.docks import add_map, compute, layer, open_dock
from tests.patterns.relative.test_improve import nickel, sample


def bent(curvature: float = 0.5, name: str = "bent") -> Scan:
    """Ferrite bent about y, with some noise; the last columns are not indexed."""
    scan, *_ = deformed.bent_crystal((18, 20), curvature, step=0.5, noise=0.1, seed=3)
    hole = np.zeros(scan.shape, bool)
    hole[:, -2:] = True
    return dataclasses.replace(scan.without(hole), source=Source(path=Path(f"{name}.ang")))


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random network in a file."""
    torch.manual_seed(1)
    network = LineNetwork(3, 8).eval()
    path = tmp_path_factory.mktemp("model") / "random.safetensors"
    save_model(path, network.state_dict(), card_of(network, Recipe(width=8), {"mape": 1.0}))
    return path


def dock(viewer: Any, model: Path) -> DislocationWidget:
    widget = open_dock(viewer, "Dislocation density", DislocationWidget)
    widget.article.unfold()
    widget.model_form.set_model(model)
    return widget


def total_of(in_range: Any, valid: Any, mean: Any, std: Any) -> Any:
    """What `density_averages` reads of a `ArticleDensity`."""
    return SimpleNamespace(mean=mean, std=std, gnd=mean / 2, in_range=in_range, valid=valid)


def test_layers_hide_what_is_out_of_range(viewer: Any, qtbot: Any, model_file: Path) -> None:
    scan = bent()
    add_map(viewer, scan)
    widget = dock(viewer, model_file)
    assert [widget.source.itemData(n) for n in range(widget.source.count())] == [False]
    assert not widget.gnd_form.isHidden()
    assert widget.taylor_form.materials == {scan.phases.ids[0]: "alpha-iron"}
    widget.model_form.plane_thickness.native.setValue(50.0)  # nm
    compute(widget, qtbot)

    expected = article_density(gnd_density(scan), model_file, plane_thickness=0.05)
    inside = expected.in_range
    assert np.isfinite(expected.mean).any()
    shown = layer(viewer, "article's dislocation density")
    np.testing.assert_array_equal(np.isfinite(shown.data), inside & np.isfinite(expected.mean))
    labels = layer(viewer, "validity")
    np.testing.assert_array_equal(labels.data, validity(expected))
    assert (labels.data[:, -2:] == UNKNOWN).all()
    assert (labels.data[np.isfinite(expected.mean) & ~inside] == OUTSIDE).all()
    noisy = inside & expected.valid & ~expected.above_noise
    assert (labels.data[noisy] == QUIET).all()
    assert "article's dislocation density" in viewer.layers.selection.active.name
    assert shown.metadata["ebsdml"]["model"].endswith("random.safetensors")
    assert shown.metadata["ebsdml"]["settings"]["plane_thickness"] == 0.05

    # Extrapolations appear on demand, and are said to be such.
    count = len(viewer.layers)
    widget.model_form.extrapolate.value = True
    assert len(viewer.layers) == count
    shown = layer(viewer, "article's dislocation density")
    np.testing.assert_allclose(
        10.0 ** shown.data[np.isfinite(expected.mean)],
        np.maximum(expected.mean, 1e9)[np.isfinite(expected.mean)], rtol=1e-4,
    )  # fmt: skip
    assert "include extrapolations" in widget.message.text()
    lines = layer(viewer, "number of dislocation lines").data
    np.testing.assert_array_equal(lines[lines >= 0], expected.n_lines[expected.n_lines >= 0])
    width = expected.interval[..., 1] - expected.interval[..., 0]
    shown = layer(viewer, "width of the 90 % interval").data
    known = np.isfinite(expected.mean)
    np.testing.assert_allclose(10.0 ** shown[known], np.maximum(width, 1e9)[known], rtol=1e-4)

    # The table is what the package computes, and goes to the clipboard unrounded.
    table = density_averages(
        expected, gnd_density(scan), "phase", {scan.phases.ids[0]: "alpha-iron"},
        window=7, extrapolate=True,
    )  # fmt: skip
    widget.phase_table.copy()
    lines = [line.split("\t") for line in QApplication.clipboard().text().splitlines()]
    assert lines[0] == ["", "Iron bcc"]
    assert [line[0] for line in lines[1:]] == [title for title in table if title != "phase"]
    at = [line[0] for line in lines].index("Taylor stress [MPa]")
    stress = float(lines[at][1])
    assert stress == pytest.approx(table["Taylor stress [MPa]"][0])
    used = expected.valid.ravel()
    assert stress == pytest.approx(taylor_stress(float(expected.mean.ravel()[used].mean())))
    # Another metal changes the stress at once, without a new computation.
    box = widget.taylor_form.metals.box(scan.phases.ids[0])
    box.value = "copper"
    assert widget.phase_table.rows()[at][1] != stress
    assert "0.3 for copper" in widget.taylor_form.note.text()
    box.value = None
    assert np.isnan(widget.phase_table.rows()[at][1])
    assert widget.taylor_form.note.isHidden()


def test_the_card_says_what_a_map_tells(viewer: Any, qtbot: Any) -> None:
    scan = bent()
    add_map(viewer, scan)
    widget = open_dock(viewer, "Dislocation density", DislocationWidget)
    assert not widget.article.unfolded
    widget.total_form.orientation_noise.value = 0.5
    compute(widget, qtbot)
    result = widget.total_result
    assert result is not None
    average = result.total.average()
    text = widget.answer.headline.text()
    assert "<b>Total" in text
    assert "<b>GND" in text
    assert "at a step of 0.5 µm" in text
    # Noise far above what the map shows was told.
    assert "Total: not determined" in text
    assert widget.answer.headline.toolTip() == average.sentence
    assert average.sentence.split(":")[0] in widget.answer.next.text()
    assert widget.answer.improve.isHidden()
    assert result.total.orientation_noise == {0: 0.5}
    np.testing.assert_array_equal(
        np.isfinite(layer(viewer, "total dislocation density [").data), result.total.measurable
    )
    labels = layer(viewer, "where the map tells").data
    assert set(np.unique(labels)) <= {0, 1, 2}
    rows = dict(widget.answer.tables["phase"].rows())
    assert rows["limit [1/m²]"] == pytest.approx(result.total.limit)
    viewer.layers.remove(layer(viewer, "total dislocation density ["))
    assert widget.total_result is None
    assert widget.answer.tabs.isHidden()


def test_orientations_are_improved_on_a_click(viewer: Any, qtbot: Any, tmp_path: Path) -> None:
    scan, *_ = sample()
    file = tmp_path / "ni.h5"
    file.touch()
    scan = dataclasses.replace(scan, phases=nickel(), source=Source(path=file))
    add_map(viewer, scan)
    widget = open_dock(viewer, "Dislocation density", DislocationWidget)
    assert not widget.answer.improve.isHidden()
    compute(widget, qtbot)
    assert widget.total_result is not None
    assert widget.total_result.better is None
    assert "improve the orientations" in widget.answer.next.text()
    widget.answer.improve.click()
    qtbot.waitUntil(lambda: not widget.tasks.running, timeout=300_000)
    result = widget.total_result
    assert result.better is not None
    assert result.total.orientation_noise[0] == pytest.approx(
        result.better.orientation_noise[0], rel=1e-3
    )
    assert "° after" in widget.answer.next.text()
    assert widget.answer.improve.isHidden()
    assert layer(viewer, "total dislocation density [").metadata["ebsdml"]["settings"]["improved"]
    widget.answer.add_improved.click()
    assert [one for one in widget.chooser.scans if one is not scan] == [result.better.scan]
    assert "improve_orientations" in density_script(
        scan, widget.total_form.settings(), widget.taylor_form.settings()
    )


def told(density: float, low: float, high: float, measurable: bool = True) -> AverageDensity:
    return AverageDensity(density, (low, high), measurable, 1e12, "", 0.5, 3, 999)


def test_increments_between_maps() -> None:
    phases = PhaseList({0: Phase("nickel", space_group=225)})

    def result(average: AverageDensity, name: str) -> Any:
        scan = SimpleNamespace(phases=phases, name=name, phase_id=np.zeros((2, 2), int))
        total = SimpleNamespace(limits={0: 1e12}, phases={0: average})
        return SimpleNamespace(total=total, gnd=SimpleNamespace(scan=scan), scan=scan)

    before = result(told(1e14, 0.5e14, 2e14), "a")
    table, text = increments(before, result(told(4e14, 2e14, 8e14), "b"), {0: "nickel"})
    assert text == "From a to b."
    assert table["after / before"] == [pytest.approx(4)]
    # Two factors of two, as independent errors of the logarithms.
    assert table["high"][0] / 4 == pytest.approx(2 ** np.sqrt(2))
    assert 4 / table["low"][0] == pytest.approx(2 ** np.sqrt(2))
    rise = taylor_stress(4e14, "nickel") - taylor_stress(1e14, "nickel")
    assert table["stress rise [MPa]"] == [pytest.approx(rise)]
    assert table["stress low [MPa]"][0] < rise < table["stress high [MPa]"][0]
    nothing = told(np.nan, 0, 3e15, measurable=False)
    table, text = increments(before, result(nothing, "b"), {0: "nickel"})
    assert np.isnan(table["after / before"][0])
    assert "upper bound only" in text


def test_uses_a_gnd_density_that_is_there(
    viewer: Any, qtbot: Any, model_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = bent()
    add_map(viewer, scan)
    widget = dock(viewer, model_file)
    gnd_widget = GndWidget(viewer)
    qtbot.addWidget(gnd_widget)
    gnd_widget.settings_form.method.set_values({"norm": "l2"})
    compute(gnd_widget, qtbot)
    assert widget.source.currentData() is True
    assert widget.gnd_form.isHidden()
    compute(widget, qtbot)
    assert widget.result is not None
    assert widget.result.gnd is gnd_widget.result
    assert (
        layer(viewer, "article's dislocation").metadata["ebsdml"]["settings"]["gnd"]["norm"] == "l2"
    )
    # Without that layer it is computed anew.
    viewer.layers.remove(layer(viewer, "GND density ["))
    assert widget.source.currentData() is False
    assert not widget.gnd_form.isHidden()
    # The result leaves with its layer.
    viewer.layers.remove(layer(viewer, "article's dislocation"))
    assert widget.result is None
    assert widget.tabs.isHidden()


def test_rise_between_two_scans(viewer: Any, qtbot: Any, model_file: Path) -> None:
    before, after = bent(0.1, "before"), bent(1.0, "after")
    add_map(viewer, before)
    add_map(viewer, after)
    widget = dock(viewer, model_file)
    widget.model_form.extrapolate.value = True
    for scan in (before, after):
        widget.chooser.scan = scan
        compute(widget, qtbot)
    assert widget.other.currentData() is before
    found = dict(widget.increment_table.rows()[1:])
    means = {
        scan: result_of(
            layer(viewer, f"article's dislocation density [log10 1/m²] · {scan.name}"),
            DensityResult,
        ).total
        for scan in (before, after)
    }
    first, second = (float(t.mean[t.valid].mean(dtype=float)) for t in means.values())
    assert found["rise [1/m²]"] == pytest.approx(second - first, rel=1e-4)
    rise = taylor_stress(second) - taylor_stress(first)
    assert found["rise of stress [MPa]"] == pytest.approx(rise, rel=1e-4)
    widget.chooser.scan = before
    assert widget.other.currentData() is after


def test_errors_are_one_sentence(viewer: Any, qtbot: Any, model_file: Path) -> None:
    add_map(viewer, dataclasses.replace(bent(), step=(0.5, 0.8)))
    widget = dock(viewer, model_file)
    compute(widget, qtbot, "failed")
    assert "square pixels" in widget.tasks.status.text()
    widget.model_form.set_model(model_file.with_name("missing.safetensors"))
    compute(widget, qtbot, "failed")
    assert "missing.json: no such file" in widget.tasks.status.text()


def test_the_dock_opens_without_loading_torch() -> None:
    code = (
        "import sys, napari_ebsdml._napari.dislocations.widget as w; "
        "assert 'torch' not in sys.modules, 'torch'; assert w.DislocationWidget"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=60)


def test_progress_covers_both_steps(model_file: Path) -> None:
    seen: list[float] = []
    settings = DensitySettings(model=str(model_file))
    result = compute_density(bent(), None, GndSettings(), settings, seen.append)
    assert isinstance(result.total, ArticleDensity)
    assert result.window == 7
    assert seen == sorted(seen)
    assert seen[-1] == 1
    assert any(0 < value < 0.3 for value in seen)


def test_validity_has_five_kinds() -> None:
    total: Any = SimpleNamespace(
        mean=np.array([[np.nan, 1.0, 1.0, 1.0, 1.0, 1.0]]),
        valid=np.array([[False, True, True, False, True, False]]),
        in_range=np.array([[False, True, False, True, True, True]]),
        above_noise=np.array([[False, True, False, True, False, False]]),
    )
    assert validity(total).tolist() == [[UNKNOWN, GOOD, OUTSIDE, GUESS, QUIET, GUESS]]
    assert [entry.label for entry in VALIDITY_CLASSES] == list(range(5))


def test_message_tells_why_there_is_no_average() -> None:
    valid = np.array([[True, True, True, False]])
    total: Any = SimpleNamespace(
        gnd=np.array([[1.0, 2.0, 5.0, np.nan]]),
        mean=np.array([[2.0, 4.0, 9.0, np.nan]]),
        valid=valid,
        in_range=np.array([[True, True, False, False]]),
        above_noise=valid,
    )
    assert gnd_in_range(total) == pytest.approx(3 / 8)
    gnd: Any = SimpleNamespace(orientation_noise={0: 0.1})
    assert "carry 38 % of the GND" in in_short(DensityResult(total, gnd, "x", 7))
    assert "carry" not in in_short(DensityResult(total, gnd, "x", 7), extrapolate=True)
    total.in_range[:] = True
    assert "carry" not in in_short(DensityResult(total, gnd, "x", 7))


def test_averages_count_only_what_is_known() -> None:
    scan = bent()
    gnd = gnd_density(scan)
    rng = np.random.default_rng(0)
    mean = rng.gamma(4.0, 1e14, scan.shape)
    mean[:, -2:] = np.nan
    valid = np.zeros(scan.shape, bool)
    valid[3:15, 3:15] = True
    in_range = np.ones(scan.shape, bool)
    in_range[3:15, 12:] = False
    std = np.full(scan.shape, 2e14)
    table = density_averages(total_of(in_range, valid, mean, std), gnd, "phase")
    used = mean[3:15, 3:12]
    assert table["mean density [1/m²]"] == [pytest.approx(used.mean())]
    assert table["pixels"] == [18 * 18]
    assert table["used [%]"] == [pytest.approx(100 * used.size / 324)]
    assert np.isnan(table["Taylor stress [MPa]"]).all()
    bound = mean / 2  # as total_of has it
    assert table["GND used [%]"] == [pytest.approx(100 * bound[3:15, 3:12].sum()
                                                   / bound[3:15, 3:15].sum())]  # fmt: skip
    # Pixels in range that carry little of the GND do not stand for the rest.
    heavy = np.where(in_range, mean, 20 * mean)
    poor = density_averages(total_of(in_range, valid, heavy, std), gnd, "phase")
    assert poor["GND used [%]"][0] < 50
    assert np.isnan(poor["mean density [1/m²]"]).all()
    wide = density_averages(total_of(in_range, valid, mean, std), gnd, extrapolate=True)
    assert wide["GND used [%]"] == [pytest.approx(100)]
    assert wide["mean density [1/m²]"] == [pytest.approx(mean[valid].mean())]

    # Fewer pixels than one window hold no average.
    valid[:] = False
    valid[3:9, 3:11] = True  # 48 pixels
    few = density_averages(total_of(in_range, valid, mean, std), gnd, "grain")
    assert np.isnan(few["mean density [1/m²]"]).all()
    assert list(few)[:2] == ["grain", "phase"]
    with pytest.raises(InputError, match="'phase' or 'grain'"):
        density_averages(total_of(in_range, valid, mean, std), gnd, "pixel")


def test_standard_error_is_the_scatter_of_averages() -> None:
    # Maps of independent blocks of 7 x 7 equal pixels: the averages of many such maps scatter
    # by the standard error that one of them tells.
    rng = np.random.default_rng(1)
    blocks = rng.normal(5.0, 2.0, (400, 64))
    truth = blocks + rng.normal(0.0, 1.5, blocks.shape)
    scatter = truth.mean(axis=1).std()
    told = [standard_error(np.repeat(b, 49), np.full(64 * 49, 1.5), 7) for b in blocks]
    assert np.mean(told) == pytest.approx(scatter, rel=0.1)
    assert np.isnan(standard_error(np.empty(0), np.empty(0)))


def test_stress_error_follows_the_density_error() -> None:
    scan = bent()
    mean = np.full(scan.shape, 4e14)
    mean[:, -2:] = np.nan
    std = np.full(scan.shape, 4e13)
    everywhere = np.isfinite(mean)
    table = density_averages(
        total_of(everywhere, everywhere, mean, std), gnd_density(scan), "phase",
        {scan.phases.ids[0]: "alpha-iron"}, friction=50.0,
    )  # fmt: skip
    error = table["± density [1/m²]"][0]
    assert error == pytest.approx(4e13 / np.sqrt(324 / 49), rel=1e-6)
    stress, stress_error = table["Taylor stress [MPa]"][0], table["± stress [MPa]"][0]
    assert stress == pytest.approx(taylor_stress(4e14, friction=50.0))
    numeric = (taylor_stress(4e14 + error / 100) - taylor_stress(4e14 - error / 100)) * 50
    assert stress_error == pytest.approx(numeric, rel=1e-3)
    with pytest.raises(InputError, match="no phase in common"):
        density_increments(table, {**table, "phase": ["other"]}, {})
    assert density_increments(table, table, {})["note"] == [""]
    coarse = {**table, "step [µm]": [2 * table["step [µm]"][0]]}
    assert "steps of 0.5 to 1 um" in density_increments(table, coarse, {})["note"][0]


def test_metal_of_a_phase(make_scan: Callable[..., Scan]) -> None:
    from diffpy.structure import Lattice, Structure

    def phase(name: str, a: float, group: int) -> Phase:
        structure = Structure(lattice=Lattice(a, a, a, 90, 90, 90))
        return Phase(name=name, space_group=group, structure=structure)

    assert material_of_phase(phase("Ni-superalloy", 3.57, 225)) == "nickel"
    assert material_of_phase(phase("Iron (Alpha)", 2.87, 229)) == "alpha-iron"
    assert material_of_phase(phase("iron fcc", 3.6, 225)) == "austenite"
    assert material_of_phase(phase("Ferrite", 2.87, 229)) == "alpha-iron"
    assert material_of_phase(phase("Silicon", 5.43, 227)) is None
