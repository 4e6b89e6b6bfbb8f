"""What the forward passes at each stage have to heed: a window, and the order of batches.

A stage takes batches in their order: one that ran ahead of the one before would fill its window
and stall.  Counted for *slots*, since several routes may pass a rank at the same place.
"""

from collections import Counter
from math import inf
from typing import NamedTuple

from mpiedge.plan.partition import PartitionPlan, Route, Stage


class Policy(NamedTuple):
    """Which pass a free rank takes first, and whether a stage's window is bounded."""

    backward_first: bool
    bounded: bool
    most: int = 0
    """> 0: no stage holds more micro-batches, whatever its place."""

    def window(self, stage: int, num_stages: int) -> float:
        """How many micro-batches the stage may hold."""
        window = num_stages - stage if self.bounded else inf
        return min(window, self.most) if self.most else window


ONE_F_ONE_B = Policy(backward_first=True, bounded=True)
GPIPE = Policy(backward_first=False, bounded=False)


class Slot(NamedTuple):
    """A stage's place in routes of one length on one rank: what a window is counted for."""

    rank: int
    stage: int
    num_stages: int


def slot_of(route: Route, stage: int) -> Slot:
    """The slot of a route's stage."""
    return Slot(route[stage].rank, stage, len(route))


class Place(NamedTuple):
    """A stage of a route, and what its forward passes have to heed."""

    stage: Stage
    slot: Slot
    window: float
    before: list[int]  # micro-batches that pass the slot before each batch of a cycle, and in it


def places(plan: PartitionPlan, policy: Policy) -> list[list[Place]]:
    """The places of every route."""
    passed = _passes_before(plan)
    return [
        [
            Place(stage, slot_of(r, i), policy.window(i, len(r)), passed[slot_of(r, i)])
            for i, stage in enumerate(r)
        ]
        for r in plan.routes
    ]


def _passes_before(plan: PartitionPlan) -> dict[Slot, list[int]]:
    """For each slot, how many micro-batches pass it in the batches before each one of a cycle.

    The last number is that of the whole cycle.
    """
    slots = [[slot_of(route, index) for index in range(len(route))] for route in plan.routes]
    passed = {slot: [0] for each in slots for slot in each}
    size = len(plan.micro_batches)
    for batch in range(plan.cycle):
        taken = Counter[Slot]()
        for route, times in Counter(plan.assignment[batch * size : (batch + 1) * size]).items():
            taken.update(dict.fromkeys(slots[route], times))
        for slot, counts in passed.items():
            counts.append(counts[-1] + taken[slot])
    return passed
