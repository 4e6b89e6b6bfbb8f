"""How long a batch takes at least, whichever of the stages is the slowest (our design).

PAC's equation 4b takes the last stage to be the one that is always busy.  Where devices are unequal
or short of memory it often is not, and a grouping then looks faster than it is: this tells such
groupings apart before any is played through.
"""

from itertools import accumulate

from mpiedge.plan.grouping import Group, Problem
from mpiedge.plan.partition import Stage


def at_least(problem: Problem, groups: tuple[Group, ...]) -> float:
    """Seconds for each row of a batch: some stage is filled, busy with all of them, and drained.

    For rows that pass one by one: the way to a stage and back is that of a single row.
    """
    ways = [_way(problem, below, above) for below, above in zip(groups, groups[1:], strict=False)]
    busy = [problem.micro_batches * _busy(problem, group) for group in groups]
    reached = accumulate(ways, initial=0.0)
    seconds = max(way + work for way, work in zip(reached, busy, strict=True))
    return seconds / (problem.rows * problem.micro_batches)


def _way(problem: Problem, below: Group, above: Group) -> float:
    """Seconds of one row through a stage and to the next, and all the way back."""
    passes = min(sum(problem.seconds(rank, below.layers, 1)) for rank in below.ranks)
    ends = Stage(below.ranks[0], below.layers), Stage(above.ranks[0], above.layers)
    back = problem.cost.send(*reversed(ends)) if problem.lowest in range(above.layers.start) else 0
    return passes + problem.cost.send(*ends) + back


def _busy(problem: Problem, group: Group) -> float:
    """Seconds in which a stage's slowest device has its share of one micro-batch behind it."""
    shares = zip(group.ranks, group.shares, strict=True)
    return max(sum(problem.seconds(rank, group.layers, share)) for rank, share in shares)
