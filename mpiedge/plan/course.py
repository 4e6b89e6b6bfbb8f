"""A plan's routes with what each stage costs, worked out once before a play."""

from typing import NamedTuple

from mpiedge.plan.cost import Cost
from mpiedge.plan.partition import PartitionPlan, Route
from mpiedge.plan.places import Place, Policy, places


class Leg(NamedTuple):
    """A stage of a route, and the seconds of its passes and messages."""

    place: Place
    forward: float
    backward: float  # 0 where none is run
    up: float  # until the next stage has its output
    down: float  # until the stage before has its gradient


class Course(NamedTuple):
    """A route, where its backward passes end, and where those of the others begin."""

    legs: tuple[Leg, ...]
    lowest: int | None  # the stage
    following: dict[int, int]  # micro-batch of a cycle -> how much later the route's next one is

    @property
    def bare(self) -> int:
        """The first stage that runs a backward pass; behind the last where none does."""
        return len(self.legs) if self.lowest is None else self.lowest


def courses(plan: PartitionPlan, cost: Cost, policy: Policy) -> tuple[Course, ...]:
    """The course of every route."""
    following = _following(plan)
    made = []
    for index, row in enumerate(places(plan, policy)):
        lowest = plan.lowest_trainable(plan.assignment.index(index))
        made.append(Course(_legs(row, lowest, cost), lowest, following[index]))
    return tuple(made)


def _legs(row: list[Place], lowest: int | None, cost: Cost) -> tuple[Leg, ...]:
    route: Route = tuple(place.stage for place in row)
    bare = len(route) if lowest is None else lowest
    return tuple(
        Leg(
            place,
            forward=cost.forward(place.stage),
            backward=cost.backward(place.stage, lowest=i == lowest) if i >= bare else 0.0,
            up=cost.send(place.stage, route[i + 1]) if i + 1 < len(route) else 0.0,
            down=cost.send(place.stage, route[i - 1]) if i > bare else 0.0,
        )
        for i, place in enumerate(row)
    )


def _following(plan: PartitionPlan) -> list[dict[int, int]]:
    """For every route and each of its micro-batches, how many until its next one."""
    numbers: list[list[int]] = [[] for _ in plan.routes]
    for number, route in enumerate(plan.assignment):
        numbers[route].append(number)
    cycle = len(plan.assignment)
    return [
        {a: (b - a - 1) % cycle + 1 for a, b in zip(each, [*each[1:], each[0]], strict=True)}
        for each in numbers
    ]
