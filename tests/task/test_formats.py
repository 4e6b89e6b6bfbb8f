import gzip
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from mpiedge.errors import BadInput
from mpiedge.task.formats import format_of, read_table

Write = Callable[[str, "str | bytes"], Path]


def test_tsv_has_no_quoting_and_no_escapes(write: Write) -> None:
    table = read_table(write("x.tsv", 'a\tb\n"he said\t\\t"\n') / "x.tsv")
    assert table.columns == ("a", "b")
    assert list(table.rows) == [('"he said', '\\t"')]


def test_tsv_ends_lines_at_line_feeds_only(write: Write) -> None:
    table = read_table(write("x.tsv", "a\tb\none\u2028two\x0b\t1\r\n\nthree\r!\t2") / "x.tsv")
    assert list(table.rows) == [("one\u2028two\x0b", "1"), ("three\r!", "2")]
    assert list(table.lines) == [2, 4]


def test_csv_has_quoting_and_counts_physical_lines(write: Write) -> None:
    table = read_table(write("x.csv", 'a,b\n"x, ""y""\nz",1\n\nlast,2\n') / "x.csv")
    assert list(table.rows) == [('x, "y"\nz', "1"), ("last", "2")]
    assert list(table.lines) == [3, 5]


def test_jsonl_is_one_object_a_line(write: Write) -> None:
    table = read_table(
        write("x.jsonl", '{"a": "x", "n": 1}\n\n{"n": 2.5, "a": true}\n') / "x.jsonl"
    )
    assert table.column("a", "task.text") == ["x", "true"]
    assert table.column("n", "task.label") == ["1", "2.5"]
    assert list(table.lines) == [1, 3]


def test_text_is_one_row_a_line_that_is_not_blank(write: Write) -> None:
    table = read_table(write("x.txt", "one\n\n \ntwo\n") / "x.txt")
    assert table.columns == ("text",)
    assert list(table.rows) == [("one",), ("two",)]


@pytest.mark.parametrize("ending", [".tsv", ".csv", ".jsonl", ".txt"])
def test_every_format_is_read_packed_as_well(write: Write, ending: str) -> None:
    line = '{"text": "hello"}' if ending == ".jsonl" else "text\nhello"
    plain = read_table(write(f"x{ending}", line) / f"x{ending}")
    packed = read_table(write(f"x{ending}.gz", line) / f"x{ending}.gz")
    assert plain.column("text", "task.text")[-1] == "hello"
    assert (packed.columns, packed.rows) == (plain.columns, plain.rows)


def test_a_byte_order_mark_is_no_part_of_the_first_column(write: Write) -> None:
    assert read_table(write("x.tsv", b"\xef\xbb\xbftext\nhi\n") / "x.tsv").columns == ("text",)


def test_an_empty_text_is_a_row(write: Write) -> None:
    assert list(read_table(write("x.tsv", "text\tlabel\n\t1\n") / "x.tsv").rows) == [("", "1")]


def test_the_format_is_in_the_name() -> None:
    assert format_of(Path("a/b.c.tsv.gz")) == ".tsv"
    assert format_of(Path("b.jsonl")) == ".jsonl"


BAD = {
    "too few fields": (
        "x.tsv",
        "a\tb\n1\t2\nonly\n",
        r"line 3: 1 fields, .* names 2 columns \(a, b\)",
    ),
    "too many fields": ("x.csv", "a,b\n1,2,3\n", r"line 2: 3 fields, .* names 2 columns \(a, b\)"),
    "a quote left open": ("x.csv", 'a,b\n"1,2\n', r"line 2: unexpected end of data"),
    "not JSON": ("x.jsonl", '{"a": 1}\n{"a": \n', r"line 2: not JSON \("),
    "no object": ("x.jsonl", "[1, 2]\n", r"line 1: '\[1, 2\]' is no JSON object"),
    "not UTF-8": (
        "x.tsv",
        "text\nfine\ncaf\xe9\n".encode("latin-1"),
        r"line 3: not UTF-8 \(byte 0xe9\)",
    ),
    "UTF-16": ("x.txt", "text".encode("utf-16"), r"line 1: not UTF-8 \(byte 0xff\)"),
    "no header": ("x.tsv", "", r"x\.tsv is empty; its first line must name the columns"),
    "no known ending": ("x.parquet", "", r"of no known format; give a file named \.tsv, \.csv"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_said_in_one_line(write: Write, case: str) -> None:
    name, content, message = BAD[case]
    path = write(name, content) / name
    with pytest.raises(BadInput, match=message) as error:
        read_table(path)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)


def test_a_packed_file_cut_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.tsv.gz"
    path.write_bytes(gzip.compress(b"text\n" + bytes(range(97, 122)) * 9)[:-12])
    with pytest.raises(BadInput, match=re.escape(f"{path} cannot be read to its end")):
        read_table(path)


def test_a_file_that_is_not_packed_but_named_so_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.tsv.gz"
    path.write_text("text\nhi\n")
    with pytest.raises(BadInput, match="cannot be read to its end: Not a gzipped file"):
        read_table(path)
