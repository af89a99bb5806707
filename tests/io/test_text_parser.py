"""The table parser, compiled and by numpy, against Python's own float()."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from napari_ebsdml.errors import FileFormatError
from napari_ebsdml.io import _text
from napari_ebsdml.io._text import FLOAT32, FLOAT64, INT32, UINT8, parse_table, split_header


@pytest.fixture(autouse=True, params=["compiled", "plain"])
def way(request, monkeypatch):
    """Small tables go through numpy where they can; here the kernel gets them, too."""
    if request.param == "compiled":
        monkeypatch.setattr(_text, "_MOST_PLAIN", -1)
    return request.param


def test_small_tables_of_plain_numbers_need_no_kernel(tmp_path, way, monkeypatch):
    def parse(*_):
        raise AssertionError("the kernel was called")

    text = "1 -2.50\t+3 .5\r\n\n 255 12345678.9 70000 5.\n 0 -0.0 -1 0.1234567\n7 1 2 3"
    kinds = [UINT8, FLOAT32, UINT8, UINT8]
    expected = table(tmp_path, text, kinds)
    if way == "plain":
        monkeypatch.setattr(_text, "parse", parse)
    else:
        monkeypatch.setattr(_text, "_MOST_PLAIN", 1 << 20)
    found = table(tmp_path, text, kinds)
    assert [c.dtype for c in found.columns] == [np.uint8, np.float64, np.int32, np.float32]
    for one, other in zip(found.columns, expected.columns, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    assert found.open_line
    assert expected.open_line


def table(tmp_path: Path, text: str | bytes, kinds: list[int], **options):
    path = tmp_path / "table.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    file = split_header(path, lambda line: not line.startswith("#") and bool(line.strip()))
    return parse_table(file, kinds, **options)


numbers = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False, width=64).filter(
        lambda v: v == 0 or 1e-280 < abs(v) < 1e280
    ),
    st.integers(-(10**25), 10**25),
    st.decimals(-1000, 1000, places=5),
)


@settings(
    deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=30))
def test_values_are_those_of_float(tmp_path, rows):
    text = "".join(f" {a}\t{b} \n" for a, b in rows)
    result = table(tmp_path, text, [FLOAT64, FLOAT64])
    expected = np.array([[float(str(v)) for v in row] for row in rows])
    found = np.stack(result.columns, axis=-1)
    few = np.array([[len(str(v).strip("-").replace(".", "").split("e")[0]) <= 15
                     and "e" not in str(v).lower() for v in row] for row in rows])  # fmt: skip
    np.testing.assert_array_equal(found[few], expected[few])
    np.testing.assert_allclose(found, expected, rtol=2e-15)


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.integers(-(2**40), 2**40), min_size=1, max_size=20))
@example([3_125_000_000])
@example([-2_500_000_000, 1])
def test_a_column_gets_a_type_that_holds_its_values(tmp_path, values):
    result = table(tmp_path, "".join(f"{v}\n" for v in values), [UINT8])
    np.testing.assert_array_equal(result.columns[0].astype(np.float64), values)
    if min(values) >= 0 and max(values) <= 255:
        assert result.columns[0].dtype == np.uint8


@pytest.mark.parametrize(
    ("text", "dtype"),
    [("1", np.uint8), ("-1", np.int32), ("1.000", np.uint8), ("1.5", np.float32),
     ("16777217.5", np.float64), ("nan", np.float32), ("3e2", np.int32)],
)  # fmt: skip
def test_types_widen_only_as_needed(tmp_path, text, dtype):
    # The value that needs more comes long after the first lines, which are looked at first.
    result = table(tmp_path, "7\n" * 500 + text + "\n", [UINT8])
    assert result.columns[0].dtype == dtype
    assert result.columns[0][0] == 7
    np.testing.assert_equal(float(result.columns[0][-1]), float(text))


@pytest.mark.parametrize(
    ("word", "value"),
    [("nan", np.nan), ("NaN", np.nan), ("-inf", -np.inf), ("Infinity", np.inf),
     ("1.#QNAN", np.nan), ("-1.#IND00", np.nan), ("+.5", 0.5), ("5.", 5.0), ("1E-3", 0.001),
     ("1e400", np.inf), ("1e-400", 0.0), ("0e999", 0.0),
     ("413985199910675280000000000000.000000", 413985199910675280000000000000.0)],
)  # fmt: skip
def test_unusual_numbers(tmp_path, word, value):
    result = table(tmp_path, f"1 {word}\n", [FLOAT64, FLOAT64])
    np.testing.assert_allclose(result.columns[1], [value], rtol=2e-16)


@pytest.mark.parametrize(
    "word", ["abc", "1.2.3", "--1", "1-2", "1e", "e5", ".", "-", "naan", "1,5"]
)
def test_what_is_no_number_is_named_with_its_line(tmp_path, word):
    text = "# head\n" + "1 2\n" * 100 + f"3 {word}\n" + "1 2\n"
    with pytest.raises(FileFormatError, match=r"line 102.*column 2 is not a number"):
        table(tmp_path, text, [FLOAT64, FLOAT64])


@pytest.mark.parametrize(("line", "count"), [("1", 1), ("1 2 3", 3)])
def test_rows_of_another_length_are_named(tmp_path, line, count):
    with pytest.raises(FileFormatError, match=f"line 4: {count} values where 2"):
        table(tmp_path, f"1 2\n1 2\n1 2\n{line}\n1 2\n", [FLOAT64, FLOAT64])


def test_a_phase_must_be_whole(tmp_path):
    with pytest.raises(FileFormatError, match=r"line 301.*phase must be a whole number, not '0.5'"):
        table(tmp_path, "1\n" * 300 + "0.5\n", [INT32], whole={0: "phase"})


def test_line_ends_blanks_and_commas(tmp_path):
    text = "1,5\t 2\r\n\r\n  3,25 4  \r\n   \n5 6\n\n\n"
    result = table(tmp_path, text, [FLOAT64, UINT8], decimal_comma=True)
    np.testing.assert_array_equal(result.columns[0], [1.5, 3.25, 5])
    np.testing.assert_array_equal(result.columns[1], [2, 4, 6])


@pytest.mark.parametrize(
    ("tail", "cut", "rows"),
    [("", False, 3), ("7 8", False, 4), ("7", True, 3), ("7 -", True, 3), ("  ", False, 3)],
)
def test_the_end_of_the_file(tmp_path, tail, cut, rows):
    result = table(tmp_path, "1 2\n" * 3 + tail, [FLOAT64, FLOAT64])
    assert (result.rows, result.cut_line, result.open_line) == (rows, cut, rows == 4)


def test_blocks_join_without_a_seam(tmp_path, monkeypatch):
    monkeypatch.setattr(_text, "_BLOCK", 64)
    values = np.arange(5000)
    text = "".join(f"{v} {v * 0.5}\n" + ("\n" if v % 37 == 0 else "") for v in values)
    result = table(tmp_path, text, [INT32, FLOAT32], threads=3)
    np.testing.assert_array_equal(result.columns[0], values)
    np.testing.assert_array_equal(result.columns[1], values * 0.5)
    with pytest.raises(FileFormatError, match="line 5001"):
        table(tmp_path, "1 2\n" * 5000 + "1 x\n" + "1 2\n" * 50, [INT32, FLOAT32], threads=3)


def test_files_that_are_no_tables(tmp_path):
    for content, match in ((b"", "empty"), (b"# only\n# header\n", "no rows of data"),
                           ("# a\n1 2\n".encode("utf-16"), "UTF-16")):  # fmt: skip
        with pytest.raises(FileFormatError, match=match):
            table(tmp_path, content, [FLOAT64])
    with pytest.raises(FileFormatError, match="cannot be read"):
        split_header(tmp_path / "absent", lambda line: True)


@pytest.mark.parametrize("word", ["-nan(ind)", "nan(snan)", "NaN(IND)"])
def test_numbers_that_are_none_as_windows_prints_them(tmp_path, word):
    result = table(tmp_path, f"1 2\n{word} 4\n", [FLOAT64, UINT8])
    np.testing.assert_array_equal(result.columns[0], [1, np.nan])
    with pytest.raises(FileFormatError, match="not a number"):
        table(tmp_path, f"1 2\n{word[:-1]} 4\n", [FLOAT64, UINT8])


@pytest.mark.parametrize("end", ["\r", "\r\n", "\n", "\r\r\n"])
def test_any_line_ends(tmp_path, end):
    path = tmp_path / "table.txt"
    path.write_bytes(f"# one{end}# two{end}1 2{end}3 4{end}5 6".encode() + end.encode())
    text = split_header(path, lambda line: bool(line.strip()) and not line.startswith("#"))
    assert [line for line in text.header if line] == ["# one", "# two"]
    result = parse_table(text, [FLOAT64, UINT8])
    np.testing.assert_array_equal(result.columns[0], [1, 3, 5])


def test_remarks_between_rows_are_passed_over(tmp_path):
    text = "1 2\n# a remark, 3 words\n3 4\n  #\n5 6\n"
    result = table(tmp_path, text, [FLOAT64, UINT8], remarks=True)
    np.testing.assert_array_equal(result.columns[1], [2, 4, 6])
    with pytest.raises(FileFormatError, match=r"line 302.*'x'"):
        table(tmp_path, "1 2\n" * 300 + "# remark\nx 4\n", [FLOAT64, UINT8], remarks=True)
    with pytest.raises(FileFormatError, match="'#' in column 1 is not a number"):
        table(tmp_path, text, [FLOAT64, UINT8])
