"""Groupings with a stage that works ahead: layers that train nothing, alone on a device.

Such a stage waits for no update, and so passes rows of the next batch while the others end theirs
(our design).  PAC's equations, which follow a single batch, do not see it: to them the stage only
makes the way longer.  So these are found as the groupings of all other layers and devices.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from mpiedge.plan.balance import Infeasible
from mpiedge.plan.grouping import Group, Grouping, Problem, latency
from mpiedge.plan.hybrid import Size, groupings

_FEW = 4  # devices of which each is tried as the one ahead


def ahead(problem: Problem, sizes: Sequence[Size] = ()) -> tuple[Grouping, ...]:
    """The best groupings behind each device that can hold all layers below the lowest trained.

    ``sizes`` are as for ``groupings``.  None where groups or layers are given, or devices are many.
    """
    given = problem.groups or problem.parts
    if given or not 0 < problem.lowest < len(problem.cost.layers):
        return ()
    ranks = range(len(problem.cost.devices))
    if not 1 < len(ranks) <= _FEW:
        return ()
    return tuple(one for rank in ranks for one in _behind(problem, rank, sizes))


def moving(problem: Problem, one: Grouping) -> tuple[Group, ...]:
    """The stages that wait for updates: those that train something, or stand behind one."""
    return tuple(group for group in one.groups if group.layers.stop > problem.lowest)


def _behind(problem: Problem, rank: int, sizes: Sequence[Size]) -> Iterator[Grouping]:
    try:
        found = groupings(_without(problem, rank), sizes)
    except Infeasible:
        return
    for one in found:
        rest = tuple(_back(group, rank, problem.lowest) for group in one.groups)
        groups = (Group((rank,), range(problem.lowest), (one.rows,)), *rest)
        sized = replace(problem, rows=one.rows, micro_batches=one.micro_batches)
        memory = sized.memory(rank, range(problem.lowest), one.rows, len(groups))
        if memory <= problem.cost.devices[rank].memory:
            yield one._replace(groups=groups, seconds=latency(sized, groups))


def _without(problem: Problem, rank: int) -> Problem:
    """The problem of all other devices and the layers from the lowest trained one on."""
    cost, lowest = problem.cost, problem.lowest
    left = [other for other in range(len(cost.devices)) if other != rank]
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


def _back(group: Group, rank: int, lowest: int) -> Group:
    """A group of the problem without ``rank`` in the whole one."""
    layers = range(group.layers.start + lowest, group.layers.stop + lowest)
    return group._replace(ranks=tuple(r + (r >= rank) for r in group.ranks), layers=layers)
