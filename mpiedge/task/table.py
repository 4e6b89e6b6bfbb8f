"""Rows of text with the line each came from.

Apart from the readers because every format ends here: what is wrong with a row is then said in the
same words, with the line of the file, whatever the file was.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mpiedge.errors import BadInput


@dataclass(frozen=True)
class Table:
    """The rows of one split; a cell may be missing (None) in formats that allow it."""

    source: str  # as the user wrote it
    columns: tuple[str, ...]
    rows: Sequence[tuple[object, ...]]
    lines: Sequence[int]  # line of the file in which each row ends; from 1

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, indices: Sequence[int]) -> "Table":
        """Only the rows with these indices, in their order."""
        rows = [self.rows[i] for i in indices]
        return Table(self.source, self.columns, rows, [self.lines[i] for i in indices])

    def column(self, name: str, setting: str) -> list[str]:
        """The texts of a column that ``setting`` asked for."""
        if name not in self.columns:
            found = ", ".join(self.columns)
            raise BadInput(
                f"{self.source} has no column {name!r}, its columns are {found}; "
                f"name the right one with {setting}"
            )
        place = self.columns.index(name)
        return [self._text(i, place) for i in range(len(self.rows))]

    def where(self, row: int) -> str:
        """A row's place in the words of an error."""
        return f"{self.source}, line {self.lines[row]}"

    def _text(self, row: int, place: int) -> str:
        value = self.rows[row][place]
        if isinstance(value, str):
            return value
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, (int, float)):
            return str(value)
        found = "nothing" if value is None else f"a {type(value).__name__}"
        raise BadInput(
            f"{self.where(row)}: column {self.columns[place]!r} holds {found}; "
            "a text or a number is needed"
        )
