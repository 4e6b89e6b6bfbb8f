"""The losses of a batch, from the ranks where routes end to rank 0, while the work goes on."""

from collections import Counter
from collections.abc import Callable

import torch
from torch import Tensor

from mpiedge.comm.transport import Kind, Tag, Transport
from mpiedge.plan.partition import PartitionPlan


class Losses:
    """A monitor that brings every batch's loss to rank 0 and there hands it to ``heard``.

    ``heard(batch, loss)`` is called in the order of the batches, each as soon as it is known.
    """

    def __init__(
        self,
        transport: Transport,
        plan: PartitionPlan,
        first: int,
        heard: Callable[[int, float], None],
    ) -> None:
        self._transport, self._size, self._next = transport, len(plan.micro_batches), first
        self._plan, self._first, self._heard = plan, first, heard
        self._parts: dict[int, list[Tensor]] = {}
        self._arrived: dict[int, float] = {}  # source -> its part of the next batch's loss

    def result(self, number: int, value: Tensor) -> None:
        """Add a micro-batch's loss; send the batch's once it is complete."""
        batch = number // self._size
        parts = self._parts.setdefault(batch, [])
        parts.append(value.double().cpu())
        if len(parts) == self._ends(batch)[self._transport.rank]:
            total = torch.stack(self._parts.pop(batch)).sum()
            self._transport.send([total], 0, Tag(Kind.LOSS, batch))

    def acted(self) -> None:
        """Take in what has arrived, on rank 0."""
        while self._transport.rank == 0 and self._complete(wait=False):
            pass

    def drain(self, stop: int) -> None:
        """Wait, on rank 0, for the losses of all batches before ``stop``."""
        while self._transport.rank == 0 and self._next < stop:
            self._complete(wait=True)

    def _complete(self, wait: bool) -> bool:
        """Whether the next batch's loss could be handed on."""
        tag, sources = Tag(Kind.LOSS, self._next), sorted(self._ends(self._next))
        for source in sources:
            if source not in self._arrived:
                receive = self._transport.recv if wait else self._transport.poll
                message = receive(source, tag)
                if message is None:
                    return False
                self._arrived[source] = message[0].item()
        self._heard(self._next, sum(self._arrived[source] for source in sources))
        self._arrived.clear()
        self._next += 1
        return True

    def _ends(self, batch: int) -> Counter[int]:
        """How many micro-batches of a batch end on each rank."""
        start = (batch - self._first) * self._size
        return Counter(self._plan.route(start + m)[-1].rank for m in self._plan.micro_batches)
