"""Devices that run frozen blocks for a server's routes: their time, memory and messages.

They work beside the schedule and not by it, so that no play has them.  An epoch takes at least as
long as the slowest of them, and the server has the blocks to run that a device leaves to it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import ceil

from mpiedge.plan.cost import CostModel
from mpiedge.plan.partition import Stage
from mpiedge.plan.prediction import Amount, Carried, Memory, Way
from mpiedge.strategy.forecast import Costs, Epoch, Forecast, add
from mpiedge.strategy.roles import SERVER
from mpiedge.strategy.strategy import Phase, Source


def fed(
    found: Forecast, phases: Sequence[Phase], costs: Costs, examples: Mapping[int, int]
) -> Forecast:
    """The forecast with what feeders do for it, each with its ``examples`` of an epoch.

    Of several bounds, the time of the server, of each device and of each link, an epoch's is the
    largest.  Where there are no feeders, or rounds, the forecast is as before.
    """
    phase = phases[0]
    if not phase.feeders or phase.rounds:
        return found
    replays = any(each.source is Source.REPLAY for each in phases)
    with_feeders = 1 if replays else len(found.epochs)
    epochs = [
        _fed(epoch, phase, costs.usual, examples) if number < with_feeders else epoch
        for number, epoch in enumerate(found.epochs)
    ]
    memory = dict(found.memory)
    for stage in phase.feeders:
        if stage.rank != SERVER:
            memory[stage.rank] = _memory(costs.largest, stage)
    return replace(found, epochs=tuple(epochs), memory=memory)


def _fed(epoch: Epoch, phase: Phase, cost: CostModel, examples: Mapping[int, int]) -> Epoch:
    start = phase.plan.routes[0][0].layers.start
    server = Stage(SERVER, range(start, len(cost.layers)))
    busy, sent = dict(epoch.busy), dict[Way, Amount]()
    bounds, extra = [], 0.0
    for stage in phase.feeders:
        micro_batches = examples[stage.rank] / cost.rows
        work = micro_batches * cost.forward(stage)
        busy[stage.rank] = busy.get(stage.rank, 0.0) + work
        between = Stage(SERVER, range(stage.layers.stop, start))
        extra += micro_batches * cost.forward(between)
        if stage.rank == SERVER:
            extra += work
            continue
        bounds += [work, micro_batches * cost.send(stage, server)]
        size = round(micro_batches * cost.layers[stage.layers.stop - 1].boundary)
        way = Way(stage.rank, SERVER, Carried.ACTIVATION)
        sent[way] = Amount(ceil(micro_batches), size)
    seconds = max([epoch.seconds + extra, *bounds])
    return replace(epoch, seconds=seconds, busy=busy, sent=add(epoch.sent, sent))


def _memory(cost: CostModel, stage: Stage) -> Memory:
    layers = [cost.layers[i] for i in stage.layers]
    return Memory(
        frozen=sum(layer.weights for layer in layers),
        tuned=0,
        gradients=0,
        moments=0,
        in_flight=layers[-1].boundary,
        working=max(layer.activation + layer.working for layer in layers),
    )
