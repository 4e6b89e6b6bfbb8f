"""The search for replicated stages: groups of devices in a row, and the layers of each.

The dynamic programme of PAC (section 5.1 of its paper, equations 2 to 6): for every number of
stages the grouping whose slowest stage is fastest, and of these the one that ends a batch first.
It is run from the last stage to the first, since what a stage holds in flight follows from the
stages after it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import permutations

from mpiedge.plan.balance import Infeasible
from mpiedge.plan.cost import Device
from mpiedge.plan.crowd import best_cuts, crowded
from mpiedge.plan.cuts import Cut
from mpiedge.plan.grouping import Group, Grouping, Problem, Ranks, latency
from mpiedge.plan.loads import Loads
from mpiedge.plan.shortage import shortage

Size = tuple[int, int]
"""Rows of a micro-batch, and micro-batches of a batch."""

_ALL_ORDERS = 4  # devices of which every order is tried


def group(problem: Problem, sizes: Sequence[Size] = ()) -> Grouping:
    """The fastest grouping; raises Infeasible when none fits the devices."""
    return groupings(problem, sizes)[0]


def groupings(problem: Problem, sizes: Sequence[Size] = ()) -> tuple[Grouping, ...]:
    """The best grouping for each device order, number of stages and size; the fastest first.

    ``sizes`` are rows of a micro-batch and micro-batches of a batch to try in place of the
    problem's own; batches of unequal rows are compared by the row.  Each is the best there is for
    its order and number of stages, up to ``crowd.EXACT`` devices; of more, one near the bound.
    Raises Infeasible when there is no grouping, which says what is short.
    """
    own = (problem.rows, problem.micro_batches)
    if crowded(problem):
        # Of many devices each needs a row, and the largest micro-batch is shared out best.
        sizes = [max(sizes or [own])]
    tried = [replace(problem, rows=rows, micro_batches=count) for rows, count in sizes or (own,)]
    found = {one: None for each in tried for one in _solutions(each)}
    if not found:
        raise Infeasible(shortage(min(tried, key=lambda each: each.micro_batches)))
    return tuple(sorted(found, key=lambda one: (one.row_seconds, len(one.groups))))


def orders(problem: Problem) -> tuple[Ranks, ...]:
    """Rows of devices to cut groups from: as given, by memory, by speed; of few devices all.

    Which of two equal devices comes first makes no difference where all links are equal, and is
    not tried then.
    """
    if problem.groups:
        return (tuple(rank for ranks in problem.groups for rank in ranks),)
    devices = problem.cost.devices
    given = tuple(range(len(devices)))
    memory = tuple(sorted(given, key=lambda rank: -devices[rank].memory))
    speed = tuple(sorted(given, key=lambda rank: -devices[rank].speed))
    every = tuple(permutations(given)) if len(given) <= _ALL_ORDERS else ()
    kinds = dict[tuple[Device | int, ...], Ranks]()
    for order in (given, memory, speed, *every):
        key = order if problem.cost.links else tuple(devices[rank] for rank in order)
        kinds.setdefault(key, order)
    return tuple(kinds.values())


def _solutions(problem: Problem) -> Iterator[Grouping]:
    loads = Loads(problem)
    for order in orders(problem):
        for cut in best_cuts(problem, loads, order).values():
            groups = _shared_out(loads, cut)
            seconds = latency(problem, groups)
            yield Grouping(groups, problem.rows, problem.micro_batches, seconds)


def _shared_out(loads: Loads, cut: Cut) -> tuple[Group, ...]:
    left = range(len(cut), 0, -1)
    return tuple(
        Group(ranks, part, loads.shares(ranks, part, stages))
        for (ranks, part), stages in zip(cut, left, strict=True)
    )
