"""Model cards: what a model is and how it was made, as JSON beside its weights; loads no torch.

`NAME.safetensors` and `NAME.json` belong together: see `model_file` for the weights.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import inf, isfinite
from pathlib import Path
from typing import Any

from napari_ebsdml._atomic import write_atomic
from napari_ebsdml._paths import as_path
from napari_ebsdml.errors import InputError, ModelError

CARD_VERSION = 1


@dataclass(frozen=True)
class ModelCard:
    """What a model is and how it was made.

    Parameters
    ----------
    kind
        Which job the model does, e.g. ``"dislocation-density"``; checked on loading.
    network
        Name of the network's class.
    settings
        Arguments that build the network.
    inputs
        Name of each input channel -> its unit, normalisation and whatever else matters.
    classes
        Class names in the order of the outputs; empty where there are none.
    step
        Smallest and largest step in um that the model was trained for; None: any.
    training
        Recipe: data (hash, shapes), seed, schedule.
    metrics
        Figures measured on data held out.
    extra
        Whatever a job needs besides: class colours, temperatures, thresholds.
    about
        For people: title, licence, authors (list), doi, use, references (list of DOIs). May be
        missing in files; see `describe`.
    package_version, card_version, weights_sha256
        Filled in on saving.
    """

    kind: str
    network: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    step: tuple[float, float] | None = None
    training: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)
    package_version: str = ""
    card_version: int = CARD_VERSION
    weights_sha256: str = ""


_TYPES: dict[str, tuple[type, ...]] = {
    "kind": (str,),
    "network": (str,),
    "settings": (dict,),
    "inputs": (dict,),
    "classes": (list,),
    "step": (list, type(None)),
    "training": (dict,),
    "metrics": (dict,),
    "extra": (dict,),
    "package_version": (str,),
    "card_version": (int,),
    "weights_sha256": (str,),
}


def model_paths(path: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Weights file and card of a model given by either, or by their common stem."""
    given = as_path(path)
    stem = given.with_suffix("") if given.suffix in (".safetensors", ".json") else given
    return stem.parent / f"{stem.name}.safetensors", stem.parent / f"{stem.name}.json"


