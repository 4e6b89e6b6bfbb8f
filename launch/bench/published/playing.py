"""A mini-batch played through replicated stages: each group of devices is one stage of the play."""

from collections.abc import Iterable

from mpiedge.plan.grouping import Group, Problem, all_reduce
from mpiedge.plan.partition import PartitionPlan, Stage
from mpiedge.plan.schedule import simulate


class GroupedCost:
    """The seconds of a stage are its slowest device's; an update sums the group's gradients."""

    def __init__(self, problem: Problem, groups: tuple[Group, ...]) -> None:
        self.problem, self.groups = problem, groups
        self._passes = [
            problem.seconds(group.ranks[0], group.layers, max(group.shares)) for group in groups
        ]

    def forward(self, stage: Stage) -> float:
        """Seconds of a group's forward pass."""
        return self._passes[stage.rank][0]

    def backward(self, stage: Stage, lowest: bool) -> float:
        """Seconds of its backward pass."""
        return self._passes[stage.rank][1]

    def send(self, source: Stage, dest: Stage) -> float:
        """Seconds from group to group."""
        return self.problem.transfer(self.groups[source.rank], self.groups[dest.rank])

    def update(self, rank: int) -> float:
        """Seconds of the ring that sums gradients."""
        return all_reduce(self.problem, self.groups[rank])

    def travel(self, source: int, dest: int, layers: Iterable[int]) -> float:
        """Nothing: weights stay where they are."""
        return 0.0


def played(cost: GroupedCost) -> float:
    """Seconds of a mini-batch, 1F1B, to the end of the last update."""
    route = tuple(
        Stage(number, group.layers, frozenset(group.layers))
        for number, group in enumerate(cost.groups)
    )
    plan = PartitionPlan((route,), (0,) * cost.problem.micro_batches)
    return simulate(plan, cost).makespan
