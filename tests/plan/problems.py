"""Small random planning problems, and their solutions by trying everything there is."""

import random
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import combinations, pairwise
from math import inf

from mpiedge.plan.cost import CostModel, Device, LayerProfile, Link
from mpiedge.plan.grouping import Problem, Ranks
from mpiedge.plan.partition import Stage

LINK = Link(bandwidth=1e8, latency=1e-3)


def random_problem(chance: random.Random) -> Problem:
    layers = tuple(
        LayerProfile(
            forward=chance.choice([0.5, 1, 2, 4]),
            backward=chance.choice([0.0, 1, 3]),
            weights=chance.randint(1, 40),
            tuned=chance.randint(0, 4),
            activation=chance.randint(0, 12),
            boundary=chance.choice([10**5, 10**7]),
            gradient=chance.choice([None, 10**4]),
            working=chance.randint(0, 10),
            forward_start=chance.choice([0.0, 0.25]),
        )
        for _ in range(chance.randint(2, 6))
    )
    most = chance.choice([90, 200, 400])
    devices = tuple(
        Device(chance.choice([0.5, 1, 1, 3]), chance.randint(60, most))
        for _ in range(chance.randint(1, 3))
    )
    rows, together = chance.randint(len(devices), 6), chance.random() < 0.5
    lowest = chance.choice([0, 0, 1, len(layers)])
    return Problem(
        CostModel(layers, devices, LINK),
        frozenset(i for i in range(lowest, len(layers)) if i == lowest or chance.random() < 0.5),
        rows,
        chance.randint(1, 4),
        together,
        bridge=chance.choice([None, None, len(layers) // 2]),
    )


def roomy(problem: Problem) -> Problem:
    """The same on devices that everything fits."""
    devices = tuple(replace(device, memory=10**6) for device in problem.cost.devices)
    return replace(problem, cost=replace(problem.cost, devices=devices), bridge=None)


def splits(total: int, parts: int) -> Iterator[tuple[int, ...]]:
    """Every row of ``parts`` numbers above 0 that sum to ``total``."""
    for inner in combinations(range(1, total), parts - 1):
        yield tuple(stop - start for start, stop in pairwise((0, *inner, total)))


def every_cut(row: range, pieces: int) -> Iterator[tuple[range, ...]]:
    for sizes in splits(len(row), pieces):
        ends = [sum(sizes[:i]) for i in range(pieces + 1)]
        yield tuple(range(start, stop) for start, stop in pairwise(ends))


@cache
def cost_of(problem: Problem, share: int) -> CostModel:
    """What one pass costs."""
    return problem.cost.at(share) if problem.together else problem.cost


def rows_seconds(problem: Problem, rank: int, part: range, share: int) -> float:
    """Equation 3's sum for one device, from the cost model's own words."""
    cost, lowest = cost_of(problem, share), min(problem.trainable, default=len(problem.cost.layers))
    total = sum(cost.layers[i].forward for i in part)
    total += sum(cost.layers[i].backward for i in part if i >= lowest)
    return total * (1 if problem.together else share) / cost.devices[rank].speed


def fits(problem: Problem, rank: int, part: range, share: int, left: int) -> bool:
    cost, lowest = cost_of(problem, share), min(problem.trainable, default=len(problem.cost.layers))
    passes = problem.micro_batches * (1 if problem.together else problem.rows)
    held = min(passes, left) if part.stop > lowest else 0
    stage = Stage(rank, part, problem.trainable & frozenset(part))
    return cost.memory(stage, lowest in part, held) <= cost.devices[rank].memory


@cache
def stage_seconds(problem: Problem, ranks: Ranks, part: range, left: int) -> float:
    """The best over all ways to share the rows out."""
    bridge = problem.bridge
    if bridge is not None and part.start < bridge < part.stop:
        return inf
    best = inf
    for shares in splits(problem.rows, len(ranks)):
        pairs = list(zip(ranks, shares, strict=True))
        if all(fits(problem, rank, part, share, left) for rank, share in pairs):
            slowest = max(rows_seconds(problem, rank, part, share) for rank, share in pairs)
            best = min(best, slowest)
    return best


def best_by_stages(problem: Problem, order: Ranks) -> dict[int, float]:
    """W for every number of stages, by trying all groups and all cuts."""
    layers, best = range(len(problem.cost.layers)), dict[int, float]()
    for stages in range(1, min(len(order), len(layers)) + 1):
        worst = [
            max(
                stage_seconds(problem, order[g.start : g.stop], part, stages - i)
                for i, (g, part) in enumerate(zip(groups, parts, strict=True))
            )
            for groups in every_cut(range(len(order)), stages)
            for parts in every_cut(layers, stages)
        ]
        if min(worst) < inf:
            best[stages] = min(worst)
    return best


def even(devices: int, memory: int = 10**9, layers: int = 8, rows: int = 4) -> Problem:
    layer = LayerProfile(1.0, 1.0, 10 * 2**20, 2**10, 2**20, 8)
    cost = CostModel((layer,) * layers, (Device(1.0, memory),) * devices, LINK)
    return Problem(cost, frozenset(range(layers)), rows, 4)
