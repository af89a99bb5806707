"""Reports on a map hold what they are to tell."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import napari_ebsdml as ebsdml
from napari_ebsdml import EbsdmlError, InputError, MissingDataError, Scan, WriteError
from napari_ebsdml._page import Page, in_words
from napari_ebsdml.figures.report import usual_layers
from napari_ebsdml.samples import dual_phase_steel

FAST: dict[str, Any] = {"settings": ebsdml.figures.FigureSettings(width=40, dpi=50)}


@pytest.fixture(scope="module")
def steel() -> Scan:
    return dual_phase_steel((40, 50), 0.5, seed=3).scan


def cells(text: str) -> list[list[str]]:
    rows = re.findall(r"<tr>(.*?)</tr>", text)
    return [re.findall(r"<t[dh]>(.*?)</t[dh]>", row) for row in rows]


def test_html_has_facts_tables_and_every_figure(steel: Scan, tmp_path: Path) -> None:
    steel = dataclasses.replace(
        steel, source=ebsdml.Source(path=Path("a <b>.ctf"), header={"Author": "Jo & Co"},
                                    warnings=("The step was guessed.",))
    )  # fmt: skip
    told: list[float] = []
    path = ebsdml.report(
        steel, tmp_path / "r.html", tables={"Hardness": {"HV": [250.0, np.nan]}},
        notes=["polished"], progress=told.append, **FAST,
    )  # fmt: skip
    text = path.read_text()
    rows = cells(text)
    facts = {row[0]: row[1] for row in rows if len(row) == 2}
    assert facts["file"] == "a &lt;b&gt;.ctf"
    assert facts["size"].startswith("50 x 40 pixels, 5 x 4 µm")
    assert (facts["warning"], facts["note"]) == ("The step was guessed.", "polished")
    assert facts["Author"] == "Jo &amp; Co"
    assert ["–"] in rows  # not known
    assert usual_layers(steel) == ["BC", "IPF-Z", "KAM", "boundaries"]
    assert text.count("data:image/png;base64,iVBOR") == 4
    assert told[-1] == 1.0
    # The same numbers as from the functions themselves.
    table = ebsdml.grain_table(steel, ebsdml.segment_grains(steel))
    grains = next(row for row in rows if row[0] == steel.phases[1].name and len(row) == 7)
    assert grains[1] == str(len(table["id"]))
    assert grains[3] == in_words(table["equivalent_diameter"].mean())
    lines = ebsdml.maps.boundary_segments(steel)
    low = next(row for row in rows if row[0].startswith("low angle"))
    assert low[1] == in_words(lines.length(ebsdml.maps.BoundaryKind.LOW_ANGLE))


def test_pdf_on_sheets_of_a4(steel: Scan, tmp_path: Path) -> None:
    drawn = ebsdml.figure(steel, "KAM", **FAST)
    path = ebsdml.report(steel, tmp_path / "r.pdf", [drawn, "BC"], **FAST)
    data = path.read_bytes()
    assert data.startswith(b"%PDF")
    assert data.count(b"/Type /Page ") == 2
    page = Page("many")
    page.add_table("numbers", {"n": range(200)})
    assert page.pdf().count(b"/Type /Page ") == 3


def test_maps_with_little_in_them(steel: Scan, tmp_path: Path) -> None:
    scan = steel.crop(slice(0, 4), slice(0, 5))
    none = scan.phase_id * 0 - 1
    empty = dataclasses.replace(scan, phase_id=none, quaternions=scan.quaternions * 0)
    text = ebsdml.report(empty, tmp_path / "empty.html", **FAST).read_text()
    assert "0.00 % of 20 pixels" in text
    for slices in ((slice(0, 1), slice(0, 1)), (slice(0, 1), slice(0, 5))):
        ebsdml.report(scan.crop(*slices), tmp_path / "small.html", **FAST)


def test_bad_input(steel: Scan, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\.html or \.pdf"):
        ebsdml.report(steel, tmp_path / "r.docx")
    with pytest.raises(MissingDataError, match="IQ"):
        ebsdml.report(steel, tmp_path / "r.html", ["IQ"])
    with pytest.raises(InputError, match="differ in length"):
        ebsdml.report(steel, tmp_path / "r.html", tables={"t": {"a": [1], "b": [1, 2]}})
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(WriteError):
        ebsdml.report(steel, tmp_path / "file" / "r.html", ["BC"], **FAST)
    assert issubclass(WriteError, EbsdmlError)
