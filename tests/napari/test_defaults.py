"""One default and one range for each setting: functions, docks, command line and manifest agree."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from npe2 import PluginManifest

import napari_ebsdml as ebsdml
from napari_ebsdml._napari.controls.form import SettingsForm
from napari_ebsdml._napari.dislocations.form import ModelForm
from napari_ebsdml._napari.pattern_viewer.panel import DisplaySettings
from napari_ebsdml._napari.segmenter import result_panel
from napari_ebsdml._napari.segmenter.training_form import TrainingForm
from napari_ebsdml.dislocations.averages import density_averages
from napari_ebsdml.dislocations.gnd.denoise import Denoise
from napari_ebsdml.dislocations.settings import (
    DensitySettings,
    GndSettings,
    TaylorSettings,
    TotalSettings,
)
from napari_ebsdml.maps import GRAIN_THRESHOLD, MapSettings, boundary_map, boundary_segments
from napari_ebsdml.options import settings_of
from napari_ebsdml.patterns.raw import RawClassifier
from napari_ebsdml.patterns.settings import ClassifySettings, PhasesSettings
from napari_ebsdml.segmentation import PredictSettings, Segmenter, TrainingSettings

NOT_KEPT = {"model", "extrapolate", "only", "orientation_noise", "improve"}
"""Settings of a form that belong to one map or session."""

LEARNED = {"speed"}
"""What is kept without a form: a training tells it."""


def forms() -> dict[str, list[SettingsForm[Any]]]:
    """Forms of each section of the manifest."""
    training = TrainingForm()
    result = SettingsForm(PredictSettings, kept_as=result_panel._KEPT_AS)
    return {
        "maps": [SettingsForm(MapSettings)],
        "gnd": [SettingsForm(GndSettings)],
        "dislocations": [ModelForm()],
        "total_density": [SettingsForm(TotalSettings)],
        "space_groups": [SettingsForm(ClassifySettings)],
        "patterns": [SettingsForm(DisplaySettings)],
        "segmenter": [training.main, training.more, training.preview, result],
    }


def test_the_manifest_declares_what_the_forms_keep(qtbot: Any) -> None:
    manifest = PluginManifest.from_distribution("napari-ebsdml")
    declared = manifest.contributions.configurations or {}
    shown = forms()
    assert set(declared) == set(shown)
    for section, entries in declared.items():
        kept = {k: v for form in shown[section] for k, v in form.saved().items()}
        assert set(kept) - NOT_KEPT == set(entries.properties) - LEARNED, section
        for name, entry in entries.properties.items():
            if name in LEARNED:
                continue
            assert entry.default == kept[name], (section, name)
            assert type(entry.default) is type(kept[name]) or entry.type == "number"
        for form in shown[section]:
            for name in form.values():
                _check_limits(form, name, entries.properties)


def _check_limits(form: SettingsForm[Any], name: str, declared: Mapping[str, Any]) -> None:
    setting = settings_of(form._cls)[name]
    key, values = form._kept_as.get(name, (name, {}))
    if key not in declared:
        return
    entry, option = declared[key], setting.option
    if option.choices is not None:
        kept = [values.get(value, value) for value in option.choices]
        assert entry.type == "boolean" or entry.enum == kept, key
    elif setting.kind in (int, float):
        assert option.minimum is not None
        assert option.maximum is not None
        limits = (setting.shown(option.minimum), setting.shown(option.maximum))
        assert (entry.minimum, entry.maximum) == limits, key


@pytest.mark.parametrize(
    ("function", "cls", "names"),
    [
        (ebsdml.kam, MapSettings, {"order": "kam_order", "threshold": "kam_threshold"}),
        (
            ebsdml.segment_grains,
            MapSettings,
            {"threshold": "grain_threshold", "min_pixels": "grain_min_pixels"},
        ),
        (
            boundary_map,
            MapSettings,
            {"low": "boundary_low", "high": "boundary_high", "sigma3": "boundary_sigma3"},
        ),
        (
            boundary_segments,
            MapSettings,
            {"low": "boundary_low", "high": "boundary_high", "sigma3": "boundary_sigma3"},
        ),
        (
            ebsdml.gnd_density,
            GndSettings,
            {name: name for name in ("norm", "stencil", "grain_threshold", "min_pixels")},
        ),
        (Denoise, GndSettings, {}),
        (ebsdml.article_density, DensitySettings, {}),
        (
            ebsdml.total_dislocation_density,
            TotalSettings,
            {"grain_threshold": "grain_threshold"},
        ),
        (density_averages, DensitySettings, {}),
        (density_averages, TaylorSettings, {}),
        (ebsdml.SpaceGroupClassifier.predict_scan, ClassifySettings, {}),
        (RawClassifier.predict_scan, ClassifySettings, {}),
        (ebsdml.find_phases, PhasesSettings, {"sample": "sample"}),
        (Segmenter.predict, PredictSettings, {}),
    ],
)
def test_functions_have_the_defaults_of_the_settings(
    function: Callable[..., Any], cls: type, names: dict[str, str]
) -> None:
    known = settings_of(cls)
    parameters = inspect.signature(function).parameters
    pairs = names or {name: name for name in parameters if name in known and name != "denoise"}
    assert pairs
    for parameter, name in pairs.items():
        assert parameters[parameter].default == known[name].default, (parameter, name)


def test_grains_end_at_the_same_angle_everywhere() -> None:
    angles = {
        setting.default
        for cls in (MapSettings, GndSettings, ClassifySettings, PredictSettings)
        for name, setting in settings_of(cls).items()
        if name in ("grain_threshold", "threshold")
    }
    assert angles == {GRAIN_THRESHOLD}
    assert MapSettings().grain_min_pixels == GndSettings().min_pixels == 1


def test_every_default_is_allowed() -> None:
    for cls in (
        MapSettings, GndSettings, DensitySettings, TaylorSettings, ClassifySettings,
        PhasesSettings, TrainingSettings, PredictSettings, DisplaySettings,
    ):  # fmt: skip
        for name, setting in settings_of(cls).items():
            assert setting.allows(setting.default), (cls, name)
