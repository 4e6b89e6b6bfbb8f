"""A run in rounds as it is expected to go: seconds, memory and messages of server and clients.

Apart from runs with a schedule, which are played; a round is what its allotment says.
"""

from collections.abc import Mapping, Sequence

from mpiedge.plan.cost import CostModel, kept
from mpiedge.plan.partition import Stage
from mpiedge.plan.prediction import Amount, Carried, Memory, Way
from mpiedge.run.comparing import Round
from mpiedge.strategy.allotment import Allotment
from mpiedge.strategy.comparison import FEDLORA
from mpiedge.strategy.forecast import NOTHING, Epoch, Forecast
from mpiedge.strategy.roles import SERVER


def foreseen_rounds(one: Round, cost: CostModel, rounds: Sequence[int]) -> Forecast:
    """The run whose epochs have so many ``rounds``; all are taken to be as the first one.

    Without epochs where the scheme that the run file names has no round.
    """
    answer = one.found.answer
    if answer.allotment is None:
        return Forecast((), {})
    busy, sent = _busy(one, answer.allotment), _sent(one, answer.allotment, cost)
    epochs = tuple(
        Epoch(
            count * answer.allotment.seconds,
            {rank: count * each for rank, each in busy.items()},
            {way: Amount(count * a.messages, count * a.bytes) for way, a in sent.items()},
        )
        for count in rounds
    )
    return Forecast(epochs, _memories(one, answer.allotment, cost))


def _computing(one: Round, k: int, block: int) -> float:
    if _federated(one):
        return one.full.seconds[0] / one.clients[k].speed
    return one.found.tables.seconds[k][block]


def _federated(one: Round) -> bool:
    return one.found.chosen == FEDLORA


def _busy(one: Round, allotment: Allotment) -> dict[int, float]:
    found = {SERVER: 0.0}
    for k, block in _involved(allotment):
        rank = one.homes[k]
        # Clients of one rank share its speed, one after the other.
        seconds = _computing(one, k, block) / one.homes.count(rank)
        found[rank] = found.get(rank, 0.0) + seconds
    return found


def _sent(one: Round, allotment: Allotment, cost: CostModel) -> dict[Way, Amount]:
    """All tuned weights to every rank with work, and one answer for each client."""
    weights, found = sum(layer.tuned for layer in cost.layers), dict[Way, Amount]()
    federated = _federated(one)
    what = Carried.WEIGHTS if federated else Carried.GRADIENT
    for k, block in _involved(allotment):
        rank = one.homes[k]
        if rank == SERVER:
            continue
        found[Way(SERVER, rank, Carried.WEIGHTS)] = Amount(1, weights)
        size = one.full.payload[0] if federated else one.payload[block]
        before = found.get(Way(rank, SERVER, what), Amount())
        found[Way(rank, SERVER, what)] = Amount(before.messages + 1, before.bytes + size)
    return {way: found[way] for way in sorted(found)}


def _memories(one: Round, allotment: Allotment, cost: CostModel) -> Mapping[int, Memory]:
    every = tuple(i for i, layer in enumerate(cost.layers) if layer.tuned)
    found = {SERVER: _memory(cost, every)}
    for k, block in _involved(allotment):
        head = len(cost.layers) - 1
        tuned = every if _federated(one) else (*one.blocks[block], head)
        more = _memory(cost, tuned)
        before = found.get(one.homes[k], NOTHING)
        found[one.homes[k]] = max(before, more, key=lambda memory: memory.total)
    return found


def _memory(cost: CostModel, tuned: Sequence[int]) -> Memory:
    stage = Stage(SERVER, range(len(cost.layers)), frozenset(tuned))
    here = sum(cost.layers[i].tuned for i in tuned)
    weights = sum(layer.tuned for layer in cost.layers)
    return Memory(
        frozen=sum(layer.weights for layer in cost.layers) - weights,
        tuned=weights,
        gradients=here,
        moments=2 * here,
        in_flight=kept(cost.layers, stage, True),
        working=max(layer.working for layer in cost.layers),
    )


def _involved(allotment: Allotment) -> list[tuple[int, int]]:
    return [(k, block) for k, block in enumerate(allotment.blocks) if block >= 0]
