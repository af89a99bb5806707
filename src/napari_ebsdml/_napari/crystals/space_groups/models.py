"""Models to choose from: those that ship, those from files, those trained here."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from qtpy.QtCore import QObject, Signal

from napari_ebsdml.errors import InputError, ModelError
from napari_ebsdml.learning.model_card import ModelCard, read_card
from napari_ebsdml.learning.shipped import WEIGHTS, shipped_path
from napari_ebsdml.patterns.kinds import KINDS, SHIPPED

if TYPE_CHECKING:
    from napari_ebsdml.patterns.classifier import SpaceGroupClassifier

_MOST = 20
"""Longer lists on a model card are counted and not shown."""

CRYSTAL, RAW = "crystal frame", "raw patterns"

_SHIPPED = {
    CRYSTAL: (
        "default",
        "Folds patterns by their orientation into the crystal's frame. Orientations and pattern "
        "centre that a map lacks are searched for; best where both are known.",
    ),
    RAW: (
        "raw",
        "Looks at the patterns as they are: needs neither orientations nor geometry, but is less "
        "sure of materials that it was not trained on.",
    ),
}


@dataclass(eq=False)
class ModelEntry:
    """A model that can be chosen; read from its file at first use.

    Attributes
    ----------
    name
        As it is shown, and in the names of the layers that it makes.
    source
        What `SpaceGroupClassifier.load` takes, or a classifier.
    tip
    """

    name: str
    source: SpaceGroupClassifier | str | Path
    tip: str = ""
    _loaded: SpaceGroupClassifier | None = field(default=None, init=False, repr=False)
    _kind: str | None = field(default=None, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    @property
    def is_trained_here(self) -> bool:
        """Whether the model lives in memory only."""
        return not isinstance(self.source, str | Path)

    @property
    def needs_orientations(self) -> bool:
        """Whether it works in the crystal's frame; told by its card where it is not loaded."""
        model = self.source if self._loaded is None else self._loaded
        if not isinstance(model, str | Path):
            return model.needs_orientations
        if self._kind is None:
            try:
                self._kind = read_card(shipped_path(model, SHIPPED)).kind
            except ModelError:
                self._kind = ""  # `load` says what is wrong with the file
        return self._kind in KINDS and KINDS[self._kind].needs_orientations

    @property
    def card(self) -> ModelCard | None:
        """Card of the model, read from its file without the weights where there is one.

        Raises
        ------
        ModelError
            When the card is missing or damaged.
        """
        if isinstance(self.source, str | Path):
            return read_card(shipped_path(self.source, SHIPPED))
        return self.source.card

    def load(self) -> SpaceGroupClassifier:
        """The model; not for the GUI thread, because torch takes seconds to import.

        Raises
        ------
        ModelError
            When its file is missing or damaged.
        """
        with self._lock:
            if self._loaded is None:
                from napari_ebsdml.patterns.classifier import SpaceGroupClassifier

                self._loaded = (
                    SpaceGroupClassifier.load(self.source)
                    if isinstance(self.source, str | Path)
                    else self.source
                )
            return self._loaded


def shipped() -> dict[str, tuple[str, str]]:
    """Models that come with the package: name -> what to load, and what it is."""
    return {
        name: (key, tip)
        for name, (key, tip) in _SHIPPED.items()
        if (WEIGHTS / f"{SHIPPED[key]}.safetensors").is_file()
    }


class ModelStore(QObject):
    """All models that can be chosen.

    Signals
    -------
    changed
        A model was added.
    """

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.entries = [ModelEntry(name, key, tip) for name, (key, tip) in shipped().items()]

    def find(self, name: str) -> ModelEntry:
        """Model by its name.

        Raises
        ------
        InputError
            When there is none.
        """
        for entry in self.entries:
            if entry.name == name:
                return entry
        names = ", ".join(entry.name for entry in self.entries)
        raise InputError(f"There is no model {name!r}; there are {names}.")

    def add(self, name: str, source: Any, tip: str = "") -> ModelEntry:
        """Add a model; one of the same file is found again, another of the same name numbered."""
        for entry in self.entries:
            if entry.source is source or (isinstance(source, Path) and entry.source == source):
                return entry
        taken = {entry.name for entry in self.entries}
        free, number = name, 2
        while free in taken:
            free, number = f"{name} {number}", number + 1
        entry = ModelEntry(free, source, tip)
        self.entries.append(entry)
        self.changed.emit()
        return entry


_stores: WeakKeyDictionary[Any, ModelStore] = WeakKeyDictionary()


def store_of(viewer: Any) -> ModelStore:
    """The models of a viewer: those trained here outlive the dock that trained them."""
    return _stores.setdefault(viewer, ModelStore())


def card_html(name: str, card: Any, muted: str) -> str:
    """A model card for people.

    Parameters
    ----------
    name
    card : ModelCard or None
    muted
        Colour of what matters less.
    """
    if card is None:
        return f"<b>{escape(name)}</b><br>This model has no card."
    lines = [f"<h3 style='margin: 2px 0'>{escape(name)}</h3>"]
    groups = sorted({str(c).rsplit(" ", 1)[-1] for c in card.classes}, key=lambda g: (len(g), g))
    rows: list[tuple[str, str]] = [
        ("network", str(card.network)),
        ("space groups", ", ".join(groups)),
    ]
    if len(card.classes) > len(groups):
        rows.append(("classes", ", ".join(str(c) for c in card.classes)))
    rows += [(f"setting: {key}", _plain(value)) for key, value in card.settings.items()]
    for channel, what in card.inputs.items():
        rows.append((f"input: {channel}", _plain(what)))
    lines.append(_table(rows, muted))
    for title, part in (("Figures on data held out", card.metrics), ("Training", card.training)):
        if part:
            lines.append(f"<b>{title}</b>")
            lines.append(
                _table([(_words(key), _plain(value)) for key, value in part.items()], muted)
            )
    lines.append(
        f"<span style='color: {muted}'>napari-ebsdml {escape(card.package_version or 'unsaved')}"
        f"{' · weights ' + card.weights_sha256[:12] if card.weights_sha256 else ''}</span>"
    )
    return "".join(lines)


def _table(rows: list[tuple[str, str]], muted: str) -> str:
    inside = "".join(
        f"<tr><td style='padding-right: 10px; color: {muted}'>{escape(key)}</td>"
        f"<td>{escape(value)}</td></tr>"
        for key, value in rows
        if value
    )
    return f"<table cellspacing='0' cellpadding='1' style='margin-bottom: 6px'>{inside}</table>"


def _words(key: object) -> str:
    return str(key).replace("_", " ")


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{_words(key)} {_plain(one)}" for key, one in value.items() if one != "")
    if isinstance(value, list | tuple):
        if len(value) > _MOST:
            return f"{len(value)} values"
        return ", ".join(_plain(one) for one in value)
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)
