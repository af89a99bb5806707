"""Page "Step": the density at other steps, and with other grain thresholds, on demand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QPushButton, QVBoxLayout, QWidget

from napari_ebsdml._napari.controls.form import SettingsForm
from napari_ebsdml._napari.controls.text import pretty
from napari_ebsdml._napari.gnd.layers import known_text
from napari_ebsdml._napari.gnd.step_plot import StepPlot
from napari_ebsdml._parallel import part_of
from napari_ebsdml.dislocations.settings import StepSettings
from napari_ebsdml.errors import InputError

if TYPE_CHECKING:
    from napari_ebsdml._parallel import Progress
    from napari_ebsdml.dislocations.gnd.density import GndDensity
    from napari_ebsdml.dislocations.gnd.step_dependence import StepDependence
    from napari_ebsdml.dislocations.gnd.threshold_dependence import ThresholdDependence

_ASK = (
    "GND densities fall with the step, and their mean depends on the grain threshold. What the "
    "threshold does is shown under “Notes”."
)


@dataclass(frozen=True, eq=False)
class Dependence:
    """How a density depends on step and grain threshold; None: the grains were given."""

    step: StepDependence
    threshold: ThresholdDependence | None


def compute_dependence(gnd: GndDensity, progress: Progress = None) -> Dependence:
    """Both dependences, for a worker thread."""
    step = gnd.step_dependence(progress=part_of(progress, 0.0, 0.5))
    threshold = None
    if gnd.settings["grain_threshold"] is not None:
        threshold = gnd.threshold_dependence(progress=part_of(progress, 0.5))
    return Dependence(step, threshold)


class StepPage(QWidget):
    """Plot against the step, and the density at a step of choice.

    Attributes
    ----------
    button : QPushButton
        Asks for the computation.
    plot : StepPlot
    form : SettingsForm
        The step to compare at.
    text : QLabel
    """

    def __init__(self) -> None:
        super().__init__()
        self.button = QPushButton("Compute step and threshold dependence")
        self.button.setToolTip(
            "The same map with neighbours 2, 3, 4 and 6 steps away, and with grain thresholds of "
            "1.5 to 15 degrees"
        )
        self.plot = StepPlot()
        self.form: SettingsForm[StepSettings] = SettingsForm(StepSettings)
        self.form.changed.connect(self._write)
        self.text = QLabel(_ASK)
        self.text.setWordWrap(True)
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.button)
        layout.addWidget(self.plot, 1)
        layout.addWidget(self.form.native)
        layout.addWidget(self.text)
        layout.addStretch(0)  # before there is a plot the text stays below its button
        self.found: Dependence | None = None
        self.show_found(None)

    def show_found(self, found: Dependence | None) -> None:
        """Show a result, or offer its computation."""
        self.found = found
        self.button.setVisible(found is None)
        self.plot.setVisible(found is not None)
        self.form.native.setVisible(found is not None)
        self._write()

    def _write(self) -> None:
        if self.found is None:
            self.text.setText(_ASK)
            self.plot.show_steps(None)
            return
        sentences, at = [], None
        step = self.form.settings().step
        if step:
            try:
                at = step, self.found.step.at(step)
                sentences.append(f"<b>{known_text(at[1])} at {step:g} µm.</b>")
            except InputError as error:
                sentences.append(pretty(str(error)))
        sentences.append(pretty(self.found.step.sentence))
        self.text.setText(" ".join(sentences))
        self.plot.show_steps(self.found.step, at)
