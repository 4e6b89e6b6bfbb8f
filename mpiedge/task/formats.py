"""The file formats: TSV without quoting, CSV with it, JSONL objects, plain lines; each also .gz.

Bytes are decoded line by line, so that a file that is not UTF-8 is refused with the line that is
not.  Lines end at a line feed only: the line separators that ``str.splitlines`` knows beside it
occur in real sentences.
"""

import csv
import gzip
import json
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from mpiedge.errors import BadInput
from mpiedge.task.table import Table


def read_table(path: Path) -> Table:
    """All rows of a file, in the format its name ends with."""
    reader = READERS.get(format_of(path))
    if reader is None:
        raise BadInput(f"{path} is of no known format; give a file named {', '.join(READERS)}")
    return reader(path)


def format_of(path: Path) -> str:
    """The ending that says the format, without the .gz of a compressed file."""
    return path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix


def _lines(path: Path) -> Iterator[str]:
    number = 0
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                yield text.rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise BadInput(
            f"{path}, line {number}: not UTF-8 (byte {error.object[error.start]:#04x}); "
            "convert the file to UTF-8"
        ) from None
    except (OSError, EOFError, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise BadInput(f"{path} cannot be read to its end: {reason}; replace it") from None


def _fields_checked(path: Path, rows: Iterator[tuple[int, list[str]]]) -> Table:
    _, header = next(rows, (0, []))
    if not header:
        raise BadInput(f"{path} is empty; its first line must name the columns")
    numbers, cells = [], []
    for number, fields in rows:
        if len(fields) != len(header):
            raise BadInput(
                f"{path}, line {number}: {len(fields)} fields, but the first line names "
                f"{len(header)} columns ({', '.join(header)}); mend the line"
            )
        numbers.append(number)
        cells.append(tuple(fields))
    return Table(str(path), tuple(header), cells, numbers)


def _read_tsv(path: Path) -> Table:
    numbered = enumerate(_lines(path), start=1)
    return _fields_checked(path, ((n, line.split("\t")) for n, line in numbered if line))


def _read_csv(path: Path) -> Table:
    csv.field_size_limit(sys.maxsize)  # a text may be longer than the 128 KiB that csv allows
    reader = csv.reader((line + "\n" for line in _lines(path)), strict=True)
    try:
        return _fields_checked(path, ((reader.line_num, fields) for fields in reader if fields))
    except csv.Error as error:
        raise BadInput(
            f"{path}, line {reader.line_num}: {error}; a quote inside a quoted field is doubled"
        ) from None


def _read_jsonl(path: Path) -> Table:
    columns: tuple[str, ...] = ()
    numbers, cells = [], []
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        found = _parsed(line, f"{path}, line {number}")
        columns = columns or tuple(found)
        numbers.append(number)
        cells.append(tuple(found.get(name) for name in columns))
    return Table(str(path), columns, cells, numbers)


def _parsed(line: str, where: str) -> dict[str, object]:
    try:
        found = json.loads(line)
    except ValueError as error:
        raise BadInput(f"{where}: not JSON ({error}); write one object a line") from None
    if not isinstance(found, dict):
        raise BadInput(f"{where}: {line[:40]!r} is no JSON object; write one object a line")
    return found


def _read_txt(path: Path) -> Table:
    found = [(number, line) for number, line in enumerate(_lines(path), start=1) if line.strip()]
    return Table(str(path), ("text",), [(line,) for _, line in found], [n for n, _ in found])


READERS: dict[str, Callable[[Path], Table]] = {
    ".tsv": _read_tsv,
    ".csv": _read_csv,
    ".jsonl": _read_jsonl,
    ".txt": _read_txt,
}
