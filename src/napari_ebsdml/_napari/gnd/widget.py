"""Widget "GND density": geometrically necessary dislocations of a map, and what noise hides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from napari_ebsdml._napari.controls.combo import narrow_combo
from napari_ebsdml._napari.controls.histogram import DensityHistogram
from napari_ebsdml._napari.controls.settings import remember, remembered
from napari_ebsdml._napari.controls.tab_page import tab_page
from napari_ebsdml._napari.controls.table import DataTable
from napari_ebsdml._napari.controls.text import pretty
from napari_ebsdml._napari.gnd import layers as gnd_layers
from napari_ebsdml._napari.gnd.form import GndForm
from napari_ebsdml._napari.gnd.layers import (
    between,
    compute_gnd,
    gnd_layer_of,
    gnd_of,
    known_text,
    plain_settings,
    show_layer,
)
from napari_ebsdml._napari.gnd.script import gnd_script
from napari_ebsdml._napari.gnd.step_page import Dependence, StepPage, compute_dependence
from napari_ebsdml._napari.shell.help import Help
from napari_ebsdml._napari.shell.scan_widget import ScanWidget
from napari_ebsdml._parallel import part_of
from napari_ebsdml.dislocations.gnd.noise import RESOLUTION
from napari_ebsdml.scan import Scan

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer
    from numpy.typing import NDArray

    from napari_ebsdml._parallel import Progress
    from napari_ebsdml.dislocations.averages import Table
    from napari_ebsdml.dislocations.gnd.average import GndAverage
    from napari_ebsdml.dislocations.gnd.density import GndDensity
    from napari_ebsdml.dislocations.gnd.stability import SplitStability
    from napari_ebsdml.dislocations.settings import GndSettings

SECTION = "gnd"
"""Where napari keeps the settings of this widget."""

_SPLIT = (
    "Which slip systems carry the density is chosen by line energy, not measured. "
    "“Stability of the split” tells how much of it stays when the energies change by 5 %."
)
_NOTHING = "Compute a GND density to see its histogram, the grains and further layers here."


@dataclass(frozen=True, eq=False)
class Told:
    """What the dock says of a result and takes long to find.

    Attributes
    ----------
    mean
    grains
    text
        `in_words`.
    noise
        What the orientation noise hides.
    parts, each
        Densities of every `each`-th pixel within and above the noise.
    floor
        Median of the noise floor.
    """

    mean: GndAverage
    grains: Table
    text: str
    noise: str
    parts: dict[str, NDArray[np.float64]]
    each: int
    floor: float


@dataclass(frozen=True, eq=False)
class Ready:
    """A result as a dock shows it: its density, and where it is below the noise, if known."""

    gnd: GndDensity
    density: gnd_layers.Shown
    below: NDArray[np.int32] | None


_told: WeakKeyDictionary[GndDensity, Told] = WeakKeyDictionary()


def tell(gnd: GndDensity) -> Told:
    """Average and table of grains of a result; found once, at best by a worker thread."""
    from napari_ebsdml.dislocations.averages import gnd_averages

    if gnd not in _told:
        mean, each = gnd.average(), gnd_layers.every_nth(gnd.total.shape)
        total, floor = (values.reshape(-1)[::each] for values in (gnd.total, gnd.noise_floor))
        above, floor = gnd.above_noise.reshape(-1)[::each], floor[np.isfinite(floor)]
        parts = {
            "within noise": total[np.isfinite(total) & ~above], "above noise": total[above],
        }  # fmt: skip
        middle = float(np.median(floor)) if floor.size else float("nan")
        _told[gnd] = Told(
            mean, gnd_averages(gnd, "grain"), in_words(gnd, mean), gnd.noise_sentence, parts, each,
            middle,
        )  # fmt: skip
    return _told[gnd]


def compute_and_tell(scan: Scan, settings: GndSettings, progress: Progress = None) -> Ready:
    """`compute_gnd` with what is shown and said of it, for a worker thread."""
    gnd = compute_gnd(scan, settings, part_of(progress, 0.0, 0.9))
    tell(gnd)
    known = bool(np.isfinite(gnd.noise_floor).any())
    return Ready(
        gnd, gnd_layers.density_layer(gnd.total, gnd_layers.TOTAL),
        gnd_layers.below_noise(gnd) if known else None,
    )  # fmt: skip


class GndWidget(ScanWidget):
    """Computes the GND density of a scan; shows the density, its noise, grains and systems.

    Attributes
    ----------
    settings_form : GndForm
    message : QLabel
        The result in two or three lines.
    details : QLabel
        What else there is to say.
    histogram : DensityHistogram
    grain_table : DataTable
    step_page : StepPage
    split_note : QLabel
        How far to trust a density of a single slip system.
    """

    HELP = Help(
        "The density of geometrically necessary dislocations: those that bend the lattice over "
        "the step of the map. It depends on the step; compare maps at the same step only.",
        ("Choose the slip systems of each phase, or leave them at auto.",
         "Compute. The text tells the mean without the orientation noise, and its interval.",
         "Step: the density at other steps. Notes: what belongs beside the number.",
         "Layers: slip systems, curvature, Nye's tensor, noise floor."),
        "measurements/gnd.md",
        (("10.1016/j.scriptamat.2008.01.050", "Pantleon 2008, curvature to GND density"),),
    )  # fmt: skip

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__(napari_viewer, "Compute GND density")
        self.settings_form = GndForm()
        self.settings_form.method.set_saved(remembered(SECTION))
        self.form.addWidget(self.settings_form)
        self.offer_script(lambda scan: gnd_script(scan, self.settings_form.settings()))
        self.offer_batch(lambda: ("gnd", self.settings_form.settings()))
        self.form.addStretch(1)

        self.message = _text(_NOTHING)
        self.histogram = DensityHistogram()
        self.grain_table = DataTable()
        self.more = narrow_combo()
        self.more.setMaxVisibleItems(20)
        self.add_button = QPushButton("Add layer")
        self.add_button.clicked.connect(self.add_further)
        self.more.currentIndexChanged.connect(self._say_of_split)
        self.split_note = _text()
        self.details = _text()
        self.step_page = StepPage()
        self.step_page.button.clicked.connect(self.compute_dependence)
        self.tabs = QTabWidget()
        self.tabs.addTab(tab_page(self.histogram), "Histogram")
        self.tabs.addTab(tab_page(self.grain_table), "Grains")
        self.tabs.addTab(tab_page(self.step_page), "Step")
        self.tabs.addTab(self._further_page(), "Layers")
        self.tabs.addTab(_scrolled(self.details), "Notes")
        self.tabs.setVisible(False)
        self.below.addWidget(self.message)
        self.below.addWidget(self.tabs, 1)
        self.give_results_the_rest()

        self.result: GndDensity | None = None
        self._dependences: WeakKeyDictionary[GndDensity, Dependence] = WeakKeyDictionary()
        self._splits: WeakKeyDictionary[GndDensity, SplitStability] = WeakKeyDictionary()
        self.tasks.run_clicked.connect(self.compute)
        napari_viewer.layers.events.removed.connect(self._removed)
        self.begin()

    def compute(self) -> None:
        """Compute the density of the chosen scan."""
        scan = self.scan
        if scan is None or self.tasks.running:
            return
        remember(SECTION, self.settings_form.method.saved())
        self.run(
            scan, compute_and_tell, scan, self.settings_form.settings(),
            label="Computing the GND density", on_result=self._show,
        )  # fmt: skip

    def compute_dependence(self) -> None:
        """Compute how the density that is shown depends on step and grain threshold."""
        gnd = self.result
        if gnd is None or self.tasks.running:
            return

        def show(found: Dependence) -> None:
            self._dependences[gnd] = found
            if self.result is gnd:
                self.step_page.show_found(found)
                self.details.setText(self._in_detail(gnd))

        self.run(
            gnd.scan, compute_dependence, gnd, label="Computing the density at other steps",
            on_result=show,
        )  # fmt: skip

    def add_further(self) -> None:
        """Add the layer that is chosen under "Layers"."""
        key, gnd = self.more.currentData(), self.result
        if gnd is None or key is None:
            return
        if key == "split":
            self._add_split(gnd)
            return
        show_layer(self, gnd.scan, gnd_layers.further_layer(gnd, key), gnd.settings, gnd)

    def _add_split(self, gnd: GndDensity) -> None:
        def show(found: SplitStability) -> None:
            self._splits[gnd] = found
            shown = gnd_layers.stability_layer(found.share)
            show_layer(self, gnd.scan, shown, gnd.settings, found)
            self._say_of_split()

        if gnd in self._splits:
            show(self._splits[gnd])
        elif not self.tasks.running:
            self.run(
                gnd.scan, split_of, gnd, label="Changing the line energies", on_result=show
            )  # fmt: skip

    def _say_of_split(self, index: int = 0) -> None:
        key, gnd = self.more.currentData(), self.result
        found = None if gnd is None else self._splits.get(gnd)
        text = ""
        if gnd is not None and key is not None and (key == "split" or key[0] == "s"):
            text = _SPLIT if found is None else pretty(found.sentence)
            if found is not None and key != "split":
                share = found.per_system[int(key[1:])]
                if np.isfinite(share):
                    text += f" {100 * share:.0f} % of this system's density stays."
        self.split_note.setText(text)

    def _in_detail(self, gnd: GndDensity) -> str:
        found = self._dependences.get(gnd)
        return in_detail(gnd, found, tell(gnd))

    def scan_chosen(self, scan: Scan | None) -> None:
        """Show the phases of a scan, and its result where there is one."""
        self.settings_form.show_scan(scan)
        self._show_result(gnd_layer_of(self.viewer, scan) if scan is not None else None)

    def closing(self) -> None:
        """Let go of the layer."""
        self.histogram.clear()
        self.viewer.layers.events.removed.disconnect(self._removed)

    def _show(self, ready: Ready) -> None:
        gnd, scan = ready.gnd, ready.gnd.scan
        total = show_layer(self, scan, ready.density, gnd.settings, gnd)
        if ready.below is not None:
            self.add_result(
                scan, ready.below, gnd_layers.BELOW_NOISE, kind="labels",
                classes=gnd_layers.BELOW_NOISE_CLASSES, settings=plain_settings(gnd.settings),
                opacity=0.55, blending="translucent", visible=False,
            )  # fmt: skip
        self.viewer.layers.selection.active = total
        if self.scan is scan:
            self._show_result(total)

    def _show_result(self, layer: Layer | None) -> None:
        scan = self.scan
        gnd = gnd_of(self.viewer, scan) if layer is not None and scan is not None else None
        self.result = gnd
        self.tabs.setVisible(gnd is not None)
        self.more.clear()
        if gnd is None:
            self.message.setText(_NOTHING)
            self.histogram.clear()
            self.step_page.show_found(None)
            return
        told = tell(gnd)
        self.message.setText(told.text)
        self.details.setText(self._in_detail(gnd))
        self.step_page.show_found(self._dependences.get(gnd))
        self.histogram.follow(layer)
        self.histogram.show_values(
            "GND density [1/m²]", told.parts, {"noise floor": told.floor}, told.each
        )
        # The densities first: names of phases are wide, and a dock is not.
        columns = {k: v for k, v in told.grains.items() if k != "phase"}
        self.grain_table.set_columns({**columns, "phase": told.grains["phase"]})
        for key, text in gnd_layers.further_layers(gnd).items():
            self.more.addItem(text, key)

    def _removed(self, event: Any) -> None:
        if self.result is not None and gnd_layer_of(self.viewer, self.result.scan) is None:
            self._show_result(None)

    def _further_page(self) -> QWidget:
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(0, 0, 0, 0)
        text = QLabel(
            "Signed density of each slip system, lattice curvature, Nye's tensor, noise floor. "
            "Index 1 is x (right), 2 is y (down), 3 is z (into the screen)."
        )
        text.setWordWrap(True)
        row = QHBoxLayout()
        row.addWidget(self.more, 1)
        row.addWidget(self.add_button)
        layout.addWidget(text)
        layout.addLayout(row)
        layout.addWidget(self.split_note)
        layout.addStretch(1)
        return tab_page(content)


def split_of(gnd: GndDensity, progress: Progress = None) -> SplitStability:
    """Stability of the split over slip systems, for a worker thread."""
    return gnd.split_stability(progress=progress)


def in_words(gnd: GndDensity, mean: GndAverage | None = None) -> str:
    """The result in two or three lines: density, and how much of it is noise."""
    known = gnd.total[np.isfinite(gnd.total)]
    if not known.size:
        return (
            "No pixel has a known curvature: grains are too small, or every phase with "
            "orientations was left out."
        )
    mean = mean or gnd.average()
    share = 100 * float(gnd.above_noise.sum()) / known.size
    high = known_text(mean.interval[1])
    if not np.isfinite(mean.density):
        text = f"<b>Mean {known_text(mean.raw_mean)}</b>, noise included and not known"
    elif mean.is_bound:
        text = f"<b>Mean below {high}</b> (90 %): within the noise"
    else:
        interval = between(mean.interval)
        text = f"<b>Mean {known_text(mean.density)}</b> without the noise ({interval}, 90 %)"
    text += f"; median {known_text(mean.median)} with it. {share:.0f} % of the pixels above noise."
    measured = [sigma for sigma in gnd.orientation_noise.values() if sigma >= RESOLUTION]
    if share < 50 and measured:
        text += " Most of what the map shows is noise: measure with a larger step."
    return " ".join((text, *gnd.notes))


def in_detail(gnd: GndDensity, found: Dependence | None, told: Told) -> str:
    """What belongs beside the result, one paragraph each."""
    parts = [told.mean.sentence, told.noise]
    if found is not None:
        parts.append(found.step.sentence)
        if found.threshold is not None:
            parts.append(found.threshold.sentence)
    return "".join(f"<p>{pretty(part)}</p>" for part in [*parts, *gnd.caveats] if part)


def _text(text: str = "") -> QLabel:
    label = QLabel(text)
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


def _scrolled(label: QLabel) -> QWidget:
    label.setAlignment(Qt.AlignmentFlag.AlignTop)
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setWidget(label)
    return tab_page(area)
