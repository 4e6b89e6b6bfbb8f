"""How long the stored activations of a mini-batch take to where they are wanted (PAC, 5.2)."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from published.conditions import BATCH, DEVICES
from scipy.optimize import linear_sum_assignment

from mpiedge.plan.grouping import Group
from mpiedge.plan.redistribution import Holding, transfers


def moved(groups: tuple[Group, ...], stored: Sequence[int], bandwidth: float) -> float:
    """Seconds on the busiest link, every device with one each way.

    ``stored`` are bytes of an example by layer; the head, for which nothing is stored, is left out.
    """
    holdings = _holdings(groups)
    away = np.ones((BATCH, DEVICES))
    for one in holdings:
        away[one.examples, one.rank] -= sum(stored[one.layers.start : one.layers.stop])
    _, slots = linear_sum_assignment(np.repeat(away, BATCH // DEVICES, axis=1))
    owners = slots // (BATCH // DEVICES)
    whole = range(len(stored))
    wanted = [Holding(rank, whole, np.flatnonzero(owners == rank)) for rank in range(DEVICES)]
    busy = Counter[tuple[str, int]]()
    for each in transfers(holdings, wanted):
        size = sum(stored[each.layers.start : each.layers.stop]) * len(each.examples)
        busy.update({("out", each.source): size, ("in", each.dest): size})
    return max(busy.values(), default=0) / bandwidth


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
