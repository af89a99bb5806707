"""Settings of a training, few in sight and the rest under "More"."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QVBoxLayout, QWidget

from napari_ebsdml._napari.shell.fields import Choice, Field, Flag, Form, Number

_EPOCHS = {"quick": 8, "normal": 15, "thorough": 40}

_ARTICLE = {"filters": 32, "most_filters": 256, "dropout": 0.2, "normalise": False}
# As `UNetSettings.paper` has them; importing it here would load torch.
_NETWORKS: dict[str, dict[str, Any]] = {
    "auto": {},
    **{str(depth): {"depth": depth} for depth in range(1, 5)},
    **{f"paper{2 * depth + 1}": {"depth": depth, **_ARTICLE} for depth in (1, 2, 3)},
}

MAIN_FIELDS: tuple[Field, ...] = (
    Choice(
        "effort", "Effort", "normal",
        (("quick", "quick, 8 epochs"), ("normal", "normal, 15 epochs"),
         ("thorough", "thorough, 40 epochs")),
        "Most epochs; a training stops earlier when the held-out blocks get no better",
    ),
    Number(
        "minutes", "Time limit", 0, 0, 600, "min", 0, 1,
        "The training stops then, with the best model so far. 0: no limit",
    ),
)  # fmt: skip

MORE_FIELDS: tuple[Field, ...] = (
    Choice(
        "depth", "Depth", "auto",
        (("auto", "as the strokes allow"), ("1", "1"), ("2", "2"), ("3", "3"), ("4", "4"),
         ("paper3", "article, 3 steps"), ("paper5", "article, 5 steps"),
         ("paper7", "article, 7 steps")),
        "How often the map is halved. A deep network sees far, and learns the surroundings of a "
        "few strokes by heart",
    ),
    Flag(
        "turns", "Turn and mirror the map", True,
        "Train on all eight turns; orientations turn with the specimen",
    ),
    Flag(
        "coarser", "Train on twice the step as well", True,
        "So that the model also suits maps that were measured more coarsely",
    ),
    Number(
        "grow", "Spread strokes in grains", 12, 0, 200, "px", 0, 1,
        "Strokes spread through their grain (2°) so far, unless another class touches it. "
        "0: not",
    ),
    Number(
        "held_out", "Held out", 20, 0, 50, "%", 0, 5,
        "Part of the strokes, in whole blocks, that does not train but tells how good the model "
        "is, and when to stop",
    ),
    Number(
        "balance", "Balance of classes", 50, 0, 100, "%", 0, 10,
        "0: as painted; 100: every class counts alike",
    ),
    Number("preview_every", "Refresh the map every", 2, 0, 100, "epochs", 0, 1,
           "While the training goes on. 0: only at the end"),
    Number("seed", "Seed", 0, 0, 999_999, "", 0, 1, "Of all that is random: same seed, same model"),
)  # fmt: skip


class TrainingForm(QWidget):
    """Settings of a training.

    Signals
    -------
    changed
    """

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.main = Form(MAIN_FIELDS)
        self.more = Form(MORE_FIELDS)
        self.more_box = QCheckBox("More settings")
        self.more_box.toggled.connect(self.more.setVisible)
        self.more.setVisible(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for part in (self.main, self.more_box, self.more):
            layout.addWidget(part)
        self.main.changed.connect(self.changed)
        self.more.changed.connect(self.changed)

    def values(self) -> dict[str, Any]:
        """All values by field name, as they are remembered."""
        return {**self.main.values(), **self.more.values()}

    def set_values(self, values: dict[str, Any]) -> None:
        """Set fields by name; see `Form.set_values`."""
        for form in (self.main, self.more):
            form.set_values({k: v for k, v in values.items() if k in form.fields})

    @property
    def preview_every(self) -> int:
        """Epochs between two refreshed maps; 0: none."""
        return int(self.more.values()["preview_every"])

    def settings(self) -> dict[str, Any]:
        """Changes to the default `TrainingSettings`, but for the network."""
        values = self.values()
        return {
            "epochs": _EPOCHS[values["effort"]],
            "seconds": 60.0 * values["minutes"],
            "turns": values["turns"],
            "coarser": values["coarser"],
            "grow": int(values["grow"]),
            "held_out": values["held_out"] / 100,
            "balance": values["balance"] / 100,
            "seed": int(values["seed"]),
        }

    @property
    def network(self) -> dict[str, Any]:
        """Keyword arguments of `UNetSettings`; empty: as deep as the strokes allow."""
        return dict(_NETWORKS[str(self.values()["depth"])])


def to_train_on(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings for going on with a model: as many epochs as its defaults, scaled by the effort."""
    kept = {k: v for k, v in settings.items() if k != "coarser"}
    if "epochs" in kept:
        kept["epochs"] = max(2, round(4 * kept["epochs"] / _EPOCHS["normal"]))
    return kept
