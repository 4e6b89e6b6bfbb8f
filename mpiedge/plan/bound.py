"""How long a batch takes at least, whichever of the stages is the slowest (our design).

PAC's equation 4b takes the last stage to be the one that is always busy.  Where devices are unequal
or short of memory it often is not, and a grouping then looks faster than it is: this tells such
groupings apart before any is played through.
"""

from collections.abc import Sequence

from mpiedge.plan.grouping import Group, Problem
from mpiedge.plan.partition import Stage


def at_least(problem: Problem, groups: tuple[Group, ...]) -> float:
    """Seconds for each row of a batch: some stage is filled, busy with all of them, and drained.

    For rows that pass one by one under 1F1B: the way to a stage and back is that of a single row,
    and so is what a row takes from its forward pass at a stage to the end of its backward pass
    there, in which a device holds no more rows than stages are left.
    """
    links = [_link(problem, *pair) for pair in zip(groups, groups[1:], strict=False)]
    above = _above(problem, groups, links)
    longest = way = 0.0
    for place, group in enumerate(groups):
        longest = max(longest, way + _busy(problem, group, above[place], len(groups) - place))
        way += _quickest(problem, group) + (links[place] if place < len(links) else 0.0)
    return longest / (problem.rows * problem.micro_batches)


def _above(problem: Problem, groups: Sequence[Group], links: Sequence[float]) -> list[float]:
    """Seconds that a row takes at least above each stage, and from it and back to it."""
    above = [0.0]
    for group, link in zip(groups[:0:-1], reversed(links), strict=True):
        above.append(above[-1] + link + _quickest(problem, group))
    return above[::-1]


def _link(problem: Problem, below: Group, above: Group) -> float:
    """Seconds from one stage to the next and, where gradients return, back."""
    ends = Stage(below.ranks[0], below.layers), Stage(above.ranks[0], above.layers)
    back = problem.cost.send(*reversed(ends)) if problem.lowest in range(above.layers.start) else 0
    return problem.cost.send(*ends) + back


def _quickest(problem: Problem, group: Group) -> float:
    """Seconds of one row's passes on a stage's fastest device."""
    speeds = problem.cost.devices
    return sum(problem.seconds(max(group.ranks, key=lambda r: speeds[r].speed), group.layers, 1))


def _busy(problem: Problem, group: Group, above: float, window: int) -> float:
    """Seconds in which a stage's slowest device has its share of all rows behind it."""
    devices = problem.cost.devices
    one = sum(problem.seconds(group.ranks[0], group.layers, 1)) * devices[group.ranks[0]].speed
    returns = problem.lowest < group.layers.stop
    shares = zip(group.ranks, group.shares, strict=True)
    passes = ((share, one / devices[rank].speed) for rank, share in shares)
    return problem.micro_batches * max(
        share * (max(row, (row + above) / window) if returns else row) for share, row in passes
    )
