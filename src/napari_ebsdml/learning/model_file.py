"""Model files: weights as safetensors, and a JSON model card beside them.

`NAME.safetensors` and `NAME.json` belong together: the card holds the hash of the weights, so
that a mixed-up pair is found. Nothing is pickled, and both files are written atomically.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as dump_tensors
from torch import Tensor

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


def write_atomic(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees either the old or the whole new content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files private; a model may be shared like any other file.
        umask = os.umask(0)
        os.umask(umask)
        Path(name).chmod(0o666 & ~umask)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def model_paths(path: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Weights file and card of a model given by either, or by their common stem."""
    given = Path(path)
    stem = given.with_suffix("") if given.suffix in (".safetensors", ".json") else given
    return stem.parent / f"{stem.name}.safetensors", stem.parent / f"{stem.name}.json"


def save_model(
    path: str | os.PathLike[str], weights: Mapping[str, Tensor], card: ModelCard
) -> ModelCard:
    """Write weights and card; return the card as written.

    Raises
    ------
    ModelError
        When the files cannot be written or the card holds what JSON cannot.
    """
    weights_path, card_path = model_paths(path)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    content = dump_tensors(tensors)
    try:
        version = metadata.version("napari-ebsdml")
    except metadata.PackageNotFoundError:
        from napari_ebsdml import __version__ as version
    card = dataclasses.replace(
        card,
        package_version=version,
        card_version=CARD_VERSION,
        weights_sha256=hashlib.sha256(content).hexdigest(),
    )
    try:
        text = json.dumps(dataclasses.asdict(card), indent=2, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise ModelError(f"{card_path}: the model card is not plain JSON ({error}).") from error
    try:
        write_atomic(weights_path, content)
        write_atomic(card_path, text.encode())
    except OSError as error:
        raise ModelError(f"{error.filename or weights_path}: {error.strerror}.") from error
    return card


def _read(path: Path) -> bytes:
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
        content = json.loads(_read(card_path))
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


def load_model(
    path: str | os.PathLike[str], kind: str | None = None
) -> tuple[dict[str, Tensor], ModelCard]:
    """Read weights and card of a model.

    Raises
    ------
    ModelError
        When a file is missing or damaged, the two do not belong together, or `kind` differs.
    """
    card = read_card(path, kind)
    weights_path = model_paths(path)[0]
    content = _read(weights_path)
    if hashlib.sha256(content).hexdigest() != card.weights_sha256:
        raise ModelError(
            f"{weights_path}: the weights are damaged or belong to another model card "
            "(the SHA-256 differs)."
        )
    try:
        return load_tensors(content), card
    except SafetensorError as error:
        raise ModelError(f"{weights_path}: no valid safetensors file ({error}).") from None


def put_weights(
    network: torch.nn.Module, weights: Mapping[str, Tensor], path: str | os.PathLike[str]
) -> None:
    """Put loaded weights into a network.

    Raises
    ------
    ModelError
        When names or shapes differ from the network's.
    """
    try:
        network.load_state_dict(dict(weights))
    except RuntimeError as error:
        lines = str(error).splitlines()
        reason = " ".join(line.strip() for line in lines[1:3]) or lines[0]
        raise ModelError(f"{path}: the weights do not fit the network: {reason}") from None
