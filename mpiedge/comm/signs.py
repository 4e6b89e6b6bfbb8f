"""Signs of life: who still moves, and so how long a wait may last.

A rank that waits is not lost while whoever it waits for computes, however slowly, nor while that
one waits for a third that computes.  So each rank tells the others now and then whether it
computes or for whom it waits and how long nothing moved there, and a wait ends with ``RankLost``
once nobody it depends on has shown progress for ``timeout`` seconds.  A silent rank (killed,
frozen, cut off) and a circle of ranks that wait for one another both come to that.
"""

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from mpiedge.errors import RankLost


class Sign(NamedTuple):
    """What is known of a rank."""

    heard: float  # when it last spoke, by our clock; infinity: it is known to live
    moved: float  # when its work last moved; infinity: it computes
    awaited: tuple[int, ...] = ()  # for whom it waits; nobody while it computes


COMPUTING = Sign(math.inf, math.inf)


def newest_progress(signs: Sequence[Sign], rank: int) -> float:
    """When anything last moved that the wait of ``rank`` depends on; its laggard decides."""
    return _newest(signs, rank, {})


def _newest(signs: Sequence[Sign], rank: int, known: dict[int, float | None]) -> float:
    known[rank] = None  # being looked at: a circle of waits adds no progress
    depends = []
    for other in signs[rank].awaited:
        if other not in known:
            _newest(signs, other, known)
        moved = known[other]
        if moved is not None:
            depends.append(moved)
    newest = max(signs[rank].moved, min(depends, default=-math.inf))
    known[rank] = newest
    return newest


class Watch:
    """What one rank knows of the others, and the wait it is in itself.

    ``signs`` has an entry for each rank.  Ranks that are threads share one list; ranks that are
    processes fill in their own from the others' signs.  One thread of a rank waits at a time.
    """

    def __init__(self, rank: int, hosts: Sequence[str], timeout: float, signs: list[Sign]) -> None:
        self._rank, self._hosts, self._timeout, self._signs = rank, hosts, timeout, signs
        self._what: object = None
        self.waits = False
        self._next_look = 0.0
        signs[rank] = COMPUTING

    def heard(self, rank: int, age: float | None, awaited: tuple[int, ...]) -> None:
        """``rank`` says that it computes, or that nothing it waits for moved for ``age`` s."""
        now = time.monotonic()
        self._signs[rank] = Sign(now, now - (age or 0.0), awaited)

    def moved(self, rank: int) -> None:
        """Data came from ``rank``, or reached it."""
        now = time.monotonic()
        self._signs[rank] = Sign(now, now, self._signs[rank].awaited)
        own = self._signs[self._rank]
        if rank in own.awaited:
            self._signs[self._rank] = own._replace(moved=now)

    def own(self) -> tuple[float | None, tuple[int, ...]]:
        """What this rank has to say of itself: as ``heard`` takes it."""
        sign = self._signs[self._rank]
        age = time.monotonic() - sign.moved
        return (None if math.isinf(age) else age), sign.awaited

    @contextmanager
    def waiting(self, awaited: Sequence[int], what: object) -> Iterator[None]:
        """This rank waits for all of ``awaited``; ``what`` is named if that is in vain.

        Once lost it stays lost to those who wait for it, so that all of them end together.
        """
        now, others = time.monotonic(), tuple(rank for rank in awaited if rank != self._rank)
        self._what = what
        self._signs[self._rank] = Sign(math.inf, now, others)
        self.waits = True
        try:
            yield
        finally:
            self.waits = False
        self._signs[self._rank] = COMPUTING

    def check(self) -> None:
        """Raise ``RankLost`` if this rank's wait is in vain; cheap enough to call all the time."""
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + min(0.05, self._timeout / 20)
        overdue = self.overdue()
        if overdue > 0 and overdue > self._grace():
            raise RankLost(self.complaint())

    def overdue(self) -> float:
        """Seconds past the deadline of the wait; negative before it or outside a wait."""
        return time.monotonic() - newest_progress(self._signs, self._rank) - self._timeout

    def _grace(self) -> float:
        """Seconds left to another rank, nearer to the fault, to say better what is wrong."""
        late = self._late()
        return 0.0 if self._silent(late) else min(1.0, self._timeout / 4)

    def _late(self) -> int:
        """Whom to name: who is silent, before anybody who is heard of and may wait for that one."""
        awaited = self._signs[self._rank].awaited
        awaited = tuple(filter(self._silent, awaited)) or awaited
        return min(awaited, key=lambda r: newest_progress(self._signs, r), default=self._rank)

    def complaint(self) -> str:
        """Who was waited for, for what, and what is known of it."""
        late = self._late()
        seconds = self._timeout + max(0.0, self.overdue())
        return (
            f"rank {self._rank} of {len(self._signs)} waited {seconds:.3g} s for rank {late} on "
            f"{self._hosts[late]}: {self._what}; {self._excuse(late)}, or raise comm.timeout "
            f"({self._timeout:g})"
        )

    def _silent(self, rank: int) -> bool:
        return time.monotonic() - self._signs[rank].heard > self._timeout / 2

    def _excuse(self, late: int) -> str:
        if self._silent(late):
            return "it is silent (killed, frozen or cut off)"
        awaited = self._signs[late].awaited
        # Who reads this knows already that this rank waits; the others are the news.
        others = [rank for rank in awaited if rank != self._rank] or awaited
        if others:
            return f"it waits itself, for {', '.join(map(self._named, others))}"
        return "it lives but has nothing to say"

    def _named(self, rank: int) -> str:
        return f"rank {rank}" + (" (silent)" if self._silent(rank) else "")
