"""Widget "Dislocation density": total density of a map, its averages and the flow stress."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QTabWidget, QVBoxLayout, QWidget

from napari_ebsdml._napari.controls.combo import narrow_combo
from napari_ebsdml._napari.controls.form import SettingsForm
from napari_ebsdml._napari.controls.histogram import DensityHistogram
from napari_ebsdml._napari.controls.section import Section
from napari_ebsdml._napari.controls.settings import remember, remembered
from napari_ebsdml._napari.controls.tab_page import tab_page
from napari_ebsdml._napari.controls.table import DataTable, upright
from napari_ebsdml._napari.controls.text import pretty
from napari_ebsdml._napari.dislocations import layers as layers
from napari_ebsdml._napari.dislocations import total as total_density
from napari_ebsdml._napari.dislocations.answer import Answer
from napari_ebsdml._napari.dislocations.form import ModelForm, TaylorForm
from napari_ebsdml._napari.dislocations.layers import DensityResult
from napari_ebsdml._napari.dislocations.script import article_script, density_script
from napari_ebsdml._napari.dislocations.total import Ready, TotalResult, make_ready
from napari_ebsdml._napari.files.reader import add_beside
from napari_ebsdml._napari.gnd.form import GndForm
from napari_ebsdml._napari.gnd.layers import (
    compute_gnd,
    gnd_layer_of,
    gnd_of,
    plain_settings,
    show_layer,
)
from napari_ebsdml._napari.layers.of_scans import info_of, layers_of, result_of
from napari_ebsdml._napari.layers.turns import Turns
from napari_ebsdml._napari.shell.help import Help
from napari_ebsdml._napari.shell.scan_widget import ScanWidget
from napari_ebsdml._parallel import part_of
from napari_ebsdml.dislocations.settings import DensitySettings, GndSettings, TotalSettings
from napari_ebsdml.errors import InputError
from napari_ebsdml.scan import Scan

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_ebsdml.dislocations.gnd.density import GndDensity

SECTION = "dislocations"
"""Where napari keeps the settings of the article's way."""
TOTAL_SECTION = "total_density"
"""Where napari keeps the settings of the density from orientations."""

_GND_SHARE = 0.3


def compute_density(
    scan: Scan,
    gnd: GndDensity | None,
    how: GndSettings,
    settings: DensitySettings,
    progress: Callable[[float], None],
) -> DensityResult:
    """The article's density of a scan, with a GND density that there is, or a new one."""
    from napari_ebsdml.dislocations.article.density import article_density
    from napari_ebsdml.dislocations.article.model import DislocationModel

    # First, because a model that cannot be loaded should not cost a computation.
    model = DislocationModel.load(settings.model)
    share = 0.0 if gnd is not None else _GND_SHARE
    if gnd is None:
        gnd = compute_gnd(scan, how, part_of(progress, 0, share))
    total = article_density(
        gnd,
        **{**settings.arguments(), "model": model},
        progress=lambda done: progress(share + (1 - share) * done),
    )
    return DensityResult(total, gnd, model.name, 2 * model.network.radius + 1)


