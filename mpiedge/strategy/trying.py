"""Cuts near a balanced one, tried out: the one by which batches are foreseen to be fastest.

A balanced cut has the fastest slowest stage.  What it does not see is what stands between the
stages: a slow link is better crossed where little crosses it, or by having the work on one side of
it.  Nor does it see that a stage that trains nothing works ahead, on batches to come.  Here whole
batches are predicted, with their links (our design).  Where there are few cuts all of them are
tried, else those that come of moving one border by one layer, as long as that helps.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, combinations, pairwise
from math import comb, inf
from typing import TypeVar

from mpiedge.plan.cost import CostModel
from mpiedge.plan.partition import PartitionPlan
from mpiedge.plan.prediction import Part, predict

Sizes = tuple[int, ...]
T = TypeVar("T")

_BATCHES = 3  # in which stages that train nothing run ahead
_PASSES = 1_500  # forward passes in all that is tried, or few more: a tenth of a second
_BETTER = 0.99  # a cut is not left for one that is hardly faster


def fastest(
    sizes: Sequence[int], plan_of: Callable[[Sizes], PartitionPlan], cost: CostModel
) -> Sizes:
    """The best sizes of stages that are found, starting from those of a cut that fits.

    ``plan_of`` makes the plan that a cut of the same layers stands for.
    """
    start = tuple(sizes)
    plan = plan_of(start)
    tries = _PASSES // (_BATCHES * sum(len(plan.route(m)) for m in plan.micro_batches))
    seconds = {start: _seconds(plan, cost)}
    if comb(sum(start) - 1, len(start) - 1) <= tries:
        for each in _every(sum(start), len(start)):
            seconds[each] = _seconds(plan_of(each), cost)
    else:
        seconds = climbed(start, _near, lambda sizes: _seconds(plan_of(sizes), cost), tries)
    best = min(seconds, key=seconds.__getitem__)
    return best if seconds[best] < _BETTER * seconds[start] else start


def climbed(
    start: T, near: Callable[[T], Iterable[T]], value: Callable[[T], float], tries: int
) -> dict[T, float]:
    """Values of what was looked at on the way down from ``start`` to where no neighbour is lower.

    Ends earlier once ``tries`` were looked at, or few more.
    """
    values, here, before = {start: value(start)}, start, inf
    while values[here] < before and len(values) < tries:
        before = values[here]
        for each in near(here):
            values[each] = values[each] if each in values else value(each)
        here = min(values, key=values.__getitem__)
    return values


def _near(sizes: Sizes) -> Iterator[Sizes]:
    """One layer moved over one border."""
    for border in range(1, len(sizes)):
        for way in (1, -1):
            moved = list(sizes)
            moved[border - 1] += way
            moved[border] -= way
            if min(moved) > 0:
                yield tuple(moved)


def _every(whole: int, count: int) -> Iterator[Sizes]:
    for cuts in combinations(range(1, whole), count - 1):
        yield tuple(b - a for a, b in pairwise((0, *cuts, whole)))


def runs(sizes: Sequence[int]) -> tuple[range, ...]:
    """The layers of each stage."""
    return tuple(range(start, stop) for start, stop in pairwise((0, *accumulate(sizes))))


def _seconds(plan: PartitionPlan, cost: CostModel) -> float:
    """Of one batch of many; infinite where a rank has too little memory."""
    found = predict(Part(plan, cost, _BATCHES))
    memory = {rank: cost.devices[rank].memory for rank in found.ranks}
    fits = all(use.memory.total <= memory[rank] for rank, use in found.ranks.items())
    return found.timeline.lasting() if fits else inf
