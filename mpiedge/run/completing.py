"""What has to be true of the caches before they are replayed.

Everything is stored somewhere, and each rank has all layers of the examples that are its own.
"""

import time
from typing import NamedTuple

from torch import Tensor

from mpiedge.comm.values import agree, gather
from mpiedge.pipeline.engine import Portion
from mpiedge.plan.schedule import simulate
from mpiedge.run.backbones import backbones, evaluation_visits
from mpiedge.run.caching import SplitCache, missing, settle
from mpiedge.run.evaluation import laid, portions
from mpiedge.run.first_values import first_values
from mpiedge.run.phases import Entered, begin
from mpiedge.run.preparing import Prepared
from mpiedge.strategy.strategy import Phase, Source


class Completed(NamedTuple):
    """What it took to complete a run's caches."""

    before: Entered | None  # the recording phase, if any rank is still in it
    recorded: int  # examples that had to be recorded for it alone
    moved: int  # bytes, over all ranks
    seconds: float


def complete(run: Prepared, before: Entered | None, replaying: Phase) -> Completed:
    """Record what is missing, and bring everything to its owner; called by all."""
    start, recorded, moved = time.monotonic(), 0, 0
    assert run.caches is not None
    for one in run.caches.splits:
        lost = tuple(missing(run.opened, one).tolist())
        if lost:
            before = before or _recording(run)
            _record(run, before, one, lost)
            recorded += len(lost)
        moved += settle(run.opened, one, replaying.plan)
    total = sum(agree(run.opened.transport, gather(run.opened.transport, moved)))
    return Completed(before, recorded, total, time.monotonic() - start)


def _recording(run: Prepared) -> Entered:
    """The recording phase, entered though it trains nothing."""
    phase = run.phases[0]
    return begin(run.opened, phase, run.clock.steps, first_values(run.opened, phase.plan))


def _record(run: Prepared, at: Entered, one: SplitCache, lost: tuple[int, ...]) -> None:
    """Take some examples through the model, forward only."""
    opened, rank = run.opened, run.opened.transport.rank
    size = opened.settings.training.micro_batch_size
    lengths = [one.survey.lengths[number] for number in lost]
    parts = tuple(tuple(lost[i] for i in part) for part in portions(lengths, size))
    split = run.examples.train if one.split == "train" else run.examples.validation
    passing = laid(opened, at.phase.plan, split, parts)
    visits = evaluation_visits(passing, rank)
    actions = simulate(passing.plan, batches=passing.batches).schedule.get(rank, ())
    with backbones(opened, Source.RECORD, one, visits, split) as kept:
        at.engine.run(Portion(passing.plan, actions, 0, passing.source, kept), _Nobody())


class _Nobody:
    """A monitor for work whose results do not matter."""

    def result(self, number: int, value: Tensor) -> None:
        return

    def acted(self) -> None:
        return
