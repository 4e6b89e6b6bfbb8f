"""One data set divided among clients, each of which has examples of its own.

    iid         shuffled, and dealt out evenly
    dirichlet   of every label, shares drawn from Dirichlet(alpha): the smaller, the more uneven
    label       sorted by label and cut evenly: most clients see one label or two

Pure, and seeded: any rank works out the same division for itself.  Hsu et al., "Measuring the
Effects of Non-Identical Data Distribution" (2019), for the Dirichlet division.
"""

import random
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from mpiedge.errors import BadInput
from mpiedge.task.sampler import Batch

_DRAWS = 100  # a division that leaves a client with nothing is drawn again so often


class Division(NamedTuple):
    """How examples are divided."""

    way: str  # iid, dirichlet or label
    alpha: float
    seed: int


def divide(labels: Sequence[float], clients: int, by: Division) -> tuple[Batch, ...]:
    """Every example's number in the row of one of the clients, in ascending order.

    ``labels`` are the examples' own.  Raises BadInput where a client would have none.
    """
    if clients > len(labels):
        raise BadInput(
            f"{clients} clients cannot share {len(labels)} examples; lower strategy.clients or "
            f"add data"
        )
    order = list(range(len(labels)))
    random.Random(f"{by.seed} clients").shuffle(order)
    if by.way == "dirichlet":
        return _drawn(order, labels, clients, by)
    if by.way == "label":
        order.sort(key=labels.__getitem__)
        bounds = [round(c * len(order) / clients) for c in range(clients + 1)]
        return tuple(tuple(sorted(order[a:b])) for a, b in pairwise(bounds))
    return tuple(tuple(sorted(order[client::clients])) for client in range(clients))


def _drawn(
    order: Sequence[int], labels: Sequence[float], clients: int, by: Division
) -> tuple[Batch, ...]:
    draw = np.random.Generator(np.random.PCG64(by.seed))
    for _ in range(_DRAWS):
        parts: list[list[int]] = [[] for _ in range(clients)]
        for label in sorted(set(labels)):
            rows = [i for i in order if labels[i] == label]
            ends = np.cumsum(draw.dirichlet([by.alpha] * clients)) * len(rows)
            bounds = [0, *(round(end) for end in ends[:-1]), len(rows)]
            for part, (start, stop) in zip(parts, pairwise(bounds), strict=True):
                part.extend(rows[start:stop])
        if all(parts):
            return tuple(tuple(sorted(part)) for part in parts)
    raise BadInput(
        f"task.alpha {by.alpha:g} leaves a client without data in {_DRAWS} draws of {clients} "
        f"clients; raise it, lower strategy.clients, or choose another training.seed"
    )
