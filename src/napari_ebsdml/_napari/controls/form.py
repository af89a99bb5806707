"""Forms: magicgui containers made from settings dataclasses; see `options.Option`."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from magicgui.widgets import CheckBox, ComboBox, Container, FloatSpinBox
from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import QComboBox, QGridLayout, QLabel, QSizePolicy, QWidget

from napari_ebsdml._napari.controls.combo import narrow
from napari_ebsdml.options import Setting, matters, settings_of

Settings = TypeVar("Settings")
KeptAs = tuple[str, Mapping[Any, Any]]

_INDENT = 18
_SPACING = 4

_NOTHING = object()
"""Stands for None in a combo box."""


class Row(NamedTuple):
    """A widget of a form, its label and what it means; those that depend on others indented."""

    widget: Any
    label: str
    tip: str = ""
    indented: bool = False


class Rows(Container):
    """Container with a row for each widget: label to the left, editors in one column."""

    def __init__(self) -> None:
        super().__init__(labels=False)
        self.margins = (0, 0, 0, 0)
        self._grid = QGridLayout()
        self._grid.setVerticalSpacing(_SPACING)
        self._grid.setColumnMinimumWidth(0, _INDENT)
        self._grid.setColumnStretch(2, 1)
        self._row_labels: dict[str, QLabel] = {}
        self._wheel = _WheelFilter(self.native)
        self.native.layout().addLayout(self._grid)

    def add_rows(self, rows: Sequence[Row]) -> None:
        """Append rows; a check box tells its label itself."""
        self.extend(row.widget for row in rows)
        for row in rows:
            native = row.widget.native
            row.widget.tooltip = row.tip
            native.setObjectName(row.widget.name)
            self.native.layout().removeWidget(native)
            at, column = self._grid.rowCount(), 1 if row.indented else 0
            if isinstance(row.widget, CheckBox):
                self._grid.addWidget(native, at, column, 1, 3 - column)
                continue
            label = QLabel(row.label)
            label.setToolTip(row.tip)
            label.setBuddy(native)
            self._row_labels[row.widget.name] = label
            self._grid.addWidget(label, at, column, 1, 2 - column)
            self._grid.addWidget(native, at, 2)
            native.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
            native.installEventFilter(self._wheel)

    def clear_rows(self) -> None:
        """Take all rows away."""
        old = [*(widget.native for widget in self), *self._row_labels.values()]
        self.clear()
        self._row_labels = {}
        for native in old:
            native.hide()
            native.deleteLater()

    def show_row(self, name: str, shown: bool) -> None:
        """Show or hide a widget and its label."""
        self[name].native.setVisible(shown)
        if name in self._row_labels:
            self._row_labels[name].setVisible(shown)


class SettingsForm(Rows, Generic[Settings]):
    """A widget for each setting of a dataclass; `changed` is emitted when a value is changed.

    The widgets are attributes by the names of the settings: ``form.kam_order.value``.

    Parameters
    ----------
    cls
        Settings dataclass; the form begins with its defaults.
    only
        Names of the settings to show. Default: all.
    kept_as
        Setting -> the name, and for each value the value, by which napari keeps it where these
        are not the setting's own.
    """

    def __init__(
        self,
        cls: type[Settings],
        only: Sequence[str] = (),
        kept_as: Mapping[str, KeptAs] | None = None,
    ) -> None:
        super().__init__()
        self._cls = cls
        self._known = settings_of(cls)
        self._shown = tuple(only) or tuple(self._known)
        self._kept_as = kept_as or {}
        self._unavailable: set[str] = set()
        self._withheld: set[str] = set()
        self.add_rows([_row(self._known[name]) for name in self._shown])
        self.changed.connect(self._refresh)
        self._refresh()

    def values(self) -> dict[str, Any]:
        """Value of every setting in the form, those included that do not matter at present."""
        return {
            name: False if name in self._unavailable else self[name].value for name in self._shown
        }

    def settings(self) -> Settings:
        """What the form says; settings that it does not show have their defaults."""
        return self._cls(**self.values())

    def set_values(self, values: Mapping[str, Any]) -> None:
        """Set values by name; unknown names, and what a setting does not allow, are left out."""
        before = self.values()
        with self.changed.blocked():
            for name, value in values.items():
                if name in self._shown and self._known[name].allows(value):
                    self[name].value = value
        if self.values() != before:
            self.changed.emit(self)

    def saved(self) -> dict[str, Any]:
        """Values as napari keeps them: numbers as the form shows them."""
        found = {}
        for name, value in self.values().items():
            key, values = self._kept_as.get(name, (name, {}))
            found[key] = values[value] if value in values else _saved(self._known[name], value)
        return found

    def set_saved(self, values: Mapping[str, Any]) -> None:
        """Set what `saved` gave."""
        found = {}
        for name in self._shown:
            key, kept = self._kept_as.get(name, (name, {}))
            if key in values:
                meant = [value for value, stored in kept.items() if stored == values[key]]
                found[name] = meant[0] if meant else _meant(self._known[name], values[key])
        self.set_values(found)

    def set_available(self, name: str, available: bool, reason: str = "") -> None:
        """Grey a check box out, and say why; its value then is False."""
        if available:
            self._unavailable.discard(name)
        else:
            self._unavailable.add(name)
        self[name].enabled = available
        self[name].tooltip = self._known[name].option.tip if available else reason
        self._refresh()

    def set_offered(self, name: str, offered: bool) -> None:
        """Show or hide a setting that means nothing for some maps; its value stays."""
        (self._withheld.discard if offered else self._withheld.add)(name)
        self._refresh()

    def _refresh(self, *_: Any) -> None:
        values = {name: setting.default for name, setting in self._known.items()} | self.values()
        for name in self._shown:
            shown = name not in self._withheld and matters(self._known, values, name)
            self.show_row(name, shown)


class Offer(NamedTuple):
    """One row of a `ChoicesForm`: its label, value -> text, the value chosen at first, a tip."""

    label: str
    choices: Mapping[Hashable, str]
    chosen: Any
    tip: str = ""


class ChoicesForm(Rows):
    """Combo boxes that follow the map, one for each phase and the like."""

    def __init__(self) -> None:
        super().__init__()
        self._keys: dict[Hashable, str] = {}

    def offer(self, offers: Mapping[Hashable, Offer]) -> None:
        """Replace all rows."""
        self.clear_rows()
        self._keys = {key: f"choice_{number}" for number, key in enumerate(offers)}
        self.add_rows(
            [
                Row(_Choice(one.choices, one.chosen, name=self._keys[key]), one.label, one.tip)
                for key, one in offers.items()
            ]
        )

    def box(self, key: Hashable) -> Any:
        """The magicgui combo box of a row."""
        return self[self._keys[key]]

    def values(self) -> dict[Any, Any]:
        """Key -> chosen value."""
        return {key: self[name].value for key, name in self._keys.items()}


class _Number(FloatSpinBox):
    """Spin box with a unit; its value is the setting's, its range the one that it shows."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        option = setting.option
        assert option.minimum is not None
        assert option.maximum is not None
        super().__init__(
            name=setting.name, label=option.label, step=setting.shown(option.step),
            min=setting.shown(option.minimum), max=setting.shown(option.maximum),
        )  # fmt: skip
        box, unit = self.native, setting.unit
        box.setDecimals(option.decimals)
        box.setSuffix(unit if unit in ("", "°") else f" {unit}")
        box.setSpecialValueText(option.at_minimum)
        box.setAlignment(Qt.AlignmentFlag.AlignRight)
        box.setKeyboardTracking(False)
        box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.value = setting.default

    def get_value(self) -> Any:
        return self._setting.meant(super().get_value())

    def set_value(self, value: Any) -> None:
        super().set_value(self._setting.shown(value))

    def _on_value_change(self, value: Any = None) -> None:
        super()._on_value_change(self.get_value())


