"""Whether a rank became much slower than planned, and what is done about it.

Seconds that ranks computed are collected when a checkpoint has been written, when all meet anyway.
Without a profile of the devices, the first of them in a phase say what each can do.  Then
everything is there to lay the work out anew: the run goes on from that checkpoint as after an
interruption, in the same processes, planned with the speeds that were seen.
"""

from collections.abc import Sequence
from dataclasses import replace

from mpiedge.comm.values import agree, gather
from mpiedge.errors import Stopped
from mpiedge.plan.prediction import predict
from mpiedge.plan.slowness import slowness
from mpiedge.run.journal import Journal
from mpiedge.run.opening import Opened
from mpiedge.run.planning import cost_of
from mpiedge.strategy.epochs import part_of
from mpiedge.strategy.strategy import Phase

MOST = 3  # new plans of a run; what none of them mended, none will

_PART = 0.1  # of the busiest rank's seconds, below which a rank is never called slow


class Slowed(Stopped):
    """All ranks ended what they did at a checkpoint, to go on from it with another plan."""

    def __init__(self, factors: Sequence[float]) -> None:
        super().__init__("a new plan is due", 1)
        self.factors = tuple(factors)
        """How many times slower than planned each rank was."""


class Pace:
    """What this rank computed since the last checkpoint; made and asked by all ranks alike."""

    def __init__(self, opened: Opened, journal: Journal) -> None:
        self._opened, self._journal = opened, journal
        self._seconds, self._updates = 0.0, 0
        self._usual: dict[int, float] = {}
        self._said: set[int] = set()

    def begin(self) -> None:
        """A phase begins: nothing counts that came before."""
        self._seconds, self._updates = 0.0, 0
        self._usual.clear()

    def computed(self, seconds: float, updates: int) -> None:
        """This rank computed so long for so many updates."""
        self._seconds += seconds
        self._updates += updates

    def look(self, phase: Phase, done: int) -> None:
        """Say which ranks are slow, ``done`` updates into the run; called by all.

        Raises Slowed on all of them where a new plan is asked for.  Rounds are left alone, as their
        clients are given what they can do at that time, and so are layers that clients train
        apart: where they are cut decides the result.
        """
        updates = range(done - self._updates, done)
        if not updates or phase.rounds or phase.plan.batch(updates.stop - 1).apart:
            return
        if self._opened.transport.size == 1:
            return
        told = gather(self._opened.transport, self._seconds)
        self._seconds, self._updates = 0.0, 0
        factors = agree(self._opened.transport, told and self._factors(phase, updates, told))
        settings, before = self._opened.settings.checkpoint, self._opened.slowness
        slow = {rank for rank, by in enumerate(factors) if by >= settings.slow}
        anew = settings.replan and self._opened.replanned < MOST
        for rank in sorted(slow if anew else slow - self._said):
            self._say(rank, factors[rank], done, anew)
        self._said = slow
        if slow and anew:
            before = before or (1.0,) * len(factors)
            raise Slowed([a * b for a, b in zip(before, factors, strict=True)])

    def _factors(self, phase: Phase, updates: range, told: list[float]) -> list[float]:
        part = part_of(phase, cost_of(self._opened), updates[-phase.together :])
        planned = {rank: use.busy for rank, use in predict(part).ranks.items()}
        # Speeds that nobody measured are no measure, nor is what devices with examples make at
        # their own pace: what was seen first in the phase is.
        by_first = self._opened.cluster is None or bool(phase.feeders)
        if by_first:
            # An embedding is planned to take no time, and yet its rank is one to compare with.
            least = max(planned.values(), default=0.0) / 1000
            planned = {rank: max(planned.get(rank, 0.0), least) for rank in self._at_work(phase)}
        found = slowness(dict(enumerate(told)), planned)
        if by_first:
            self._usual = self._usual or found
            found = slowness(found, self._usual)
        # Who has next to nothing to do holds nobody up, and its milliseconds vary the most.
        enough = max(told) * _PART
        return [found.get(rank, 1.0) if told[rank] >= enough else 1.0 for rank in range(len(told))]

    def _at_work(self, phase: Phase) -> set[int]:
        return {*phase.plan.ranks, *(stage.rank for stage in phase.feeders)}

    def _say(self, rank: int, by: float, done: int, anew: bool) -> None:
        what = "the work is laid out anew" if anew else "checkpoint.replan = true plans anew"
        name = self._opened.hosts[rank].name
        self._journal.say(
            f"rank {rank} on {name} is {by:.1f} times slower than planned, compared with the "
            f"others, after update {done}: {what}"
        )


def replanned(opened: Opened, slow: Slowed) -> Opened:
    """The run as it is planned from here on."""
    return replace(opened, slowness=slow.factors, replanned=opened.replanned + 1)
