"""How each rank fares at this moment: what it does, what it has done, the memory it takes.

Travels with the signs of life that ranks give anyway, so it costs no message of its own, delays
nothing, and is a second or so old where it is read.
"""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import psutil

from mpiedge.comm.ledger import Ledger, total
from mpiedge.comm.signs import Sign

SILENT = 10.0  # seconds without a word after which a rank is called silent


class Reading(NamedTuple):
    """What a rank says of itself; whole numbers, as they travel."""

    at: int  # microseconds by a clock of its own
    examples: int  # that passed through its layers so far, to train on or to evaluate
    memory: int  # bytes in use now
    sent: int  # bytes so far
    received: int  # bytes so far


class State(NamedTuple):
    """What a rank does."""

    awaited: tuple[int, ...]  # for whom it waits; nobody: it computes
    silent: float  # seconds since it was heard of, where that is long; else 0

    def __str__(self) -> str:
        if self.silent:
            return f"silent for {self.silent:.0f} s"
        if not self.awaited:
            return "computes"
        first, *more = self.awaited
        return f"waits for rank {first}" + (f" and {len(more)} more" if more else "")


class Telemetry:
    """The readings of all ranks, as one of them knows them.

    ``told`` gives another rank's last reading, or None while there is none.  ``signs`` are those
    of the transport's watch.
    """

    def __init__(
        self,
        rank: int,
        ledger: Ledger,
        signs: Sequence[Sign],
        told: Callable[[int], Reading | None],
    ) -> None:
        self._rank, self._ledger, self._signs, self._told = rank, ledger, signs, told
        self._process = psutil.Process()
        self.examples = 0
        """Examples that passed through this rank's layers; whoever computes them adds to it."""

    def mine(self) -> Reading:
        """This rank's reading now."""
        return Reading(
            at=int(1e6 * time.monotonic()),
            examples=self.examples,
            memory=self._process.memory_info().rss,
            sent=total(self._ledger.sent()).bytes,
            received=total(self._ledger.received()).bytes,
        )

    def reading(self, rank: int) -> Reading | None:
        """The last reading of a rank."""
        return self.mine() if rank == self._rank else self._told(rank)

    def state(self, rank: int) -> State:
        """What a rank does, as far as is known."""
        sign = self._signs[rank]
        quiet = 0.0 if rank == self._rank else time.monotonic() - sign.heard
        return State(sign.awaited, quiet if quiet > SILENT else 0.0)
