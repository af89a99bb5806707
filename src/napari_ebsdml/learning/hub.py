"""Models that others made: found in a registry that anyone can host, fetched, and checked.

A registry is a JSON file::

    {"version": 1, "models": {NAME: {
        "title": ..., "kind": ..., "licence": ..., "authors": [...], "doi": ..., "use": ...,
        "base": URL, "files": {"NAME.safetensors": SHA-256, "NAME.json": SHA-256}}}}

``base`` is a URL, a DOI (``doi:10.5281/zenodo.1234``), or a folder beside the registry.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_ebsdml._atomic import write_atomic
from napari_ebsdml.errors import DownloadError, InputError, ModelError
from napari_ebsdml.learning.model_card import ModelCard, read_card
from napari_ebsdml.learning.shipped import WEIGHTS

VERSION = 1
VARIABLE = "EBSDML_MODELS"
"""Environment variable that names a registry, a file or URL."""
CACHE_VARIABLE = "EBSDML_CACHE_DIR"

_TIMEOUT_S = 60
_LARGEST = 1 << 24
"""Bytes of a registry that are read."""
_NAME = re.compile(r"[\w][\w.-]{0,80}")
_HASH = re.compile(r"[0-9a-f]{64}")
_ENDINGS = (".safetensors", ".json")


@dataclass(frozen=True)
class ModelEntry:
    """A model of a registry, or one that is shipped.

    Attributes
    ----------
    name
    title
        In a line.
    kind
        Job, as in its card.
    base
        Where its files lie; "" for a shipped one.
    files
        Name -> SHA-256: the weights and the card.
    licence, authors, doi, use
        As whoever hosts it says.
    """

    name: str
    title: str
    kind: str
    base: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    licence: str = ""
    authors: tuple[str, ...] = ()
    doi: str = ""
    use: str = ""


def shipped() -> dict[str, ModelEntry]:
    """Models that come with the package."""
    found = {}
    for path in sorted(WEIGHTS.glob("*.json")):
        card = read_card(path)
        found[path.stem] = _of_card(path.stem, card)
    return found


def _of_card(name: str, card: ModelCard) -> ModelEntry:
    about = card.about
    return ModelEntry(
        name, str(about.get("title", card.kind)), card.kind, licence=str(about.get("licence", "")),
        authors=tuple(map(str, about.get("authors", ()))), doi=str(about.get("doi", "")),
        use=str(about.get("use", "")),
    )  # fmt: skip


def registry(where: str | os.PathLike[str] | None = None) -> dict[str, ModelEntry]:
    """Models of a registry.

    Parameters
    ----------
    where
        File or URL. Default: what the environment variable EBSDML_MODELS names; without one
        there is none.

    Raises
    ------
    DownloadError
        When it cannot be read.
    ModelError
        When it is no registry, or one of a later version.
    """
    where = where or os.environ.get(VARIABLE)
    if not where:
        return {}
    text = _text(str(where))
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{where}: no registry of models, no valid JSON ({error}).") from None
    if not isinstance(content, dict) or not isinstance(content.get("models"), dict):
        raise ModelError(f"{where}: no registry of models: it has no table 'models'.")
    if content.get("version") != VERSION:
        raise ModelError(
            f"{where}: the registry has version {content.get('version')!r}, not {VERSION}. Update "
            "napari-ebsdml."
        )
    return {name: _entry(str(where), name, told) for name, told in content["models"].items()}


def _text(where: str) -> str:
    try:
        if not _is_url(where):
            return Path(where).read_text(encoding="utf-8")
        from urllib.request import urlopen

        with urlopen(where, timeout=_TIMEOUT_S) as answer:
            return str(answer.read(_LARGEST).decode("utf-8"))
    except Exception as error:  # HTTP libraries and file systems raise many kinds
        raise DownloadError(f"{where}: the registry cannot be read ({error}).") from None


def _is_url(text: str) -> bool:
    return text.startswith(("http://", "https://", "doi:"))


def _entry(where: str, name: str, told: Any) -> ModelEntry:
    """One model, with nothing in it that could reach beyond its own folder."""

    def wrong(what: str) -> ModelError:
        return ModelError(f"{where}: model {name!r}: {what}.")

    if not _NAME.fullmatch(name):
        raise wrong("the name must be letters, digits, dots and hyphens")
    if not isinstance(told, dict) or not isinstance(told.get("files"), dict):
        raise wrong("it lists no files")
    for file, digest in told["files"].items():
        if not _NAME.fullmatch(file) or not file.endswith(_ENDINGS):
            raise wrong(f"{file!r} is no name of a model's file")
        if not isinstance(digest, str) or not _HASH.fullmatch(digest):
            raise wrong(f"{file!r} has no SHA-256")
    stems = {Path(file).stem for file in told["files"]}
    if len(stems) != 1 or {Path(file).suffix for file in told["files"]} != set(_ENDINGS):
        raise wrong("its files must be one .safetensors and the .json of the same name")
    authors = told.get("authors", [])
    if not isinstance(authors, list):
        raise wrong("authors must be a list")
    keys = ("title", "kind", "base", "licence", "doi", "use")
    texts = {key: str(told.get(key, "")) for key in keys}
    return ModelEntry(name, files=dict(told["files"]), authors=tuple(map(str, authors)), **texts)


def fetch(name: str, where: str | os.PathLike[str] | None = None) -> Path:
    """Weights of a model of a registry, in the cache; downloaded when they are not there whole.

    Parameters
    ----------
    name
    where
        See `registry`.

    Raises
    ------
    InputError
        When there is no such model.
    DownloadError
        When a download fails, or is not what the registry says it is.
    """
    where = where or os.environ.get(VARIABLE)
    known = registry(where)
    if name not in known:
        listed = ", ".join(known) or f"none: name a registry with --registry or {VARIABLE}"
        raise InputError(f"No model {name!r} to fetch; there are {listed}.")
    entry = known[name]
    folder = cache() / name
    weights = folder
    for file, digest in entry.files.items():
        target = folder / file
        if not (target.is_file() and _sha256(target) == digest):
            _bring(str(where), entry, file, digest, target)
        if file.endswith(".safetensors"):
            weights = target
    return weights


def cache() -> Path:
    """Folder of fetched models."""
    import pooch

    top = Path(os.environ.get(CACHE_VARIABLE) or pooch.os_cache("napari-ebsdml"))
    return top / "models"


def _bring(where: str, entry: ModelEntry, file: str, digest: str, target: Path) -> None:
    """A file from where it lies to the cache; nothing appears there but what has the hash."""
    if not _is_url(entry.base) and not _is_url(where):
        source = Path(where).parent / entry.base / file
        try:
            content = source.read_bytes()
        except OSError as error:
            raise DownloadError(f"{source}: {error.strerror}.") from None
        found = hashlib.sha256(content).hexdigest()
        if found != digest:
            raise DownloadError(
                f"{source}: the file is not what the registry says (SHA-256 {found}, not {digest})."
            )
        write_atomic(target, content)
        return
    import pooch

    base = entry.base if _is_url(entry.base) else where.rpartition("/")[0] + f"/{entry.base}"
    url = f"{base.rstrip('/')}/{file}"
    pooch.get_logger().setLevel("WARNING")
    downloader = pooch.DOIDownloader if url.startswith("doi:") else pooch.HTTPDownloader
    try:
        pooch.retrieve(
            url, known_hash=f"sha256:{digest}", fname=file, path=target.parent,
            downloader=downloader(timeout=_TIMEOUT_S),
        )  # fmt: skip
    except Exception as error:  # requests, urllib3, pooch and the file system raise their own kinds
        raise DownloadError(
            f"{url} could not be fetched: {type(error).__name__}: {error}"
        ) from None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def resolve(model: str, where: str | os.PathLike[str] | None = None) -> Path:
    """Path of a model: of a shipped one or of one in the cache by its name, else the file.

    Raises
    ------
    InputError
        When there is none.
    """
    if (WEIGHTS / f"{model}.json").is_file():
        return WEIGHTS / model
    kept = sorted((cache() / model).glob("*.safetensors")) if _NAME.fullmatch(model) else []
    if kept:
        return kept[0]
    path = Path(model)
    if not path.suffix and not path.with_suffix(".json").is_file():
        names = ", ".join([*shipped(), *registry(where)])
        raise InputError(f"No model {model!r} here; there are {names}. Fetch it first?")
    return path


def check(path: str | os.PathLike[str]) -> ModelCard:
    """Card of a model whose weights were read whole, and belong to it.

    Raises
    ------
    ModelError
        When a file is missing, damaged, of a later version, or the two do not belong together.
    """
    from napari_ebsdml.learning.model_file import load_model

    return load_model(path)[1]
