"""What each rank could do next, the first of it at hand at any time.

A play asks again and again which of thousands of actions starts first.  Actions that wait only
for their rank stand in a *line*; forward passes come to it through a *gate*, which heeds the
window of their slot and the order of batches.  Both are sorted as they are filled.
"""

from heapq import heappop, heappush
from typing import NamedTuple


class Order(NamedTuple):
    """Which of several actions a rank takes first: the smallest."""

    turn: int  # 0: updates; 1, 2: the passes as the policy wants them
    above: int  # minus the stage, or for updates minus the rank: upper stages go first
    number: int  # of the micro-batch or batch


class Start(NamedTuple):
    """When an action could start; of all actions the one with the smallest does."""

    time: float
    order: Order


class Line:
    """Actions that wait for nothing but their time and their rank."""

    def __init__(self) -> None:
        self._coming: list[Start] = []
        self._here: list[Order] = []  # those whose time had come when the rank was asked last

    def add(self, start: Start) -> None:
        """Let an action wait."""
        heappush(self._coming, start)

    def first(self, free: float) -> Start | None:
        """What starts first on a rank that is free from some time on, later each time."""
        coming, here = self._coming, self._here
        while coming and coming[0].time <= free:
            heappush(here, heappop(coming).order)
        if here:
            return Start(free, here[0])
        return coming[0] if coming else None

    def pop(self) -> None:
        """Take out what ``first`` has just named."""
        if self._here:
            heappop(self._here)
        else:
            heappop(self._coming)


class Gate:
    """The forward passes of one slot: no more than its window at a time, batch after batch."""

    def __init__(self, window: float) -> None:
        self._window = window
        self._held = self._taken = 0
        self._line = Line()
        self._early: dict[int, list[Start]] = {}  # by how many have to have gone before

    def arrive(self, start: Start, before: int) -> None:
        """Let a pass wait, behind the ``before`` passes of the batches before its own."""
        if self._taken >= before:
            self._line.add(start)
        else:
            self._early.setdefault(before, []).append(start)

    def first(self, free: float) -> Start | None:
        """What starts first, as for a line; nothing while the window is full."""
        return self._line.first(free) if self._held < self._window else None

    def pop(self) -> None:
        """Take in the pass that ``first`` has just named."""
        self._line.pop()
        self._held += 1
        self._taken += 1
        for start in self._early.pop(self._taken, ()):
            self._line.add(start)

    def leave(self) -> None:
        """Let one that was taken in go."""
        self._held -= 1


class Queue:
    """All that one rank could do next."""

    def __init__(self) -> None:
        self.free = 0.0  # when the rank is
        self.line = Line()  # of backward passes and updates
        self.gates: list[Gate] = []
        self._from: Line | Gate = self.line

    def first(self) -> Start | None:
        """What starts first."""
        first, self._from = self.line.first(self.free), self.line
        for gate in self.gates:
            other = gate.first(self.free)
            if other is not None and (first is None or other < first):
                first, self._from = other, gate
        return first

    def pop(self) -> None:
        """Take out what ``first`` has just named."""
        self._from.pop()
