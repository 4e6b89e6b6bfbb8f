"""Which record of which segment has an example's layers."""

import threading
from collections.abc import Iterable
from typing import NamedTuple

from mpiedge.store.record import Record
from mpiedge.store.segment import Segment


class Entry(NamedTuple):
    """A record: its segment, and its number there."""

    segment: Segment
    number: int

    @property
    def record(self) -> Record:
        """The record itself."""
        return self.segment.records[self.number]


class Index:
    """The live records of a cache, by example; may be used by several threads."""

    def __init__(self) -> None:
        self._entries: dict[int, tuple[Entry, ...]] = {}  # the newest last
        self._lock = threading.Lock()

    def add(self, entries: Iterable[Entry]) -> None:
        """Take up records."""
        with self._lock:
            for entry in entries:
                example = entry.record.label.example
                self._entries[example] = (*self._entries.get(example, ()), entry)

    def remove(self, examples: Iterable[int]) -> list[Entry]:
        """Forget all records of some examples, and return them."""
        with self._lock:
            return [one for example in examples for one in self._entries.pop(example, ())]

    def forget(self, entries: Iterable[Entry]) -> None:
        """Forget some records."""
        with self._lock:
            for entry in entries:
                example = entry.record.label.example
                left = tuple(one for one in self._entries[example] if one != entry)
                self._entries[example] = left

    def of(self, example: int) -> tuple[Entry, ...]:
        """All records of an example."""
        return self._entries.get(example, ())

    def runs(self) -> dict[range, list[int]]:
        """The runs of layers that are stored, and the examples of each, in ascending order."""
        with self._lock:
            several = sorted(self._entries.items())
        found: dict[range, list[int]] = {}
        for example, entries in several:
            for layers in dict.fromkeys(one.record.label.layers for one in entries):
                found.setdefault(layers, []).append(example)
        return found

    def choose(self, example: int, layers: range) -> list[Entry] | None:
        """Records that together have these layers of an example; None if there are none such."""
        wanted, chosen = bits(layers), []
        for entry in reversed(self.of(example)):
            if wanted & bits(entry.record.label.layers):
                chosen.append(entry)
                wanted &= ~bits(entry.record.label.layers)
        return None if wanted else chosen

    def complete(self, layers: range) -> list[int]:
        """The examples of which all of these layers are here, in ascending order."""
        with self._lock:
            examples = sorted(self._entries)
        return [one for one in examples if self.choose(one, layers) is not None]


def entries(segment: Segment) -> list[Entry]:
    """All records of a segment."""
    return [Entry(segment, number) for number in range(len(segment.records))]


def bits(layers: range) -> int:
    """A set of neighbouring layers as the bits of a number."""
    return (1 << layers.stop) - (1 << layers.start) if len(layers) else 0
