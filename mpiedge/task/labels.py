"""From the label in a file to its id.

An official label set is given by names, and files carry either the name or the id; labels that
were collected from a file are exactly what the file says, so there an id is no label.
"""

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
    if all(name.isdecimal() for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))


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
