"""Examples as micro-batches: what a route's first rank puts into the model."""

from collections.abc import Sequence

from torch import Tensor

from mpiedge.pipeline.engine import MicroBatch
from mpiedge.task.sampler import Batch, epoch_batches, micro_batches
from mpiedge.task.task import Encoded, Inputs, Task

Portions = tuple[Batch, ...]
"""One batch, cut into its micro-batches' example numbers."""


class Order:
    """Which examples make up batch ``k`` of the run, epoch after epoch."""

    def __init__(self, lengths: Sequence[int], batch_size: int, count: int, seed: int) -> None:
        self._lengths, self._batch_size = lengths, batch_size
        self._count, self._seed = count, seed  # micro-batches of a batch
        self._epoch, self._batches = -1, list[Batch]()

    def batch(self, number: int) -> Portions:
        """Batch ``number`` of the run as micro-batches."""
        epoch, index = divmod(number, -(-len(self._lengths) // self._batch_size))
        if epoch != self._epoch:
            self._batches = epoch_batches(self._lengths, self._batch_size, self._seed, epoch)
            self._epoch = epoch
        return micro_batches(self._batches[index], self._count)


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
