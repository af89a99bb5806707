"""The reader, without a window."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import napari_ebsdml as ebsdml
from napari_ebsdml import FileFormatError, Scan
from napari_ebsdml._napari.files import reader
from napari_ebsdml._napari.files.reader import get_reader, notify, side_by_side

MakeScan = Callable[..., Scan]


@pytest.fixture
def messages(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Texts of napari's warnings."""
    from napari.utils import notifications

    shown: list[str] = []
    monkeypatch.setattr(notifications, "show_warning", shown.append)
    return shown


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("notes.txt", b"Phase 1 looks good.\n"),
        ("empty.h5", b""),
        ("junk.h5", b"\x89HDF\r\n\x1a\n" + bytes(100)),
        ("junk.dat", bytes(range(256)) * 20),
        ("picture.png", b"\x89PNG\r\n\x1a\n" + bytes(50)),
    ],
)
def test_files_of_others_are_left_to_others(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert get_reader(str(path)) is None


def test_get_reader_never_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert get_reader(str(tmp_path / "absent.ang")) is None
    assert get_reader(str(tmp_path)) is None
    assert get_reader([]) is None
    assert get_reader("https://example.org/map.ang") is None
    assert get_reader("bad\0name.ang") is None
    monkeypatch.setattr("napari_ebsdml.io.sniff", lambda path: 1 / 0)
    (tmp_path / "a.dat").write_bytes(b"x")
    assert get_reader(str(tmp_path / "a.dat")) is None


def test_our_extension_with_wrong_content_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "broken.ang"
    path.write_text("no map at all\n")
    read = get_reader(str(path))
    assert read is not None
    with pytest.raises(FileFormatError, match=r"broken\.ang"):
        read(str(path))


def test_folder_of_sections_is_a_volume_in_natural_order(
    tmp_path: Path, make_scan: MakeScan, messages: list[str]
) -> None:
    for number in (10, 2, 1):
        bc = np.full((6, 8), 99, dtype=np.uint8)
        bc[:, 0] = number
        scan = make_scan(seed=number, prop={"BC": bc})
        ebsdml.write(tmp_path / f"S{number}.ctf", scan)
    (tmp_path / "notes.txt").write_text("not a map")
    read = get_reader(str(tmp_path))
    assert read is not None
    data, options, _ = read(str(tmp_path))[0]
    assert data.shape == (3, 6, 8)
    assert data[:, 1, 0].tolist() == [1, 2, 10]
    assert [s.name for s in options["metadata"]["ebsdml"]["scans"]] == ["S1", "S2", "S10"]
    assert any("distance of sections" in text and "0.5 um" in text for text in messages)


def test_list_of_files_is_a_volume_and_different_maps_lie_side_by_side(
    tmp_path: Path, make_scan: MakeScan
) -> None:
    paths = [str(tmp_path / name) for name in ("a.ctf", "b.ctf", "wide.ctf")]
    for path, shape in zip(paths, ((6, 8), (6, 8), (6, 20)), strict=True):
        ebsdml.write(path, make_scan(shape))
    read = get_reader(paths)
    assert read is not None
    assert read(paths[:2])[0][0].shape == (2, 6, 8)
    flat = read(paths)
    assert {o["translate"] for _, o, _ in flat} == {(0.0, 0.0), (0.0, 2.1), (0.0, 4.2)}


def test_scans_of_one_file_lie_side_by_side(
    tmp_path: Path, make_scan: MakeScan, monkeypatch: pytest.MonkeyPatch
) -> None:
    areas = [make_scan(), make_scan(seed=1)]
    monkeypatch.setattr(ebsdml, "read_all", lambda path: areas, raising=False)
    layers = reader.read_layers(str(tmp_path / "project.h5oina"))
    assert [o["translate"][1] for _, o, _ in layers] == [0.0] * 3 + [pytest.approx(2.1)] * 3
    assert layers[0][0].ndim == 2


def test_maps_side_by_side_do_not_overlap(make_scan: MakeScan) -> None:
    scans = [make_scan((5, 10), step=(1.0, 2.0)), make_scan((9, 4), step=(0.1, 0.1))]
    layers = side_by_side(scans)
    lefts = sorted({o["translate"][1] for _, o, _ in layers})
    assert lefts[0] == 0
    assert lefts[1] > 10 * 2.0


def test_each_warning_is_told_once(make_scan: MakeScan, messages: list[str]) -> None:
    source = ebsdml.Source(path=Path("S0.ang"), warnings=("The header's step is wrong.",))
    notify([make_scan(source=source) for _ in range(20)])
    assert messages == ["S0 and 19 more: The header's step is wrong."]


def test_real_serial_sections(shared: Path, messages: list[str]) -> None:
    folder = shared / "maps" / "iron_serial_sections"
    read = get_reader(str(folder))
    assert read is not None
    layers = read(str(folder))
    data, options, _ = layers[0]
    assert data.shape == (20, 40, 35)
    assert options["scale"] == pytest.approx((0.4, 0.4, 0.4))
    names = [scan.name for scan in options["metadata"]["ebsdml"]["scans"]]
    assert names == [f"S{i:02}" for i in range(20)]
    assert len([m for m in messages if "distance of sections" not in m]) <= 1
