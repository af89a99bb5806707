"""Reports hold what they are to tell."""

from __future__ import annotations

import csv
import dataclasses
import io

import pytest

from napari_ebsdml.errors import InputError, WriteError
from napari_ebsdml.segmentation import Segmenter, write_report
from tests.segmentation.segmentation_data import stroke_labels


@pytest.fixture(scope="module")
def case(steel):
    labels = stroke_labels(steel.truth, 0.05)
    model = Segmenter.train(
        [(steel.scan, labels)], ("BS", "KAM"), epochs=0, classes=("soft <iron>", "hard")
    )
    return steel, labels, model, model.predict(steel.scan)


def test_html_and_csv(case, tmp_path):
    steel, labels, model, result = case
    page = write_report(tmp_path / "r.html", steel.scan, result, model, labels, steel.truth)
    text = page.read_text()
    assert "soft &lt;iron&gt;" in text
    assert model.record["data_sha256"] in text
    assert "linear discriminant answers" in text
    assert "data:image/png;base64,iVBOR" in text
    first = result.fractions()[0]
    assert f"<td>{100 * first.low:.1f}</td>" in text
    assert "may be none" not in text
    wide = dataclasses.replace(result, fraction_errors=(0.4, 0.4))
    assert "may be none" in write_report(tmp_path / "wide.html", steel.scan, wide).read_text()
    table = write_report(tmp_path / "r.csv", steel.scan, result, model).read_text()
    rows = list(csv.reader(io.StringIO(table)))
    start = next(n for n, row in enumerate(rows) if row[0] == "name")
    got = dict(zip(rows[start], rows[start + 1], strict=True))
    assert float(got["fraction"]) == pytest.approx(first.fraction)
    assert float(got["high"]) == pytest.approx(first.high)


def test_pdf_without_a_model(case, tmp_path):
    steel, _, _, result = case
    path = write_report(tmp_path / "r.pdf", steel.scan, result)
    assert path.read_bytes().startswith(b"%PDF")


def test_bad_input(case, tmp_path):
    steel, labels, model, result = case
    with pytest.raises(InputError, match=r"\.html"):
        write_report(tmp_path / "r.docx", steel.scan, result)
    with pytest.raises(InputError, match="shape"):
        write_report(tmp_path / "r.html", steel.scan.crop(slice(0, 20)), result)
    with pytest.raises(InputError, match="labels have shape"):
        write_report(tmp_path / "r.html", steel.scan, result, model, labels[1:])
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(WriteError):
        write_report(tmp_path / "file" / "r.csv", steel.scan, result)
