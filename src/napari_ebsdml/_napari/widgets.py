"""The main functions as magicgui widgets of their own; see `napari_ebsdml.widgets`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magicgui.widgets import ComboBox, Container, FileEdit

from napari_ebsdml._napari.controls.combo import narrow
from napari_ebsdml._napari.controls.form import SettingsForm
from napari_ebsdml._napari.dislocations.total import (
    TotalResult,
    compute_total,
    total_layers,
)
from napari_ebsdml._napari.gnd import layers as gnd_layers
from napari_ebsdml._napari.layers.of_scans import PICTURES, add_result, scans_in, show_alone
from napari_ebsdml._napari.maps.results import as_result
from napari_ebsdml._napari.shell.task_bar import TaskBar
from napari_ebsdml.dislocations.settings import GndSettings, TotalSettings
from napari_ebsdml.errors import InputError
from napari_ebsdml.maps.settings import MapSettings
from napari_ebsdml.patterns.settings import ClassifySettings
from napari_ebsdml.scan import Scan
from napari_ebsdml.segmentation.settings import PredictSettings

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_ebsdml._parallel import Progress

_Work = Callable[..., Any]
_Show = Callable[["JobWidget", Scan, Any], None]


class JobWidget(Container):
    """A function of a scan: which scan, its settings, and a button to call it.

    Calling the widget computes at once, adds the layers, and returns the result. The button
    computes in the background.

    Parameters
    ----------
    parts
        Widgets with the settings, by the names by which they become attributes. A form is handed
        on as its settings object, another widget as its value.
    work
        Gets the scan, the parts' values by name, and ``progress``; returns the result.
    show
        Adds the layers of a result to the scan.
    viewer
        Default: the current one.
    """

    def __init__(
        self,
        parts: Mapping[str, Any],
        work: _Work,
        show: _Show,
        viewer: Any = None,
        uses_torch: bool = False,
    ) -> None:
        self._viewer, self._parts = viewer, dict(parts)
        self._work, self._show, self._uses_torch = work, show, uses_torch
        self._last: Any = None
        scan = ComboBox(name="scan", label="Map", choices=self._scans)
        narrow(scan.native)
        for name, part in self._parts.items():
            part.name = name
        super().__init__(widgets=[scan, *self._parts.values()], labels=False)
        self.tasks = TaskBar("Compute")
        self.native.layout().addWidget(self.tasks)
        self.native.layout().addStretch(1)
        self.tasks.run_clicked.connect(self._start)

    @property
    def viewer(self) -> ViewerModel:
        """Where the scans are, and where the layers go.

        Raises
        ------
        InputError
            When there is no viewer.
        """
        if self._viewer is None:
            from napari import current_viewer

            self._viewer = current_viewer()
        if self._viewer is None:
            raise InputError("There is no viewer: make one with napari.Viewer() first.")
        viewer: ViewerModel = getattr(self._viewer, "__wrapped__", self._viewer)
        return viewer

    @property
    def result(self) -> Any:
        """What was computed last."""
        return self._last

    def __call__(self, scan: Scan | None = None) -> Any:
        """Compute, add the layers and return the result.

        Parameters
        ----------
        scan
            Default: the one that is chosen.

        Raises
        ------
        InputError
            When there is no scan, or a setting is out of range.
        """
        chosen = scan if scan is not None else self._chosen()
        result = self._work(chosen, **self._values(), progress=None)
        self._done(chosen, result)
        return result

    def add_result(
        self, scan: Scan, data: Any, quantity: str, unit: str = "", **options: Any
    ) -> Layer:
        """See `layers.add_result`; the same quantity is replaced."""
        return add_result(self.viewer, scan, data, quantity, unit, **{"replace": True, **options})

    def _start(self) -> None:
        try:
            chosen = self._chosen()
        except InputError as error:
            self.tasks.say(str(error), "error")
            return
        self.tasks.start(
            self._work, chosen, label="Computing", uses_torch=self._uses_torch,
            on_result=lambda result: self._done(chosen, result), **self._values(),
        )  # fmt: skip

    def _done(self, scan: Scan, result: Any) -> None:
        self._last = result
        self._show(self, scan, result)

    def _values(self) -> dict[str, Any]:
        return {
            name: part.settings() if isinstance(part, SettingsForm) else part.value
            for name, part in self._parts.items()
        }

    def _chosen(self) -> Scan:
        self["scan"].reset_choices()
        scan: Scan | None = self["scan"].value
        if scan is None:
            raise InputError("Open an EBSD map first: File > Open File(s).")
        return scan

    def _scans(self, widget: Any = None) -> list[tuple[str, Scan]]:
        try:
            scans = scans_in(self.viewer)
        except InputError:
            return []
        names = [scan.name for scan in scans]
        return [
            (name if names.count(name) == 1 else f"{name} ({n + 1})", scan)
            for n, (name, scan) in enumerate(zip(names, scans, strict=True))
        ]


def maps(viewer: Any = None) -> JobWidget:
    """See `napari_ebsdml.widgets.maps`."""

    def work(scan: Scan, settings: MapSettings, progress: Progress) -> Any:
        from napari_ebsdml.maps import compute_maps

        found = compute_maps(scan, settings, progress)
        return [one for one in found if not isinstance(one, str)]

    def show(widget: JobWidget, scan: Scan, found: Any) -> None:
        for one in found:
            made = as_result(scan, widget["settings"].settings(), one)
            layer = made.add_to(widget.viewer, scan)
            if made.kind in PICTURES:
                show_alone(widget.viewer, scan, layer)

    return JobWidget({"settings": SettingsForm(MapSettings)}, work, show, viewer)


def gnd_density(viewer: Any = None) -> JobWidget:
    """See `napari_ebsdml.widgets.gnd_density`."""

    def work(scan: Scan, settings: GndSettings, progress: Progress) -> Any:
        return gnd_layers.compute_gnd(scan, settings, progress)

    def show(widget: JobWidget, scan: Scan, gnd: Any) -> None:
        shown = gnd_layers.density_layer(gnd.total, gnd_layers.TOTAL)
        gnd_layers.show_layer(widget, scan, shown, gnd.settings, gnd)

    return JobWidget({"settings": SettingsForm(GndSettings)}, work, show, viewer)


def total_dislocation_density(viewer: Any = None) -> JobWidget:
    """See `napari_ebsdml.widgets.total_dislocation_density`."""
    kept: list[TotalResult] = []

    def work(scan: Scan, settings: TotalSettings, progress: Progress) -> Any:
        result = compute_total(scan, settings, progress)
        kept[:] = [result]
        return result.total

    def show(widget: JobWidget, scan: Scan, total: Any) -> None:
        settings = widget["settings"].settings().arguments()
        for shown in total_layers(total):
            gnd_layers.show_layer(widget, scan, shown, settings, kept[0], model="default")

    return JobWidget({"settings": SettingsForm(TotalSettings)}, work, show, viewer, uses_torch=True)


def segmenter(viewer: Any = None) -> JobWidget:
    """See `napari_ebsdml.widgets.segmenter`."""

    def work(scan: Scan, model: Path, settings: PredictSettings, progress: Progress) -> Any:
        import dataclasses

        from napari_ebsdml.segmentation import read_model

        loaded = read_model(model)
        return loaded.predict(scan, **dataclasses.asdict(settings), progress=progress)

    def show(widget: JobWidget, scan: Scan, result: Any) -> None:
        from napari_ebsdml._napari.layers.classes import LabelClass

        classes = result.classes
        entries = zip(classes.values, classes.names, classes.colors, strict=True)
        widget.add_result(
            scan, result.labels, "segmentation", kind="segmentation",
            classes=[LabelClass(0, "none", "transparent"), *(LabelClass(*one) for one in entries)],
            opacity=0.45, result=result,
        )  # fmt: skip

    parts = {
        "model": FileEdit(label="Model", filter="*.safetensors"),
        "settings": SettingsForm(PredictSettings),
    }
    return JobWidget(parts, work, show, viewer, uses_torch=True)


def space_groups(viewer: Any = None) -> JobWidget:
    """See `napari_ebsdml.widgets.space_groups`."""

    def work(scan: Scan, model: str, settings: ClassifySettings, progress: Progress) -> Any:
        from napari_ebsdml.patterns.classifier import SpaceGroupClassifier

        loaded: Any = SpaceGroupClassifier.load(model)
        return loaded.predict_scan(
            scan, by=settings.by, threshold=settings.threshold, progress=progress,
            refine=settings.refine,
        )  # fmt: skip

    def show(widget: JobWidget, scan: Scan, result: Any) -> None:
        from napari_ebsdml._napari.crystals.space_groups.display import label_image
        from napari_ebsdml.patterns.answers.compare import answers_of

        settings = widget["settings"].settings()
        labels, classes = label_image(answers_of(result, settings.ambiguous))
        layer = widget.add_result(
            scan, labels, "space group", kind="labels", classes=classes, opacity=1.0,
            settings={"by": settings.by, "model": widget["model"].value},
        )  # fmt: skip
        show_alone(widget.viewer, scan, layer)

    choices = [("crystal frame", "default"), ("raw patterns", "raw")]
    parts = {
        "model": ComboBox(label="Model", choices=choices),
        "settings": SettingsForm(ClassifySettings),
    }
    return JobWidget(parts, work, show, viewer, uses_torch=True)
