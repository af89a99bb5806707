"""Results written with a map: under the same names, with units, in every format."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import orix.io
import pytest
from orix.crystal_map import Phase, PhaseList

import napari_ebsdml as ebsdml
from napari_ebsdml.io import read, write
from napari_ebsdml.scan import Scan

FORMATS = [".ang", ".ctf", ".h5"]
SHAPE = (5, 7)


def make_scan() -> Scan:
    rng = np.random.default_rng(3)
    q = rng.normal(size=(*SHAPE, 4))
    q /= np.linalg.norm(q, axis=-1, keepdims=True)
    phase_id = np.where(rng.random(SHAPE) < 0.2, -1, 1)
    return Scan(
        quaternions=np.where(phase_id[..., None] > 0, q, 0),
        phase_id=phase_id,
        phases=PhaseList({1: Phase("nickel", space_group=225)}),
        step=(0.5, 0.25),
        prop={"BC": rng.integers(0, 255, SHAPE, dtype=np.uint8)},
    )


def results() -> dict[str, tuple[np.ndarray, str]]:
    rng = np.random.default_rng(4)
    density = 10.0 ** rng.uniform(-13, 16, SHAPE)
    density[1, 2] = np.nan
    return {
        "KAM": (rng.uniform(0, 3, SHAPE), "°"),
        "GND density": (density, "1/m²"),
        "grains": (rng.integers(0, 70_000, SHAPE, dtype=np.int32), ""),
        "probability of ferrite, 2 classes": (rng.random(SHAPE, dtype=np.float32), ""),
        "ratio [%]": (rng.uniform(-1, 1, SHAPE) * 1e-7, ""),
        "a: b [c] [d]": (rng.random(SHAPE) > 0.5, "1/µm"),
    }


@pytest.mark.parametrize("suffix", FORMATS)
def test_results_come_back(tmp_path: Path, suffix: str) -> None:
    scan = make_scan()
    for name, (values, unit) in results().items():
        scan = scan.with_property(name, values, unit)
    path = tmp_path / f"map{suffix}"
    write(path, scan)
    again = read(path)
    for name, (values, unit) in results().items():
        np.testing.assert_allclose(
            again.prop[name], values, rtol=1e-7 if values.dtype == "f4" else 1e-9
        )
        assert again.units.get(name, "") == unit
    assert again.prop["grains"].dtype.kind in "iu"
    np.testing.assert_array_equal(again.prop["BC"], scan.prop["BC"])
    np.testing.assert_array_equal(again.is_indexed, scan.is_indexed)
    # Once more, into every other format, changes nothing.
    for other in FORMATS:
        write(tmp_path / f"other{other}", again)
        third = read(tmp_path / f"other{other}")
        assert dict(third.units) == dict(again.units)
        for name in results():
            np.testing.assert_allclose(third.prop[name], again.prop[name], rtol=1e-9)


@pytest.mark.parametrize("suffix", [".ang", ".ctf"])
def test_orix_still_reads_the_file(tmp_path: Path, suffix: str) -> None:
    scan = make_scan().with_property("KAM", results()["KAM"][0], "°")
    write(tmp_path / f"map{suffix}", scan)
    xmap = orix.io.load(str(tmp_path / f"map{suffix}"))
    assert xmap.shape == SHAPE
    np.testing.assert_array_equal(xmap.is_indexed.reshape(SHAPE), scan.is_indexed)


@pytest.mark.parametrize(
    ("suffix", "name", "title"),
    [(".ang", "phase", "phase_property"), (".ctf", "Euler1", "Euler1_property"),
     (".ctf", "bs", "bs_property"), (".ang", "x", "x_property")],
)  # fmt: skip
def test_names_with_a_meaning_of_their_own_are_told(
    tmp_path: Path, suffix: str, name: str, title: str
) -> None:
    values = np.arange(35).reshape(SHAPE)
    scan = make_scan().with_property(name, values)
    if name == "bs":  # the same but for its case
        scan = dataclasses.replace(scan, prop={"BS": values + 1, **scan.prop})
    with pytest.warns(UserWarning, match=f"{name!r} was written as {title!r}"):
        write(tmp_path / f"map{suffix}", scan)
    again = read(tmp_path / f"map{suffix}")
    np.testing.assert_array_equal(again.prop[title], values)
    np.testing.assert_array_equal(again.phase_id, scan.phase_id)


def test_error_codes_of_another_format_stay_what_they_are(tmp_path: Path) -> None:
    values = np.arange(35).reshape(SHAPE)
    write(tmp_path / "map.ctf", make_scan().with_property("Error", values))
    again = read(tmp_path / "map.ctf")
    np.testing.assert_array_equal(again.prop["Error (memory)"], values)
    np.testing.assert_array_equal(again.prop["Error"] == 3, ~again.is_indexed)


def test_a_vendors_column_that_cannot_hold_nan_is_told(tmp_path: Path) -> None:
    scan = make_scan()
    fit = np.where(np.arange(35).reshape(SHAPE) % 3 == 0, np.nan, 0.5)
    scan = scan.with_property("fit", fit, "°")
    lost = np.count_nonzero(np.isnan(fit) & scan.is_indexed)
    with pytest.warns(UserWarning, match=f"fit has no value at {lost} indexed pixels"):
        write(tmp_path / "map.ang", scan)
    write(tmp_path / "map.ctf", scan)
    np.testing.assert_array_equal(np.isnan(read(tmp_path / "map.ctf").prop["fit"]), np.isnan(fit))


def test_units_follow_their_property() -> None:
    scan = make_scan().with_property("KAM", np.zeros(SHAPE), "°")
    assert scan.units == {"KAM": "°"}
    assert scan.crop(slice(0, 2)).units == {"KAM": "°"}
    assert scan.with_property("kam", np.zeros(SHAPE)).units == {}
    assert ebsdml.Scan(
        quaternions=scan.quaternions, phase_id=scan.phase_id, phases=scan.phases, step=scan.step,
        units={"absent": "m"},
    ).units == {}  # fmt: skip
