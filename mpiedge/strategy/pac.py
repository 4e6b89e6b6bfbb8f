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

from collections.abc import Sequence
from dataclasses import replace
from math import inf

import numpy as np
from scipy.optimize import linear_sum_assignment

from mpiedge.plan.ahead import ahead, moving
from mpiedge.plan.balance import check_memory
from mpiedge.plan.bound import at_least
from mpiedge.plan.grouping import Group, Grouping, Problem, all_reduce
from mpiedge.plan.hybrid import Size, groupings
from mpiedge.plan.partition import PartitionPlan, Stage
from mpiedge.plan.schedule import makespan, simulate
from mpiedge.plan.shares import Floats
from mpiedge.strategy.given import check_enough, given_groups, given_stages, shares_of
from mpiedge.strategy.portions import apportion, deal, turns
from mpiedge.strategy.settings import StrategySettings
from mpiedge.strategy.strategy import Phase, Source, Work

_PLAYED = 40  # groupings, at most, that are played through
_BATCHES = 3  # of a plan in which a stage works ahead
_PASSES = 100_000  # forward passes in all of these, but for the last one


def pac(settings: StrategySettings, work: Work) -> tuple[Phase, ...]:
    """RECORD for the first epoch, REPLAY for the others; COMPUTE when there are no others.

    When everything is recorded already, all of the run is replayed.  Where the activations are
    wanted after the run, a single epoch records too.
    """
    epoch = 0 if work.recorded else min(work.epoch or work.batches, work.batches)
    if epoch < work.batches:
        check_enough(work)
    first = recording(settings, work)
    if epoch == work.batches:
        return (Phase(first, epoch, source=Source.RECORD if work.keep else Source.COMPUTE),)
    return (
        Phase(first, epoch, source=Source.RECORD),
        Phase(replaying(settings, work, first), work.batches - epoch, source=Source.REPLAY),
    )


def recording(settings: StrategySettings, work: Work) -> PartitionPlan:
    """Replicated stages, as the run file gives them or as planned.

    Of the groupings that PAC's equations find for any order of the ranks, number of stages and
    size of micro-batches, the one that is fastest when played through.
    """
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
    found = groupings(problem, _sizes(work)) + ahead(problem, _sizes(work))
    bounds = {one: work.micro_batches * _bound(problem, one) for one in found}
    plans, passes = dict[PartitionPlan, float](), 0
    for one in sorted(found, key=bounds.__getitem__):
        best = min(plans.values(), default=inf)
        if len(plans) == _PLAYED or passes > _PASSES or bounds[one] >= best:
            break
        plan = _plan(work, one.groups, shares)
        plans[plan] = plans.get(plan) or _played(problem, plan, one.groups, best)
        passes += work.micro_batches * len(one.groups)
    return min(plans, key=plans.__getitem__)


def _bound(problem: Problem, one: Grouping) -> float:
    """Seconds that a row takes at least, without what stages do ahead."""
    sized = replace(problem, rows=one.rows, micro_batches=one.micro_batches)
    return at_least(sized, moving(sized, one))


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


def _plan(work: Work, groups: Sequence[Group], shares: Sequence[float]) -> PartitionPlan:
    """The routes of all micro-batches through the groups, in proportion to the shares."""
    paths = list(zip(*(_ranks(work, group, shares) for group in groups), strict=True))
    routes = {path: index for index, path in enumerate(dict.fromkeys(paths))}
    stages = {
        rank: Stage(rank, group.layers, work.trainable & frozenset(group.layers))
        for group in groups
        for rank in group.ranks
    }
    return PartitionPlan(
        tuple(tuple(stages[rank] for rank in path) for path in routes),
        tuple(routes[path] for path in paths),
        work.joint_update,
    )


def _ranks(work: Work, group: Group, shares: Sequence[float]) -> list[int]:
    """The rank of a group that each micro-batch takes."""
    parts = [shares[rank] for rank in group.ranks] if shares else group.shares
    return [group.ranks[i] for i in deal(apportion(work.micro_batches, parts))]


def _played(problem: Problem, plan: PartitionPlan, groups: Sequence[Group], limit: float) -> float:
    """Seconds of a batch, the sum of its gradients included; infinite for ``limit`` or more."""
    summing = max(all_reduce(problem, group) for group in groups)
    if groups[0].layers.stop > problem.lowest:
        return makespan(plan, problem.cost, limit=limit - summing) + summing
    return simulate(plan, problem.cost, batches=_BATCHES).lasting() + summing


def _sizes(work: Work) -> tuple[Size, ...]:
    """Into how many parts the planner may think a batch's micro-batches gathered."""
    halvings = range(work.micro_batches.bit_length())
    counts = [1 << n for n in halvings if 1 << n <= 2 * len(work.ranks)]
    rows = {-(-work.micro_batches // count): count for count in reversed(counts)}
    return tuple(rows.items())
