"""PAC: record the frozen model's activations in a hybrid pipeline, then train from them.

    recording, stages on ranks 0 1 | 2      replaying
    micro-batch 0   0 -> 2                  0   0
                1   1 -> 2                  1   1
                2   0 -> 2                  2   0
                3   1 -> 2                  3   2

While recording, every stage is replicated over a group of ranks, and each micro-batch takes one
rank of every group.  While replaying each rank has all layers of the side network, and a
micro-batch's examples stay, as far as they can, on a rank that recorded part of them.
"""

from contextlib import suppress
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from mpiedge.errors import BadInput
from mpiedge.plan.ahead import ahead
from mpiedge.plan.balance import check_memory
from mpiedge.plan.grouping import Group, Problem
from mpiedge.plan.hybrid import groupings
from mpiedge.plan.partition import PartitionPlan, Stage
from mpiedge.plan.shares import Floats
from mpiedge.strategy.beforehand import Ahead, beforehand
from mpiedge.strategy.given import check_enough, given_groups, given_stages, shares_of
from mpiedge.strategy.grouped import Laid, fastest, played, sizes
from mpiedge.strategy.portions import apportion, turns
from mpiedge.strategy.settings import StrategySettings
from mpiedge.strategy.strategy import Phase, Source, Work

_WORTH = 0.9
"""What recording beforehand has to take of the published way's time to be taken instead of it."""


class Usual(NamedTuple):
    """The published way: trained while it is recorded, then data-parallel."""

    phases: tuple[Phase, ...]
    seconds: float  # of the whole run
    memory: int  # bytes that the fullest device needs


def pac(settings: StrategySettings, work: Work) -> tuple[Phase, ...]:
    """RECORD for the first epoch, REPLAY for the others; COMPUTE when there are no others.

    All of the run is replayed when everything is recorded already, or is recorded before the first
    update because that is expected to be faster (``beforehand``).  Where the activations are wanted
    after the run, a single epoch records too.
    """
    epoch = 0 if work.recorded else min(work.epoch or work.batches, work.batches)
    if epoch == work.batches:
        source = Source.RECORD if work.keep else Source.COMPUTE
        return (Phase(recording(settings, work).plan, epoch, source=source),)
    given = bool(settings.groups or settings.layers) or len(work.ranks) == 1
    if settings.record == "first-epoch" or settings.record == "auto" and given:
        return _usual(settings, work, epoch).phases
    if settings.record == "auto" and settings.goal == "time" and not work.cost.links:
        # Nothing tells which would be faster: the published way, where it fits.
        with suppress(BadInput):
            return _usual(settings, work, epoch).phases
    ahead_of_it = beforehand(settings, work, epoch)
    if ahead_of_it is None or settings.record == "auto":
        try:
            usual = _usual(settings, work, epoch)
        except BadInput:
            if ahead_of_it is None:
                raise
        else:
            if ahead_of_it is None or not _better(settings, work, ahead_of_it, usual):
                return usual.phases
    return (
        Phase(ahead_of_it.plan, 0, source=Source.RECORD, beforehand=epoch),
        Phase(ahead_of_it.plan, work.batches, source=Source.REPLAY),
    )


def _better(settings: StrategySettings, work: Work, one: Ahead, usual: Usual) -> bool:
    """Recording beforehand, by the goal."""
    if settings.goal == "memory":
        return one.memory < usual.memory
    return one.seconds < _WORTH * usual.seconds


def _usual(settings: StrategySettings, work: Work, epoch: int) -> Usual:
    check_enough(work)
    first = recording(settings, work)
    whole = replaying(settings, work, first.plan)
    phases = (
        Phase(first.plan, epoch, source=Source.RECORD),
        Phase(whole, work.batches - epoch, source=Source.REPLAY),
    )
    replays = work.cost.replaying()
    problem = Problem(replays, work.trainable, work.micro_batches, 1, together=False)
    shares = [whole.assignment.count(rank) for rank in work.ranks]
    group = Group(tuple(work.ranks), work.layers, tuple(shares))
    seconds = (work.batches - epoch) * played(problem, whole, [group])
    if epoch:
        seconds += epoch * (first.seconds + _moving(work, first.plan, whole))
    return Usual(phases, seconds, _fullest(work, first, group))


