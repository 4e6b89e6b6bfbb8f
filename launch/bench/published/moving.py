"""How long the stored activations of a mini-batch take to where they are wanted (PAC, 5.2)."""

from collections import Counter

import numpy as np
from published.conditions import BATCH, DEVICES
from scipy.optimize import linear_sum_assignment

from mpiedge.plan.grouping import Group, Problem
from mpiedge.plan.redistribution import Holding, transfers


def moved(problem: Problem, groups: tuple[Group, ...]) -> float:
    """Seconds on the busiest link, every device with one each way."""
    recorded = range(len(problem.cost.layers) - 1)  # the head's output is not kept
    holdings = _holdings(groups)
    away = np.ones((BATCH, DEVICES))
    for one in holdings:
        away[one.examples, one.rank] -= len(one.layers) / len(problem.cost.layers)
    _, slots = linear_sum_assignment(np.repeat(away, BATCH // DEVICES, axis=1))
    owners = [int(slot) // (BATCH // DEVICES) for slot in slots]
    busy = Counter[tuple[str, int]]()
    for each in transfers(holdings, owners, recorded):
        layers = [i for i in each.layers if i in recorded]
        size = sum(_stored(problem, i) for i in layers) * len(each.examples)
        busy.update({("out", each.source): size, ("in", each.dest): size})
    return max(busy.values(), default=0) / problem.cost.link.bandwidth


def _stored(problem: Problem, layer: int) -> float:
    """Bytes of an example: what goes on to the next layer, less the side network's part."""
    one = problem.cost.layers[layer]
    return (one.boundary - (one.gradient or 0)) / problem.cost.rows


def _holdings(groups: tuple[Group, ...]) -> list[Holding]:
    """Who recorded which layers of which of the batch's examples."""
    found = []
    for group in groups:
        whole, cuts = sum(group.shares), np.cumsum(group.shares)
        places = np.searchsorted(cuts, np.arange(BATCH) % whole, side="right")
        for index, rank in enumerate(group.ranks):
            examples = np.flatnonzero(places == index)
            if len(examples):
                found.append(Holding(rank, group.layers, examples))
    return found
