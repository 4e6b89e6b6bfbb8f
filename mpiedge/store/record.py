"""Where a record lies, and how a table of records is stored."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mpiedge.store.layout import Counts

_TABLE = np.dtype(
    [
        ("example", "<i8"),
        ("first", "<i4"),
        ("stop", "<i4"),
        ("source", "<i4"),
        ("target", "<i4"),
        ("dataset", "<i4"),
        ("check", "<u4"),
        ("offset", "<i8"),
        ("length", "<i8"),
    ]
)


class Label(NamedTuple):
    """What a record is of; part of its checksum, so that records cannot be taken for each other."""

    example: int
    first: int  # layer
    stop: int  # layer
    source: int  # tokens; 0 where no layer has the source's
    target: int  # tokens; 0 where no layer has the target's

    @property
    def layers(self) -> range:
        """The run of layers."""
        return range(self.first, self.stop)

    @property
    def counts(self) -> Counts:
        """The example's tokens."""
        return Counts(self.source, self.target)


class Record(NamedTuple):
    """One example in one run of layers, as it is stored."""

    label: Label
    check: int
    dataset: int  # of its segment
    offset: int  # bytes, in the dataset
    length: int  # bytes


def to_table(records: Sequence[Record]) -> NDArray[Any]:
    """Records as rows of a structured array."""
    rows = [(*one.label, one.dataset, one.check, one.offset, one.length) for one in records]
    return np.array(rows, dtype=_TABLE)


def from_table(table: NDArray[Any]) -> list[Record]:
    """The records of a stored table."""
    return [Record(Label(*row[:5]), row[6], row[5], row[7], row[8]) for row in table.tolist()]
