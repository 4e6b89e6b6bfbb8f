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

from collections import Counter, defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

from mpiedge.plan.ahead import ahead
from mpiedge.plan.balance import Infeasible
from mpiedge.plan.borders import settled
from mpiedge.plan.cost import CostModel
from mpiedge.plan.grouping import Grouping, Problem, Ranks
from mpiedge.plan.hybrid import groupings
from mpiedge.plan.partition import PartitionPlan, Stage
from mpiedge.strategy.given import given_groups, given_stages, shares_of
from mpiedge.strategy.grouped import bound, fastest, plan_of, sizes
from mpiedge.strategy.settings import StrategySettings
from mpiedge.strategy.strategy import Work

_FEW = 16  # devices for which borders between stages are moved
_SETTLED = 12  # divisions into groups of which they are moved


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
    part = epoch / work.batches
    shares = shares_of(settings, work) if settings.shares else []
    memory = [device.memory for device in work.cost.devices]

    def judged(one: Grouping) -> tuple[float, ...]:
        """What a grouping has too little of, then what it is chosen for; the least is best."""
        need = _needs(problem, recording, one)
        lacks = sum(max(0, needed - memory[rank]) for rank, needed in need.items())
        fullest = max(need.values()) if settings.goal == "memory" else 0
        plan = plan_of(work, one.groups, shares)
        seconds = work.micro_batches * bound(problem, one) + part * recorded(recording, plan)
        return (lacks, fullest, seconds)

    known = {one: judged(one) for one in _groupings(problem, work, part)}
    if not problem.parts and len(work.ranks) <= _FEW:
        better = [settled(one, problem.bridge, judged) for one in _distinct(known)[:_SETTLED]]
        known.update((one, judged(one)) for one in better)
    fitting = [one for one, (lacks, *_) in known.items() if not lacks]
    if not fitting:
        return None
    least = min(known[one][1] for one in fitting)
    fitting = [one for one in fitting if known[one][1] == least]
    laid = fastest(work, problem, fitting, shares, lambda plan: part * recorded(recording, plan))
    seconds = work.batches * (laid.seconds + part * recorded(recording, laid.plan))
    chosen = next(one for one in fitting if one.groups == laid.groups)
    return Ahead(laid.plan, seconds, max(_needs(problem, recording, chosen).values()))


def _distinct(known: Mapping[Grouping, tuple[float, ...]]) -> list[Grouping]:
    """The best of each division of the ranks into groups, the best one first."""
    first = dict[tuple[Ranks, ...], Grouping]()
    for one in sorted(known, key=known.__getitem__):
        first.setdefault(tuple(group.ranks for group in one.groups), one)
    return list(first.values())


def recorded(cost: CostModel, plan: PartitionPlan) -> float:
    """Seconds of a batch in stages that only go forward: what the busiest device or link takes."""
    busy: dict[tuple[int, int], float] = defaultdict(float)  # a device: the link to itself
    for index, count in Counter(plan.assignment).items():
        route = plan.routes[index]
        for stage, above in zip(route, (*route[1:], None), strict=True):
            busy[stage.rank, stage.rank] += count * cost.forward(stage)
            if above is not None:
                busy[stage.rank, above.rank] += count * cost.send(stage, above)
    return max(busy.values())


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


def _groupings(problem: Problem, work: Work, part: float) -> tuple[Grouping, ...]:
    """Groupings that are good for training, for recording, and for a run with both of them."""
    forward = replace(problem, cost=work.cost.recording(), trainable=frozenset())
    both = replace(problem, cost=_blended(work.cost, part))
    found = dict[Grouping, None]()
    for each in (problem, forward, both):
        with suppress(Infeasible):
            found.update(dict.fromkeys(groupings(each, sizes(work)) + ahead(each, sizes(work))))
    return tuple(found)


def _blended(cost: CostModel, part: float) -> CostModel:
    """What a batch costs of which a part is recorded too, as if that were one pass."""
    pairs = zip(cost.replaying().layers, cost.recording().layers, strict=True)
    layers = (
        replace(
            trained,
            forward=trained.forward + part * made.forward,
            forward_start=trained.forward_start + part * made.forward_start,
            boundary=trained.boundary + round(part * made.boundary),
        )
        for trained, made in pairs
    )
    return replace(cost, layers=tuple(layers))


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
