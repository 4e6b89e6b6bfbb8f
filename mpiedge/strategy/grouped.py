"""The fastest plan of replicated stages: groupings that equations find, then played through.

PAC's equations take the last stage to be the one that is always busy, and a stage to wait for every
update; what they find fastest need not be.  So of what they find for any order of the ranks, number
of stages and size of micro-batches, the one is taken that ends first when it is played.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from math import inf
from typing import NamedTuple

from mpiedge.plan.ahead import moving
from mpiedge.plan.bound import at_least
from mpiedge.plan.grouping import Group, Grouping, Problem, all_reduce
from mpiedge.plan.hybrid import Size
from mpiedge.plan.partition import PartitionPlan, Stage
from mpiedge.plan.schedule import makespan, simulate
from mpiedge.strategy.portions import apportion, deal
from mpiedge.strategy.strategy import Work

_PLAYED = 40  # groupings, at most, that are played through
_BATCHES = 3  # of a plan in which a stage works ahead
_PASSES = 100_000  # forward passes in all of these, but for the last one

Beside = Callable[[PartitionPlan], float]
"""Seconds that a plan takes for a batch beside training by it."""


class Laid(NamedTuple):
    """A plan, and the seconds that a batch takes under it, the sum of its gradients included."""

    plan: PartitionPlan
    seconds: float
    groups: tuple[Group, ...]


def fastest(
    work: Work,
    problem: Problem,
    found: Sequence[Grouping],
    shares: Sequence[float],
    beside: Beside | None = None,
) -> Laid:
    """Of groupings ``found`` the one whose batch, and what is beside it, takes least.

    ``shares`` are each rank's part of a batch; none: as in the grouping.
    """

    @cache
    def planned(one: Grouping) -> PartitionPlan:
        return plan_of(work, one.groups, shares)

    more = {one: beside(planned(one)) if beside else 0.0 for one in found}
    bounds = {one: work.micro_batches * bound(problem, one) + more[one] for one in found}
    laid, best, passes = dict[PartitionPlan, Laid](), inf, 0
    chosen: Laid | None = None
    for one in sorted(found, key=bounds.__getitem__):
        if len(laid) == _PLAYED or passes > _PASSES or bounds[one] >= best:
            break
        plan = planned(one)
        passes += work.micro_batches * len(one.groups)
        if plan in laid:
            continue
        seconds = played(problem, plan, one.groups, best - more[one])
        laid[plan] = Laid(plan, seconds, one.groups)
        if chosen is None or seconds + more[one] < best:
            chosen, best = laid[plan], seconds + more[one]
    assert chosen is not None, "there is no grouping"
    return chosen


def plan_of(work: Work, groups: Sequence[Group], shares: Sequence[float]) -> PartitionPlan:
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


def played(
    problem: Problem, plan: PartitionPlan, groups: Sequence[Group], limit: float = inf
) -> float:
    """Seconds of a batch, the sum of its gradients included; infinite for ``limit`` or more."""
    summing = max(all_reduce(problem, group) for group in groups)
    if groups[0].layers.stop > problem.lowest:
        return makespan(plan, problem.cost, limit=limit - summing) + summing
    return simulate(plan, problem.cost, batches=_BATCHES).lasting() + summing


def sizes(work: Work) -> tuple[Size, ...]:
    """Into how many parts the planner may think a batch's micro-batches gathered."""
    halvings = range(work.micro_batches.bit_length())
    counts = [1 << n for n in halvings if 1 << n <= 2 * len(work.ranks)]
    rows = {-(-work.micro_batches // count): count for count in reversed(counts)}
    return tuple(rows.items())


def bound(problem: Problem, one: Grouping) -> float:
    """Seconds that a row takes at least, without what stages do ahead."""
    sized = replace(problem, rows=one.rows, micro_batches=one.micro_batches)
    return at_least(sized, moving(sized, one))


def _ranks(work: Work, group: Group, shares: Sequence[float]) -> list[int]:
    """The rank of a group that each micro-batch takes."""
    parts = [shares[rank] for rank in group.ranks] if shares else group.shares
    return [group.ranks[i] for i in deal(apportion(work.micro_batches, parts))]
