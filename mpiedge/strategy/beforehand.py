"""What the frozen model makes is recorded before the first update, where it will be replayed.

    recording, forward only            replaying
    micro-batch 0   0 -> 2             0   0 -> 2
                1   1 -> 2             1   1 -> 2
                2   0 -> 2             2   0 -> 2

A backbone that trains nothing waits for no update: its stages pass one batch after the other, and
each keeps what its layers made.  The side network is then trained in the same stages, from what
lies there already.  Nothing has to be moved between the two; a stage's gradients are summed over
its own group only, and no device ever holds more of the model than its stage.

Our design: PAC trains while it records, and afterwards has the whole side network on every device,
since there is too little to compute to hide what passes between stages.  Where links are slow the
sum of all gradients takes longer than that; both are predicted, and the better one is taken.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

from mpiedge.plan.balance import Infeasible
from mpiedge.plan.cost import CostModel
from mpiedge.plan.grouping import Group, Grouping, Problem
from mpiedge.plan.hybrid import groupings
from mpiedge.plan.partition import PartitionPlan, Stage
from mpiedge.strategy.given import given_groups, given_stages, shares_of
from mpiedge.strategy.grouped import fastest, sizes
from mpiedge.strategy.settings import StrategySettings
from mpiedge.strategy.strategy import Work


class Ahead(NamedTuple):
    """A plan for recording and for replaying."""

    plan: PartitionPlan
    seconds: float  # of the whole run
    memory: int  # bytes that the fullest device needs


def beforehand(settings: StrategySettings, work: Work, epoch: int) -> Ahead | None:
    """The stages that record ``epoch`` batches and replay all of the run soonest.

    None where no cut fits.  With the goal memory, of those whose fullest device needs least.
    """
    problem, recording = _problem(settings, work), work.cost.recording()
    needs = {one: _needs(problem, recording, one) for one in _groupings(problem, recording, work)}
    memory = [device.memory for device in work.cost.devices]
    found = [one for one, need in needs.items() if all(n <= memory[r] for r, n in need.items())]
    if not found:
        return None
    fullest = {one: max(needs[one].values()) for one in found}
    if settings.goal == "memory":
        found = [one for one in found if fullest[one] == min(fullest.values())]
    shares = shares_of(settings, work) if settings.shares else []
    count, part = work.micro_batches, epoch / work.batches
    laid = fastest(
        work, problem, found, shares, lambda groups: part * recorded(recording, groups, count)
    )
    seconds = work.batches * (laid.seconds + part * recorded(recording, laid.groups, count))
    most = min(fullest[one] for one in found if one.groups == laid.groups)
    return Ahead(laid.plan, seconds, most)


def recorded(cost: CostModel, groups: Sequence[Group], micro_batches: int) -> float:
    """Seconds of a batch in stages that only go forward: what the busiest device or link takes.

    Of the batch's ``micro_batches`` each device has a part as its share in its group's is.
    """
    busiest = 0.0
    for group, above in zip(groups, (*groups[1:], None), strict=True):
        for rank, share in zip(group.ranks, group.shares, strict=True):
            stage = Stage(rank, group.layers)
            busiest = max(busiest, share * cost.forward(stage) / sum(group.shares))
            if above is not None:
                send = cost.send(stage, Stage(above.ranks[0], above.layers))
                parts = (share / sum(group.shares), max(above.shares) / sum(above.shares))
                busiest = max(busiest, max(parts) * send)
    return micro_batches * busiest


def _problem(settings: StrategySettings, work: Work) -> Problem:
    """The side network's layers, to be laid over the devices."""
    return Problem(
        work.cost.replaying(),
        work.trainable,
        rows=work.micro_batches,
        micro_batches=1,
        together=False,
        bridge=None if settings.mixed else work.bridge,
        groups=given_groups(settings, work),
        parts=given_stages(settings, work),
    )


def _groupings(problem: Problem, recording: CostModel, work: Work) -> tuple[Grouping, ...]:
    """Groupings that are good for training, and some that are good for recording."""
    forward = replace(problem, cost=recording, trainable=frozenset())
    found = dict[Grouping, None]()
    for each in (problem, forward):
        with suppress(Infeasible):
            found.update(dict.fromkeys(groupings(each, sizes(work))))
    return tuple(found)


def _needs(problem: Problem, recording: CostModel, one: Grouping) -> dict[int, int]:
    """The bytes that each rank needs, while it records or while it trains: the model is let go."""
    sized = replace(problem, rows=one.rows, micro_batches=one.micro_batches)
    last = len(one.groups)
    return {
        rank: max(
            recording.memory(Stage(rank, group.layers), False, 0),
            sized.memory(rank, group.layers, share, last - place),
        )
        for place, group in enumerate(one.groups)
        for rank, share in zip(group.ranks, group.shares, strict=True)
    }