def read_file(path: Path) -> bytes:
    """Content of a file of a model.

    Raises
    ------
    ModelError
        When it cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ModelError(
            f"{path}: no such file. A model is a pair NAME.safetensors and NAME.json."
        ) from None
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}.") from error


def read_card(path: str | os.PathLike[str], kind: str | None = None) -> ModelCard:
    """Read a model card.

    Parameters
    ----------
    path
        Card, weights file, or their common stem.
    kind
        Kind that the model must be of.

    Raises
    ------
    ModelError
        When the card is missing, no JSON, of a later version, incomplete or of another kind.
    """
    card_path = model_paths(path)[1]
    try:
        content = json.loads(read_file(card_path), parse_constant=_refuse_constant)
    except (ValueError, UnicodeDecodeError) as error:
        raise ModelError(f"{card_path}: not a model card, no valid JSON ({error}).") from None
    except RecursionError:
        raise ModelError(f"{card_path}: not a model card, its JSON is nested too deep.") from None
    if not isinstance(content, dict):
        raise ModelError(f"{card_path}: not a model card, the JSON is no object.")
    version = content.get("card_version")
    if isinstance(version, int) and version < 1:
        raise ModelError(f"{card_path}: there is no card version {version}.")
    if isinstance(version, int) and version > CARD_VERSION:
        raise ModelError(
            f"{card_path}: card version {version} is newer than {CARD_VERSION}, the newest that "
            "this package reads. Update napari-ebsdml."
        )
    for name, types in _TYPES.items():
        if name not in content:
            raise ModelError(f"{card_path}: the model card lacks {name!r}.")
        if not isinstance(content[name], types):
            raise ModelError(
                f"{card_path}: {name!r} is {type(content[name]).__name__}, not {types[0].__name__}."
            )
    entries = Entries(card_path, content)
    step = None if content["step"] is None else entries.numbers("step", 2, 0.0)
    classes = entries.names("classes")
    if kind is not None and content["kind"] != kind:
        raise ModelError(f"{card_path}: this is a {content['kind']!r} model, not a {kind!r} model.")
    values = {name: content[name] for name in _TYPES}
    values["classes"] = classes
    values["step"] = None if step is None else (step[0], step[1])
    about = content.get("about", {})
    if not isinstance(about, dict) or not isinstance(about.get("authors", []), list):
        raise ModelError(f"{card_path}: 'about' is no table with a list of authors.")
    return ModelCard(**values, about=about)


_ABOUT = ("title", "licence", "authors", "doi", "use", "references")
_DOI = re.compile(r"10\.\d{4,9}/\S+")


def describe(path: str | os.PathLike[str], about: Mapping[str, Any]) -> ModelCard:
    """Write into a card what the model is for people; nothing else of it changes.

    Parameters
    ----------
    path
        Model file.
    about
        Any of title, licence, authors (list), doi, use, references (list of DOIs); "" or an
        empty list takes an entry away.

    Returns
    -------
    ModelCard

    Raises
    ------
    InputError
        When there is another entry, or a DOI is none.
    ModelError
        When the card cannot be read or written.
    """
    for name, value in about.items():
        wanted = list if name in ("authors", "references") else str
        if name not in _ABOUT or not isinstance(value, wanted):
            raise InputError(f"A card has {', '.join(_ABOUT)}; not {name!r} as {value!r}.")
    for doi in (*filter(None, [about.get("doi", "")]), *about.get("references", [])):
        if not _DOI.fullmatch(str(doi)):
            raise InputError(f"{doi!r} is no DOI, such as 10.5281/zenodo.1234.")
    card = read_card(path)
    card_path = model_paths(path)[1]
    content = json.loads(read_file(card_path))
    told = {**card.about, **about}
    content["about"] = {name: value for name, value in told.items() if value}
    try:
        write_atomic(card_path, (json.dumps(content, indent=2, allow_nan=False) + "\n").encode())
    except OSError as error:
        raise ModelError(f"{card_path}: {error.strerror or error}.") from None
    return read_card(path)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


class Entries:
    """Values of a model card, each of which may be anything: what is asked for, or a ModelError.

    Parameters
    ----------
    path
        Of the card, for messages.
    table
        Part of the card.
    """

    def __init__(self, path: str | os.PathLike[str], table: Mapping[str, Any]) -> None:
        self.path, self.table = path, table

    def error(self, name: str, wanted: str) -> ModelError:
        """What is wrong with an entry."""
        if name not in self.table:
            return ModelError(f"{self.path}: the model card lacks {name!r}.")
        found = repr(self.table[name])
        found = found if len(found) < 60 else f"{found[:60]} ..."
        return ModelError(f"{self.path}: {name!r} in the model card must be {wanted}, not {found}.")

    def refuse_others(self, known: Iterable[str]) -> None:
        """Raise an error when there is an entry of another name."""
        other = next((name for name in self.table if name not in set(known)), None)
        if other is not None:
            raise ModelError(f"{self.path}: the model card has an unknown entry {other!r}.")

    def number(
        self, name: str, low: float = -inf, high: float = inf, default: float | None = None
    ) -> float:
        """A finite number within limits."""
        if default is not None and name not in self.table:
            return default
        value = _finite(self.table.get(name))
        if value is None or not low <= value <= high:
            raise self.error(name, f"a number from {low:g} to {high:g}")
        return value

    def positive(self, name: str, default: float | None = None) -> float:
        """A finite number above 0."""
        value = self.number(name, 0.0, default=default)
        if value <= 0:
            raise self.error(name, "a number above 0")
        return value

    def whole(self, name: str, low: int, high: int) -> int:
        """A whole number within limits."""
        value = self.table.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.error(name, f"a whole number from {low} to {high}")
        return value

    def flag(self, name: str) -> bool:
        """True or false."""
        value = self.table.get(name)
        if not isinstance(value, bool):
            raise self.error(name, "true or false")
        return value

    def text(self, name: str) -> str:
        """A string."""
        value = self.table.get(name)
        if not isinstance(value, str):
            raise self.error(name, "a text")
        return value

    def names(self, name: str) -> tuple[str, ...]:
        """A list of strings."""
        values = self.table.get(name)
        if not isinstance(values, list | tuple) or not all(isinstance(v, str) for v in values):
            raise self.error(name, "a list of names")
        return tuple(values)

    def numbers(
        self, name: str, length: int | None = None, low: float = -inf, high: float = inf
    ) -> tuple[float, ...]:
        """A list of finite numbers within limits."""
        values = self.table.get(name)
        found = [_finite(v) for v in values] if isinstance(values, list | tuple) else [None]
        if length not in (None, len(found)) or not all(
            v is not None and low <= v <= high for v in found
        ):
            many = "numbers" if length is None else f"{length} numbers"
            raise self.error(name, f"a list of {many} from {low:g} to {high:g}")
        return tuple(v for v in found if v is not None)

    def wholes(self, name: str, low: int, high: int) -> tuple[int, ...]:
        """A list of whole numbers within limits."""
        values = self.numbers(name, None, low, high)
        if any(v != int(v) for v in values):
            raise self.error(name, "a list of whole numbers")
        return tuple(int(v) for v in values)

    def part(self, name: str) -> Entries:
        """Entries of an object in the card."""
        table = self.table.get(name)
        if not isinstance(table, Mapping):
            raise self.error(name, "an object")
        return Entries(self.path, table)

    def parts(self, name: str, most: int) -> list[Entries]:
        """Entries of each object in a list."""
        values = self.table.get(name)
        if (
            not isinstance(values, list | tuple)
            or not 1 <= len(values) <= most
            or not all(isinstance(v, Mapping) for v in values)
        ):
            raise self.error(name, f"a list of 1 to {most} objects")
        return [Entries(self.path, v) for v in values]

    def pairs(self, name: str, low: int, high: int) -> tuple[tuple[str, int], ...]:
        """A list of a name and a whole number each."""
        values = self.table.get(name)
        good = isinstance(values, list | tuple) and all(
            isinstance(pair, list | tuple)
            and len(pair) == 2
            and isinstance(pair[0], str)
            and isinstance(pair[1], int)
            and low <= pair[1] <= high
            for pair in values
        )
        if not good or not values:
            raise self.error(name, f"a list of a name and a number from {low} to {high} each")
        return tuple((pair[0], pair[1]) for pair in values)


def _finite(value: object) -> float | None:
    """A number of JSON as a float; None for everything else, and what no float holds."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if isfinite(number) else None
