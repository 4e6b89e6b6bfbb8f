"""Cuts near a balanced one, tried out: the one by which a batch is foreseen to be fastest.

A balanced cut has the fastest slowest stage.  What it does not see is what stands between the
stages: a slow link is better crossed where little crosses it, or by having the work on one side of
it.  Here whole batches are predicted, with their links (our design).  Where there are few cuts all
of them are tried, else those that come of moving one border by one layer, as long as that helps.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, combinations, pairwise
from math import comb, inf

from mpiedge.plan.cost import CostModel
from mpiedge.plan.partition import PartitionPlan
from mpiedge.plan.prediction import Part, predict

Sizes = tuple[int, ...]

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
        _climb(start, plan_of, cost, seconds, tries)
    best = min(seconds, key=seconds.__getitem__)
    return best if seconds[best] < _BETTER * seconds[start] else start


def _climb(
    start: Sizes,
    plan_of: Callable[[Sizes], PartitionPlan],
    cost: CostModel,
    seconds: dict[Sizes, float],
    tries: int,
) -> None:
    here, before = start, inf
    while seconds[here] < before and len(seconds) < tries:
        before = seconds[here]
        for each in _near(here):
            seconds[each] = seconds[each] if each in seconds else _seconds(plan_of(each), cost)
        here = min(seconds, key=seconds.__getitem__)


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
    """Of a batch; infinite where a rank has too little memory."""
    found = predict(Part(plan, cost, _BATCHES))
    memory = {rank: cost.devices[rank].memory for rank in found.ranks}
    fits = all(use.memory.total <= memory[rank] for rank, use in found.ranks.items())
    return found.seconds if fits else inf
