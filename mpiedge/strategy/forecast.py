"""A whole run as it is expected to go: seconds of every epoch, bytes on links, memory of ranks.

The parts of a run are predicted one by one, and alike parts once; here they are added up.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from mpiedge.plan.cost import CostModel
from mpiedge.plan.prediction import Amount, Memory, Part, Way, needed, predict
from mpiedge.strategy.epochs import epochs
from mpiedge.strategy.strategy import Phase, layers_of

NOTHING = Memory(0, 0, 0, 0, 0, 0)


class Costs(NamedTuple):
    """What layers cost for an ordinary micro-batch, which takes time, and for the largest."""

    usual: CostModel
    largest: CostModel


@dataclass(frozen=True)
class Epoch:
    """An epoch as it is expected to go."""

    seconds: float
    busy: Mapping[int, float]  # seconds that each rank computes
    sent: Mapping[Way, Amount]


IDLE = Epoch(0.0, {}, {})


@dataclass(frozen=True)
class Forecast:
    """A run as it is expected to go."""

    epochs: tuple[Epoch, ...]
    memory: Mapping[int, Memory]  # of each rank where it needs most
    before: Epoch = IDLE  # what is recorded before the first epoch

    @property
    def seconds(self) -> float:
        """All of it together; evaluation, loading and saving are not in it."""
        return self.before.seconds + sum(epoch.seconds for epoch in self.epochs)


def forecast(phases: Sequence[Phase], costs: Costs, epoch: int) -> Forecast:
    """The run of these phases, with ``epoch`` batches in an epoch.

    What feeds the routes beside the schedule is not in it.
    """
    memory = {rank: NOTHING for phase in phases for rank in phase.plan.ranks}
    known: dict[Part, Epoch] = {}
    found = []
    rows = (epochs(phases, each, epoch) for each in costs)
    for usual, largest in zip(*rows, strict=True):
        parts = []
        for (part, times), (fullest, _) in zip(usual, largest, strict=True):
            if part not in known:
                known[part], most = _predicted(part, fullest)
                memory = {r: _more(memory[r], most.get(r, NOTHING)) for r in memory}
            parts.append((known[part], times))
        found.append(_sum(parts))
    before = IDLE
    if phases[0].beforehand:
        before, most = _beforehand(phases[0], costs)
        memory = {r: _more(memory[r], most.get(r, NOTHING)) for r in memory}
    return Forecast(tuple(found), _with_evaluation(memory, phases, costs.largest), before)


def add(one: Mapping[Way, Amount], other: Mapping[Way, Amount]) -> dict[Way, Amount]:
    """What crosses links in both."""
    found = dict(one)
    for way, amount in other.items():
        before = found.get(way, Amount())
        found[way] = Amount(before.messages + amount.messages, before.bytes + amount.bytes)
    return {way: found[way] for way in sorted(found)}


def _beforehand(phase: Phase, costs: Costs) -> tuple[Epoch, dict[int, Memory]]:
    """What is recorded before the first update, and what memory that takes."""
    plan = phase.plan.frozen()
    usual, largest = (Part(plan, each.recording(), phase.beforehand) for each in costs)
    return _predicted(usual, largest)


def _predicted(part: Part, fullest: Part) -> tuple[Epoch, dict[int, Memory]]:
    one = predict(part)
    busy = {rank: use.busy for rank, use in one.ranks.items()}
    spans = one.timeline.by_rank
    # Each rank does the same in the same order, whatever the micro-batches' size.
    memory = {rank: needed(fullest, rank, spans[rank]) for rank in spans}
    return Epoch(max(one.seconds, _passing(part.cost, one.sent)), busy, one.sent), memory


def _passing(cost: CostModel, sent: Mapping[Way, Amount]) -> float:
    """Seconds that the busiest link needs at least, if it never rests.

    A plan is played with links on which messages do not hold each other up, as they hardly do
    where a pass waits for another; stages that only go forward send as fast as they compute.
    """
    size: dict[tuple[int, int], int] = defaultdict(int)
    for way, amount in sent.items():
        size[way.source, way.dest] += amount.bytes
    return max((each / cost.between(*way).bandwidth for way, each in size.items()), default=0.0)


def _more(one: Memory, other: Memory) -> Memory:
    return max(one, other, key=lambda memory: memory.total)


def _sum(parts: Iterable[tuple[Epoch, int]]) -> Epoch:
    seconds, busy, sent = 0.0, dict[int, float](), dict[Way, Amount]()
    for part, times in parts:
        seconds += times * part.seconds
        busy |= {rank: busy.get(rank, 0.0) + times * each for rank, each in part.busy.items()}
        each = {way: Amount(times * a.messages, times * a.bytes) for way, a in part.sent.items()}
        sent = add(sent, each)
    return Epoch(seconds, busy, sent)


def _with_evaluation(
    memory: Mapping[int, Memory], phases: Sequence[Phase], cost: CostModel
) -> dict[int, Memory]:
    """The same with the weights that a rank holds only to evaluate."""
    found = dict(memory)
    for phase in phases:
        for rank in {*phase.plan.ranks, *phase.evaluated.ranks}:
            beside = set(layers_of(replace(phase, feeders=()), rank)) - set(
                phase.plan.layers_of(rank)
            )
            weights = sum(cost.layers[i].weights for i in beside)
            before = memory.get(rank, NOTHING)
            more = before._replace(frozen=before.frozen + weights)
            found[rank] = _more(found.get(rank, NOTHING), more)
    return found
