"""What people need to know of a setting besides its value: label, unit, range, choices.

Settings dataclasses annotate their fields with an `Option`. The docks' forms, the options of the
command line and the scripts of "Copy as Python" are all made from these, so that a name, a
default or a limit stands in one place::

    @dataclass(frozen=True)
    class MapSettings:
        kam: Annotated[bool, Option("KAM")] = True
        kam_order: Annotated[int, Option("Order", minimum=1, maximum=10, when="kam")] = 1
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Option:
    """How people meet a setting.

    Parameters
    ----------
    label
        A few words.
    tip
        What it means.
    unit
        Of the number, "" for none.
    minimum, maximum
        Range of a number, ends included.
    step
        What one click changes a number by.
    decimals
        Digits after the point that forms show.
    at_minimum
        What forms show in place of the smallest number, where that stands for something else.
    shown_as
        Unit and factor by which forms show the number where another one reads better: with
        ``("%", 100)`` the value 0.2 is shown as 20 %. Decimals are those of the number shown.
    choices
        Value -> text, where only some values make sense.
    more_choices
        Whether other values of the type make sense as well: a file in place of a name.
    when
        Names of other settings of which one must be on for this one to matter; ``"name=value"``
        for a choice. Empty: it always matters.
    """

    label: str
    tip: str = ""
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    step: float = 1
    decimals: int = 0
    shown_as: tuple[str, float] | None = None
    choices: Mapping[Any, str] | None = None
    more_choices: bool = False
    when: str | tuple[str, ...] = ()
    at_minimum: str = ""

    @property
    def needs(self) -> tuple[str, ...]:
        """`when` as a tuple."""
        return (self.when,) if isinstance(self.when, str) else self.when


@dataclass(frozen=True)
class Setting:
    """A field of a settings dataclass.

    Attributes
    ----------
    name
    kind
        bool, int, float, str ...; of ``X | None`` it is X.
    default
    option
    """

    name: str
    kind: Any
    default: Any
    option: Option

    @property
    def factor(self) -> float:
        """What forms multiply a number by."""
        return self.option.shown_as[1] if self.option.shown_as else 1.0

    @property
    def unit(self) -> str:
        """Unit that forms show."""
        return self.option.shown_as[0] if self.option.shown_as else self.option.unit

    def shown(self, value: float) -> float:
        """A number as forms show it."""
        # 0.29 * 100 is not 29, but nearly.
        return float(f"{value * self.factor:.12g}")

    def meant(self, shown: float) -> float:
        """The number that a form means by what it shows."""
        value = float(f"{shown / self.factor:.12g}")
        return int(value) if self.kind is int else value

    def allows(self, value: Any) -> bool:
        """Whether a value is one of the choices, or a number in range."""
        option = self.option
        if option.choices is not None:
            more = option.more_choices and isinstance(value, self.kind)
            return more or value in option.choices
        if self.kind is bool:
            return isinstance(value, bool)
        if self.kind in (int, float):
            if isinstance(value, bool) or not isinstance(value, int | float):
                return False
            low = -float("inf") if option.minimum is None else option.minimum
            high = float("inf") if option.maximum is None else option.maximum
            return low <= value <= high
        return True


def settings_of(cls: type) -> Mapping[str, Setting]:
    """Settings of a dataclass by name; fields without an `Option` are not among them."""
    hints = typing.get_type_hints(cls, include_extras=True)
    found = {}
    for field in dataclasses.fields(cls):
        hint = hints[field.name]
        option = next((m for m in getattr(hint, "__metadata__", ()) if isinstance(m, Option)), None)
        if option is None:
            continue
        default = field.default
        if default is dataclasses.MISSING and field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        found[field.name] = Setting(field.name, _plain(hint.__origin__), default, option)
    return types.MappingProxyType(found)


def matters(settings: Mapping[str, Setting], values: Mapping[str, Any], name: str) -> bool:
    """Whether a setting has an effect beside the values of the others; see `Option.when`."""
    needs = settings[name].option.needs
    return not needs or any(_holds(settings, values, need) for need in needs)


def changes(settings: Any) -> dict[str, Any]:
    """Values of a settings object that differ from the defaults and have an effect."""
    known = settings_of(type(settings))
    values = {name: getattr(settings, name) for name in known}
    return {
        name: value
        for name, value in values.items()
        if value != known[name].default and matters(known, values, name)
    }


def _holds(settings: Mapping[str, Setting], values: Mapping[str, Any], need: str) -> bool:
    name, equals, wanted = need.partition("=")
    if not matters(settings, values, name):
        return False
    return str(values[name]) == wanted if equals else bool(values[name])


def _plain(hint: Any) -> Any:
    """The type of ``X | None`` without None."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        rest = [part for part in typing.get_args(hint) if part is not type(None)]
        return rest[0] if len(rest) == 1 else hint
    return hint
