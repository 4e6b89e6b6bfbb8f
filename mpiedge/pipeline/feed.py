"""Examples as micro-batches: what a route's first rank puts into the model."""

from collections.abc import Callable, Sequence

from torch import Tensor

from mpiedge.pipeline.portion import MicroBatch
from mpiedge.task.sampler import (
    Portions,
    column_batches,
    columns,
    epoch_batches,
    micro_batches,
)
from mpiedge.task.task import Encoded, Inputs, Task


class Order:
    """Which examples make up batch ``k`` of the run, epoch after epoch."""

    def __init__(self, size: int, epoch_batches: Callable[[int], list[Portions]]) -> None:
        self._size, self._make = size, epoch_batches  # batches of an epoch; epoch -> its batches
        self._epoch, self._batches = -1, list[Portions]()

    def batch(self, number: int) -> Portions:
        """Batch ``number`` of the run as micro-batches."""
        epoch, index = divmod(number, self._size)
        if epoch != self._epoch:
            self._batches, self._epoch = self._make(epoch), epoch
        return self._batches[index]


def shuffled(lengths: Sequence[int], batch_size: int, count: int, seed: int) -> Order:
    """Batches of ``count`` micro-batches, made up anew in every epoch."""

    def epoch(number: int) -> list[Portions]:
        batches = epoch_batches(lengths, batch_size, seed, number)
        return [micro_batches(batch, count) for batch in batches]

    return Order(-(-len(lengths) // batch_size), epoch)


def dealt(lengths: Sequence[int], batch_size: int, count: int, seed: int) -> Order:
    """Batches in which an example is always of the same micro-batch: its column's."""
    size = min(batch_size, len(lengths))

    def epoch(number: int) -> list[Portions]:
        fixed = columns(len(lengths), size, count, seed)
        return column_batches(fixed, lengths, size, seed, number)

    return Order(-(-len(lengths) // batch_size), epoch)


class Feed:
    """Makes micro-batches out of examples.

    A batch too short to fill all its micro-batches still has all of them, so that one schedule
    serves every batch: an empty one stands in with some example that counts nothing.
    """

    def __init__(self, task: Task, examples: Sequence[Encoded], bridge: int | None) -> None:
        self._task, self._examples, self._bridge = task, examples, bridge

    def micro_batch(self, batch: Portions, index: int) -> MicroBatch:
        """Micro-batch ``index`` of ``batch``; its loss counts towards the mean over the batch."""
        rows = [self._examples[i] for i in batch[index]]
        if not rows:
            return self._ready(self._examples[:1], scale=0.0)
        units = sum(self._task.units(self._examples[i]) for part in batch for i in part)
        return self._ready(rows, scale=1.0 / max(1, units))

    def _ready(self, rows: Sequence[Encoded], scale: float) -> MicroBatch:
        inputs = self._task.collate(rows)
        return MicroBatch(inputs.mask, entries_of(inputs, self._bridge), inputs.labels, scale)


def entries_of(inputs: Inputs, bridge: int | None) -> dict[int, tuple[Tensor, ...]]:
    """What layers take from outside: tokens at the embedding, decoder tokens at the bridge."""
    entries: dict[int, tuple[Tensor, ...]] = {0: (inputs.tokens, inputs.types)}
    if bridge is not None:
        entries[bridge] = (inputs.decoder_tokens,)
    return entries
