"""Model cards: what a model is and how it was made, as JSON beside its weights; loads no torch.

`NAME.safetensors` and `NAME.json` belong together: see `model_file` for the weights.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_ebsdml.errors import ModelError

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
    given = Path(path)
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
        content = json.loads(read_file(card_path))
    except (ValueError, UnicodeDecodeError) as error:
        raise ModelError(f"{card_path}: not a model card, no valid JSON ({error}).") from None
    if not isinstance(content, dict):
        raise ModelError(f"{card_path}: not a model card, the JSON is no object.")
    version = content.get("card_version")
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
    step = content["step"]
    if step is not None and (
        len(step) != 2 or not all(isinstance(value, int | float) for value in step)
    ):
        raise ModelError(f"{card_path}: 'step' must be two numbers, not {step}.")
    if kind is not None and content["kind"] != kind:
        raise ModelError(f"{card_path}: this is a {content['kind']!r} model, not a {kind!r} model.")
    values = {name: content[name] for name in _TYPES}
    values["classes"] = tuple(values["classes"])
    values["step"] = None if step is None else (float(step[0]), float(step[1]))
    return ModelCard(**values)