def _moving(work: Work, recorded: PartitionPlan, whole: PartitionPlan) -> float:
    """Seconds of a batch in which what was recorded goes to who replays it, all links at once."""
    kept, sizes = _kept(recorded, work), [one.boundary for one in work.cost.recording().layers[:-1]]
    there = sum(kept[m, whole.assignment[m]] for m in range(work.micro_batches))
    away = work.micro_batches - there / max(1, len(sizes))
    return float(away * sum(sizes) / len(work.ranks) / work.cost.link.bandwidth)


def _fullest(work: Work, first: Laid, whole: Group) -> int:
    """The most bytes that a device needs, while it records and trains or afterwards."""
    lowest, last = min(work.trainable, default=len(work.layers)), len(first.groups)
    recording = (
        work.cost.memory(
            Stage(group.ranks[0], group.layers, work.trainable & frozenset(group.layers)),
            lowest in group.layers,
            min(work.micro_batches, last - place),
        )
        for place, group in enumerate(first.groups)
    )
    after = work.cost.replaying().memory(Stage(0, whole.layers, work.trainable), True, 1)
    return max(*recording, after)


def recording(settings: StrategySettings, work: Work) -> Laid:
    """Replicated stages, as the run file gives them or as planned."""
    shares = shares_of(settings, work) if settings.shares else []
    problem = Problem(
        work.cost,
        work.trainable,
        rows=work.micro_batches,
        micro_batches=1,
        together=False,
        bridge=None if settings.mixed else work.bridge,
        groups=given_groups(settings, work),
        parts=given_stages(settings, work),
    )
    found = groupings(problem, sizes(work)) + ahead(problem, sizes(work))
    return fastest(work, problem, found, shares)


def replaying(settings: StrategySettings, work: Work, recorded: PartitionPlan) -> PartitionPlan:
    """Every rank with all layers and a share of the micro-batches, by speed.

    As many recorded layers as can be stay where they are; then, a rank's micro-batches are spread
    over the batch, since neighbours hold examples of like length.
    """
    routes = tuple((Stage(rank, work.layers, work.trainable),) for rank in work.ranks)
    replays = work.cost.replaying()
    for (stage,) in routes:
        check_memory(replays, stage, "the side network with its head")
    due = turns(apportion(work.micro_batches, shares_of(settings, work)))
    count = work.micro_batches
    middles = (np.arange(count) + 0.5) / count
    away = middles[:, None] - np.array([time for time, _ in due])
    moved = _spread(away, count) - _kept(recorded, work)[:, [rank for _, rank in due]]
    _, chosen = linear_sum_assignment(moved)
    assignment = tuple(due[turn][1] for turn in chosen)
    return PartitionPlan(routes, assignment, work.joint_update)


def _kept(recorded: PartitionPlan, work: Work) -> Floats:
    """How many layers of a micro-batch a rank recorded [micro-batch, rank]; the head keeps none."""
    kept, head = np.zeros((len(recorded.routes), len(work.ranks))), work.layers.stop - 1
    for route, ranks in zip(recorded.routes, kept, strict=True):
        for stage in route:
            ranks[stage.rank] += len(stage.layers) - (head in stage.layers)
    return kept[
        [recorded.assignment[m % len(recorded.assignment)] for m in range(work.micro_batches)]
    ]


def _spread(away: Floats, count: int) -> Floats:
    """What a micro-batch away from its place costs: all of them less than one layer moved."""
    cost: Floats = 0.9 * away * away / count
    return cost
