"""Every entry of a card of every kind of model, made odd: the model loads, or one ModelError."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_ebsdml import SpaceGroupClassifier
from napari_ebsdml.dislocations.article.model import DislocationModel
from napari_ebsdml.errors import ModelError
from napari_ebsdml.learning.shipped import WEIGHTS
from napari_ebsdml.segmentation.inputs.channels import channel_names
from napari_ebsdml.segmentation.inputs.normalise import Normaliser
from napari_ebsdml.segmentation.inputs.planes import Plane
from napari_ebsdml.segmentation.labels.data import Classes
from napari_ebsdml.segmentation.models.network import UNet
from napari_ebsdml.segmentation.segmenter import Segmenter
from napari_ebsdml.segmentation.settings import UNetSettings

ODD: tuple[Any, ...] = (
    None, -1, 0, 10**9, 10**400, 1.5, -2.5, 1e308, "", "text", True, [], {}, [[]], [None], ["a"],
    {"a": 1}, [1e308], "\x00", [10**30, "x"],
)  # fmt: skip
LOADERS: dict[str, Callable[[Path], Any]] = {
    "segmenter": Segmenter.load,
    "dislocations-default": DislocationModel.load,
    "space-groups-default": SpaceGroupClassifier.load,
    "space-groups-raw": SpaceGroupClassifier.load,
}
# What only tells people something may be anything.
TOLD = ("training", "metrics", "package_version")


def small_segmenter() -> Segmenter:
    planes = (Plane("BC", "", "measured"), Plane("Indexed", "", "flag"))
    return Segmenter(
        UNet(2, 2, UNetSettings(depth=1, filters=2, most_filters=2)), channel_names(["BC"]),
        Normaliser(planes, (0.0, 0.0), (1.0, 1.0), (False, False)),
        Classes((1, 2), ("a", "b"), ("#ff0000", "#00ff00")), 1.0, (0.1, 1.0), ("iron",), {}, {},
    )  # fmt: skip


@pytest.fixture(scope="module")
def cards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cards")
    small_segmenter().save(folder / "segmenter")
    for name in LOADERS:
        for suffix in (".json", ".safetensors"):
            if (WEIGHTS / f"{name}{suffix}").is_file():
                shutil.copyfile(WEIGHTS / f"{name}{suffix}", folder / f"{name}{suffix}")
    return folder


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every entry; of long lists the first, one in the middle and the last."""
    if at and at[0] in TOLD:
        return
    if at:
        yield at
    if isinstance(value, dict):
        for key in value:
            yield from places(value[key], (*at, key))
    elif isinstance(value, list) and value:
        for k in sorted({0, len(value) // 2, len(value) - 1}):
            yield from places(value[k], (*at, k))


def changed(card: dict[str, Any], at: tuple[Any, ...], value: Any) -> dict[str, Any]:
    card = copy.deepcopy(card)
    inside: Any = card
    for key in at[:-1]:
        inside = inside[key]
    if value is ...:
        del inside[at[-1]]
    else:
        inside[at[-1]] = value
    return card


def error_of(load: Callable[[Path], Any], path: Path) -> str | None:
    try:
        load(path)
    except ModelError as error:
        return str(error)
    return None


@pytest.mark.parametrize("name", LOADERS)
def test_odd_entries(cards: Path, name: str) -> None:
    path = cards / f"{name}.json"
    sound = json.loads(path.read_text(encoding="utf-8"))
    LOADERS[name](path)
    rng = np.random.default_rng(0)
    refused = tried = 0
    for at in places(sound):
        # All of them for the small cards; of the others some, which a seed chooses.
        odd = (*ODD, ...)
        few = (odd[k] for k in rng.choice(len(odd), 5, replace=False))
        for value in odd if name.startswith(("seg", "dis")) else few:
            path.write_text(json.dumps(changed(sound, at, value)), encoding="utf-8")
            tried += 1
            error = error_of(LOADERS[name], path)
            if error is not None:
                refused += 1
                assert name in error
    path.write_text(json.dumps(sound), encoding="utf-8")
    assert tried > 100
    assert refused > 0.5 * tried


@pytest.mark.parametrize(
    ("name", "at", "value"),
    [
        ("dislocations-default", ("settings", "radius"), 10**9),
        ("dislocations-default", ("settings", "width"), 10**9),
        ("dislocations-default", ("extra", "temperature"), 0),
        ("dislocations-default", ("extra", "scale_prior"), [10**400, 1, 1]),
        ("segmenter", ("extra", "phases"), [1, 2]),
        ("segmenter", ("extra", "phases"), [{}]),
        ("segmenter", ("extra", "temperature"), -1),
        ("segmenter", ("extra", "values"), [2, 1]),
        ("segmenter", ("settings", "filters"), 10**9),
        ("segmenter", ("settings", "filters"), -1),
        ("segmenter", ("settings", "speed"), 1),
        ("segmenter", ("inputs", "BC", "scale"), 0),
        ("space-groups-default", ("settings", "members"), 10**9),
        ("space-groups-default", ("settings", "members"), 1),
        ("space-groups-default", ("settings", "width"), 10**9),
        ("space-groups-default", ("extra", "temperature"), 10**400),
        ("space-groups-default", ("extra", "known", "low"), [0.0]),
        ("space-groups-raw", ("settings", "members", 0, "channels"), 10**9),
        ("space-groups-raw", ("settings", "members", 0, "network"), "other"),
        ("space-groups-raw", ("settings", "members", 0, "size"), -1),
        ("space-groups-raw", ("extra", "unknown"), 2),
    ],
)  # fmt: skip
def test_these_are_refused(cards: Path, name: str, at: tuple[Any, ...], value: Any) -> None:
    path = cards / f"{name}.json"
    sound = path.read_text(encoding="utf-8")
    path.write_text(json.dumps(changed(json.loads(sound), at, value)), encoding="utf-8")
    try:
        with pytest.raises(ModelError, match=name):
            LOADERS[name](path)
    finally:
        path.write_text(sound, encoding="utf-8")
