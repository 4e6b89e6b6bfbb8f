"""Which of its examples a device makes next: those that are needed next, a micro-batch at a time.

    needed     a1 b1 a2 c1 | b2 a3 a4 b3 | ...      batches over all clients
    device a   a1 a2 a3 | a4 ...                    its own of them, in the same order
    device b   b1 b2 b3 | ...

Every rank works it out for itself from the order of all examples.
"""

from collections.abc import Callable
from dataclasses import dataclass

from mpiedge.pipeline.feed import Order
from mpiedge.task.sampler import Batch


@dataclass(frozen=True)
class Deal:
    """Who makes what in which updates."""

    order: Order
    home: Callable[[int], int]  # the rank of an example
    size: int  # rows that are made together

    def parts(self, updates: range) -> dict[int, list[Batch]]:
        """What each rank makes for some updates of one epoch, in this order."""
        needed: dict[int, list[int]] = {}
        for update in updates:
            for number in (n for batch in self.order.batch(update) for n in batch):
                needed.setdefault(self.home(number), []).append(number)
        return {
            rank: [tuple(numbers[i : i + self.size]) for i in range(0, len(numbers), self.size)]
            for rank, numbers in needed.items()
        }
