"""Forms: named fields with units and limits, shown only when they matter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QGridLayout,
    QLabel,
    QSizePolicy,
    QSpinBox,
    QWidget,
)

Shown: TypeAlias = Callable[[Mapping[str, Any]], bool] | None
"""Tells from the form's values whether a field matters; None: always."""

_INDENT = 18


@dataclass(frozen=True)
class Flag:
    """A check box."""

    name: str
    label: str
    default: bool = False
    tip: str = ""
    shown: Shown = None


@dataclass(frozen=True)
class Number:
    """A spin box with a unit; whole numbers when `decimals` is 0."""

    name: str
    label: str
    default: float
    minimum: float
    maximum: float
    unit: str = ""
    decimals: int = 0
    step: float = 1.0
    tip: str = ""
    shown: Shown = None


@dataclass(frozen=True)
class Choice:
    """A combo box; `options` are (value, text)."""

    name: str
    label: str
    default: str
    options: tuple[tuple[str, str], ...]
    tip: str = ""
    shown: Shown = None


Field: TypeAlias = Flag | Number | Choice


class Form(QWidget):
    """Editors of fields, one below the other; fields that depend on others are indented.

    Signals
    -------
    changed
        A value was changed, by the user or by `set_values`.
    """

    changed = Signal()

    def __init__(self, fields: Sequence[Field], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.fields = {field.name: field for field in fields}
        self._editors: dict[str, QWidget] = {}
        self._labels: dict[str, QLabel] = {}
        self._disabled: dict[str, str] = {}
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setVerticalSpacing(4)
        layout.setColumnMinimumWidth(0, _INDENT)
        layout.setColumnStretch(2, 1)
        for row, field in enumerate(fields):
            editor = self._editor(field)
            self._editors[field.name] = editor
            column = 1 if field.shown is not None else 0
            if isinstance(field, Flag):
                layout.addWidget(editor, row, column, 1, 3 - column)
            else:
                label = QLabel(field.label)
                label.setToolTip(field.tip)
                label.setBuddy(editor)
                self._labels[field.name] = label
                layout.addWidget(label, row, column, 1, 2 - column)
                layout.addWidget(editor, row, 2)
        self._refresh()

    def editor(self, name: str) -> QWidget:
        """Check box, spin box or combo box of a field."""
        return self._editors[name]

    def values(self) -> dict[str, Any]:
        """Value of every field, those included that do not matter at present."""
        return {name: self._value(name) for name in self.fields}

    def set_values(self, values: Mapping[str, Any]) -> None:
        """Set fields by name; what is out of range or not a choice is left as it was."""
        for name, value in values.items():
            field, editor = self.fields.get(name), self._editors.get(name)
            if isinstance(editor, QCheckBox):
                editor.setChecked(bool(value))
            elif isinstance(field, Number) and field.minimum <= value <= field.maximum:
                assert isinstance(editor, QSpinBox | QDoubleSpinBox)
                editor.setValue(value if field.decimals else int(value))
            elif isinstance(editor, QComboBox) and editor.findData(value) >= 0:
                editor.setCurrentIndex(editor.findData(value))

    def set_available(self, name: str, available: bool, reason: str = "") -> None:
        """Grey a check box out, and say why; its value then is False."""
        if available:
            self._disabled.pop(name, None)
        else:
            self._disabled[name] = reason
        editor = self._editors[name]
        editor.setEnabled(available)
        editor.setToolTip(self.fields[name].tip if available else reason)
        self._refresh()

    def _value(self, name: str) -> Any:
        editor = self._editors[name]
        if isinstance(editor, QCheckBox):
            return editor.isChecked() and name not in self._disabled
        if isinstance(editor, QComboBox):
            return editor.currentData()
        assert isinstance(editor, QSpinBox | QDoubleSpinBox)
        return editor.value()

    def _editor(self, field: Field) -> QWidget:
        editor: QWidget
        if isinstance(field, Flag):
            editor = QCheckBox(field.label)
            editor.setChecked(field.default)
            editor.toggled.connect(self._edited)
        elif isinstance(field, Choice):
            editor = _Combo()
            for value, text in field.options:
                editor.addItem(text, value)
            editor.setCurrentIndex(editor.findData(field.default))
            editor.currentIndexChanged.connect(self._edited)
        else:
            editor = spin_box(field)
            editor.valueChanged.connect(self._edited)
        editor.setToolTip(field.tip)
        editor.setObjectName(field.name)
        return editor

    def _edited(self, *_: Any) -> None:
        self._refresh()
        self.changed.emit()

    def _refresh(self) -> None:
        values = self.values()
        for name, field in self.fields.items():
            shown = field.shown is None or field.shown(values)
            self._editors[name].setVisible(shown)
            if name in self._labels:
                self._labels[name].setVisible(shown)


def spin_box(field: Number) -> QSpinBox | QDoubleSpinBox:
    """Spin box of a number field."""
    box: QSpinBox | QDoubleSpinBox
    if field.decimals:
        box = _DoubleSpin()
        box.setDecimals(field.decimals)
        box.setRange(field.minimum, field.maximum)
        box.setSingleStep(field.step)
        box.setValue(field.default)
    else:
        box = _Spin()
        box.setRange(int(field.minimum), int(field.maximum))
        box.setSingleStep(int(field.step))
        box.setValue(int(field.default))
    box.setSuffix(field.unit if field.unit in ("", "°") else f" {field.unit}")
    box.setAlignment(Qt.AlignmentFlag.AlignRight)
    box.setKeyboardTracking(False)
    return box


class _NoWheel:
    """The wheel scrolls the form; it changes a value only in the field that has the focus."""

    def wheelEvent(self, event: QWheelEvent) -> None:
        if self.hasFocus():  # type: ignore[attr-defined]
            super().wheelEvent(event)  # type: ignore[misc]
        else:
            event.ignore()


def _prepare(editor: QAbstractSpinBox | QComboBox) -> None:
    editor.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    editor.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)


class _Spin(_NoWheel, QSpinBox):
    def __init__(self) -> None:
        super().__init__()
        _prepare(self)


class _DoubleSpin(_NoWheel, QDoubleSpinBox):
    def __init__(self) -> None:
        super().__init__()
        _prepare(self)


class _Combo(_NoWheel, QComboBox):
    def __init__(self) -> None:
        super().__init__()
        _prepare(self)
        # A long option must not make the dock wider.
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(8)
