"""Who goes next: of what all ranks could do first, the action that starts first.

A rank is asked again only when something has happened to it.
"""

from collections.abc import Iterable
from heapq import heappop, heappush

from mpiedge.plan.places import Place, Slot
from mpiedge.plan.queues import Gate, Queue, Start


class Board:
    """The queues of all ranks."""

    def __init__(self, places: Iterable[Place]) -> None:
        self._queues: dict[int, Queue] = {}
        self._gates: dict[Slot, Gate] = {}
        self._firsts: dict[int, Start] = {}
        self._heap: list[tuple[Start, int]] = []
        self._stirred: set[int] = set()  # ranks to which something has happened
        for place in places:
            if place.slot not in self._gates:
                gate = self._gates[place.slot] = Gate(place.window)
                self._queues.setdefault(place.slot.rank, Queue()).gates.append(gate)

    def arrive(self, slot: Slot, start: Start, before: int) -> None:
        """Let a forward pass wait, behind the ``before`` passes of the batches before its own."""
        self._gates[slot].arrive(start, before)
        self._stirred.add(slot.rank)

    def leave(self, slot: Slot) -> None:
        """Let a slot go of a micro-batch."""
        self._gates[slot].leave()
        self._stirred.add(slot.rank)

    def add(self, rank: int, start: Start) -> None:
        """Let a backward pass or an update wait."""
        self._queues[rank].line.add(start)
        self._stirred.add(rank)

    def busy(self, rank: int, until: float) -> None:
        """Let a rank be busy until some time."""
        self._queues[rank].free = until
        self._stirred.add(rank)

    def draw(self) -> tuple[Start, int] | None:
        """Take out the action that starts first, and its rank; None when there is nothing left."""
        self._look()
        while self._heap:
            start, rank = heappop(self._heap)
            # Any other was put back when something else came first, and is out of date.
            if self._firsts.get(rank) is start:
                self._queues[rank].pop()
                del self._firsts[rank]
                self._stirred.add(rank)
                return start, rank
        return None

    def _look(self) -> None:
        """Ask the ranks to which something has happened."""
        for rank in self._stirred:
            first = self._queues[rank].first()
            if first is None:
                self._firsts.pop(rank, None)
            elif first != self._firsts.get(rank):
                self._firsts[rank] = first
                heappush(self._heap, (first, rank))
        self._stirred.clear()
