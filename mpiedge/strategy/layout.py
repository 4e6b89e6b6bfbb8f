"""Who has which layers, and which share of the work: a plan as people draw it.

layers 0..3   ranks 0, 1   60 % and 40 % of the micro-batches
layers 4..7   rank 2       all of them
"""

from collections import Counter
from typing import NamedTuple

from mpiedge.plan.partition import PartitionPlan


class Held(NamedTuple):
    """A run of layers and the ranks that run it."""

    layers: range
    shares: dict[int, float]  # of all micro-batches, by rank; they sum to one where all pass it


def layout(plan: PartitionPlan) -> tuple[Held, ...]:
    """The runs of layers of a plan's routes, lowest first, over a whole cycle of batches."""
    visits: dict[tuple[int, int], Counter[int]] = {}
    for route in map(plan.route, range(len(plan.assignment))):
        for stage in route:
            part = stage.layers.start, stage.layers.stop
            visits.setdefault(part, Counter())[stage.rank] += 1
    every = len(plan.assignment)
    return tuple(
        Held(range(*part), {rank: visits[part][rank] / every for rank in sorted(visits[part])})
        for part in sorted(visits)
    )