class _Choice(ComboBox):
    """Combo box one of whose values may be None; magicgui would give that the first place."""

    def __init__(self, choices: Mapping[Any, str], chosen: Any, **options: Any) -> None:
        pairs = [(text, _NOTHING if value is None else value) for value, text in choices.items()]
        super().__init__(choices=pairs, value=_NOTHING if chosen is None else chosen, **options)
        assert isinstance(self.native, QComboBox)
        narrow(self.native)

    def get_value(self) -> Any:
        value = super().get_value()
        return None if value is _NOTHING else value

    @property
    def value(self) -> Any:
        """The chosen value."""
        return self.get_value()

    @value.setter
    def value(self, value: Any) -> None:
        ComboBox.value.fset(self, _NOTHING if value is None else value)

    def _on_value_change(self, value: Any = None) -> None:
        self.changed.emit(self.get_value())


def _row(setting: Setting) -> Row:
    option = setting.option
    if option.choices is not None:
        widget = _Choice(option.choices, setting.default, name=setting.name, label=option.label)
    elif setting.kind is bool:
        widget = CheckBox(name=setting.name, text=option.label, value=setting.default)
    else:
        widget = _Number(setting)
    return Row(widget, option.label, option.tip, bool(option.needs))


def _saved(setting: Setting, value: Any) -> Any:
    option = setting.option
    if option.choices is not None or setting.kind is bool:
        return value
    shown = setting.shown(value)
    return shown if option.decimals else round(shown)


def _meant(setting: Setting, value: Any) -> Any:
    if setting.option.choices is not None or setting.kind is bool:
        return value
    return setting.meant(value) if isinstance(value, int | float) else None


class _WheelFilter(QObject):
    """The wheel scrolls the form; it changes a value only in the field that has the focus."""

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if (
            event.type() == QEvent.Type.Wheel
            and isinstance(watched, QWidget)
            and not watched.hasFocus()
        ):
            event.ignore()
            return True
        return bool(super().eventFilter(watched, event))
