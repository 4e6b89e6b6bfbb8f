"""SplitLoRA: devices train their blocks too, and the server returns gradients to them.

    client 0   1 [0 1 2]  ->  0 [3 4 5 6 7]      a batch, an update of both
    client 1   2 [0 1 2]  ->  0 [3 4 5 6 7]      the next one: one server, each client its adapters
    ...
    average of all clients' adapters

Clients visit the server one after another, each batch is one client's, and every
``strategy.average_every`` updates their adapters are averaged, A and B apart: as the code at
github.com/FDU-INC/Split_LoRA does.  What a client trains it has to itself until then.  In parallel
a batch has micro-batches of every client, each on its client's route.
"""

from mpiedge.errors import BadInput
from mpiedge.plan.balance import check_memory
from mpiedge.plan.partition import PartitionPlan, Route, Stage
from mpiedge.strategy.initiators import period, turns
from mpiedge.strategy.roles import SERVER, roles
from mpiedge.strategy.settings import StrategySettings
from mpiedge.strategy.strategy import Phase, Work

_PART = 4  # blocks to one at a client: 3 of GPT-2's 12, as in the published code


def splitlora(settings: StrategySettings, work: Work) -> tuple[Phase, ...]:
    """One phase, in which every batch takes its client's route."""
    cut = _cut(settings, work)
    home = roles(settings, len(work.ranks)).home
    if settings.visits == "parallel":
        homes = [home(client) for client in range(len(work.clients))] * work.micro_batches
        each, cycle = 1, 1
    else:
        homes = [home(client) for client in turns(work.clients, settings)]
        homes = homes[: period(homes)]
        each, cycle = work.micro_batches, len(homes)
    used = sorted(set(homes))
    routes = tuple(_route(rank, cut, work) for rank in used)
    taken = tuple(used.index(rank) for rank in homes for _ in range(each))
    whole = Stage(SERVER, work.layers, work.trainable)
    check_memory(work.cost, whole, "the server's model")
    plan = PartitionPlan(
        routes,
        taken,
        work.joint_update,
        cycle=cycle,
        still=work.still,
        apart=work.trainable & frozenset(range(cut + 1)),
    )
    evaluation = PartitionPlan(((whole,),), (0,) * work.micro_batches).frozen()
    return (Phase(plan, work.batches, evaluation=evaluation, average_every=settings.average_every),)


def _route(rank: int, cut: int, work: Work) -> Route:
    parts = range(cut + 1), range(cut + 1, work.layers.stop)
    return tuple(
        Stage(where, part, work.trainable & frozenset(part))
        for where, part in zip((rank, SERVER), parts, strict=True)
    )


def _cut(settings: StrategySettings, work: Work) -> int:
    last = (work.bridge or work.layers.stop - 1) - 2
    cuts = set(settings.cuts) or {max(1, (last + 1) // _PART)}
    if len(cuts) > 1:
        raise BadInput(
            f"strategy.cuts {settings.cuts} names several cuts, but splitlora averages what its "
            f"clients train, so that all need the same blocks; name one"
        )
    (cut,) = cuts
    if not 1 <= cut <= last:
        raise BadInput(
            f"strategy.cuts {settings.cuts} is not possible: the model has blocks 1..{last + 1}, "
            f"and one has to be left above the cut; name one from 1 to {last}"
        )
    return cut
