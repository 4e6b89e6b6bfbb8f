"""Groupings with a stage that works ahead: layers that train nothing, on devices of their own.

Such a stage waits for no update, and so passes rows of the next batch while the others end theirs
(our design).  PAC's equations, which follow a single batch, do not see it: to them the stage only
makes the way longer.  So these are found as the groupings of all other layers and devices.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, combinations

import numpy as np

from mpiedge.plan.balance import Infeasible
from mpiedge.plan.grouping import Group, Grouping, Problem, Ranks, latency
from mpiedge.plan.hybrid import Size, groupings
from mpiedge.plan.shares import divide

_FEW = 4  # devices of which any are tried as those ahead


def ahead(problem: Problem, sizes: Sequence[Size] = ()) -> tuple[Grouping, ...]:
    """The best groupings behind any devices that can hold all layers below the lowest trained.

    ``sizes`` are as for ``groupings``.  None where groups or layers are given, or devices are many.
    """
    given = problem.groups or problem.parts
    if given or not 0 < problem.lowest < len(problem.cost.layers):
        return ()
    ranks = range(len(problem.cost.devices))
    if not 1 < len(ranks) <= _FEW:
        return ()
    fronts = chain.from_iterable(combinations(ranks, count) for count in ranks[1:])
    return tuple(one for front in fronts for one in _behind(problem, front, sizes))


def moving(problem: Problem, one: Grouping) -> tuple[Group, ...]:
    """The stages that wait for updates: those that train something, or stand behind one."""
    return tuple(group for group in one.groups if group.layers.stop > problem.lowest)


def _behind(problem: Problem, front: Ranks, sizes: Sequence[Size]) -> Iterator[Grouping]:
    left = [rank for rank in range(len(problem.cost.devices)) if rank not in front]
    try:
        found = groupings(_without(problem, left), sizes)
    except Infeasible:
        return
    for one in found:
        sized = replace(problem, rows=one.rows, micro_batches=one.micro_batches)
        shares = _shares(sized, front)
        if not shares:
            continue
        rest = tuple(_back(group, left, problem.lowest) for group in one.groups)
        groups = (Group(front, range(problem.lowest), shares), *rest)
        if all(_fits(sized, pair, len(groups)) for pair in zip(front, shares, strict=True)):
            yield one._replace(groups=groups, seconds=latency(sized, groups))


def _shares(problem: Problem, front: Ranks) -> tuple[int, ...]:
    """The rows of each device ahead, by speed; none where there are more devices than rows."""
    speeds = np.array([problem.cost.devices[rank].speed for rank in front])
    most = np.full((1, len(front)), problem.rows)
    (shares,) = divide(problem.rows, np.zeros(1), np.ones(1), speeds, most)
    return tuple(map(int, shares)) if shares.any() else ()


def _fits(problem: Problem, pair: tuple[int, int], stages: int) -> bool:
    rank, share = pair
    need = problem.memory(rank, range(problem.lowest), share, stages)
    return need <= problem.cost.devices[rank].memory


def _without(problem: Problem, left: Sequence[int]) -> Problem:
    """The problem of the devices that are left and the layers from the lowest trained one on."""
    cost, lowest = problem.cost, problem.lowest
    rest = replace(
        cost,
        layers=cost.layers[lowest:],
        devices=tuple(cost.devices[other] for other in left),
        links=tuple(tuple(cost.links[a][b] for b in left) for a in left) if cost.links else (),
    )
    return replace(
        problem,
        cost=rest,
        trainable=frozenset(layer - lowest for layer in problem.trainable),
        bridge=None if problem.bridge is None else problem.bridge - lowest,
    )


def _back(group: Group, left: Sequence[int], lowest: int) -> Group:
    """A group of the problem of the devices that are left in the whole one."""
    layers = range(group.layers.start + lowest, group.layers.stop + lowest)
    return group._replace(ranks=tuple(left[rank] for rank in group.ranks), layers=layers)
