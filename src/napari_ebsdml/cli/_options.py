"""Options of a command from settings dataclasses: names, defaults, ranges and help."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from napari_ebsdml.errors import InputError
from napari_ebsdml.options import Option, Setting, settings_of

_KINDS = (bool, int, float, str)


def takes_settings(
    **also: str,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of the settings dataclasses among its parameters.

    A parameter that is annotated with a settings dataclass becomes one option for each setting
    that can be typed in; the command gets the settings as one object.

    Parameters
    ----------
    **also
        Setting -> another name of its option, which scripts may still use.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        hints = typing.get_type_hints(command, include_extras=True)
        groups: dict[str, type] = {}
        parameters: list[inspect.Parameter] = []
        for parameter in inspect.signature(command).parameters.values():
            hint = hints[parameter.name]
            if isinstance(hint, type) and dataclasses.is_dataclass(hint):
                groups[parameter.name] = hint
                parameters += [_parameter(s, also.get(s.name)) for s in typed_in(hint).values()]
            else:
                kind = inspect.Parameter.KEYWORD_ONLY
                parameters.append(parameter.replace(annotation=hint, kind=kind))

        def wrapper(**values: Any) -> None:
            made = {}
            for name, cls in groups.items():
                chosen = {one: values.pop(one) for one in typed_in(cls)}
                _check(cls, chosen)
                made[name] = cls(**chosen)
            command(**values, **made)

        wrapper.__name__, wrapper.__doc__ = command.__name__, command.__doc__
        wrapper.__module__ = command.__module__
        wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        wrapper.__annotations__ = {p.name: p.annotation for p in parameters}
        return wrapper

    return decorate


def typed_in(cls: type) -> Mapping[str, Setting]:
    """Settings of a dataclass that can be typed in: flags, numbers and words."""
    return {name: s for name, s in settings_of(cls).items() if s.kind in _KINDS}


def given(context: typer.Context, cls: type) -> dict[str, Any]:
    """Settings that the user typed in, though they may be the defaults."""
    found = {}
    for name in typed_in(cls):
        source = context.get_parameter_source(name)
        if source is not None and source.name != "DEFAULT":
            found[name] = context.params[name]
    return found


def slip_systems_of(texts: list[str] | None) -> Any:
    """``--slip-systems`` as `gnd_density` takes it.

    Raises
    ------
    InputError
        When a text is neither SYSTEMS nor PHASE=SYSTEMS.
    """
    if not texts:
        return "auto"
    pairs = [text.rpartition("=") for text in texts]
    if len(texts) == 1 and not pairs[0][1]:
        return texts[0]
    if not all(phase and systems for phase, _, systems in pairs):
        raise InputError(
            "--slip-systems takes auto, fcc, bcc or hcp for all phases, or PHASE=SYSTEMS once for "
            f"each phase, not {' '.join(texts)!r}."
        )
    return {
        int(phase) if phase.lstrip("-").isdecimal() else phase: systems
        for phase, _, systems in pairs
    }


SlipSystemsOption = Annotated[
    list[str] | None,
    typer.Option(
        help="auto (from the phase), fcc, bcc or hcp; or PHASE=SYSTEMS, repeatable: phases that "
        "are not named then get no density."
    ),
]


def _parameter(setting: Setting, also: str | None) -> inspect.Parameter:
    flag = f"--{setting.name.replace('_', '-')}"
    names = [flag]
    if setting.kind is bool:
        names = [f"{flag}/--no-{flag[2:]}"]
    if also is not None:
        names.append(also)
    option = setting.option
    words = list(option.choices) if option.choices is not None and setting.kind is str else []
    info = typer.Option(
        *names,
        help=_help(option),
        metavar="|".join(words + ["FILE"] * option.more_choices) if words else None,
    )
    return inspect.Parameter(
        setting.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=setting.default,
        annotation=Annotated[setting.kind, info],
    )


def _help(option: Option) -> str:
    unit = f" ({option.unit})" if option.unit else ""
    limits = ""
    if option.minimum is not None and option.maximum is not None:
        limits = f" {option.minimum:g} to {option.maximum:g}."
    tip = f": {option.tip.rstrip('.')}" if option.tip else ""
    return f"{option.label}{unit}{tip}.{limits}"


def _check(cls: type, chosen: Mapping[str, Any]) -> None:
    for name, value in chosen.items():
        setting = settings_of(cls)[name]
        if setting.allows(value):
            continue
        option, flag = setting.option, f"--{name.replace('_', '-')}"
        if option.choices is not None and not option.more_choices:
            words = [str(word) for word in option.choices]
            what = f"{', '.join(words[:-1])} or {words[-1]}"
        else:
            what = f"{option.minimum:g} to {option.maximum:g}"
        raise InputError(f"{flag} must be {what}, not {value!r}.")
