"""Which columns of a file are the text and which the label, where the run file does not say.

The usual names of public data sets, most telling first: a pair of columns stands before a single
one that is part of it.
"""

from collections.abc import Sequence
from typing import NamedTuple

from mpiedge.errors import BadInput
from mpiedge.task.settings import TaskSettings
from mpiedge.task.table import Table

LABELLED_TEXTS = (
    ("sentence1", "sentence2"),
    ("premise", "hypothesis"),
    ("question", "sentence"),
    ("question1", "question2"),
    ("text",),
    ("sentence",),
)
LABELS = ("label", "intent", "score")
COMPLETIONS = ("prompt", "completion"), ("question", "answer"), ("input", "output")
TRANSLATIONS = *COMPLETIONS, ("source", "target"), ("text", "summary")
PLAIN_TEXTS = ("text",), ("sentence",)


class Columns(NamedTuple):
    """The columns of the input text or texts, and of the label or output text (or none)."""

    text: tuple[str, ...]
    label: str


def labelled_columns(table: Table, settings: TaskSettings) -> Columns:
    """Text or pair of texts, and label."""
    label = settings.label or _known(table, [(name,) for name in LABELS], "task.label")[0]
    return Columns(_texts(settings) or _known(table, LABELLED_TEXTS, "task.text"), label)


def language_columns(table: Table, settings: TaskSettings) -> Columns:
    """Prompt and completion, or text alone (no label)."""
    if settings.text:
        return Columns(_texts(settings), settings.label)
    if settings.label:
        return output_columns(table, settings)
    found = _known(table, (*COMPLETIONS, *PLAIN_TEXTS), "task.text")
    return Columns(found[:1], found[1] if len(found) > 1 else "")


def output_columns(table: Table, settings: TaskSettings) -> Columns:
    """Input text or texts, and output text."""
    if settings.text and settings.label:
        return Columns(_texts(settings), settings.label)
    fitting = [
        pair
        for pair in TRANSLATIONS
        if (not settings.text or [pair[0]] == settings.text)
        and (not settings.label or pair[1] == settings.label)
    ]
    found = _known(table, fitting, "task.text and task.label")
    return Columns(found[:1], found[1])


def texts_of(table: Table, columns: Columns) -> list[tuple[str, ...]]:
    """The input texts of all rows."""
    return list(zip(*(table.column(name, "task.text") for name in columns.text), strict=True))


def _texts(settings: TaskSettings) -> tuple[str, ...]:
    if len(settings.text) > 2:
        raise BadInput(
            f"task.text names {len(settings.text)} columns ({', '.join(settings.text)}); "
            "give one, or two for a pair of texts"
        )
    return tuple(settings.text)


def _known(table: Table, choices: Sequence[tuple[str, ...]], setting: str) -> tuple[str, ...]:
    for names in choices:
        if set(names) <= set(table.columns):
            return names
    usual = " or ".join(" + ".join(names) for names in choices) or "of a usual name"
    raise BadInput(
        f"{table.source} has no column {usual}, its columns are {', '.join(table.columns)}; "
        f"name the right ones with {setting}"
    )
