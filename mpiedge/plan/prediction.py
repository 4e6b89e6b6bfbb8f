"""What some batches under one plan will take: seconds, memory by kind, bytes by link.

All of it follows from the plan, the order of actions and the cost model; nothing is run.  The
order is that of a run, which is played before costs are known; it is timed by the costs.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from mpiedge.plan.cost import CostModel, crossing, kept
from mpiedge.plan.execution import execute
from mpiedge.plan.partition import PartitionPlan
from mpiedge.plan.places import ONE_F_ONE_B, Policy
from mpiedge.plan.schedule import simulate
from mpiedge.plan.timeline import Pass, Span, Timeline


@dataclass(frozen=True)
class Part:
    """Batches in a row under one plan, ordered together; none runs ahead into the next part."""

    plan: PartitionPlan
    cost: CostModel
    batches: int
    policy: Policy = ONE_F_ONE_B


class Memory(NamedTuple):
    """Bytes that a rank needs at most, by what for; they need not be at once."""

    frozen: int  # weights that are not tuned
    tuned: int  # weights that are
    gradients: int
    moments: int  # the optimizer's
    in_flight: int  # kept between forward and backward passes, at the fullest moment
    working: int  # in use only while a layer computes

    @property
    def total(self) -> int:
        """All of it together."""
        return sum(self)


class Carried(str, Enum):
    """What crosses a link."""

    ACTIVATION = "activation"
    GRADIENT = "gradient"
    WEIGHTS = "weights"  # of layers that the next batch trains elsewhere
    SUM = "sum"  # gradients, once around a ring and once more


class Way(NamedTuple):
    """A link and what crosses it."""

    source: int
    dest: int
    what: Carried


class Amount(NamedTuple):
    """Messages and the bytes in them; what a message says of itself is not counted."""

    messages: int = 0
    bytes: int = 0


class Use(NamedTuple):
    """What a rank does during a part."""

    busy: float  # seconds
    utilisation: float  # part of the time in which it computes; the rest is the bubble
    memory: Memory


@dataclass(frozen=True)
class Prediction:
    """A part as it is expected to go."""

    timeline: Timeline
    ranks: Mapping[int, Use]
    sent: Mapping[Way, Amount]

    @property
    def seconds(self) -> float:
        """From the first action to the end of the last."""
        return self.timeline.makespan


def predict(part: Part) -> Prediction:
    """The part's time, and every rank's use of time, memory and links.

    Sums of gradients go around a ring: ``2 (n - 1)`` messages of an ``n``-th of them each, as in
    equation 5 of PAC's paper.
    """
    plan, cost = part.plan, part.cost
    order = simulate(plan, policy=part.policy, batches=part.batches).schedule
    timeline = execute(plan, order, cost, _updating(plan, cost))
    seconds = timeline.makespan
    uses = {
        rank: Use(busy, busy / seconds if seconds else 0.0, needed(part, rank, spans))
        for rank, spans in timeline.by_rank.items()
        for busy in (timeline.busy(rank),)
    }
    return Prediction(timeline, uses, _sent(part))


def needed(part: Part, rank: int, spans: tuple[Span, ...]) -> Memory:
    """What a rank needs at most while it does these spans of a part, in bytes by kind."""
    layers = [part.cost.layers[i] for i in part.plan.layers_of(rank)]
    trained = [i for i, ranks in part.plan.trainers.items() if rank in ranks]
    tuned = sum(part.cost.layers[i].tuned for i in trained)
    return Memory(
        frozen=sum(layer.weights for layer in layers) - tuned,
        tuned=tuned,
        gradients=tuned,
        moments=part.cost.moments * tuned,
        in_flight=_fullest(part, spans),
        working=max((layer.working for layer in layers), default=0),
    )


def _fullest(part: Part, spans: tuple[Span, ...]) -> int:
    """The most bytes that are kept between forward and backward passes at any time."""
    return max((held for _, held in kept_over_time(part, spans)), default=0)


def kept_over_time(part: Part, spans: tuple[Span, ...]) -> Iterator[tuple[float, int]]:
    """When a rank's bytes kept between forward and backward passes change, and to how many.

    They are there from the start of a forward pass to the end of its backward pass.
    """
    held = 0
    for action, _, start, end in spans:
        if action.which is Pass.UPDATE:
            continue
        lowest = part.plan.lowest_trainable(action.number)
        if lowest is not None and action.stage >= lowest:
            stage = part.plan.route(action.number)[action.stage]
            size = kept(part.cost.layers, stage, action.stage == lowest)
            forward = action.which is Pass.FORWARD
            held += size if forward else -size
            yield (start if forward else end), held


def _sent(part: Part) -> dict[Way, Amount]:
    found: dict[Way, Amount] = {}
    for way, size in _messages(part):
        messages, total = found.get(way, Amount())
        found[way] = Amount(messages + 1, total + size)
    return {way: found[way] for way in sorted(found)}


def _messages(part: Part) -> Iterator[tuple[Way, int]]:
    plan, cost = part.plan, part.cost
    for batch in range(part.batches):
        for number in plan.micro_batches:
            yield from _crossings(part, batch * len(plan.micro_batches) + number)
        for ranks, size in _sums(plan.batch(batch), cost):
            moved = 2 * size * (len(ranks) - 1) // len(ranks)
            pairs = zip(ranks, (*ranks[1:], ranks[0]), strict=True)
            yield from ((Way(source, dest, Carried.SUM), moved) for source, dest in pairs)
        for travel in plan.travels(batch) if batch + 1 < part.batches else ():
            size = (1 + cost.moments) * sum(cost.layers[i].tuned for i in travel.layers)
            yield Way(travel.source, travel.dest, Carried.WEIGHTS), size


def _crossings(part: Part, number: int) -> Iterator[tuple[Way, int]]:
    """The messages of one micro-batch between its stages."""
    route, lowest = part.plan.route(number), part.plan.lowest_trainable(number)
    layers = part.cost.layers
    for index, (below, above) in enumerate(zip(route, route[1:], strict=False)):
        if below.rank != above.rank:
            yield Way(below.rank, above.rank, Carried.ACTIVATION), crossing(layers, below, above)
            if lowest is not None and index >= lowest:
                size = crossing(layers, above, below)
                yield Way(above.rank, below.rank, Carried.GRADIENT), size


def _sums(plan: PartitionPlan, cost: CostModel) -> list[tuple[tuple[int, ...], int]]:
    """Ranks that sum gradients, and how many bytes of them cross."""
    sizes: dict[tuple[int, ...], int] = {}
    for layer, ranks in plan.trainers.items():
        if len(ranks) > 1:
            sizes[ranks] = sizes.get(ranks, 0) + cost.layers[layer].tuned
    return [(ranks, round(cost.crossing * size)) for ranks, size in sorted(sizes.items())]


def _updating(plan: PartitionPlan, cost: CostModel) -> dict[int, float]:
    """Seconds that each rank spends on sums and on its optimizer's step after a batch.

    The longest of a cycle's batches.
    """
    longest: dict[int, float] = {}
    for batch in range(plan.cycle):
        now = plan.batch(batch)
        seconds = _steps(now, cost)
        for ranks, size in _sums(now, cost):
            steps = 2 * (len(ranks) - 1)
            links = [
                cost.between(*pair) for pair in zip(ranks, (*ranks[1:], ranks[0]), strict=True)
            ]
            one = max(link.latency + size / len(ranks) / link.bandwidth for link in links)
            for rank in ranks:
                seconds[rank] = seconds.get(rank, 0.0) + steps * one
        longest |= {rank: max(longest.get(rank, 0.0), each) for rank, each in seconds.items()}
    return longest


def _steps(plan: PartitionPlan, cost: CostModel) -> dict[int, float]:
    """Seconds of each rank's optimizer step for all layers that it trains."""
    seconds: dict[int, float] = {}
    for layer, ranks in plan.trainers.items():
        for rank in ranks:
            one = cost.layers[layer].update / cost.devices[rank].speed
            seconds[rank] = seconds.get(rank, 0.0) + one
    return seconds
