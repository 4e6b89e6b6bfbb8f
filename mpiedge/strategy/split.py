"""SplitFrozen: devices run frozen blocks forward, a server trains what is above them.

    device 1   0 [1 2]      ->  server  [3] | [4 5 6 7]     aligned by bare blocks, then trained
    device 2   0 [1 2 3]    ->                [4 5 6 7]

What devices make of their examples is the same whenever they make it, so they are no stages of a
schedule: they *feed* the routes, which begin above the deepest cut and stay on the server.  With
``strategy.replay`` they feed the first epoch only.  arXiv 2503.18986; the cache is our addition.
"""

from dataclasses import replace

from mpiedge.errors import BadInput
from mpiedge.plan.balance import Infeasible, balance
from mpiedge.plan.partition import PartitionPlan, Route, Stage
from mpiedge.strategy.cuts import Share, check_devices, given_cuts, planned_cuts
from mpiedge.strategy.roles import SERVER, roles
from mpiedge.strategy.settings import StrategySettings
from mpiedge.strategy.strategy import Phase, Source, Work

_MIB = 2**20


def split(settings: StrategySettings, work: Work) -> tuple[Phase, ...]:
    """One phase; with a replay two, of which the first records what enters the trained blocks."""
    if settings.on_loss == "continue" and settings.aggregation == "gather":
        raise BadInput(
            "strategy.on_loss continue needs messages, but strategy.aggregation is gather, in "
            "which every device has its part; set it to point-to-point"
        )
    route = _route(settings, work)
    feeders = _feeders(settings, work)
    _check_server(settings, work, route, len(feeders))
    taken = (0,) * work.micro_batches
    first = replace(route[0], layers=range(route[0].layers.stop))
    whole = tuple(replace(stage, trainable=frozenset()) for stage in (first, *route[1:]))
    phase = Phase(
        PartitionPlan((route,), taken, work.joint_update, still=work.still),
        work.batches,
        evaluation=PartitionPlan((whole,), taken),
        feeders=feeders,
    )
    epoch = work.epoch
    if not settings.replay or work.batches <= epoch:
        return (phase,)
    kept = replace(phase, entrances=(work.still,))
    return (
        replace(kept, batches=epoch, source=Source.RECORD),
        replace(kept, batches=work.batches - epoch, source=Source.REPLAY),
    )


def shares(settings: StrategySettings, work: Work) -> tuple[Share, ...]:
    """Each device's clients, and how many examples they have together."""
    found = []
    for rank in roles(settings, len(work.ranks)).devices:
        here = roles(settings, len(work.ranks)).clients_on(rank, len(work.examples))
        if here:
            found.append(Share(rank, sum(work.examples[client] for client in here), here))
    return tuple(found)


def _feeders(settings: StrategySettings, work: Work) -> tuple[Stage, ...]:
    each, deepest = shares(settings, work), work.still - 1
    if settings.cuts:
        cuts = given_cuts(settings.cuts, each, len(work.examples))
    else:
        cuts = planned_cuts(work.cost, each, deepest, work.trainable)
    check_devices(work.cost, {rank: cut for rank, cut in cuts.items() if rank != SERVER})
    return tuple(Stage(rank, range(cut + 1)) for rank, cut in cuts.items())


def _route(settings: StrategySettings, work: Work) -> Route:
    """The trained layers over the servers, as evenly as can be."""
    start, layers = work.still, work.layers
    count = min(settings.servers, len(work.ranks))
    if count > layers.stop - start:
        raise BadInput(
            f"strategy.servers {count} is more than the {layers.stop - start} layers above the cut "
            f"(head counted); lower it, or cut lower"
        )
    above = frozenset(layer - start for layer in work.trainable)
    part = replace(work.cost, layers=work.cost.layers[start:])
    parts = [range(layers.stop - start)]
    if count > 1:
        parts = list(balance(part, range(count), above))
    return tuple(
        Stage(rank, here, work.trainable & frozenset(here))
        for rank, here in enumerate(range(p.start + start, p.stop + start) for p in parts)
    )


def _check_server(settings: StrategySettings, work: Work, route: Route, devices: int) -> None:
    """Raise Infeasible where the server's layers and what waits there do not fit its memory.

    Every device may be ``credits`` micro-batches ahead, and one more of each is being used; with
    a gather the server has two batches, one of which is on its way.
    """
    cost, start = work.cost, work.still
    held = replace(route[0], layers=range(route[0].layers.stop))
    training = cost.memory(held, True, len(route))
    waiting = devices * (settings.credits + 1)
    if settings.aggregation == "gather":
        waiting = 2 * work.micro_batches
    buffer, free = waiting * cost.layers[start - 1].boundary, cost.devices[SERVER].memory
    if training + buffer > free:
        raise Infeasible(
            f"the server, rank {SERVER}, needs {training / _MIB:.0f} MiB for the model and its "
            f"training and {buffer / _MIB:.0f} MiB for {waiting} micro-batches that wait to be "
            f"shuffled, and has {free / _MIB:.0f} MiB free; lower strategy.credits or "
            f"training.micro_batch_size, or set model.dtype to bfloat16"
        )
