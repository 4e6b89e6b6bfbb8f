"""What a user's own data looks like: which task it suits, its columns, its labels, its lengths.

Apart from opening a task, which has to know all that already and needs a tokenizer.  Nothing but
the training file is read.
"""

from collections.abc import Sequence
from math import ceil
from typing import NamedTuple

from mpiedge.errors import BadInput
from mpiedge.task.columns import (
    COMPLETIONS,
    Columns,
    labelled_columns,
    language_columns,
    output_columns,
    texts_of,
)
from mpiedge.task.files import locate
from mpiedge.task.formats import read_table
from mpiedge.task.labels import collect_labels
from mpiedge.task.settings import TaskSettings
from mpiedge.task.table import Table

MOST_LABELS = 100  # different ones; a column with more of them is not taken for labels
_LENGTHS = (32, 64, 128, 256, 512)  # of which a run file gets one
_MOST = 0.95  # part of the texts that is not cut
_SPECIAL = 3  # tokens around and between texts


class Seen(NamedTuple):
    """A training file."""

    source: str
    rows: int
    validated: bool  # whether there is a validation file beside it
    task: str
    columns: Columns
    labels: tuple[str, ...]  # different ones; empty unless the task is classification
    length: int  # tokens that nearly all texts have at most, as far as words tell


def look(data: str, task: str = "", text: Sequence[str] = (), label: str = "") -> Seen:
    """The training examples that ``data`` means, and what they suit.

    The task and the columns are given where they are known.  Raises BadInput where there is no
    such file, it cannot be read, or its columns are of no usual name.
    """
    asked = TaskSettings(name=task, text=list(text), label=label)
    files = locate(data)
    table = read_table(files.train)
    if not table.rows:
        raise BadInput(f"{files.train} has no examples; add rows")
    task = task or _suits(table, asked)
    columns = _columns(table, task, asked)
    labels = collect_labels(table, columns.label) if task == "classification" else ()
    if len(labels) > MOST_LABELS:
        raise BadInput(
            f"{files.train} has {len(labels)} different labels in column {columns.label}, more "
            f"than {MOST_LABELS}; name another column with --label, or another task with --task"
        )
    return Seen(
        source=str(files.train),
        rows=len(table),
        validated=files.validation is not None,
        task=task,
        columns=columns,
        labels=labels,
        length=_length(table, columns, task),
    )


def sentence(seen: Seen) -> str:
    """What was seen, in a line."""
    text = " and ".join(seen.columns.text)
    output = f", {seen.columns.label}" if seen.columns.label else ""
    shown = ", ".join(seen.labels[:5]) + (", ..." if len(seen.labels) > 5 else "")
    labels = f", {len(seen.labels)} labels: {shown}" if seen.labels else ""
    return f"{seen.source}: {seen.rows} examples, columns {text}{output}{labels}"


def _suits(table: Table, asked: TaskSettings) -> str:
    """The task that a table with such columns is usually for."""
    written = any(set(pair) <= set(table.columns) for pair in COMPLETIONS)
    if table.columns == ("text",) or (written and not asked.label):
        return "language"
    columns = labelled_columns(table, asked)
    different = set(table.column(columns.label, "--label"))
    scores = all(map(_number, different)) and not all(map(_whole, different))
    return "regression" if scores else "classification"


def _columns(table: Table, task: str, asked: TaskSettings) -> Columns:
    if task == "language":
        return language_columns(table, asked)
    return (output_columns if task == "seq2seq" else labelled_columns)(table, asked)


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _whole(text: str) -> bool:
    return text.lstrip("-").isdecimal()


def _length(table: Table, columns: Columns, task: str) -> int:
    """A usual length that cuts few texts; a word is taken for 1.4 tokens, and 4 letters for one."""
    output = (columns.label,) if task in ("language", "seq2seq") and columns.label else ()
    rows = texts_of(table, Columns((*columns.text, *output), ""))
    sizes = sorted(sum(max(1.4 * len(one.split()), len(one) / 4) for one in row) for row in rows)
    most = sizes[ceil(_MOST * len(sizes)) - 1] + _SPECIAL
    return next((length for length in _LENGTHS if length >= most), _LENGTHS[-1])
