"""Where the blocks of a ring lie when links are unequal: balanced places, moved about.

Places that are balanced by speed and memory do not see what stands between the ranks: in which
order a ring is passed decides which links carry what enters a block, and a slow one may be worth a
rank with more blocks.  Places that come of exchanging two ranks, or of moving a block over one
border, are compared by a rough account of a batch, and the best of them by a prediction (our
design).
"""

from collections.abc import Callable, Iterator
from itertools import combinations, pairwise
from math import inf
from typing import NamedTuple

from mpiedge.plan.arrange import Places
from mpiedge.plan.cost import CostModel
from mpiedge.plan.partition import PartitionPlan, Route
from mpiedge.plan.prediction import Part, predict
from mpiedge.plan.schedule import Policy
from mpiedge.strategy.trying import climbed

_ROUGH = 300  # places that are compared roughly: a tenth of a second
_PASSES = 1_500  # forward passes in all that is predicted: another


class Laying(NamedTuple):
    """What is known of every way to lay the blocks."""

    plan_of: Callable[[Places], PartitionPlan]  # of the run's longest depth
    policy_of: Callable[[Places], Policy | None]  # what stages may hold; None: memory is short
    cost: CostModel
    free: bool  # the order of the ranks


def placed(start: Places, laying: Laying) -> Places:
    """The fastest places that are found, or ``start``."""

    def rough(places: Places) -> float:
        fits = laying.policy_of(places) is not None
        return account(laying.plan_of(places), laying.cost) if fits else inf

    values = climbed(start, lambda places: _near(places, laying.free), rough, _ROUGH)
    plan = laying.plan_of(start)
    passes = 2 * plan.cycle * sum(len(plan.route(m)) for m in plan.micro_batches)
    best = sorted((one for one in values if values[one] < inf), key=values.__getitem__)
    best = best[: max(1, _PASSES // passes)]
    if len(best) < 2:
        return best[0] if best else start
    return min(best, key=lambda places: _cycle(laying, places))


def account(plan: PartitionPlan, cost: CostModel) -> float:
    """Seconds of a cycle, roughly: of each batch the way there and back, then its busiest part.

    After one micro-batch has come through, another one follows each time the busiest rank or link
    is done.  What lies below the lowest trained layer is done ahead, and only keeps busy.
    """
    count = len(plan.assignment) // plan.cycle
    starts = plan.assignment[::count]
    return sum(_batch(plan.routes[route], cost, count, plan.still) for route in starts)


def _batch(route: Route, cost: CostModel, count: int, lowest: int) -> float:
    way, busy = 0.0, dict[object, float]()
    for stage in route:
        trains = stage.layers.stop > lowest
        back = cost.backward(stage, lowest in stage.layers) if trains else 0.0
        seconds = cost.forward(stage) + back
        busy[stage.rank] = busy.get(stage.rank, 0.0) + seconds
        way += seconds if trains else 0.0
    for below, above in pairwise(route):
        if below.rank == above.rank:
            continue
        up, trains = cost.send(below, above), below.layers.stop > lowest
        down = cost.send(above, below) if trains else 0.0
        for key, seconds in (((below.rank, above.rank), up), ((above.rank, below.rank), down)):
            busy[key] = busy.get(key, 0.0) + seconds
        way += up + down if trains else 0.0
    return way + (count - 1) * max(busy.values())


def _cycle(laying: Laying, places: Places) -> float:
    """Seconds of the second of two cycles: what runs ahead does so by then."""
    plan, policy = laying.plan_of(places), laying.policy_of(places)
    if policy is None:
        return inf
    part = Part(plan, laying.cost, 2 * plan.cycle, policy)
    return predict(part).timeline.lasting(plan.cycle)


def _near(places: Places, free: bool) -> Iterator[Places]:
    order, sizes = [rank for rank, _ in places], [len(part) for _, part in places]
    for a, b in combinations(range(len(order)), 2) if free else ():
        other = [*order]
        other[a], other[b] = other[b], other[a]
        yield _laid(other, sizes)
        both = [*sizes]
        both[a], both[b] = both[b], both[a]
        yield _laid(other, both)
    for border in range(1, len(sizes)):
        for way in (1, -1):
            moved = [*sizes]
            moved[border - 1] += way
            moved[border] -= way
            if min(moved) > 0:
                yield _laid(order, moved)


def _laid(order: list[int], sizes: list[int]) -> Places:
    ends = [sum(sizes[: place + 1]) for place in range(len(sizes))]
    return tuple(
        (rank, range(end - size, end)) for rank, end, size in zip(order, ends, sizes, strict=True)
    )
