"""What is no path, no scan and no property is refused in one sentence, everywhere."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from orix.crystal_map import Phase, PhaseList

import napari_ebsdml as ebsdml
from napari_ebsdml import EbsdmlError, InputError, Scan
from napari_ebsdml.dislocations.article.model import DislocationModel

SHAPE = (4, 5)
LABELS = np.ones(SHAPE, int)


def made() -> Scan:
    q = np.zeros((*SHAPE, 4))
    q[..., 0] = 1
    phases = PhaseList({0: Phase("iron", space_group=229)})
    return Scan(quaternions=q, phase_id=np.zeros(SHAPE), phases=phases, step=(1, 1))


@pytest.mark.parametrize("path", [None, 3, 2.5, b"a.ang", np.zeros(3), ["a.ang"], "a\0b.ang"])
@pytest.mark.parametrize(
    "use",
    [
        ebsdml.read, ebsdml.read_all, lambda path: ebsdml.write(path, made()),
        ebsdml.Segmenter.load, ebsdml.SpaceGroupClassifier.load, DislocationModel.load,
    ],
)  # fmt: skip
def test_what_is_no_path(use: Callable[[Any], Any], path: Any) -> None:
    with pytest.raises(InputError):
        use(path)


@pytest.mark.parametrize("suffix", ["ang", "ctf", "h5"])
def test_names_too_long(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"{'a' * 300}.{suffix}"
    with pytest.raises(EbsdmlError, match="too long"):
        ebsdml.read(path)
    with pytest.raises(EbsdmlError, match="too long"):
        ebsdml.write(path, made())
    assert list(tmp_path.iterdir()) == []
    folder = tmp_path / f"b.{suffix}"
    folder.mkdir()
    with pytest.raises(EbsdmlError):
        ebsdml.write(folder, made())
    assert list(tmp_path.iterdir()) == [folder]


OF_SCANS: dict[str, Callable[[Any], Any]] = {
    name: getattr(ebsdml, name)
    for name in (
        "ipf_colors", "kam", "segment_grains", "boundary_map", "misorientation_map",
        "gnd_density", "total_dislocation_density", "taylor_factor", "virtual_backscatter",
        "virtual_backscatter_grid",
    )
} | {
    name: lambda scan, name=name: getattr(ebsdml, name)(scan, LABELS)
    for name in ("grain_table", "gos", "grod", "homogenise", "grain_mean_orientation")
} | {
    "article_density": ebsdml.article_density,
    "train": lambda scan: ebsdml.Segmenter.train([(scan, LABELS)]),
}  # fmt: skip


@pytest.mark.parametrize("name", OF_SCANS)
@pytest.mark.parametrize("given", [None, "a.ang", 3, np.zeros(SHAPE)], ids=repr)
def test_what_is_no_scan(name: str, given: Any) -> None:
    with pytest.raises(EbsdmlError):
        OF_SCANS[name](given)


@pytest.mark.parametrize("suffix", ["ang", "ctf", "h5"])
def test_only_scans_are_written(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(InputError, match="A Scan is needed, not str"):
        ebsdml.write(tmp_path / f"a.{suffix}", "map")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"prop": None}, {"prop": 5}, {"prop": "BC"}, {"prop": {None: LABELS}},
        {"prop": {"a": LABELS.astype(object)}}, {"prop": {"a": np.full(SHAPE, "text")}},
        {"step": None}, {"step": 3}, {"step": "text"}, {"phases": None}, {"phases": "iron"},
        {"phase_id": None}, {"phase_id": "text"}, {"quaternions": None}, {"quaternions": "text"},
        {"camera": "text"}, {"camera": 3},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_part_of_a_scan(changes: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        dataclasses.replace(made(), **changes)
