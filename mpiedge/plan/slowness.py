"""Devices that turned out slower than they were planned to be.

A plan's seconds are right up to a factor that all devices share, for instance where nobody
measured them.  So each is compared with the one that is best off.  Our design.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from mpiedge.plan.cost import CostModel, Device


def slowness(computed: Mapping[int, float], planned: Mapping[int, float]) -> dict[int, float]:
    """How many times slower than planned each rank was, compared with the best; 1: as planned.

    Both are seconds by rank.  Ranks of which one of them is not known, or 0, are left out.
    """
    ratios = {
        rank: computed[rank] / seconds
        for rank, seconds in planned.items()
        if seconds > 0 and computed.get(rank, 0.0) > 0
    }
    best = min(ratios.values(), default=1.0)
    return {rank: ratio / best for rank, ratio in ratios.items()}


def slowed(cost: CostModel, factors: Sequence[float]) -> CostModel:
    """The cost model with each device so many times slower; none given: as it is."""
    if not factors:
        return cost
    pairs = zip(cost.devices, factors, strict=True)
    return replace(cost, devices=tuple(Device(d.speed / by, d.memory) for d, by in pairs))
