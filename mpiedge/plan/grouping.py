"""Stages that are replicated over groups of devices, and how long a batch takes on them.

The problem of hybrid data and pipeline parallelism (PAC, section 5.1 of its paper) as a value, and
the paper's equations 4 to 6 for a solution.  Apart from the search for one, which only needs to
call it.
"""

from dataclasses import dataclass
from functools import cached_property
from math import inf
from typing import NamedTuple

from mpiedge.plan.cost import CostModel
from mpiedge.plan.partition import Stage

Ranks = tuple[int, ...]


@dataclass(frozen=True)
class Problem:
    """What is to be laid over all devices: layers, and batches of some micro-batches."""

    cost: CostModel
    trainable: frozenset[int]
    rows: int  # of a micro-batch: what a group shares out among its devices
    micro_batches: int  # of a batch
    together: bool = True
    """A device computes its share of a micro-batch in one pass, as in the paper.  Otherwise a row
    stands for a whole micro-batch as the cost model profiled it, and rows are passed one by one."""
    bridge: int | None = None  # no stage has layers on both sides of this one
    groups: tuple[Ranks, ...] = ()  # only these groups, in this order; none: any
    parts: tuple[range, ...] = ()  # only these layers, one run a stage; none: any

    @cached_property
    def lowest(self) -> int:
        """Where backward passes end."""
        return min(self.trainable, default=len(self.cost.layers))

    def in_flight(self, stages_left: int) -> int:
        """Micro-batches that a stage holds, itself counted among the stages left (1F1B)."""
        passes = self.micro_batches * (1 if self.together else self.rows)
        return min(passes, stages_left)

    def seconds(self, rank: int, layers: range, share: int) -> tuple[float, float]:
        """Seconds of a forward and of a backward pass of ``share`` rows over ``layers``."""
        cost = self.cost.at(share) if self.together else self.cost
        times = 1 if self.together else share
        stage = self._stage(rank, layers)
        backward = cost.backward(stage, self.lowest in layers) if self._trains(layers) else 0.0
        return times * cost.forward(stage), times * backward

    def memory(self, rank: int, layers: range, share: int, stages_left: int) -> int:
        """Bytes that ``layers`` need on a rank with ``share`` rows of each micro-batch."""
        cost = self.cost.at(share) if self.together else self.cost
        held = self.in_flight(stages_left) if self._trains(layers) else 0
        return cost.memory(self._stage(rank, layers), self.lowest in layers, held)

    def transfer(self, source: "Group", dest: "Group") -> float:
        """Seconds until a micro-batch has crossed: each device has a link of its own.

        The busiest device sets the pace: the one with the largest share at either end.
        """
        share = max(*source.shares, *dest.shares)
        cost = self.cost.at(share) if self.together else self.cost
        ends = (Stage(group.ranks[0], group.layers) for group in (source, dest))
        return (1 if self.together else share) * cost.send(*ends)

    def _stage(self, rank: int, layers: range) -> Stage:
        return Stage(rank, layers, self.trainable & frozenset(layers))

    def _trains(self, layers: range) -> bool:
        return layers.stop > self.lowest


class Group(NamedTuple):
    """The devices of one stage; each has all its layers, and a share of every micro-batch."""

    ranks: Ranks
    layers: range
    shares: tuple[int, ...]  # rows, by device


class Grouping(NamedTuple):
    """All stages, and the seconds that a batch is predicted to take (equation 6)."""

    groups: tuple[Group, ...]
    rows: int  # of a micro-batch
    micro_batches: int
    seconds: float

    @property
    def row_seconds(self) -> float:
        """Seconds for each row of the batch."""
        return self.seconds / (self.rows * self.micro_batches)


def latency(problem: Problem, groups: tuple[Group, ...]) -> float:
    """Seconds of a batch: beginning, execution and ending (equations 4a, 4b and 5)."""
    times = [_passes(problem, group) for group in groups]
    up = [problem.transfer(a, b) for a, b in zip(groups, groups[1:], strict=False)]
    down = [problem.transfer(b, a) for a, b in zip(groups, groups[1:], strict=False)]
    if problem.lowest == len(problem.cost.layers):
        down = [0.0] * len(down)
    beginning = sum(forward for forward, _ in times[:-1]) + sum(up)
    execution = problem.micro_batches * sum(times[-1])
    drain, ending = 0.0, 0.0
    for index in reversed(range(len(groups))):
        if index < len(groups) - 1:
            drain += times[index][1] + down[index]
        ending = max(ending, all_reduce(problem, groups[index]) + drain)
    return beginning + execution + ending


def all_reduce(problem: Problem, group: Group) -> float:
    """Seconds in which a group sums its gradients around a ring."""
    size, around = len(group.ranks), (*group.ranks[1:], group.ranks[0])
    trained = problem.trainable & frozenset(group.layers)
    tuned = problem.cost.crossing * sum(problem.cost.layers[i].tuned for i in trained)
    if not tuned or size == 1:
        return 0.0
    links = map(problem.cost.between, group.ranks, around)
    return 2 * (size - 1) * max(link.latency + tuned / size / link.bandwidth for link in links)


def _passes(problem: Problem, group: Group) -> tuple[float, float]:
    """Seconds of a micro-batch's forward and backward pass: each its slowest device's."""
    speeds = {rank: problem.cost.devices[rank].speed for rank in group.ranks}
    slowest: dict[int, int] = {}  # by share: devices with equal shares differ in speed alone
    for rank, share in sorted(zip(group.ranks, group.shares, strict=True)):
        if speeds[rank] < speeds.get(slowest.get(share, -1), inf):
            slowest[share] = rank
    both = [problem.seconds(rank, group.layers, share) for share, rank in slowest.items()]
    return max(forward for forward, _ in both), max(backward for _, backward in both)
