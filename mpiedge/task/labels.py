"""From the label in a file to its id.

An official label set is given by names, and files carry either the name or the id; labels that
were collected from a file are exactly what the file says, so there an id is no label.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from mpiedge.errors import BadInput
from mpiedge.task.table import Table


@dataclass(frozen=True)
class LabelSet:
    """The labels in the order of their ids."""

    names: tuple[str, ...]
    by_id: bool = False  # a file may say the id in place of the name

    def ids(self, table: Table, column: str) -> list[int]:
        """The label ids of all rows."""
        known = {str(i): i for i in range(len(self.names))} if self.by_id else {}
        known |= {name: i for i, name in enumerate(self.names)}
        found = table.column(column, "task.label")
        for row, label in enumerate(found):
            if label not in known:
                raise BadInput(
                    f"{table.where(row)}: unknown label {label!r}, the labels are "
                    f"{', '.join(self.names)}; mend the line or set task.labels"
                )
        return [known[label] for label in found]


def collect_labels(table: Table, column: str) -> tuple[str, ...]:
    """All labels that occur, two at least: numbers by size, else by the alphabet."""
    found = table.column(column, "task.label")
    names = set(found)
    if "" in names:
        raise BadInput(f"{table.where(found.index(''))}: the label is empty; mend the line")
    if len(names) < 2:
        raise BadInput(
            f"{table.source}: every row has the label {found[0]!r}; a classification needs two "
            f"labels or more"
        )
    return in_order(names)


def in_order(names: Collection[str]) -> tuple[str, ...]:
    """Labels in the order of their ids: numbers by size, else by the alphabet."""
    if all(name.isdecimal() for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))


def united(each: Sequence[Collection[str]]) -> tuple[str, ...]:
    """The labels of all clients together.

    Raises BadInput where there are not two, and where a client has several labels of which no
    other client has any: most likely the same things under other names.
    """
    names = frozenset().union(*each)
    if "" in names or len(names) < 2:
        found = ", ".join(map(repr, sorted(names)))
        raise BadInput(
            f"task.client_files: the labels of all clients together are {found}; a classification "
            f"needs two labels or more, none of them empty"
        )
    for client, own in enumerate(each):
        others = frozenset().union(*(other for other in each if other is not own))
        if len(own) > 1 and others and others.isdisjoint(own):
            raise BadInput(
                f"task.client_files: client {client} has the labels {', '.join(sorted(own))}, the "
                f"others {', '.join(sorted(others))}, and none in common; give the same things "
                f"the same names, or name all labels in task.labels"
            )
    return in_order(names)


def numbers(table: Table, column: str) -> list[float]:
    """The labels of a regression."""
    return [
        _number(text, table.where(row))
        for row, text in enumerate(table.column(column, "task.label"))
    ]


def _number(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if value - value != 0:  # not finite
        raise BadInput(
            f"{where}: label {text!r} is no number; mend the line, or use task.name "
            "= 'classification' for labels in words"
        )
    return value
