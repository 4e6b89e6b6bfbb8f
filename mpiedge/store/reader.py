"""From stored records to an example's values."""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from mpiedge.store.checksum import Bytes
from mpiedge.store.codec import codec
from mpiedge.store.damaged import Damaged
from mpiedge.store.fetch import Fetch
from mpiedge.store.index import Entry, Index
from mpiedge.store.layout import Counts, Layout


class Target(NamedTuple):
    """Where the values of some neighbouring layers of an example go."""

    layers: range
    out: Tensor  # [layers, tokens, width] float32, a view or not


class Reader:
    """Reads examples into tensors; for one thread at a time."""

    def __init__(self, layout: Layout, index: Index) -> None:
        self._layout, self._index = layout, index
        self._codec = codec(layout)
        self._fetch = Fetch(layout.row_bytes())

    def counts(self, examples: Sequence[int], layers: range) -> list[Counts]:
        """The tokens of examples; raises Damaged where not all of the layers are here."""
        found = [self._index.choose(example, layers) for example in examples]
        gone = [one for one, entries in zip(examples, found, strict=True) if entries is None]
        if gone:
            raise Damaged(gone)
        return [_counts(entries or ()) for entries in found]

    def load(self, examples: Sequence[int], targets: Sequence[Sequence[Target]]) -> None:
        """Fill the targets of each example; raises Damaged, then no value of them may be used."""
        pairs = zip(examples, targets, strict=True)
        bad = [example for example, wanted in pairs if not self._load(example, wanted)]
        if bad:
            raise Damaged(bad)

    def _load(self, example: int, targets: Sequence[Target]) -> bool:
        layers = range(targets[0].layers.start, targets[-1].layers.stop)
        for entry in self._index.choose(example, layers) or ():
            rows = self._fetch.rows(entry)
            if rows is None:
                return False
            self._decode(entry, rows, targets)
        return True

    def _decode(self, entry: Entry, rows: Bytes, targets: Sequence[Target]) -> None:
        label, at = entry.record.label, 0
        for layers, tokens in self._layout.stacks(label.layers, label.counts):
            for target in targets:
                common = _common(layers, target.layers)
                first = at + (common.start - layers.start) * tokens
                out = target.out[common.start - target.layers.start :][: len(common)]
                if out.numel():
                    self._codec.read(rows[first : first + len(common) * tokens], out)
            at += len(layers) * tokens


def _counts(entries: Sequence[Entry]) -> Counts:
    """The tokens of an example, of which each record may have only one kind."""
    counts = [entry.record.label.counts for entry in entries]
    return Counts(max(one.source for one in counts), max(one.target for one in counts))


def _common(first: range, second: range) -> range:
    start = max(first.start, second.start)
    return range(start, max(start, min(first.stop, second.stop)))
