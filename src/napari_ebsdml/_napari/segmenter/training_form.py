"""Settings of a training: few beside the button, and the rest for the page "More"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_ebsdml._napari.controls.form import KeptAs, SettingsForm
from napari_ebsdml.options import Option
from napari_ebsdml.segmentation.settings import TrainingSettings, UNetSettings

# Settings of earlier versions stay readable: napari keeps them by these names and values.
_KEPT_AS: dict[str, KeptAs] = {
    "epochs": ("effort", {0: "none", 8: "quick", 15: "normal", 40: "thorough"}),
    "seconds": ("minutes", {}),
    "network": (
        "depth",
        {
            None: "auto",
            **{UNetSettings(depth=depth): str(depth) for depth in range(1, 5)},
            **{UNetSettings.paper(steps): f"paper{steps}" for steps in (3, 5, 7)},
        },
    ),
}
_MAIN = ("epochs", "seconds")
_MORE = ("network", "turns", "coarser", "grow", "held_out", "balance", "seed")


@dataclass(frozen=True)
class PreviewSettings:
    """What is shown while a training goes on."""

    preview_every: Annotated[
        int,
        Option("Refresh the map every", "While the training goes on. 0: only at the end",
               "epochs", 0, 100),
    ] = 2  # fmt: skip


class TrainingForm(QWidget):
    """Settings of a training.

    Signals
    -------
    changed

    Attributes
    ----------
    rest : QWidget
        The form of all but the few, to be shown elsewhere.
    """

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.main = SettingsForm(TrainingSettings, _MAIN, _KEPT_AS)
        self.more = SettingsForm(TrainingSettings, _MORE, _KEPT_AS)
        self.preview = SettingsForm(PreviewSettings)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.main.native)
        self.rest = QWidget()
        more = QVBoxLayout(self.rest)
        more.setContentsMargins(0, 0, 0, 0)
        more.setSpacing(4)
        more.addWidget(self.more.native)
        more.addWidget(self.preview.native)
        for form in self._forms():
            form.changed.connect(lambda: self.changed.emit())

    def _forms(self) -> tuple[SettingsForm[Any], ...]:
        return (self.main, self.more, self.preview)

    def saved(self) -> dict[str, Any]:
        """All values as napari keeps them."""
        return {name: value for form in self._forms() for name, value in form.saved().items()}

    def set_saved(self, values: Mapping[str, Any]) -> None:
        """Set what `saved` gave."""
        for form in self._forms():
            form.set_saved(values)

    @property
    def preview_every(self) -> int:
        """Epochs between two refreshed maps; 0: none."""
        return self.preview.settings().preview_every

    def settings(self) -> dict[str, Any]:
        """Changes to the default `TrainingSettings`, but for the network."""
        values = {**self.main.values(), **self.more.values()}
        del values["network"]
        return values

    @property
    def network(self) -> dict[str, Any]:
        """Keyword arguments of `UNetSettings`; empty: as deep as the strokes allow."""
        chosen = self.more.settings().network
        return {} if chosen is None else chosen.as_dict()


def to_train_on(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings for going on with a model: as many epochs as its defaults, scaled by the effort."""
    kept = {k: v for k, v in settings.items() if k != "coarser"}
    if "epochs" in kept:
        more = max(2, round(4 * kept["epochs"] / TrainingSettings.epochs))
        kept["epochs"] = more if kept["epochs"] else 0
    return kept