class DislocationWidget(ScanWidget):
    """Computes the total dislocation density of a scan, with averages per phase and grain.

    While the section of the article's way is unfolded, that is computed instead.

    Attributes
    ----------
    total_form : SettingsForm
    answer : Answer
        GND, total density or its bound, the limit, what to do next; tables, plot, increase.
    total_result : TotalResult or None
    article : Section
    source : QComboBox
        An existing GND density (True) or a new one (False).
    gnd_form : GndForm
    model_form : ModelForm
    taylor_form : TaylorForm
    phase_table, grain_table, increment_table : DataTable
    other : QComboBox
        Scan to compare with, before the deformation.
    """

    HELP = Help(
        "The total dislocation density from the scatter of the measured orientations, or an upper "
        "bound where their noise is too large to tell.",
        ("Compute. Nothing has to be known beforehand.",
         "Read the card: density or bound, the limit of this map, what would help.",
         "By the article's network: from the GND of slip planes, a method of its own."),
        "measurements/dislocations.md",
        (("10.1016/j.ijplas.2018.11.008", "Zhang and Ngan 2019"),),
    )  # fmt: skip

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__(napari_viewer, "Compute density")
        self.source = narrow_combo()
        self.source.currentIndexChanged.connect(self._source_chosen)
        self.gnd_form = GndForm()
        self.gnd_form.method.set_saved(remembered("gnd"))
        self.model_form = ModelForm()
        self.model_form.set_saved(remembered(SECTION))
        self.taylor_form = TaylorForm()
        self.taylor_form.changed.connect(self._fill_tables)
        self.model_form.extrapolate.changed.connect(self._extrapolate)
        self.total_form: SettingsForm[TotalSettings] = SettingsForm(TotalSettings)
        self.total_form.set_saved(remembered(TOTAL_SECTION))
        self.article = Section("By the article's network", unfolded=False)
        note = QLabel(
            "A network on the GND of single slip planes. Measured maps do not hold what it "
            "reads: see the documentation before you use a number."
        )
        note.setWordWrap(True)
        self.article.body.addWidget(note)
        self.article.body.addWidget(QLabel("<b>GND density</b>"))
        self.article.body.addWidget(self.source)
        self.article.body.addWidget(self.gnd_form)
        self.article.body.addWidget(QLabel("<b>Model</b>"))
        self.article.body.addWidget(self.model_form.native)
        self.form.addWidget(self.total_form.native)
        self.form.addWidget(self.taylor_form)
        self.form.addWidget(self.article)
        self.offer_batch(lambda: ("density", self.total_form.settings()))
        self.offer_script(
            lambda scan: article_script(
                scan, self.gnd_form.settings(), self.model_form.settings(),
                self.taylor_form.settings(),
            )
            if self.article.unfolded
            else density_script(scan, self.total_form.settings(), self.taylor_form.settings())
        )  # fmt: skip
        self.form.addStretch(1)

        self.answer = Answer()
        self.answer.improve_clicked.connect(self._improve)
        self.answer.add_clicked.connect(self._add_improved)
        self.answer.compared.connect(self._fill_rise)
        self.below.addWidget(self.answer, 1)
        self.give_results_the_rest()
        self.total_result: TotalResult | None = None
        self._adding = False
        self._turns = Turns(self)

        self.message = QLabel()
        self.message.setVisible(False)
        self.message.setWordWrap(True)
        self.message.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.phase_table, self.grain_table = DataTable(), DataTable()
        self.increment_table = DataTable()
        self.histogram = DensityHistogram()
        self.other = narrow_combo()
        self.other.currentIndexChanged.connect(self._fill_increment)
        self.tabs = QTabWidget()
        self.tabs.addTab(tab_page(self.phase_table), "Phases")
        self.tabs.addTab(tab_page(self.grain_table), "Grains")
        self.tabs.addTab(tab_page(self.histogram), "Plot")
        self.tabs.addTab(self._increment_page(), "Increase")
        self.tabs.addTab(self._meaning_page(), "Help")
        self.below.addWidget(self.message)
        self.below.addWidget(self.tabs, 1)
        self.tabs.setVisible(False)

        self.result: DensityResult | None = None
        self.tasks.run_clicked.connect(self.compute)
        napari_viewer.layers.events.inserted.connect(self._layers_changed)
        napari_viewer.layers.events.removed.connect(self._layers_changed)
        self.begin()

    def compute(self) -> None:
        """Compute the density of the chosen scan."""
        scan = self.scan
        if scan is None or self.tasks.running:
            return
        if not self.article.unfolded:
            remember(TOTAL_SECTION, self.total_form.saved())
            chosen = self.total_form.settings()
            self.run(
                scan, make_ready, scan, chosen,
                label="Computing the dislocation density", uses_torch=True,
                on_result=lambda ready: self._turns.run(
                    ready.result.scan, self._total_steps(ready, chosen.arguments())
                ),
            )  # fmt: skip
            return
        remember(SECTION, self.model_form.saved())
        gnd = gnd_of(self.viewer, scan) if self.source.currentData() else None
        settings = self.model_form.settings()
        self.run(
            scan, compute_density, scan, gnd, self.gnd_form.settings(), settings,
            label="Computing the dislocation density", uses_torch=True,
            on_result=lambda result: self._show(result, settings.arguments()),
        )  # fmt: skip

    def scan_chosen(self, scan: Scan | None) -> None:
        """Show the phases of a scan, and its result where there is one."""
        self.gnd_form.show_scan(scan)
        self.taylor_form.show_scan(scan)
        self._layers_changed()
        self._offer_to_improve()

    def closing(self) -> None:
        """Let go of the layer."""
        self._turns.stop()
        self.histogram.clear()
        self.answer.histogram.clear()
        for event in (self.viewer.layers.events.inserted, self.viewer.layers.events.removed):
            event.disconnect(self._layers_changed)

    @property
    def _all(self) -> bool:
        """Whether values out of the model's range are shown."""
        return bool(self.model_form.extrapolate.value)

    def _offer_to_improve(self) -> None:
        better = None if self.total_result is None else self.total_result.better
        can = total_density.can_improve(self.scan)
        self.answer.improve.setVisible(can and better is None)
        self.answer.add_improved.setVisible(better is not None and better.worthwhile)

    def _improve(self) -> None:
        self.total_form.improve.value = True
        self.compute()

    def _add_improved(self) -> None:
        if self.total_result is not None and self.total_result.better is not None:
            add_beside(self.viewer, self.total_result.better.scan)

    def _total_steps(self, ready: Ready, options: dict[str, Any]) -> Iterator[None]:
        """Show a total density, layer by layer, then its card and tables."""
        result, scan = ready.result, ready.result.scan
        options["improved"] = bool(result.better is not None and result.better.worthwhile)
        newest = None
        options = {**options, "model_sha256": total_density.model_hash()}
        self._adding = True
        try:
            for shown in ready.layers:
                layer = show_layer(self, scan, shown, dict(options), result, model="default")
                newest = layer if layer.visible else newest
                yield
                if not layers_of(self.viewer, scan):
                    return
            self.add_result(
                scan, ready.told, total_density.TOLD, kind="labels",
                classes=total_density.TOLD_CLASSES, settings=dict(options), model="default",
                opacity=0.35,
            ).visible = bool(result.total.measurable.any())  # fmt: skip
            if newest in self.viewer.layers:
                self.viewer.layers.selection.active = newest
            yield
        finally:
            self._adding = False
        self._layers_changed()

    def _show(self, result: DensityResult, options: dict[str, Any]) -> None:
        scan = result.gnd.scan
        settings = {**options, "model": str(options["model"]), "extrapolate": self._all}
        settings["gnd"] = plain_settings(result.gnd.settings)
        newest = None
        for shown in layers.density_layers(result, self._all):
            newest = show_layer(self, scan, shown, settings, result, model=result.model)
        self.add_result(
            scan, layers.validity(result.total), layers.VALIDITY, kind="labels",
            classes=layers.VALIDITY_CLASSES, settings=settings, model=result.model, opacity=0.7,
        ).opacity = 0.35 if self._all else 0.7  # fmt: skip
        self.viewer.layers.selection.active = newest
        self._layers_changed()

    def _extrapolate(self, checked: bool) -> None:
        layer = None if self.result is None else total_layer_of(self.viewer, self.result.gnd.scan)
        info = info_of(layer) if layer is not None else None
        if self.result is not None and info is not None:
            self._show(self.result, dict(info["settings"]))
            self._show_result(layer)

    def _layers_changed(self, event: Any = None) -> None:
        if self._adding:
            return
        scan = self.scan
        there = scan is not None and gnd_layer_of(self.viewer, scan) is not None
        if (self.source.count() == 2) != there or not self.source.count():
            self.source.blockSignals(True)
            self.source.clear()
            if there:
                self.source.addItem("the GND density shown", True)
            self.source.addItem("a new one", False)
            self.source.blockSignals(False)
            self._source_chosen()
        self._offer_others()
        self.answer.offer([
            other for other in self.chooser.scans
            if other is not scan and newest_result(self.viewer, other) is not None
        ])  # fmt: skip
        own = newest_result(self.viewer, scan) if scan is not None else None
        if own is not self.total_result:
            self.total_result = own
            self._fill_total()
        layer = total_layer_of(self.viewer, scan) if scan is not None else None
        result = result_of(layer, DensityResult)
        if result is not self.result:
            self.result = result
            self._show_result(layer)

    def _show_result(self, layer: Layer | None) -> None:
        self.tabs.setVisible(self.result is not None)
        if self.result is None or layer is None:
            self.message.setText("")
            self.message.setVisible(False)
            self.histogram.clear()
            return
        self.message.setVisible(True)
        mean, worth = self.result.total.mean, layers.validity(self.result.total)
        self.message.setText(layers.in_short(self.result, self._all))
        self.meaning.setText(layers.in_words(self.result))
        self.histogram.follow(layer)
        parts = {
            name: mean[worth == kind]
            for name, kind in (
                ("guess", layers.GUESS), ("estimate", layers.GOOD),
                ("noise", layers.QUIET), ("out of range", layers.OUTSIDE),
            )
            if (worth == kind).any()
        }  # fmt: skip
        self.histogram.show_values("mean dislocation density [1/m²]", parts)
        self._fill_tables()

    def _fill_total(self) -> None:
        result, form = self.total_result, self.taylor_form
        self._offer_to_improve()
        self.answer.show_result(result, form.materials, form.friction)
        if result is not None:
            self.answer.histogram.follow(self._layer_of_total())
        self._fill_rise()

    def _layer_of_total(self) -> Layer | None:
        scan = self.scan
        shown = [] if scan is None else layers_of(self.viewer, scan)
        named = [
            one for one in shown if (info_of(one) or {}).get("quantity") == total_density.TOTAL
        ]
        return named[-1] if named else None

    def _fill_rise(self) -> None:
        other = self.answer.before.currentData()
        before = newest_result(self.viewer, other) if other is not None else None
        self.answer.show_rise(before, self.total_result, self.taylor_form.materials)

    def _fill_tables(self) -> None:
        self._fill_total()
        if self.result is None:
            return
        self.phase_table.set_columns(upright(self._averages(self.result, "phase")))
        self.grain_table.set_columns(self._averages(self.result, "grain"))
        self._fill_increment()

    def _averages(self, result: DensityResult, by: str) -> dict[str, list[Any]]:
        from napari_ebsdml.dislocations.averages import density_averages

        return density_averages(
            result.total, result.gnd, by, self.taylor_form.materials, self.taylor_form.friction,
            result.window, self._all,
        )  # fmt: skip

    def _offer_others(self) -> None:
        chosen = self.other.currentData()
        offers = [
            (scan.name, scan) for scan in self.chooser.scans
            if scan is not self.scan and total_layer_of(self.viewer, scan) is not None
        ]  # fmt: skip
        if [scan for _, scan in offers] != [self.other.itemData(n) for n in range(len(self.other))]:
            self.other.blockSignals(True)
            self.other.clear()
            for name, scan in offers:
                self.other.addItem(name, scan)
            if chosen is not None and self.other.findData(chosen) >= 0:
                self.other.setCurrentIndex(self.other.findData(chosen))
            self.other.blockSignals(False)
            self._fill_increment()

    def _fill_increment(self, index: int = 0) -> None:
        from napari_ebsdml.dislocations.averages import density_increments

        self.increment_table.set_columns({})
        before = self.other.currentData()
        if self.result is None or before is None:
            self.increment_note.setText(
                "Compute the density of a second map, measured before the deformation, and "
                "choose it here."
            )
            return
        earlier = result_of(total_layer_of(self.viewer, before), DensityResult)
        if earlier is None:
            return
        scan = self.result.gnd.scan
        metals = {scan.phases[n].name: m for n, m in self.taylor_form.materials.items()}
        try:
            rise = density_increments(
                self._averages(earlier, "phase"), self._averages(self.result, "phase"),
                metals,
            )  # fmt: skip
        except InputError as error:
            self.increment_note.setText(str(error))
            return
        notes = dict.fromkeys(note for note in rise.pop("note") if note)
        text = " ".join([f"Rise from {before.name} to {scan.name}.", *notes])
        self.increment_note.setText(pretty(text))
        self.increment_table.set_columns(upright(rise))

    def _source_chosen(self, index: int = 0) -> None:
        self.gnd_form.setVisible(not self.source.currentData())

    def _increment_page(self) -> QWidget:
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(0, 0, 0, 0)
        self.increment_note = QLabel()
        self.increment_note.setWordWrap(True)
        layout.addWidget(QLabel("Map before the deformation:"))
        layout.addWidget(self.other)
        layout.addWidget(self.increment_note)
        layout.addWidget(self.increment_table, 1)
        return tab_page(content)

    def _meaning_page(self) -> QWidget:
        self.meaning = QLabel()
        self.meaning.setWordWrap(True)
        self.meaning.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.meaning.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        return tab_page(self.meaning)


def newest_result(viewer: ViewerModel, scan: Scan) -> TotalResult | None:
    """The total density from orientations of a scan that was added last."""
    for layer in reversed(layers_of(viewer, scan)):
        info = info_of(layer)
        if info is not None and info["quantity"] == total_density.TOTAL:
            found = result_of(layer, TotalResult)
            if found is not None:
                return found
    return None


def total_layer_of(viewer: ViewerModel, scan: Scan) -> Layer | None:
    """The layer with the article's density of a scan that was added last."""
    for layer in reversed(layers_of(viewer, scan)):
        info = info_of(layer)
        shows = info is not None and info["quantity"] == layers.TOTAL
        if shows and result_of(layer, DensityResult) is not None:
            return layer
    return None
