"""What has come from devices and was not used yet, example by example.

Devices make their examples in the order in which they are needed, so that little waits here also
where a whole epoch is shuffled over all of them (our design).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from torch import Tensor

from mpiedge.pipeline.smashed import Smashed, padded
from mpiedge.run.kept import Kept
from mpiedge.store.prefetch import Replay
from mpiedge.task.sampler import Batch
from mpiedge.task.task import Encoded, Task


class Intake:
    """Rows that wait for their turn, and the labels of all examples that ever came.

    With ``kept``, what has come is stored as well, as what left layer ``layer``.
    """

    def __init__(self, task: Task, layer: int, kept: Kept | None) -> None:
        self._task, self._layer, self._kept = task, layer, kept
        self._rows: dict[int, Tensor] = {}
        self._answers: dict[int, Encoded] = {}
        self.left: set[int] = set()
        """Ranks from which nothing comes any more."""

    @property
    def answers(self) -> Mapping[int, Encoded]:
        """What is asked of each example, by number."""
        return self._answers

    def waits(self, number: int) -> bool:
        """Whether an example is here."""
        return number in self._rows

    def add(self, smashed: Smashed, record: bool) -> None:
        """Take in some examples, and ``record`` them."""
        rows = smashed.rows()
        self._rows.update(zip(smashed.numbers, rows, strict=True))
        self._answers.update(zip(smashed.numbers, smashed.answers, strict=True))
        if record and self._kept is not None:
            mask = self._task.collate(smashed.answers).mask
            layers = range(self._layer, self._layer + 1)
            self._kept.cache.put(smashed.numbers, layers, [padded(rows, mask)], [mask])

    def take(self, numbers: Batch) -> list[Tensor]:
        """The rows [tokens, width] of some examples, which then wait no more."""
        return [self._rows.pop(number) for number in numbers]

    def finish(self) -> None:
        """Wait until all that was recorded is on the disk."""
        if self._kept is not None:
            self._kept.cache.finish()

    @contextmanager
    def replayed(self, orders: Sequence[Batch], left: bool) -> Iterator[Iterator[Replay]]:
        """What was recorded of batches of examples, read ahead in their order."""
        assert self._kept is not None
        with self._kept.replays(orders, range(self._layer, self._layer + 1), left) as replays:
            yield replays
