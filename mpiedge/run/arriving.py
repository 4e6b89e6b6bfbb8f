"""Where the rows of a server's micro-batch come from: from devices, or from what was kept.

Either way some examples may not come: those of a device that has left.
"""

from collections.abc import Callable, Iterator
from typing import Protocol

from torch import Tensor

from mpiedge.pipeline.smashed import padded
from mpiedge.run.intake import Intake
from mpiedge.run.uplink import Uplink
from mpiedge.store.prefetch import Replay
from mpiedge.task.sampler import Batch


class Rows(Protocol):
    """What enters the trained layers, a micro-batch after the other."""

    def bring(self, numbers: Batch) -> Batch:
        """Get some examples; those of them that come."""

    def placed(self, mask: Tensor) -> Tensor:
        """The rows of what was brought last, padded as ``mask`` [rows, longest] says."""

    def gone(self, number: int) -> bool:
        """Whether an example that was not brought yet will never come."""


class Arriving:
    """Rows that devices make; ``home`` is the rank of an example."""

    def __init__(self, uplink: Uplink, intake: Intake, home: Callable[[int], int]) -> None:
        self._uplink, self._intake, self._home = uplink, intake, home
        self._rows: list[Tensor] = []

    def bring(self, numbers: Batch) -> Batch:
        """Fetch them, and take those that are there."""
        for number in numbers:
            self._uplink.fetch(number)
        there = tuple(number for number in numbers if self._intake.waits(number))
        self._rows = self._intake.take(there)
        return there

    def placed(self, mask: Tensor) -> Tensor:
        """The rows that were taken."""
        return padded(self._rows, mask)

    def gone(self, number: int) -> bool:
        """Whether its device has left before sending it."""
        left = self._home(number) in self._intake.left
        return left and not self._intake.waits(number)


class Replayed:
    """Rows that were kept; ``replays`` are read ahead in the order of the micro-batches."""

    def __init__(self, replays: Iterator[Replay], intake: Intake) -> None:
        self._replays, self._intake = replays, intake
        self._replay: Replay | None = None

    def bring(self, numbers: Batch) -> Batch:
        """The next replay, which is of those that were ever sent."""
        there = sent(self._intake, numbers)
        self._replay = next(self._replays) if there else None
        return there

    def placed(self, mask: Tensor) -> Tensor:
        """The rows of the replay."""
        assert self._replay is not None
        return self._replay.padded(self._replay.layers.start, mask)

    def gone(self, number: int) -> bool:
        """Whether it was never sent."""
        return number not in self._intake.answers


def sent(intake: Intake, numbers: Batch) -> Batch:
    """Those of some examples that were ever sent."""
    return tuple(number for number in numbers if number in intake.answers)
